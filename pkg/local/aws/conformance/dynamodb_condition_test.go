package conformance

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

const operatorsPage = "Condition and filter expressions, operators, and functions in DynamoDB, Developer Guide"

// truths makes a check: over the item, each expression of yes holds and each of
// no does not, as a condition of an update and as a filter of a scan alike.
func truths(it, values item, yes, no []string) func(*probe) {
	return func(p *probe) {
		table := p.table()
		stored := with(key("a"), it)
		p.put(table, stored)
		for _, expr := range yes {
			p.truth(table, expr, usedValues(expr, values), true)
		}
		for _, expr := range no {
			p.truth(table, expr, usedValues(expr, values), false)
		}
		p.stored(table, stored)
	}
}

// usedValues leaves out what the expression does not name, since that is refused.
func usedValues(expr string, values item) item {
	used := item{}
	for _, word := range strings.FieldsFunc(expr, func(r rune) bool { return strings.ContainsRune(" (),=<>", r) }) {
		if v, ok := values[word]; ok {
			used[word] = v
		}
	}
	if len(used) == 0 {
		return nil
	}
	return used
}

func usedNames(expr string) map[string]string {
	names := map[string]string{"#dot": "a.b", "#open": "open"}
	for placeholder := range names {
		if !strings.Contains(expr, placeholder) {
			delete(names, placeholder)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return names
}

func (p *probe) truth(table, expr string, values item, want bool) {
	_, err := p.update(table, change{cond: expr, values: values, names: usedNames(expr)})
	if want {
		p.ok(err, expr+" as a condition")
	} else {
		p.refused(err, conditionFailed, expr+" as a condition")
	}
	out, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true), FilterExpression: &expr,
		ExpressionAttributeValues: values, ExpressionAttributeNames: usedNames(expr)})
	p.ok(err, expr+" as a filter")
	p.equal(want, out.Count == 1, expr+" as a filter")
}

func conditionChecks() []check {
	things := item{
		"s": str("b"), "n": num("5"), "b": bin(2), "t": boolean(true), "z": null(), "a.b": num("1"), "open": num("0"),
		"l": list(num("1"), str("x")), "m": doc(item{"k": list(num("1"), doc(item{"d": str("deep")}))}), "ss": strSet("p", "q"), "ns": numSet("1", "2"),
	}
	values := item{
		":a": str("a"), ":b": str("b"), ":c": str("c"), ":4": num("4"), ":5": num("5.0"), ":6": num("6"), ":text5": str("5"), ":b1": bin(1), ":b2": bin(2),
		":b200": bin(200), ":true": boolean(true), ":false": boolean(false), ":null": null(), ":l": list(num("1.0"), str("x")), ":qp": strSet("q", "p"),
		":p": strSet("p"), ":ns": numSet("2.0", "1"), ":deep": str("deep"), ":m": doc(item{"k": list(num("1"), doc(item{"d": str("deep")}))}),
	}
	return []check{
		{"dynamodb/condition/comparators", operatorsPage, "=, <>, <, <=, > and >= compare values of one type.", truths(things, values,
			[]string{"s = :b", "s <> :a", "s > :a", "s >= :b", "s < :c", "s <= :b", "n = :5", "n > :4", "n < :6", "n >= :5", "n <= :5", "b = :b2", "b > :b1", "b < :b200"},
			[]string{"s = :a", "s <> :b", "s > :b", "s < :b", "n <> :5", "n > :5", "n < :5", "n <= :4", "n >= :6", "b < :b1", "b >= :b200"})},
		{"dynamodb/condition/types-differ", operatorsPage, "Values of different types are never equal nor ordered, only unequal.", truths(things, values,
			[]string{"n <> :text5", "t <> :b", "l <> :qp"},
			[]string{"n = :text5", "n < :text5", "n > :text5", "s > :4", "b > :a", "z = :false"})},
		{"dynamodb/condition/missing-attribute", operatorsPage, "A comparison with an attribute that is not there does not hold, except that it is unequal.", truths(things, values,
			[]string{"NOT nothing = :a", "NOT nothing < :4", "attribute_not_exists(nothing)", "nothing <> :a"},
			[]string{"nothing = :a", "nothing < :4", "nothing > :4", "nothing = s", "m.nothing = :a", "nothing.deep = :a", "l[7] = :a"})},
		{"dynamodb/condition/equality-of-documents", operatorsPage, "Lists and maps are equal element by element, sets whatever their order.", truths(things, values,
			[]string{"l = :l", "m = :m", "ss = :qp", "ns = :ns", "t = :true", "z = :null"},
			[]string{"ss = :p", "l = :m", "t = :false", "l <> :l", "ss <> :qp"})},
		{"dynamodb/condition/between", operatorsPage, "BETWEEN includes both ends.", truths(things, values,
			[]string{"n BETWEEN :4 AND :6", "n BETWEEN :5 AND :5", "s between :a and :b", "b BETWEEN :b1 AND :b200", "n BETWEEN :4 AND :5 AND s = :b"},
			[]string{"n BETWEEN :6 AND :6", "s BETWEEN :c AND :c", "nothing BETWEEN :4 AND :6", "NOT n BETWEEN :4 AND :6"})},
		{"dynamodb/condition/in", operatorsPage, "IN holds if the operand equals one of the list.", truths(things, values,
			[]string{"n IN (:4, :5)", "s IN (:b)", "s in (:4, :a, :b)", "n IN (s, :5)"},
			[]string{"n IN (:4, :6)", "n IN (:text5)", "nothing IN (:a, :b)"})},
		{"dynamodb/condition/and-or-not", operatorsPage, "NOT binds more than AND, AND more than OR, and parentheses most.", truths(things, values,
			[]string{"s = :b OR s = :a AND n = :4", "NOT s = :a AND n = :5", "NOT (s = :a AND n = :5)", "s = :a or not n = :4", "(s = :a OR n = :5) AND (t = :true)"},
			[]string{"(s = :b OR s = :a) AND n = :4", "NOT s = :b OR n = :4", "NOT (s = :b OR n = :4)", "s = :b AND NOT n = :5"})},
		{"dynamodb/condition/not-twice", operatorsPage, "NOT takes any condition, another NOT too.", truths(things, values, []string{"NOT NOT s = :b", "NOT (NOT s = :b)"}, []string{"NOT NOT s = :a"})},
		{"dynamodb/condition/document-paths", "Referring to item attributes when using expressions in DynamoDB, Developer Guide",
			"Paths reach into maps and lists; a # name with a dot is one name.", truths(things, values,
				[]string{"m.k[1].d = :deep", "attribute_exists(m.k[0])", "#dot < :4", "attribute_exists(#dot)", "#open < :4", "l[1] <> :a"},
				[]string{"m.k[0].d = :deep", "attribute_exists(m.k[2])", "attribute_exists(m.k.d)", "attribute_exists(s.x)", "attribute_exists(n[0])"})},
		{"dynamodb/condition/attribute-with-attribute", operatorsPage, "Two attributes of the item can be compared.", truths(item{"x": num("1"), "y": num("2"), "z": num("1")}, nil,
			[]string{"x < y", "x = z", "x <> y", "y BETWEEN x AND y", "x IN (y, z)"}, []string{"x > y", "x = y", "y IN (x, z)"})},
		{"dynamodb/condition/string-order-is-utf8", operatorsPage, "Strings order by their UTF-8 bytes, binaries as unsigned bytes.", truths(item{"s": str("é"), "u": str("\uffff"), "b": bin(0x80)},
			item{":z": str("z"), ":E": str("É"), ":emoji": str("😀"), ":7f": bin(0x7f), ":longer": bin(0x80, 0)},
			[]string{"s > :z", "s > :E", "u < :emoji", "b > :7f", "b < :longer"}, []string{"s < :z", "u > :emoji", "b < :7f"})},
	}
}

