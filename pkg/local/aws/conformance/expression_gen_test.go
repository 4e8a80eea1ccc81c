package conformance

import (
	"fmt"
	"maps"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"pgregory.net/rapid"
)

// expressionCase is an item and what is tried on it.
type expressionCase struct {
	item         item
	update, cond string
	names        map[string]string
	values       item
	actions      int  // of the update
	copies       bool // the update copies an attribute
}

func (c expressionCase) String() string {
	return fmt.Sprintf("item   %s\nupdate %s\nif     %s\nvalues %s\nnames  %v", showItem(c.item), c.update, c.cond, showItem(c.values), c.names)
}

// expressionGen draws one case; it collects the placeholders that the texts use.
type expressionGen struct {
	t *rapid.T
	c expressionCase
}

// drawCase draws an item, an update and often a condition. What it cannot draw
// is where dynalite is known to differ, see dynaliteDeviations: numbers that are
// not in normal form or near the bounds, characters beyond U+FFFF, more than one
// element removed from a list, nested lists and maps in comparisons.
func drawCase(t *rapid.T) expressionCase {
	g := &expressionGen{t: t, c: expressionCase{names: map[string]string{}, values: item{}}}
	g.c.item = g.drawItem()
	switch g.below(3) {
	case 0:
		g.c.cond = g.condition(2)
	case 1:
		g.c.cond = g.condition(1)
		fallthrough
	default:
		g.c.update = g.updateText()
	}
	if g.chance(19, 20) {
		g.dropUnused()
	}
	return g.c
}

// dropUnused takes away the placeholders that the texts do not use: such a case is refused.
func (g *expressionGen) dropUnused() {
	used := map[string]bool{}
	for _, name := range regexp.MustCompile(`[:#]\w+`).FindAllString(g.c.update+" "+g.c.cond, -1) {
		used[name] = true
	}
	maps.DeleteFunc(g.c.values, func(name string, _ value) bool { return !used[name] })
	maps.DeleteFunc(g.c.names, func(name, _ string) bool { return !used[name] })
}

func (g *expressionGen) below(n int) int { return rapid.IntRange(0, n-1).Draw(g.t, "n") }

func (g *expressionGen) chance(n, of int) bool { return g.below(of) < n }

func pick[T any](g *expressionGen, all ...T) T { return all[g.below(len(all))] }

func attributeNamePool() []string { return []string{"a", "b", "c", "d", "open", "a.b"} }

func (g *expressionGen) drawItem() item {
	it := item{}
	for _, name := range attributeNamePool() {
		if g.chance(2, 3) {
			it[name] = g.value(2)
		}
	}
	return it
}

func (g *expressionGen) number() string {
	return pick(g, "0", "1", "-1", "2", "3", "1.5", "-0.25", "100")
}

func (g *expressionGen) text() string { return pick(g, "a", "b", "ab", "abc", "é", "S") }

func (g *expressionGen) bytes() []byte {
	return pick(g, []byte{1}, []byte{1, 2}, []byte{255}, []byte{0})
}

func (g *expressionGen) scalar() value {
	switch g.below(6) {
	case 0, 1:
		return num(g.number())
	case 2, 3:
		return str(g.text())
	case 4:
		return bin(g.bytes()...)
	}
	return pick(g, boolean(true), boolean(false), null())
}

func (g *expressionGen) value(depth int) value {
	switch kind := g.below(9); {
	case kind == 0 && depth > 0:
		all := make([]value, g.below(4))
		for i := range all {
			all[i] = g.value(depth - 1)
		}
		return list(all...)
	case kind == 1 && depth > 0:
		m := item{}
		for _, name := range []string{"x", "y"} {
			if g.chance(2, 3) {
				m[name] = g.value(depth - 1)
			}
		}
		return doc(m)
	case kind == 2:
		return g.set()
	}
	return g.scalar()
}

func (g *expressionGen) set() value {
	switch g.below(3) {
	case 0:
		return strSet(pick(g, []string{"a"}, []string{"a", "b"}, []string{"b", "ab"})...)
	case 1:
		return numSet(pick(g, []string{"1"}, []string{"1", "2"}, []string{"-1", "1.5"})...)
	}
	return binSet(pick(g, [][]byte{{1}}, [][]byte{{1}, {255}})...)
}

// name writes an attribute's name, through a placeholder where it must be.
func (g *expressionGen) name(attribute string) string {
	placeholder := map[string]string{"open": "#open", "a.b": "#dot"}[attribute]
	if placeholder == "" && g.chance(1, 6) {
		placeholder = "#" + attribute
	}
	if placeholder == "" {
		return attribute
	}
	g.c.names[placeholder] = attribute
	return placeholder
}

func (g *expressionGen) path() string {
	p := g.name(pick(g, attributeNamePool()...))
	for g.chance(1, 4) {
		p += pick(g, ".x", ".y", "[0]", "[1]", "[2]")
	}
	return p
}

// ref gives a value a placeholder.
func (g *expressionGen) ref(v value) string {
	name := fmt.Sprintf(":v%d", len(g.c.values))
	g.c.values[name] = v
	return name
}

// ordered is a value of a type that has an order.
func (g *expressionGen) ordered() value {
	return pick(g, num(g.number()), str(g.text()), bin(g.bytes()...))
}

