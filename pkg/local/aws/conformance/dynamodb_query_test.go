package conformance

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func queryChecks() []check {
	const page = "Query, Amazon DynamoDB API Reference"
	const guide = "Paginating table query results in DynamoDB, Developer Guide"
	return []check{
		{"dynamodb/query/order", page, "Items of one partition come in the order of the sort key, or backwards.", queryOrder},
		{"dynamodb/query/binary-order", page, "A binary sort key orders by unsigned bytes.", queryBinaryOrder},
		{"dynamodb/query/limit-pages", guide, "Limit cuts pages; following LastEvaluatedKey gives every item once.", queryPages},
		{"dynamodb/query/filter-after-limit", "Query, Amazon DynamoDB API Reference", "Limit counts items before the filter; Count and ScannedCount tell both.", queryFilterAfterLimit},
		{"dynamodb/query/count", page, "Select COUNT gives numbers and no items.", queryCount},
		{"dynamodb/query/one-megabyte-page", guide, "A page ends at 1 MB of items.", queryMegabyte},
		{"dynamodb/query/start-key", page, "A query starts after ExclusiveStartKey, there or not.", queryStartKey},
		{"dynamodb/query/projection", page, "A projection expression cuts the items.", queryProjection},
		{"dynamodb/query/empty-partition", page, "A partition without items gives none and no error.", queryEmpty},
		{"dynamodb/query/filter-on-key-refused", page, "A filter must not name a key attribute.", queryFilterKey},
	}
}

// filled makes a table with a string sort key and items "a"/"00" to "a"/n-1, each with n, and one other partition.
func (p *probe) filled(n int) string {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeS})
	for i := range n {
		p.put(table, with(rangeKey(str("a"), str(fmt.Sprintf("%02d", i))), item{"n": num(fmt.Sprint(i))}))
	}
	p.put(table, rangeKey(str("b"), str("00")))
	return table
}

func (p *probe) query(in *dynamodb.QueryInput) *dynamodb.QueryOutput {
	out, err := p.dynamo.Query(p.ctx, in)
	p.ok(err, "query "+aws.ToString(in.KeyConditionExpression))
	return out
}

// sortKeys lists the items' sk values as "x y z".
func sortKeys(items []item) string {
	texts := make([]string, len(items))
	for i, it := range items {
		texts[i] = show(it["sk"])
		if s, ok := it["sk"].(*types.AttributeValueMemberS); ok {
			texts[i] = s.Value
		}
	}
	return strings.Join(texts, " ")
}

func partitionA(table string) *dynamodb.QueryInput {
	return byKey(table, "pk = :a", item{":a": str("a")})
}

func queryOrder(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeS})
	for _, sk := range []string{"b", "a", "Z", "aa", "é", "10", "9", " "} {
		p.put(table, rangeKey(str("a"), str(sk)))
	}
	in := partitionA(table)
	p.equal("  10 9 Z a aa b é", sortKeys(p.query(in).Items), "ascending")
	in.ScanIndexForward = aws.Bool(false)
	p.equal("é b aa a Z 9 10  ", sortKeys(p.query(in).Items), "descending")
}

func queryBinaryOrder(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeB})
	for _, sk := range [][]byte{{0xff}, {0}, {0x80}, {0x7f}, {0x7f, 0}, {0, 0}} {
		p.put(table, rangeKey(str("a"), bin(sk...)))
	}
	p.equal("0x00 0x0000 0x7f 0x7f00 0x80 0xff", sortKeys(p.query(partitionA(table)).Items), "order")
}

func queryPages(p *probe) {
	table := p.filled(7)
	for _, forward := range []bool{true, false} {
		in := partitionA(table)
		in.Limit, in.ScanIndexForward = aws.Int32(3), &forward
		var pages []string
		for more := true; more; more = in.ExclusiveStartKey != nil {
			out := p.query(in)
			pages = append(pages, sortKeys(out.Items))
			in.ExclusiveStartKey = out.LastEvaluatedKey
		}
		want := []string{"00 01 02", "03 04 05", "06"}
		if !forward {
			want = []string{"06 05 04", "03 02 01", "00"}
		}
		p.equal(want, pages, "pages")
	}
}

