package expr

import (
	"cmp"
	"slices"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// Update parses an UpdateExpression.
func (p *Params) Update(text string) (*Update, error) {
	const kind = "UpdateExpression"
	ps := p.start(kind, text)
	u := &Update{}
	seen := map[string]bool{}
	for ps.err == nil && (ps.peek().kind != tokEOF || len(seen) == 0) {
		section := ps.section(u)
		if seen[section] {
			ps.fail("The %q section can only be used once in an update expression;", section)
		}
		seen[section] = true
	}
	if err := ps.finish(kind); err != nil {
		return nil, err
	}
	if err := checkDisjoint(u.paths); err != nil {
		return nil, errorf("Invalid %s: %v", kind, err)
	}
	// Appends to one list are made in order of index; removals from the end keep the other indexes valid.
	slices.SortStableFunc(u.set, func(a, b setAction) int { return comparePaths(a.path, b.path) })
	slices.SortFunc(u.remove, func(a, b Path) int { return comparePaths(b, a) })
	return u, nil
}

// section reads one clause with its actions and returns its keyword.
func (ps *parser) section(u *Update) string {
	for _, keyword := range []string{"SET", "REMOVE", "ADD", "DELETE"} {
		if !ps.accept(keyword) {
			continue
		}
		ps.action(u, keyword)
		for ps.accept(",") {
			ps.action(u, keyword)
		}
		return keyword
	}
	ps.syntax()
	return ""
}

func (ps *parser) action(u *Update, keyword string) {
	path := ps.path()
	u.paths = append(u.paths, path)
	switch keyword {
	case "SET":
		ps.expect("=")
		u.set = append(u.set, setAction{path, ps.setTerm()})
	case "REMOVE":
		u.remove = append(u.remove, path)
	default:
		v := ps.value()
		ps.checkSetOperand(keyword, v.Type)
		u.add = append(u.add, setOp{path, v, keyword == "DELETE"})
	}
}

// checkSetOperand: ADD takes a number or a set, DELETE takes a set.
func (ps *parser) checkSetOperand(keyword string, t value.Type) {
	if t.IsSet() || keyword == "ADD" && t == value.Num {
		return
	}
	names := map[value.Type]string{value.String: "STRING", value.Num: "NUMBER", value.Binary: "BINARY", value.Bool: "BOOLEAN",
		value.Null: "NULL", value.List: "LIST", value.Map: "MAP"}
	ps.fail("Incorrect operand type for operator or function; operator: %[1]s, operand type: %[2]s, typeSet: ALLOWED_FOR_%[1]s_OPERAND",
		keyword, cmp.Or(names[t], string(t)))
}

// setTerm reads "a", "a + b" or "a - b", also in parentheses.
func (ps *parser) setTerm() updateTerm {
	left := ps.updateOperand(true)
	op := ps.peek().text
	if left.op == "+" || left.op == "-" || !ps.accept("+") && !ps.accept("-") {
		return left // a sum has two operands; a third one is a syntax error
	}
	ps.operator()
	sum := updateTerm{op: op, args: []updateTerm{left, ps.updateOperand(false)}}
	ps.checkTerms(sum, value.Num)
	return sum
}

// updateOperand reads a path, a value, a function, or one of these in
// parentheses; a sum in parentheses only where sums is set.
func (ps *parser) updateOperand(sums bool) (t updateTerm) {
	switch {
	case ps.accept("("):
		if sums {
			t = ps.setTerm()
		} else {
			t = ps.updateOperand(false)
		}
		ps.expect(")")
		return t
	case ps.peek().kind == tokValue:
		return updateTerm{op: "value", value: ps.value()}
	case ps.isCall():
		return ps.updateCall()
	}
	return updateTerm{op: "path", path: ps.path()}
}

func (ps *parser) updateCall() updateTerm {
	t := updateTerm{op: ps.next().text}
	ps.operator()
	t.args = arguments(ps, func() updateTerm { return ps.updateOperand(false) })
	t.path = t.args[0].path
	switch {
	case t.op != "if_not_exists" && t.op != "list_append":
		ps.fail("Invalid function name; function: %s", t.op)
	case len(t.args) != 2:
		ps.fail("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", t.op, len(t.args))
	case t.op == "list_append":
		ps.checkTerms(t, value.List)
	case t.args[0].op != "path":
		ps.fail("Operator or function requires a document path; operator or function: %s", t.op)
	}
	return t
}

// checkTerms rejects literal operands of a type other than the operator's.
func (ps *parser) checkTerms(t updateTerm, want value.Type) {
	for _, arg := range t.args {
		if arg.op == "value" && arg.value.Type != want {
			ps.fail("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", t.op, arg.value.Type)
		}
	}
}
