package expr

import (
	"strings"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// KeyTerm is one comparison of a key condition: a key attribute, an operator
// (=, <, <=, >, >=, BETWEEN or begins_with) and its one or two values.
type KeyTerm struct {
	Name   string
	Op     string
	Values []value.Value
}

// KeyCondition parses a KeyConditionExpression into its one or two terms, which
// name different attributes.
func (p *Params) KeyCondition(text string) ([]KeyTerm, error) {
	c, err := p.Condition("KeyConditionExpression", text)
	if err != nil {
		return nil, err
	}
	terms, err := keyTerms(c.root)
	if err != nil {
		return nil, err
	}
	if len(terms) > 2 {
		return nil, errorf("Conditions can be of length 1 or 2 only")
	}
	if len(terms) == 2 && terms[0].Name == terms[1].Name {
		return nil, errorf("KeyConditionExpressions must only contain one condition per key")
	}
	return terms, nil
}

func keyTerms(n node) ([]KeyTerm, error) {
	switch n := n.(type) {
	case andNode:
		left, err := keyTerms(n.left)
		if err != nil {
			return nil, err
		}
		right, err := keyTerms(n.right)
		return append(left, right...), err
	case compareNode:
		if n.op == "<>" {
			return nil, badKeyOperator(n.op)
		}
		if _, swapped := n.left.(valueOperand); swapped {
			n = compareNode{mirror(n.op), n.right, n.left}
		}
		return keyTerm(n.op, n.left, n.right)
	case betweenNode:
		return keyTerm("BETWEEN", n.of, n.low, n.high)
	case callNode:
		if n.name == "begins_with" {
			return keyTerm(n.name, n.args[0], n.args[1])
		}
		return nil, badKeyOperator(n.name)
	case orNode:
		return nil, badKeyOperator("OR")
	case notNode:
		return nil, badKeyOperator("NOT")
	}
	return nil, badKeyOperator("IN")
}

func badKeyOperator(op string) error {
	return errorf("Invalid operator used in KeyConditionExpression: %s", op)
}

// mirror reverses an operator, for ":v < key".
func mirror(op string) string {
	return strings.NewReplacer("<", ">", ">", "<").Replace(op)
}

func keyTerm(op string, of operand, args ...operand) ([]KeyTerm, error) {
	path, ok := of.(pathOperand)
	if !ok {
		if _, nested := of.(sizeOperand); nested {
			return nil, errorf("KeyConditionExpressions cannot contain nested operations")
		}
		return nil, errorf("Invalid condition in KeyConditionExpression: %s operator must have the key attribute as its first operand", op)
	}
	if path.Nested() {
		return nil, errorf("KeyConditionExpressions cannot have conditions on nested attributes")
	}
	term := KeyTerm{Name: path.Head(), Op: op}
	for _, a := range args {
		switch a := a.(type) {
		case valueOperand:
			term.Values = append(term.Values, a.Value)
		case sizeOperand:
			return nil, errorf("KeyConditionExpressions cannot contain nested operations")
		default:
			return nil, errorf("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")
		}
	}
	return []KeyTerm{term}, nil
}

// Match reports whether a key attribute's value matches the term.
func (t KeyTerm) Match(v value.Value) bool {
	switch t.Op {
	case "BETWEEN":
		return betweenNode{valueOperand{v}, valueOperand{t.Values[0]}, valueOperand{t.Values[1]}}.match(nil)
	case "begins_with":
		return v.HasPrefix(t.Values[0])
	}
	return compareNode{t.Op, valueOperand{v}, valueOperand{t.Values[0]}}.match(nil)
}