func functionChecks() []check {
	things := item{
		"s": str("hello"), "n": num("12"), "b": bin(1, 2, 3), "t": boolean(true), "z": null(), "e": str(""), "u": str("é😀"),
		"l": list(num("1"), str("x"), list(num("2"))), "m": doc(item{"x": num("1")}), "ss": strSet("p", "q"), "ns": numSet("1", "2"), "bs": binSet([]byte{1}, []byte{2}),
	}
	values := item{
		":he": str("he"), ":ell": str("ell"), ":empty": str(""), ":b12": bin(1, 2), ":b2": bin(2), ":b23": bin(2, 3), ":n1": num("1.0"), ":n9": num("9"), ":x": str("x"), ":p": str("p"),
		":l2": list(num("2")), ":S": str("S"), ":N": str("N"), ":B": str("B"), ":BOOL": str("BOOL"), ":NULL": str("NULL"), ":L": str("L"), ":M": str("M"),
		":SS": str("SS"), ":NS": str("NS"), ":BS": str("BS"), ":0": num("0"), ":1": num("1"), ":2": num("2"), ":3": num("3"), ":5": num("5"), ":6": num("6"),
	}
	return []check{
		{"dynamodb/function/attribute-exists", operatorsPage, "attribute_exists and attribute_not_exists see attributes of any value, null too.", truths(things, values,
			[]string{"attribute_exists(pk)", "attribute_exists(z)", "attribute_exists(e)", "attribute_not_exists(nothing)", "attribute_exists(m.x)", "attribute_not_exists(m.y)"},
			[]string{"attribute_exists(nothing)", "attribute_not_exists(z)", "attribute_exists(m.x.y)", "attribute_exists(l[3])"})},
		{"dynamodb/function/attribute-type", operatorsPage, "attribute_type tells each of the ten types.", truths(things, values,
			[]string{"attribute_type(s, :S)", "attribute_type(n, :N)", "attribute_type(b, :B)", "attribute_type(t, :BOOL)", "attribute_type(z, :NULL)", "attribute_type(l, :L)",
				"attribute_type(m, :M)", "attribute_type(ss, :SS)", "attribute_type(ns, :NS)", "attribute_type(bs, :BS)", "attribute_type(l[0], :N)"},
			[]string{"attribute_type(s, :N)", "attribute_type(nothing, :S)", "attribute_type(ss, :L)"})},
		{"dynamodb/function/begins-with", operatorsPage, "begins_with takes strings and binaries.", truths(things, values,
			[]string{"begins_with(s, :he)", "begins_with(s, :empty)", "begins_with(b, :b12)"},
			[]string{"begins_with(s, :ell)", "begins_with(b, :b2)", "begins_with(n, :he)", "begins_with(nothing, :he)", "begins_with(s, :b12)"})},
		{"dynamodb/function/contains", operatorsPage, "contains finds a part of a string, an element of a set and an element of a list.", truths(things, values,
			[]string{"contains(s, :ell)", "contains(s, :empty)", "contains(ss, :p)", "contains(ns, :n1)", "contains(bs, :b2)", "contains(l, :x)", "contains(l, :n1)", "contains(l, :l2)",
				"contains(b, :b23)"},
			[]string{"contains(s, :x)", "contains(ss, :x)", "contains(ns, :n9)", "contains(l, :n9)", "contains(nothing, :x)", "contains(n, :n1)", "contains(m, :x)", "contains(s, :n1)"})},
		{"dynamodb/function/size", operatorsPage, "size gives the length of a string, the bytes of a binary and the number of elements of the rest.", truths(things, values,
			[]string{"size(s) = :5", "size(b) = :3", "size(l) = :3", "size(m) = :1", "size(ss) = :2", "size(ns) = :2", "size(bs) = :2", "size(e) = :0", "size(s) > size(b)",
				"size(s) BETWEEN :5 AND :6", "size(s) IN (:3, :5)"},
			[]string{"size(s) > :5", "size(nothing) = :0", "size(nothing) < :6", "size(s) <> :5"})},
	}
}

