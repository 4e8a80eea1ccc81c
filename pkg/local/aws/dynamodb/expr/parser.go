package expr

import (
	"strconv"
	"strings"

	"tollgate/pkg/local/aws/dynamodb/value"
)

// parser reads one expression. After the first error every token is the end, so that each
// loop of the grammar ends too.
type parser struct {
	*Params
	tokens    []token
	pos       int
	operators int
	paths     []Path
	err       *Error
}

// start makes a parser for an expression, or one that has failed already.
func (p *Params) start(kind, text string) *parser {
	p.parsed = append(p.parsed, kind)
	ps := &parser{Params: p}
	switch {
	case strings.TrimSpace(text) == "":
		ps.fail("The expression can not be empty;")
	case len(text) > maxExpressionBytes:
		ps.fail("Expression size has exceeded the maximum allowed size; expression size: %d", len(text))
	default:
		ps.tokens = tokens(text)
	}
	return ps
}

// finish requires the end of the text and returns the error with the expression's name.
func (ps *parser) finish(kind string) error {
	if ps.peek().kind != tokEOF {
		ps.syntax()
	}
	if ps.err != nil {
		return errorf("Invalid %s: %s", kind, ps.err.Message)
	}
	return nil
}

func (ps *parser) fail(format string, args ...any) {
	if ps.err == nil {
		ps.err = errorf(format, args...)
	}
}

// syntax fails at the current token and names it with its neighbours.
func (ps *parser) syntax() {
	if ps.err != nil {
		return
	}
	near := ps.tokens[max(0, ps.pos-1):min(len(ps.tokens), ps.pos+2)]
	texts := make([]string, len(near))
	for i, t := range near {
		texts[i] = t.text
	}
	ps.fail("Syntax error; token: %q, near: %q", ps.peek().text, strings.Join(texts, " "))
}

func (ps *parser) peek() token {
	if ps.err != nil || ps.pos >= len(ps.tokens) {
		return token{kind: tokEOF, text: "<EOF>"}
	}
	return ps.tokens[ps.pos]
}

func (ps *parser) next() token {
	t := ps.peek()
	ps.pos++
	return t
}

// accept takes the next token if it is this one.
func (ps *parser) accept(text string) bool {
	if ps.err != nil || !ps.peek().is(text) {
		return false
	}
	ps.pos++
	return true
}

func (ps *parser) expect(text string) {
	if !ps.accept(text) {
		ps.syntax()
	}
}

// operator counts an operator or function towards the limit.
func (ps *parser) operator() {
	ps.operators++
	if ps.operators > maxOperators {
		ps.fail("The expression contains too many operators; operator count: %d", ps.operators)
	}
}

// path reads a document path and resolves its placeholders.
func (ps *parser) path() Path {
	steps := []step{{name: ps.name()}}
	for {
		switch {
		case ps.accept("."):
			steps = append(steps, step{name: ps.name()})
			continue
		case ps.accept("["):
			steps = append(steps, step{index: ps.index()})
			ps.expect("]")
			continue
		}
		break
	}
	if len(steps) > maxPathDepth {
		ps.fail("The document path has too many nesting elements; nesting levels: %d", len(steps))
	}
	path := Path{steps: steps}
	ps.paths = append(ps.paths, path)
	return path
}

func (ps *parser) name() string {
	t := ps.peek()
	switch t.kind {
	case tokWord:
		ps.pos++
		if isReserved(t.text) {
			ps.fail("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
		if len(t.text) > maxNameBytes {
			ps.fail("Expression attribute name is too long; length: %d", len(t.text))
		}
		return t.text
	case tokName:
		ps.pos++
		name, ok := ps.names[t.text]
		if !ok {
			ps.fail("An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
		}
		ps.usedNames[t.text] = true
		return name
	}
	ps.syntax()
	return ""
}

func (ps *parser) index() int {
	t := ps.peek()
	if t.kind != tokIndex {
		ps.syntax()
		return 0
	}
	ps.pos++
	n, err := strconv.ParseInt(t.text, 10, 32)
	if err != nil {
		ps.fail("List index is not within the allowable range; index: [%s]", t.text)
	}
	return int(n)
}

// value resolves a :value.
func (ps *parser) value() value.Value {
	t := ps.peek()
	if t.kind != tokValue {
		ps.syntax()
		return value.Value{}
	}
	ps.pos++
	v, ok := ps.values[t.text]
	if !ok {
		ps.fail("An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	ps.usedValues[t.text] = true
	return v
}

// isCall reports whether a function call starts here.
func (ps *parser) isCall() bool {
	return ps.peek().kind == tokWord && ps.pos+1 < len(ps.tokens) && ps.tokens[ps.pos+1].is("(")
}

// arguments reads "(a, b, …)" with the given reader for each.
func arguments[T any](ps *parser, read func() T) []T {
	ps.expect("(")
	args := []T{read()}
	for ps.accept(",") {
		args = append(args, read())
	}
	ps.expect(")")
	return args
}
