package conformance

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func updateChecks() []check {
	const page = "UpdateItem, Amazon DynamoDB API Reference"
	const expressions = "Using update expressions in DynamoDB, Developer Guide"
	xs := list(str("x"), str("y"), str("z"))
	return []check{
		{"dynamodb/update/creates-missing-item", page, "An update of an item that does not exist creates it.", onTable(updateCreates)},
		{"dynamodb/update/without-expression", page, "An update without expression creates the item with its key alone.", onTable(updateWithoutExpression)},
		{"dynamodb/update/failed-condition-changes-nothing", page, "A refused conditional update changes nothing.", onTable(updateFailedCondition)},
		{"dynamodb/update/all-old-on-failed-condition", page, "A refused conditional update carries the stored item when asked with ALL_OLD.", onTable(updateAllOldOnFailure)},
		{"dynamodb/update/all-old-on-missing-item", page, "A refused conditional update of a missing item carries no item.", onTable(updateAllOldMissing)},
		{"dynamodb/update/return-values", page, "ALL_OLD, ALL_NEW, UPDATED_OLD, UPDATED_NEW and NONE return what they say.", updateReturnValues},
		{"dynamodb/update/reads-old-values", expressions, "Every operand is read as it was before the update.",
			updates(item{"x": num("1"), "y": num("2")}, change{set: "SET x = y, y = x"}, item{"x": num("2"), "y": num("1")})},
		{"dynamodb/update/plus-and-minus", expressions, "SET adds and subtracts numbers of attributes and values.",
			updates(item{"x": num("5"), "y": num("2")}, change{set: "SET x = x + :one, y = x - y, z = :one + :one", values: item{":one": num("1")}},
				item{"x": num("6"), "y": num("3"), "z": num("2")})},
		{"dynamodb/update/if-not-exists", expressions, "if_not_exists gives the attribute if there is one, else the other operand.",
			updates(item{"x": num("5")}, change{set: "SET x = if_not_exists(x, :zero) + :one, y = if_not_exists(y, :zero) + :one, z = if_not_exists(x, :zero)",
				values: item{":zero": num("0"), ":one": num("1")}}, item{"x": num("6"), "y": num("1"), "z": num("5")})},
		{"dynamodb/update/list-append", expressions, "list_append joins two lists in the order given.",
			updates(item{"l": list(num("1"))}, change{set: "SET l = list_append(l, :more), f = list_append(:more, l), n = list_append(if_not_exists(n, :none), :more)",
				values: item{":more": list(num("2"), num("3")), ":none": list()}},
				item{"l": list(num("1"), num("2"), num("3")), "f": list(num("2"), num("3"), num("1")), "n": list(num("2"), num("3"))})},
		{"dynamodb/update/set-list-element", expressions, "SET replaces a list element; an index beyond the end appends.",
			updates(item{"l": xs}, change{set: "SET l[1] = :v, l[9] = :v", values: item{":v": num("7")}},
				item{"l": list(str("x"), num("7"), str("z"), num("7"))})},
		{"dynamodb/update/remove", expressions, "REMOVE removes attributes; a missing one is not an error.",
			updates(item{"x": num("1"), "y": num("2"), "m": doc(item{"a": num("1"), "b": num("2")})}, change{set: "REMOVE x, nothing, m.a"},
				item{"y": num("2"), "m": doc(item{"b": num("2")})})},
		{"dynamodb/update/remove-list-elements", expressions, "REMOVE of list elements shifts the rest; indexes mean the list as it was.",
			updates(item{"l": xs}, change{set: "REMOVE l[0], l[2], l[7]"}, item{"l": list(str("y"))})},
		{"dynamodb/update/nested-paths", expressions, "Document paths reach into maps and lists.",
			updates(item{"m": doc(item{"l": list(doc(item{"x": num("1")}))})}, change{set: "SET m.l[0].x = m.l[0].x + :one, m.#dot = :one",
				names: map[string]string{"#dot": "a.b"}, values: item{":one": num("1")}},
				item{"m": doc(item{"l": list(doc(item{"x": num("2")})), "a.b": num("1")})})},
		{"dynamodb/update/all-four-clauses", expressions, "SET, REMOVE, ADD and DELETE work in one expression, in any order and case.",
			updates(item{"n": num("1"), "s": strSet("a", "b"), "gone": null()}, change{set: "delete s :s Add n :n rEmove gone set x = :n",
				values: item{":s": strSet("a"), ":n": num("2")}}, item{"n": num("3"), "s": strSet("b"), "x": num("2")})},
		{"dynamodb/update/placeholder-for-reserved-word", "Expression attribute names (aliases) in DynamoDB, Developer Guide", "A reserved word is usable through a # placeholder.",
			updates(nil, change{set: "SET #o = :v, #s = :v", names: map[string]string{"#o": "open", "#s": "status"}, values: item{":v": num("1")}},
				item{"open": num("1"), "status": num("1")})},
	}
}

