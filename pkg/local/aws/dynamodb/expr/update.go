package expr

import (
	"maps"
	"slices"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// Update is a parsed UpdateExpression.
type Update struct {
	set    []setAction // ordered by path
	add    []setOp
	remove []Path // ordered by path, last first
	paths  []Path
}

// setAction is "path = term"; setOp is the "path :value" of ADD and DELETE.
type (
	setAction struct {
		path Path
		term updateTerm
	}
	setOp struct {
		path   Path
		value  value.Value
		delete bool
	}
)

// Paths returns the document paths that the update writes to.
func (u *Update) Paths() []Path {
	if u == nil {
		return nil
	}
	return u.paths
}

// Apply returns the item after the update and does not change the given one. All reads see
// the given item. It returns *Error if an operand is missing or of the wrong type, if a
// path does not exist, or if a number does not fit.
func (u *Update) Apply(item value.Item) (value.Item, error) {
	out := maps.Clone(item)
	if out == nil {
		out = value.Item{}
	}
	if u == nil {
		return out, nil
	}
	for _, a := range u.set {
		v, err := a.term.eval(item)
		if err != nil {
			return nil, err
		}
		if err := editItem(out, a.path.steps, setTo(v)); err != nil {
			return nil, err
		}
	}
	for _, a := range u.add {
		if err := editItem(out, a.path.steps, a.apply); err != nil {
			return nil, err
		}
	}
	for _, p := range u.remove {
		if p.pastEnd(item) {
			continue
		}
		if err := editItem(out, p.steps, removed); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func setTo(v value.Value) change {
	return func(value.Value, bool) (value.Value, bool, error) { return v, true, nil }
}

func removed(value.Value, bool) (value.Value, bool, error) { return value.Value{}, false, nil }

// pastEnd reports whether the path ends with an index that its list does not have.
// REMOVE uses the list before the update, without elements that SET appends.
func (p Path) pastEnd(item value.Item) bool {
	last := p.steps[len(p.steps)-1]
	if !last.isIndex() {
		return false
	}
	list, ok := Path{p.steps[:len(p.steps)-1]}.Get(item)
	return ok && list.Type == value.List && last.index >= len(list.List)
}

// change returns the new value at a path, or false to remove it.
type change func(old value.Value, exists bool) (value.Value, bool, error)

// editItem is [edit] for a whole item, which is a copy and is changed in place.
func editItem(item value.Item, steps []step, f change) error {
	name := steps[0].name
	old, exists := item[name]
	keep, err := true, error(nil)
	switch {
	case len(steps) == 1:
		old, keep, err = f(old, exists)
	case exists:
		old, err = edit(old, steps[1:], f)
	default:
		err = badPath()
	}
	if err != nil {
		return err
	}
	if !keep {
		delete(item, name)
		return nil
	}
	item[name] = old
	return nil
}

// edit returns v with the value at the path changed; only values on the path are copied.
func edit(v value.Value, steps []step, f change) (value.Value, error) {
	s := steps[0]
	if s.isIndex() != (v.Type == value.List) || !s.isIndex() && v.Type != value.Map {
		return v, badPath()
	}
	old, exists := s.into(v)
	if len(steps) > 1 {
		if !exists {
			return v, badPath()
		}
		inner, err := edit(old, steps[1:], f)
		if err != nil {
			return v, err
		}
		return put(v, s, inner), nil
	}
	changed, keep, err := f(old, exists)
	switch {
	case err != nil:
		return v, err
	case keep:
		return put(v, s, changed), nil
	case exists:
		return drop(v, s), nil
	}
	return v, nil
}

func badPath() error {
	return errorf("The document path provided in the update expression is invalid for update")
}

// put sets a map's member or a list's element; an index past the end appends.
func put(v value.Value, s step, inner value.Value) value.Value {
	if !s.isIndex() {
		v.Map = maps.Clone(v.Map)
		if v.Map == nil {
			v.Map = value.Item{}
		}
		v.Map[s.name] = inner
		return v
	}
	v.List = slices.Clone(v.List)
	if s.index >= len(v.List) {
		v.List = append(v.List, inner)
	} else {
		v.List[s.index] = inner
	}
	return v
}

func drop(v value.Value, s step) value.Value {
	if s.isIndex() {
		v.List = slices.Delete(slices.Clone(v.List), s.index, s.index+1)
		return v
	}
	v.Map = maps.Clone(v.Map)
	delete(v.Map, s.name)
	return v
}

// apply adds a number, or adds or removes elements of a set; an empty set is removed.
func (a setOp) apply(old value.Value, exists bool) (value.Value, bool, error) {
	switch {
	case !exists:
		return a.value, !a.delete, nil
	case old.Type != a.value.Type:
		return old, true, badOperand()
	case a.delete:
		left := old.Minus(a.value)
		return left, len(left.List) > 0, nil
	case a.value.Type == value.Num:
		sum, err := arithmetic(old, a.value, false)
		return sum, true, err
	}
	return old.Union(a.value), true, nil
}

func badOperand() error {
	return errorf("An operand in the update expression has an incorrect data type")
}

func arithmetic(a, b value.Value, subtract bool) (value.Value, error) {
	if a.Type != value.Num || b.Type != value.Num {
		return value.Value{}, badOperand()
	}
	n, err := a.Num.Add(b.Num)
	if subtract {
		n, err = a.Num.Sub(b.Num)
	}
	if err != nil {
		return value.Value{}, errorf("%v", err)
	}
	return value.Value{Type: value.Num, Num: n}, nil
}

// updateTerm is the right side of SET, or a part of it.
type updateTerm struct {
	op    string      // "path", "value", "+", "-", "if_not_exists" or "list_append"
	path  Path        // of "path" and "if_not_exists"
	value value.Value // of "value"
	args  []updateTerm
}

func (t updateTerm) eval(it value.Item) (value.Value, error) {
	switch t.op {
	case "value":
		return t.value, nil
	case "path", "if_not_exists":
		v, ok := t.path.Get(it)
		switch {
		case !ok && t.op == "path":
			return v, errorf("The provided expression refers to an attribute that does not exist in the item")
		case !ok:
			return t.args[1].eval(it)
		}
		return v, nil
	}
	a, err := t.args[0].eval(it)
	if err != nil {
		return a, err
	}
	b, err := t.args[1].eval(it)
	switch {
	case err != nil:
		return b, err
	case t.op != "list_append":
		return arithmetic(a, b, t.op == "-")
	case a.Type != value.List || b.Type != value.List:
		return a, badOperand()
	}
	return value.Value{Type: value.List, List: slices.Concat(a.List, b.List)}, nil
}
