package conformance

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func numberChecks() []check {
	const page = "Supported data types and naming rules in Amazon DynamoDB, Developer Guide"
	return []check{
		{"dynamodb/number/normal-form", page, "Leading and trailing zeros are trimmed; a number comes back in one form.", onTable(numberNormalForm)},
		{"dynamodb/number/38-digits", page, "38 digits are kept exactly, wherever the point is; a 39th is refused.", onTable(number38Digits)},
		{"dynamodb/number/range", page, "Magnitudes from 1E-130 to 9.99…E+125 are stored; beyond both ends they are refused.", onTable(numberRange)},
		{"dynamodb/number/not-a-number-refused", page, "Text that is not a decimal number is refused.", onTable(numberGarbage)},
		{"dynamodb/number/nested-normal-form", page, "Numbers in sets, lists and maps have the normal form too.", onTable(numberNested)},
		{"dynamodb/number/arithmetic-is-exact", page, "SET arithmetic is decimal and exact to 38 digits.", onTable(numberArithmetic)},
		{"dynamodb/number/sort-order", "Query, Amazon DynamoDB API Reference", "A numeric sort key orders by value: negatives, fractions, exponents.", numberOrder},
	}
}

func numberNormalForm(p *probe, table string) {
	for in, want := range map[string]string{
		"1.0": "1", "1e3": "1000", "1E3": "1000", "000012.500": "12.5", "-0": "0", "0.000": "0", "-0.50": "-0.5", "1E-3": "0.001",
		"100": "100", "12e-1": "1.2", "-1e+2": "-100", "0e10": "0", "123456789012345678901234567890": "123456789012345678901234567890",
	} {
		p.put(table, item{"pk": str("a"), "n": num(in)})
		p.sameItem(item{"pk": str("a"), "n": num(want)}, p.get(table, key("a")), "stored form of "+in)
	}
}

func number38Digits(p *probe, table string) {
	digits := strings.Repeat("1234567890", 4)[:38]
	for _, n := range []string{digits, "-" + digits, "0." + digits, digits[:20] + "." + digits[20:]} {
		p.put(table, item{"pk": str("a"), "n": num(n)})
		p.stored(table, item{"pk": str("a"), "n": num(n)})
	}
	for _, n := range []string{digits + "1", "0." + digits + "1", "1" + strings.Repeat("0", 37) + "1"} {
		p.refusedSaying(p.tryPut(table, item{"pk": str("a"), "n": num(n)}), invalid, "put "+n, "38")
	}
	p.put(table, item{"pk": str("a"), "n": num("1" + strings.Repeat("0", 60))}) // one significant digit
}

func numberRange(p *probe, table string) {
	for _, n := range []string{"1E-130", "-1E-130", "9.9999999999999999999999999999999999999E+125", "-9.9999999999999999999999999999999999999E+125", "1E125"} {
		p.put(table, item{"pk": str("a"), "n": num(n)})
	}
	for _, n := range []string{"1E126", "-1E126", "1E400"} {
		p.refusedSaying(p.tryPut(table, item{"pk": str("a"), "n": num(n)}), invalid, "put "+n, "overflow")
	}
	for _, n := range []string{"1E-131", "-1E-131"} {
		p.refusedSaying(p.tryPut(table, item{"pk": str("a"), "n": num(n)}), invalid, "put "+n, "underflow")
	}
}

func numberGarbage(p *probe, table string) {
	for _, n := range []string{"", "abc", "1_000", "0x10", "NaN", "Infinity", "1e", "--1", "1.2.3", "1 2"} {
		p.refused(p.tryPut(table, item{"pk": str("a"), "n": num(n)}), invalid, "put number "+n)
	}
}

func numberNested(p *probe, table string) {
	p.put(table, item{"pk": str("a"), "s": numSet("1.0", "2e1"), "l": list(num("03")), "m": doc(item{"x": num("4.40")})})
	p.stored(table, item{"pk": str("a"), "s": numSet("1", "20"), "l": list(num("3")), "m": doc(item{"x": num("4.4")})})
}

func numberArithmetic(p *probe, table string) {
	nines := strings.Repeat("9", 38)
	for _, sum := range []struct{ a, op, b, want string }{
		{"0.1", "+", "0.2", "0.3"},
		{"1", "-", "0.9", "0.1"},
		{"9007199254740993", "+", "2", "9007199254740995"},
		{nines, "-", "1", nines[:37] + "8"},
		{"12345678901234567890.5", "+", "0.25", "12345678901234567890.75"},
		{"5", "-", "8", "-3"},
	} {
		p.put(table, item{"pk": str("a"), "n": num(sum.a)})
		p.ok(errOf(p.update(table, change{set: "SET n = n " + sum.op + " :b", values: item{":b": num(sum.b)}})), sum.a+sum.op+sum.b)
		p.stored(table, item{"pk": str("a"), "n": num(sum.want)})
	}
}

func numberOrder(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeN})
	sorted := []string{"-1" + strings.Repeat("0", 30), "-100", "-10.5", "-10", "-9", "-0.5", "-0.0001", "0", "0.0001", "0.001", "0.5",
		"1", "1.5", "2", "9", "10", "10.5", "100", "99999999999999999999999999999999999999", "1" + strings.Repeat("0", 38)}
	for i := range sorted {
		p.put(table, rangeKey(str("a"), num(sorted[(i*7)%len(sorted)])))
	}
	out, err := p.dynamo.Query(p.ctx, byKey(table, "pk = :a", item{":a": str("a")}))
	p.ok(err, "query")
	got := make([]string, 0, len(out.Items))
	for _, it := range out.Items {
		got = append(got, show(it["sk"]))
	}
	p.equal(sorted, got, "order")
}

// byKey is a consistent query of the table itself.
func byKey(table, condition string, values item) *dynamodb.QueryInput {
	consistent := true
	return &dynamodb.QueryInput{TableName: &table, KeyConditionExpression: &condition,
		ExpressionAttributeValues: values, ConsistentRead: &consistent}
}