func queryFilterAfterLimit(p *probe) {
	in := partitionA(p.filled(6))
	in.Limit, in.FilterExpression = aws.Int32(4), aws.String("n >= :three")
	in.ExpressionAttributeValues[":three"] = num("3")
	out := p.query(in)
	p.equal("03", sortKeys(out.Items), "items of the first page")
	p.equal([]int32{1, 4}, []int32{out.Count, out.ScannedCount}, "count and scanned count")
	p.sameItem(rangeKey(str("a"), str("03")), out.LastEvaluatedKey, "last key")
	in.ExclusiveStartKey = out.LastEvaluatedKey
	p.equal("04 05", sortKeys(p.query(in).Items), "items of the second page")
}

func queryCount(p *probe) {
	in := partitionA(p.filled(5))
	in.Select, in.FilterExpression = types.SelectCount, aws.String("n < :two")
	in.ExpressionAttributeValues[":two"] = num("2")
	out := p.query(in)
	p.equal([]int32{2, 5}, []int32{out.Count, out.ScannedCount}, "count and scanned count")
	p.equal(0, len(out.Items), "items")
}

func queryMegabyte(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeS})
	const each = 350 << 10
	for _, sk := range []string{"0", "1", "2", "3", "4"} {
		p.put(table, with(rangeKey(str("a"), str(sk)), item{"d": str(strings.Repeat("x", each))}))
	}
	in := partitionA(table)
	in.ProjectionExpression = aws.String("sk")
	var all []item
	for more := true; more; more = in.ExclusiveStartKey != nil {
		out := p.query(in)
		if n := len(out.Items); n > 3 {
			p.failf("a page of %d items of 350 KB", n)
		}
		all = append(all, out.Items...)
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	p.equal("0 1 2 3 4", sortKeys(all), "all pages")
}

func queryStartKey(p *probe) {
	in := partitionA(p.filled(4))
	in.ExclusiveStartKey = rangeKey(str("a"), str("015"))
	p.equal("02 03", sortKeys(p.query(in).Items), "after a key between two items")
	in.ExclusiveStartKey = rangeKey(str("a"), str("02"))
	p.equal("03", sortKeys(p.query(in).Items), "after an item")
	in.ExclusiveStartKey = key("a")
	p.refused(errOf(p.dynamo.Query(p.ctx, in)), invalid, "a start key without sort key")
}

func queryProjection(p *probe) {
	in := partitionA(p.filled(2))
	in.ProjectionExpression = aws.String("n, nothing")
	p.equal("{n: 0}, {n: 1}", showItems(p.query(in).Items), "items")
}

func queryEmpty(p *probe) {
	out := p.query(byKey(p.filled(1), "pk = :x", item{":x": str("x")}))
	p.equal([]int32{0, 0}, []int32{out.Count, out.ScannedCount}, "counts")
	p.sameItem(nil, out.LastEvaluatedKey, "last key")
}

func queryFilterKey(p *probe) {
	in := partitionA(p.filled(1))
	in.FilterExpression = aws.String("sk = :a")
	p.refusedSaying(errOf(p.dynamo.Query(p.ctx, in)), invalid, "filter on sk", "key attribute")
}

