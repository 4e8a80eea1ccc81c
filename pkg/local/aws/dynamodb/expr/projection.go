package expr

import (
	"maps"
	"slices"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// Projection is a parsed ProjectionExpression.
type Projection []Path

// Projection parses a ProjectionExpression.
func (p *Params) Projection(text string) (Projection, error) {
	const kind = "ProjectionExpression"
	ps := p.start(kind, text)
	paths := []Path{ps.path()}
	for ps.accept(",") {
		paths = append(paths, ps.path())
	}
	if err := ps.finish(kind); err != nil {
		return nil, err
	}
	if err := checkDisjoint(paths); err != nil {
		return nil, errorf("Invalid %s: %v", kind, err)
	}
	return paths, nil
}

// Project returns the values at the paths, within their maps and lists: lists hold only the
// chosen elements, in order. If there are none the item is empty.
func Project(item value.Item, paths []Path) value.Item {
	root := &selection{}
	for _, p := range paths {
		root.add(p.steps)
	}
	out, found := root.of(value.Value{Type: value.Map, Map: item})
	if !found {
		return value.Item{}
	}
	return out.Map
}

// selection is a tree of paths; a leaf selects its whole value.
type selection struct{ into map[step]*selection }

func (s *selection) add(steps []step) {
	for _, st := range steps {
		if s.into == nil {
			s.into = map[step]*selection{}
		}
		if s.into[st] == nil {
			s.into[st] = &selection{}
		}
		s = s.into[st]
	}
}

// of returns the selected part of v; false if there is none.
func (s *selection) of(v value.Value) (value.Value, bool) {
	if s.into == nil {
		return v, true
	}
	out := value.Value{Type: v.Type}
	for _, st := range slices.SortedFunc(maps.Keys(s.into), compareSteps) {
		inner, ok := st.into(v)
		if !ok {
			continue
		}
		part, ok := s.into[st].of(inner)
		switch {
		case !ok:
		case st.isIndex():
			out.List = append(out.List, part)
		case out.Map == nil:
			out.Map = value.Item{st.name: part}
		default:
			out.Map[st.name] = part
		}
	}
	return out, out.Map != nil || out.List != nil
}