func setActionChecks() []check {
	const page = "Using update expressions in DynamoDB, Developer Guide"
	return []check{
		{"dynamodb/add/number", page, "ADD adds to a number and starts a missing one at zero.",
			updates(item{"n": num("1.5")}, change{set: "ADD n :n, m :n", values: item{":n": num("-2")}}, item{"n": num("-0.5"), "m": num("-2")})},
		{"dynamodb/add/set", page, "ADD unites sets and makes a missing one.",
			updates(item{"s": strSet("a")}, change{set: "ADD s :s, t :n, u :b",
				values: item{":s": strSet("a", "b"), ":n": numSet("1", "2"), ":b": binSet([]byte{1})}},
				item{"s": strSet("a", "b"), "t": numSet("1", "2"), "u": binSet([]byte{1})})},
		{"dynamodb/add/other-types-refused", page, "ADD takes numbers and sets only.",
			refuses(nil, change{set: "ADD s :s", values: item{":s": str("x")}}, "operand")},
		{"dynamodb/add/type-mismatch-refused", page, "ADD of a number to something else is refused.",
			refuses(item{"s": str("x")}, change{set: "ADD s :n", values: item{":n": num("1")}}, "operand")},
		{"dynamodb/delete-action/from-set", page, "DELETE takes elements from a set; those that are not in it are no error.",
			updates(item{"s": numSet("1", "2", "3")}, change{set: "DELETE s :n, nothing :n", values: item{":n": numSet("1.0", "3", "9")}}, item{"s": numSet("2")})},
		{"dynamodb/delete-action/last-element", page, "A set that loses its last element is removed: no set is empty.",
			updates(item{"s": strSet("a", "b"), "x": num("1")}, change{set: "DELETE s :s", values: item{":s": strSet("b", "a")}}, item{"x": num("1")})},
		{"dynamodb/delete-action/number-refused", page, "DELETE takes sets only.",
			refuses(item{"n": num("1")}, change{set: "DELETE n :n", values: item{":n": num("1")}}, "operand")},
	}
}