func keyConditionChecks() []check {
	const page = "Key condition expressions for the Query operation in DynamoDB, Developer Guide"
	return []check{
		{"dynamodb/key-condition/comparators", page, "=, <, <=, >, >= and BETWEEN select by the sort key.", keyComparators},
		{"dynamodb/key-condition/begins-with", page, "begins_with selects a range of string keys.", keyBeginsWith},
		{"dynamodb/key-condition/missing-hash-refused", page, "A key condition must test the partition key for equality.", keyMissingHash},
		{"dynamodb/key-condition/not-a-key-refused", page, "A key condition names key attributes only.",
			func(p *probe) { p.keyRefused(p.filled(1), "pk = :a AND n = :x", item{":a": str("a"), ":x": num("0")}) }},
		{"dynamodb/key-condition/operators-refused", page, "OR, NOT, IN, <> and functions other than begins_with are no key conditions.", keyOperators},
		{"dynamodb/key-condition/wrong-type-refused", page, "A value of another type than the key's is refused.", keyWrongType},
		{"dynamodb/key-condition/numeric-range", page, "A numeric sort key is compared by value.", keyNumericRange},
	}
}

func keyComparators(p *probe) {
	table := p.filled(5)
	for condition, want := range map[string]string{
		"sk = :x": "02", "sk < :x": "00 01", "sk <= :x": "00 01 02", "sk > :x": "03 04", "sk >= :x": "02 03 04", "sk BETWEEN :x AND :y": "02 03",
	} {
		values := item{":a": str("a"), ":x": str("02")}
		if strings.Contains(condition, ":y") {
			values[":y"] = str("03")
		}
		p.equal(want, sortKeys(p.query(byKey(table, "pk = :a AND "+condition, values)).Items), condition)
		p.equal(want, sortKeys(p.query(byKey(table, "("+condition+") AND (pk = :a)", values)).Items), "reversed "+condition)
	}
}

func keyBeginsWith(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeS})
	for _, sk := range []string{"a", "ab", "abc", "ac", "b", "ab\uffff", "ab😀"} {
		p.put(table, rangeKey(str("a"), str(sk)))
	}
	got := p.query(byKey(table, "pk = :a AND begins_with(sk, :p)", item{":a": str("a"), ":p": str("ab")}))
	p.equal("ab abc ab\uffff ab😀", sortKeys(got.Items), "items")
}

func (p *probe) keyRefused(table, condition string, values item) {
	p.refused(errOf(p.dynamo.Query(p.ctx, byKey(table, condition, values))), invalid, "query "+condition)
}

func keyMissingHash(p *probe) {
	table := p.filled(1)
	p.keyRefused(table, "sk = :x", item{":x": str("00")})
	p.keyRefused(table, "pk > :x", item{":x": str("00")})
	p.keyRefused(table, "begins_with(pk, :x)", item{":x": str("00")})
}

func keyOperators(p *probe) {
	table := p.filled(1)
	both := item{":a": str("a"), ":x": str("00")}
	for _, condition := range []string{"pk = :a OR sk = :x", "pk = :a AND NOT sk = :x", "pk = :a AND sk <> :x", "pk = :a AND sk IN (:x)",
		"pk = :a AND contains(sk, :x)", "pk = :a AND sk = :x AND sk > :x"} {
		p.keyRefused(table, condition, both)
	}
	p.keyRefused(table, "pk = :a AND attribute_exists(sk)", item{":a": str("a")})
}

func keyWrongType(p *probe) {
	table := p.filled(1)
	p.keyRefused(table, "pk = :a", item{":a": num("1")})
	p.keyRefused(table, "pk = :a AND sk > :x", item{":a": str("a"), ":x": num("1")})
}

func keyNumericRange(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeN})
	for _, sk := range []string{"-20", "-3", "-1.5", "0", "2", "10", "1e3"} {
		p.put(table, rangeKey(str("a"), num(sk)))
	}
	between := func(low, high string) string {
		return sortKeys(p.query(byKey(table, "pk = :a AND sk BETWEEN :x AND :y", item{":a": str("a"), ":x": num(low), ":y": num(high)})).Items)
	}
	p.equal("-3 -1.5 0 2", between("-3.0", "9"), "from -3 to 9")
	p.equal("-20 -3", between("-1000", "-2"), "from -1000 to -2")
	p.equal("10 1000", between("3", "1E3"), "from 3 to 1000")
}
