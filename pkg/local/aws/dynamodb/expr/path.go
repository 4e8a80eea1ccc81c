package expr

import (
	"slices"
	"strconv"
	"strings"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// step goes into a map by name, or into a list by index if name is "".
type step struct {
	name  string
	index int
}

func (s step) isIndex() bool { return s.name == "" }

// Path leads to an attribute or into a document, for example a.b[0].c.
type Path struct{ steps []step }

// Head is the name of the item's attribute that the path starts at.
func (p Path) Head() string { return p.steps[0].name }

// Nested reports whether the path leads into the attribute's content.
func (p Path) Nested() bool { return len(p.steps) > 1 }

// String writes the path as DynamoDB's messages do: [a, b, [0]].
func (p Path) String() string {
	texts := make([]string, len(p.steps))
	for i, s := range p.steps {
		texts[i] = s.name
		if s.isIndex() {
			texts[i] = "[" + strconv.Itoa(s.index) + "]"
		}
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// Get returns the value at the path in the item; false if there is none.
func (p Path) Get(item value.Item) (value.Value, bool) {
	v := value.Value{Type: value.Map, Map: item}
	for _, s := range p.steps {
		next, ok := s.into(v)
		if !ok {
			return value.Value{}, false
		}
		v = next
	}
	return v, true
}

func (s step) into(v value.Value) (value.Value, bool) {
	if !s.isIndex() {
		next, ok := v.Map[s.name] // nil for all but maps
		return next, ok
	}
	if v.Type != value.List || s.index >= len(v.List) {
		return value.Value{}, false
	}
	return v.List[s.index], true
}

// compareSteps orders paths so that those into one list are adjacent, by index.
func compareSteps(a, b step) int {
	if c := strings.Compare(a.name, b.name); c != 0 {
		return c
	}
	return a.index - b.index
}

func comparePaths(a, b Path) int { return slices.CompareFunc(a.steps, b.steps, compareSteps) }

// checkDisjoint rejects paths of which one contains another, or which use one value as a map
// and as a list.
func checkDisjoint(paths []Path) error {
	for i, b := range paths {
		for _, a := range paths[:i] {
			if err := disjoint(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func disjoint(a, b Path) error {
	for i := range min(len(a.steps), len(b.steps)) {
		if a.steps[i].isIndex() != b.steps[i].isIndex() {
			return errorf("Two document paths conflict with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", a, b)
		}
		if a.steps[i] != b.steps[i] {
			return nil
		}
	}
	return errorf("Two document paths overlap with each other; must remove or rewrite one of these paths; path one: %s, path two: %s", a, b)
}