func updateRefusalChecks() []check {
	const page = "Using update expressions in DynamoDB, Developer Guide"
	const names = "Expression attribute names (aliases) in DynamoDB, Developer Guide"
	one := item{":v": num("1")}
	return []check{
		{"dynamodb/update-refused/reserved-word", "Reserved words in DynamoDB, Developer Guide", "A reserved word such as open is refused as a bare name, in any case.", onTable(updateReservedWord)},
		{"dynamodb/update-refused/unused-value", "Expression attribute values in DynamoDB, Developer Guide", "A value that no expression uses is refused.",
			refuses(nil, change{set: "SET x = :v", values: item{":v": num("1"), ":w": num("2")}}, "unused", ":w")},
		{"dynamodb/update-refused/unused-name", names, "A name that no expression uses is refused.",
			refuses(nil, change{set: "SET x = :v", values: one, names: map[string]string{"#n": "y"}}, "unused", "#n")},
		{"dynamodb/update-refused/undefined-value", "Expression attribute values in DynamoDB, Developer Guide", "A value that is not defined is refused.",
			refuses(nil, change{set: "SET x = :v, y = :w", values: one}, "not defined", ":w")},
		{"dynamodb/update-refused/undefined-name", names, "A name that is not defined is refused.",
			refuses(nil, change{set: "SET x = :v, #y = :v", values: one, names: map[string]string{"#x": "x"}}, "not defined", "#y")},
		{"dynamodb/update-refused/overlapping-paths", page, "Two document paths of one update must not overlap.",
			refuses(item{"m": doc(item{"a": num("1")})}, change{set: "SET m.a = :v REMOVE m", values: one}, "overlap")},
		{"dynamodb/update-refused/same-path-twice", page, "One attribute cannot be changed twice in one update.",
			refuses(nil, change{set: "SET x = :v, x = :v", values: one}, "overlap")},
		{"dynamodb/update-refused/key-attribute", "UpdateItem, Amazon DynamoDB API Reference", "A key attribute cannot be updated.",
			refuses(nil, change{set: "SET pk = :v", values: item{":v": str("b")}}, "part of the key")},
		{"dynamodb/update-refused/clause-twice", page, "Each clause may be used once.",
			refuses(nil, change{set: "SET x = :v SET y = :v", values: one}, "once")},
		{"dynamodb/update-refused/syntax", page, "An expression that is not in the grammar is refused.", onTable(updateSyntax)},
		{"dynamodb/update-refused/missing-operand", page, "An operand that is not in the item is refused.",
			refuses(nil, change{set: "SET x = nothing + :v", values: one}, "does not exist")},
		{"dynamodb/update-refused/operand-type", page, "Arithmetic on something that is not a number is refused.",
			refuses(item{"s": str("x")}, change{set: "SET s = s + :v", values: one}, "operand")},
		{"dynamodb/update-refused/list-append-type", page, "list_append takes lists only.",
			refuses(item{"s": str("x")}, change{set: "SET s = list_append(s, :v)", values: item{":v": list()}}, "operand")},
		{"dynamodb/update-refused/missing-parent", page, "A path whose parent does not exist is refused.",
			refuses(nil, change{set: "SET m.a = :v", values: one}, "document path")},
		{"dynamodb/update-refused/precision", "Supported data types and naming rules in Amazon DynamoDB, Developer Guide", "A sum that needs more than 38 digits is refused.",
			refuses(item{"n": num("1" + strings.Repeat("0", 40))}, change{set: "SET n = n + :v", values: one})},
		{"dynamodb/update-refused/overflow", "Supported data types and naming rules in Amazon DynamoDB, Developer Guide", "A sum beyond the range of numbers is refused.",
			refuses(item{"n": num("9E125")}, change{set: "ADD n :v", values: item{":v": num("9E125")}}, "overflow")},
		{"dynamodb/update-refused/expression-size", "Quotas in Amazon DynamoDB, Developer Guide", "An expression has at most 4 KB.", onTable(updateExpressionSize)},
		{"dynamodb/update-refused/missing-key", "UpdateItem, Amazon DynamoDB API Reference", "The key must match the table's schema, no attribute more or less.", updateWrongKey},
	}
}

func updateCreates(p *probe, table string) {
	p.ok(errOf(p.update(table, change{set: "SET n = :n", values: item{":n": num("1")}})), "update")
	p.stored(table, item{"pk": str("a"), "n": num("1")})
}

func updateWithoutExpression(p *probe, table string) {
	p.ok(errOf(p.update(table, change{})), "update")
	p.stored(table, key("a"))
}

func updateFailedCondition(p *probe, table string) {
	before := item{"pk": str("a"), "n": num("1")}
	p.put(table, before)
	_, err := p.update(table, change{set: "SET n = :two REMOVE x", cond: "n = :two", values: item{":two": num("2")}})
	p.refusedSaying(err, conditionFailed, "update", "The conditional request failed")
	p.stored(table, before)
	p.refused(errOf(p.update(table, change{key: key("b"), set: "SET n = :two", cond: "n = :two", values: item{":two": num("2")}})), conditionFailed, "update of a missing item")
	p.sameItem(nil, p.get(table, key("b")), "missing item")
}