// comparison draws the two sides so that a list or map is never compared, nor
// one missing attribute with another.
func (g *expressionGen) comparison() string {
	if names := g.orderedNames(); len(names) > 0 && g.chance(1, 4) {
		left, right := pick(g, names...), pick(g, names...)
		if left != right { // an operand must be distinct from the other
			return g.name(left) + g.comparator() + g.name(right)
		}
	}
	switch g.below(6) {
	case 0:
		return "size(" + g.path() + ")" + g.comparator() + g.ref(num(g.number()))
	case 1:
		return g.ref(g.ordered()) + g.comparator() + g.path()
	case 2:
		return g.path() + pick(g, " = ", " <> ") + g.ref(pick(g, g.scalar(), g.set()))
	}
	return g.path() + g.comparator() + g.ref(g.ordered())
}

func (g *expressionGen) comparator() string {
	return pick(g, " = ", " <> ", " < ", " <= ", " > ", " >= ")
}

// orderedNames lists the item's attributes that are numbers, strings or binaries.
func (g *expressionGen) orderedNames() []string {
	var names []string
	for _, name := range attributeNamePool() {
		switch g.c.item[name].(type) {
		case *types.AttributeValueMemberN, *types.AttributeValueMemberS, *types.AttributeValueMemberB:
			names = append(names, name)
		}
	}
	return names
}

func (g *expressionGen) between() string {
	switch g.below(3) {
	case 0:
		low := g.below(3)
		return g.path() + " BETWEEN " + g.ref(num(fmt.Sprint(low-1))) + " AND " + g.ref(num(fmt.Sprint(low+g.below(3))))
	case 1:
		return g.path() + " BETWEEN " + g.ref(str(pick(g, "a", "ab"))) + " AND " + g.ref(str(pick(g, "ab", "abc", "b")))
	}
	return g.path() + " BETWEEN " + g.ref(bin(0)) + " AND " + g.ref(bin(g.bytes()...))
}

func (g *expressionGen) in() string {
	all := make([]string, 1+g.below(3))
	for i := range all {
		all[i] = g.ref(g.ordered())
	}
	return g.path() + " IN (" + strings.Join(all, ", ") + ")"
}

func (g *expressionGen) condition(depth int) string {
	if depth > 0 {
		switch g.below(6) {
		case 0:
			return g.condition(depth-1) + " AND " + g.condition(depth-1)
		case 1:
			return g.condition(depth-1) + " OR " + g.condition(depth-1)
		case 2:
			return "NOT (" + g.condition(depth-1) + ")"
		case 3:
			return "(" + g.condition(depth-1) + ")"
		}
	}
	return g.simpleCondition()
}

func (g *expressionGen) simpleCondition() string {
	switch g.below(9) {
	case 0:
		return "attribute_exists(" + g.path() + ")"
	case 1:
		return "attribute_not_exists(" + g.path() + ")"
	case 2:
		return "attribute_type(" + g.path() + ", " + g.ref(str(pick(g, "S", "N", "B", "BOOL", "NULL", "L", "M", "SS", "NS", "BS"))) + ")"
	case 3:
		return "begins_with(" + g.path() + ", " + g.ref(pick(g, str(g.text()), bin(g.bytes()...))) + ")"
	case 4:
		return "contains(" + g.path() + ", " + g.ref(pick(g, str(g.text()), num(g.number()), bin(g.bytes()...))) + ")"
	case 5:
		return g.between()
	case 6:
		return g.in()
	}
	return g.comparison()
}

func (g *expressionGen) updateText() string {
	var clauses []string
	if g.chance(3, 4) {
		actions := []string{g.setAction()}
		if g.chance(1, 3) {
			actions = append(actions, g.setAction())
		}
		clauses = append(clauses, "SET "+strings.Join(actions, ", "))
	}
	if g.chance(1, 3) {
		g.c.actions++
		clauses = append(clauses, "REMOVE "+g.path())
	}
	if g.chance(1, 3) {
		clauses = append(clauses, "ADD "+g.name(pick(g, attributeNamePool()...))+" "+g.ref(pick(g, num(g.number()), g.set())))
	}
	if g.chance(1, 4) || len(clauses) == 0 {
		clauses = append(clauses, "DELETE "+g.name(pick(g, attributeNamePool()...))+" "+g.ref(g.set()))
	}
	return strings.Join(clauses, " ")
}

// setAction draws one assignment. Into the middle of a document it puts given
// values and sums only: dynalite would make a document that contains itself, and die of it.
func (g *expressionGen) setAction() string {
	g.c.actions++
	target := g.path()
	if strings.ContainsAny(target, ".[") {
		return target + " = " + pick(g, g.ref(g.value(1)), g.path()+" + "+g.ref(num(g.number())))
	}
	text := target + " = " + g.setOperand()
	if g.chance(1, 3) {
		text += pick(g, " + ", " - ") + g.setOperand()
	}
	return text
}

func (g *expressionGen) setOperand() string {
	switch g.below(7) {
	case 0, 1:
		g.c.copies = true
		return g.path()
	case 2:
		g.c.copies = true
		return "if_not_exists(" + g.path() + ", " + pick(g, g.path(), g.ref(g.value(1))) + ")"
	case 3:
		return "list_append(" + pick(g, g.path(), g.ref(list(num("1")))) + ", " + pick(g, g.path(), g.ref(list(str("a"), null()))) + ")"
	case 4:
		return g.ref(num(g.number()))
	}
	return g.ref(g.value(1))
}
