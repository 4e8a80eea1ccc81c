package expr

import (
	"slices"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// Condition parses a condition or filter; kind is the request member's name, for messages.
func (p *Params) Condition(kind, text string) (*Condition, error) {
	ps := p.start(kind, text)
	root := ps.condition(ps.or())
	if err := ps.finish(kind); err != nil {
		return nil, err
	}
	return &Condition{root: root, paths: ps.paths}, nil
}

// term is either a condition or an operand: "(a) = :b" and "(a = :b)" start alike.
type term struct {
	node    node
	operand operand
	parens  bool // the whole term is in parentheses
}

// condition requires a boolean term.
func (ps *parser) condition(t term) node {
	if t.node != nil {
		return t.node
	}
	if _, isSize := t.operand.(sizeOperand); isSize {
		ps.fail("The function is not allowed to be used this way in an expression; function: size")
	}
	ps.syntax()
	return callNode{}
}

// operandOf requires a term with a value.
func (ps *parser) operandOf(t term) operand {
	if t.operand != nil {
		return t.operand
	}
	if call, ok := t.node.(callNode); ok && call.name != "" {
		ps.fail("The function is not allowed to be used this way in an expression; function: %s", call.name)
	}
	ps.syntax()
	return valueOperand{}
}

func (ps *parser) or() term {
	return ps.chain("OR", ps.and, func(a, b node) node { return orNode{a, b} })
}

func (ps *parser) and() term {
	return ps.chain("AND", ps.not, func(a, b node) node { return andNode{a, b} })
}

// chain reads "a", "a word b", "a word b word c" and so on.
func (ps *parser) chain(word string, read func() term, join func(a, b node) node) term {
	left := read()
	for ps.accept(word) {
		ps.operator()
		left = term{node: join(ps.condition(left), ps.condition(read()))}
	}
	return left
}

func (ps *parser) not() term {
	if !ps.accept("NOT") {
		return ps.comparison()
	}
	ps.operator()
	return term{node: notNode{ps.condition(ps.not())}}
}

func (ps *parser) comparison() term {
	left := ps.primary()
	t := ps.peek()
	switch {
	case slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, t.text) && t.kind == tokMark:
		ps.pos++
		ps.operator()
		n := compareNode{t.text, ps.operandOf(left), ps.operandOf(ps.primary())}
		ps.checkCompare(n)
		return term{node: n}
	case ps.accept("BETWEEN"):
		ps.operator()
		n := betweenNode{of: ps.operandOf(left), low: ps.operandOf(ps.primary())}
		ps.expect("AND")
		n.high = ps.operandOf(ps.primary())
		ps.checkBetween(n)
		return term{node: n}
	case ps.accept("IN"):
		ps.operator()
		n := inNode{ps.operandOf(left), arguments(ps, func() operand { return ps.operandOf(ps.primary()) })}
		if len(n.list) > maxInOperands {
			ps.fail("The IN operator is provided with too many operands; number of operands: %d", len(n.list))
		}
		return term{node: n}
	}
	return left
}

func (ps *parser) primary() term {
	switch {
	case ps.accept("("):
		inner := ps.or()
		ps.expect(")")
		if inner.parens {
			ps.fail("The expression has redundant parentheses;")
		}
		inner.parens = true
		return inner
	case ps.peek().kind == tokValue:
		return term{operand: valueOperand{ps.value()}}
	case ps.isCall():
		return ps.call()
	}
	return term{operand: pathOperand{ps.path()}}
}

func (ps *parser) call() term {
	name := ps.next().text
	ps.operator()
	args := arguments(ps, func() operand { return ps.operandOf(ps.primary()) })
	wanted := map[string]int{"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2,
		"begins_with": 2, "contains": 2, "size": 1}[name]
	switch {
	case wanted == 0:
		ps.fail("Invalid function name; function: %s", name)
	case wanted != len(args):
		ps.fail("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", name, len(args))
	default:
		ps.checkCall(name, args)
	}
	if name == "size" {
		return term{operand: sizeOperand{args[0]}}
	}
	return term{node: callNode{name, args}}
}

func (ps *parser) checkCall(name string, args []operand) {
	if len(args) == 2 {
		ps.checkDistinct(name, args[0], args[1])
	}
	switch name {
	case "attribute_exists", "attribute_not_exists":
		if _, ok := args[0].(pathOperand); !ok {
			ps.fail("Operator or function requires a document path; operator or function: %s", name)
		}
	case "begins_with":
		ps.checkTypes(name, args, value.String, value.Binary)
	case "size":
		ps.checkTypes(name, args, value.String, value.Binary, value.List, value.Map,
			value.StringSet, value.NumberSet, value.BinarySet)
	case "attribute_type":
		ps.checkTypeName(args[1])
	}
}

// checkTypes rejects arguments whose type is known and not allowed.
func (ps *parser) checkTypes(name string, args []operand, allowed ...value.Type) {
	for _, a := range args {
		if t := staticType(a); t != "" && !slices.Contains(allowed, t) {
			ps.fail("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", name, t)
		}
	}
}

func (ps *parser) checkTypeName(o operand) {
	t := staticType(o)
	if t == "" {
		t = "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}"
	}
	if t != value.String {
		ps.fail("Incorrect operand type for operator or function; operator or function: attribute_type, operand type: %s", t)
		return
	}
	name := value.Type(o.(valueOperand).Text)
	known := []value.Type{value.String, value.Num, value.Binary, value.Bool, value.Null, value.List, value.Map,
		value.StringSet, value.NumberSet, value.BinarySet}
	if !slices.Contains(known, name) {
		ps.fail("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", name)
	}
}

// staticType is an operand's type if the expression alone determines it.
func staticType(o operand) value.Type {
	switch o := o.(type) {
	case valueOperand:
		return o.Type
	case sizeOperand:
		return value.Num
	}
	return ""
}

func (ps *parser) checkCompare(n compareNode) {
	ps.checkDistinct(n.op, n.left, n.right)
	if n.op == "=" || n.op == "<>" {
		return
	}
	for _, o := range []operand{n.left, n.right} {
		if t := staticType(o); t != "" && !t.Scalar() {
			ps.fail("Incorrect operand type for operator or function; operator: %s, operand type: %s", n.op, t)
		}
	}
}

func (ps *parser) checkDistinct(op string, a, b operand) {
	x, okX := a.(pathOperand)
	y, okY := b.(pathOperand)
	if okX && okY && slices.Equal(x.steps, y.steps) {
		ps.fail("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", op, x.Path)
	}
}

func (ps *parser) checkBetween(n betweenNode) {
	for _, o := range []operand{n.of, n.low, n.high} {
		if t := staticType(o); t != "" && !t.Scalar() {
			ps.fail("Incorrect operand type for operator or function; operator: BETWEEN, operand type: %s", t)
		}
	}
	low, okLow := n.low.(valueOperand)
	high, okHigh := n.high.(valueOperand)
	if !okLow || !okHigh {
		return
	}
	bounds := "; lower bound operand: AttributeValue: " + low.Describe() + ", upper bound operand: AttributeValue: " + high.Describe()
	if c, ok := value.Compare(low.Value, high.Value); !ok {
		ps.fail("%s", "The BETWEEN operator requires same data type for lower and upper bounds"+bounds)
	} else if c > 0 {
		ps.fail("%s", "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"+bounds)
	}
}