func conditionRefusalChecks() []check {
	refusedCondition := func(expr string, values item, texts ...string) func(*probe) {
		return refuses(item{"x": num("1")}, change{cond: expr, values: values, names: usedNames(expr)}, texts...)
	}
	return []check{
		{"dynamodb/condition-refused/syntax", operatorsPage, "A condition that is not in the grammar is refused.", onTable(conditionSyntax)},
		{"dynamodb/condition-refused/attribute-type-name", operatorsPage, "attribute_type takes one of the ten type names.", refusedCondition("attribute_type(x, :t)", item{":t": str("STRING")})},
		{"dynamodb/condition-refused/begins-with-number", operatorsPage, "begins_with does not take a number.", refusedCondition("begins_with(x, :n)", item{":n": num("1")}, "operand type")},
		{"dynamodb/condition-refused/between-documents", operatorsPage, "Documents and truth values have no order.", refusedCondition("x < :t", item{":t": boolean(true)}, "operand type")},
		{"dynamodb/condition-refused/path-functions", operatorsPage, "attribute_exists takes a document path, no value.", refusedCondition("attribute_exists(:v)", item{":v": str("x")})},
		{"dynamodb/condition-refused/in-101", operatorsPage, "IN takes at most 100 values.", onTable(conditionIn101)},
		{"dynamodb/condition-refused/undefined-value", "Expression attribute values in DynamoDB, Developer Guide",
			"A value that is not defined is refused, and so is one that only the other expression lacks.",
			refusedCondition("x = :v AND x = :w", item{":v": num("1")}, "not defined", ":w")},
		{"dynamodb/condition-refused/unused-value", "Expression attribute values in DynamoDB, Developer Guide",
			"A value that no expression uses is refused.", refusedCondition("attribute_exists(x)", item{":v": num("1")}, "unused", ":v")},
	}
}

func conditionSyntax(p *probe, table string) {
	for _, expr := range []string{"", "x", "x =", "= :v", "x = :v AND", "AND x = :v", "x == :v", "x != :v", "(x = :v", "x = :v)", "x BETWEEN :v", "x IN :v", "x IN ()",
		"NOT", "unknown(x)", "attribute_exists(x, :v)", "begins_with(x)", "size(x)", "x = :v; x = :v", "x = 'a'", "x = 1", "x[ = :v", "x. = :v", "contains(x)"} {
		in := change{cond: expr, values: usedValues(expr+" ", item{":v": num("1")})}.input(table)
		in.ConditionExpression = &expr
		p.refused(errOf(p.dynamo.UpdateItem(p.ctx, in)), invalid, "condition "+expr)
	}
}

func conditionIn101(p *probe, table string) {
	in := func(n int) change {
		values := item{}
		var names []string
		for i := range n {
			name := ":v" + strings.Repeat("x", i/26) + string(rune('a'+i%26))
			values[name] = num("1")
			names = append(names, name)
		}
		return change{cond: "NOT x IN (" + strings.Join(names, ",") + ")", values: values}
	}
	p.ok(errOf(p.update(table, in(100))), "100 values")
	p.refused(errOf(p.update(table, in(101))), invalid, "101 values")
}