func updateAllOldOnFailure(p *probe, table string) {
	before := item{"pk": str("a"), "n": num("1"), "l": list(doc(item{"x": bin(1)}), strSet("s"))}
	p.put(table, before)
	p.failedWith(errOf(p.update(table, change{set: "SET n = :two", cond: "n = :two", values: item{":two": num("2")}, allOld: true})), before)
}

func updateAllOldMissing(p *probe, table string) {
	p.failedWith(errOf(p.update(table, change{set: "SET n = :two", cond: "n = :two", values: item{":two": num("2")}, allOld: true})), nil)
}

func updateReturnValues(p *probe) {
	before := item{"pk": str("a"), "n": num("1"), "gone": str("x"), "same": num("0")}
	for ret, want := range map[types.ReturnValue]item{
		types.ReturnValueNone:       nil,
		types.ReturnValueAllOld:     before,
		types.ReturnValueAllNew:     {"pk": str("a"), "n": num("2"), "fresh": num("1"), "same": num("0")},
		types.ReturnValueUpdatedOld: {"n": num("1"), "gone": str("x")},
		types.ReturnValueUpdatedNew: {"n": num("2"), "fresh": num("1")},
	} {
		table := p.table()
		p.put(table, before)
		got, err := p.update(table, change{set: "SET n = n + :one, fresh = :one REMOVE gone", values: item{":one": num("1")}, ret: ret})
		p.ok(err, "update")
		p.sameItem(want, got, string(ret))
	}
}

func updateReservedWord(p *probe, table string) {
	for _, word := range []string{"open", "OPEN", "status", "Name", "count", "zone"} {
		p.refusedSaying(errOf(p.update(table, change{set: "SET " + word + " = :v", values: item{":v": num("1")}})), invalid, "SET "+word, "reserved keyword", word)
		_, err := p.update(table, change{set: "SET x = :v", cond: "attribute_exists(" + word + ")", values: item{":v": num("1")}})
		p.refusedSaying(err, invalid, "condition on "+word, "reserved keyword", word)
	}
}

func updateSyntax(p *probe, table string) {
	for _, expr := range []string{"SET", "x = :v", "SET x :v", "SET x = :v,", "SET x == :v", "SET x = :v + :v + :v", "ADD x = :v",
		"SET x = unknown(:v)", "SET l[a] = :v", "SET l[-1] = :v", "SET x = (:v", "REMOVE", "SET 1x = :v", "SET x = if_not_exists(:v, :v)"} {
		var values item
		if strings.Contains(expr, ":v") {
			values = item{":v": num("1")}
		}
		p.refused(errOf(p.update(table, change{set: expr, values: values})), invalid, expr)
	}
	p.sameItem(nil, p.get(table, key("a")), "item")
}

func updateExpressionSize(p *probe, table string) {
	expr := func(size int) string {
		base := "SET x = :v"
		return base + strings.Repeat(" ", size-len(base))
	}
	p.ok(errOf(p.update(table, change{set: expr(4096), values: item{":v": num("1")}})), "4096 bytes")
	p.refusedSaying(errOf(p.update(table, change{set: expr(4097), values: item{":v": num("1")}})), invalid, "4097 bytes", "size")
}

func updateWrongKey(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeS})
	for what, k := range map[string]item{
		"no sort key":    key("a"),
		"wrong type":     rangeKey(num("1"), str("x")),
		"a further name": with(rangeKey(str("a"), str("x")), item{"z": num("1")}),
		"another name":   {"pk": str("a"), "z": str("x")},
	} {
		p.refused(errOf(p.update(table, change{key: k, set: "SET n = :v", values: item{":v": num("1")}})), invalid, what)
	}
}
