package expr

import (
	"strings"

	"tollgate/pkg/local/aws/dynamodb/number"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// Condition is a parsed ConditionExpression or FilterExpression. A nil Condition is always true.
type Condition struct {
	root  node
	paths []Path
}

// Match reports whether the condition is true for the item; nil is an item that does not exist.
func (c *Condition) Match(item value.Item) bool { return c == nil || c.root.match(item) }

// Paths returns every document path that the condition names.
func (c *Condition) Paths() []Path {
	if c == nil {
		return nil
	}
	return c.paths
}

// node is a boolean part of a condition.
type node interface{ match(item value.Item) bool }

// operand is a part of a condition that has a value, or none.
type operand interface {
	get(item value.Item) (value.Value, bool)
}

type (
	andNode struct{ left, right node }
	orNode  struct{ left, right node }
	notNode struct{ inner node }

	compareNode struct {
		op          string
		left, right operand
	}
	betweenNode struct{ of, low, high operand }
	inNode      struct {
		of   operand
		list []operand
	}
	callNode struct {
		name string
		args []operand
	}

	pathOperand  struct{ Path }
	valueOperand struct{ value.Value }
	sizeOperand  struct{ of operand }
)

func (n andNode) match(it value.Item) bool { return n.left.match(it) && n.right.match(it) }
func (n orNode) match(it value.Item) bool  { return n.left.match(it) || n.right.match(it) }
func (n notNode) match(it value.Item) bool { return !n.inner.match(it) }

func (o pathOperand) get(it value.Item) (value.Value, bool) { return o.Get(it) }
func (o valueOperand) get(value.Item) (value.Value, bool)   { return o.Value, true }
func (o sizeOperand) get(it value.Item) (value.Value, bool) {
	v, ok := o.of.get(it)
	if !ok {
		return value.Value{}, false
	}
	var n int
	switch v.Type {
	case value.String, value.Binary:
		n = len(v.Text)
	case value.List, value.StringSet, value.NumberSet, value.BinarySet:
		n = len(v.List)
	case value.Map:
		n = len(v.Map)
	default:
		return value.Value{}, false
	}
	return value.Value{Type: value.Num, Num: number.FromInt(int64(n))}, true
}

// match: a comparison with a missing attribute is false, except <>, which is true.
func (n compareNode) match(it value.Item) bool {
	a, haveA := n.left.get(it)
	b, haveB := n.right.get(it)
	if !haveA || !haveB {
		return n.op == "<>"
	}
	switch n.op {
	case "=":
		return value.Equal(a, b)
	case "<>":
		return !value.Equal(a, b)
	}
	c, ok := value.Compare(a, b)
	return ok && (c < 0 && n.op[0] == '<' || c > 0 && n.op[0] == '>' || c == 0 && len(n.op) == 2)
}

func (n betweenNode) match(it value.Item) bool {
	return compareNode{">=", n.of, n.low}.match(it) && compareNode{"<=", n.of, n.high}.match(it)
}

func (n inNode) match(it value.Item) bool {
	for _, o := range n.list {
		if (compareNode{"=", n.of, o}).match(it) {
			return true
		}
	}
	return false
}

func (n callNode) match(it value.Item) bool {
	v, ok := n.args[0].get(it)
	switch n.name {
	case "attribute_exists":
		return ok
	case "attribute_not_exists":
		return !ok
	}
	arg, okArg := n.args[1].get(it)
	if !ok || !okArg {
		return false
	}
	switch n.name {
	case "attribute_type":
		return string(v.Type) == arg.Text
	case "begins_with":
		return v.HasPrefix(arg)
	}
	return contains(v, arg)
}

// contains: part of a string or binary, or an element of a set or list.
func contains(v, part value.Value) bool {
	switch v.Type {
	case value.String, value.Binary:
		return part.Type == v.Type && strings.Contains(v.Text, part.Text)
	case value.List, value.StringSet, value.NumberSet, value.BinarySet:
		return v.Has(part)
	}
	return false
}
