package conformance

import (
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func scanChecks() []check {
	const page = "Scan, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/scan/pages", page, "Following LastEvaluatedKey gives every item once.", scanPages},
		{"dynamodb/scan/filter-after-limit", page, "Limit counts items before the filter.", scanFilter},
		{"dynamodb/scan/count", page, "Select COUNT gives numbers and no items.", scanCount},
	}
}

// scanned reads all pages and lists the items' pk values, sorted.
func (p *probe) scanned(in *dynamodb.ScanInput) []string {
	keys := []string{}
	in.ConsistentRead = aws.Bool(true)
	for pages := dynamodb.NewScanPaginator(p.dynamo, in); pages.HasMorePages(); {
		out, err := pages.NextPage(p.ctx)
		p.ok(err, "scan")
		if in.Limit != nil && out.ScannedCount > *in.Limit {
			p.failf("%d items scanned, limit %d", out.ScannedCount, *in.Limit)
		}
		for _, it := range out.Items {
			keys = append(keys, show(it["pk"]))
		}
	}
	slices.Sort(keys)
	return keys
}

// numbered makes a table of n items with the keys "0" to n-1 and the attribute n; it returns the keys as scanned lists them.
func (p *probe) numbered(n int) (table string, keys []string) {
	table = p.table()
	for i := range n {
		it := item{"pk": str(fmt.Sprint(i)), "n": num(fmt.Sprint(i))}
		p.put(table, it)
		keys = append(keys, show(it["pk"]))
	}
	slices.Sort(keys)
	return table, keys
}

func scanPages(p *probe) {
	table, want := p.numbered(23)
	for _, limit := range []int32{1, 5, 23, 100} {
		p.equal(want, p.scanned(&dynamodb.ScanInput{TableName: &table, Limit: &limit}), fmt.Sprintf("items by pages of %d", limit))
	}
}

func scanFilter(p *probe) {
	table, _ := p.numbered(10)
	out, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &table, Limit: aws.Int32(4), ConsistentRead: aws.Bool(true),
		FilterExpression: aws.String("n < :none"), ExpressionAttributeValues: item{":none": num("0")}})
	p.ok(err, "scan")
	p.equal([]int32{0, 4}, []int32{out.Count, out.ScannedCount}, "count and scanned count")
	if out.LastEvaluatedKey == nil {
		p.failf("no last key after 4 of 10 items")
	}
	got := p.scanned(&dynamodb.ScanInput{TableName: &table, Limit: aws.Int32(3),
		FilterExpression: aws.String("n < :two"), ExpressionAttributeValues: item{":two": num("2")}})
	p.equal([]string{`"0"`, `"1"`}, got, "filtered items")
}

func scanCount(p *probe) {
	table, _ := p.numbered(6)
	out, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &table, Select: types.SelectCount, ConsistentRead: aws.Bool(true)})
	p.ok(err, "scan")
	p.equal([]int32{6, 6, 0}, []int32{out.Count, out.ScannedCount, int32(len(out.Items))}, "count, scanned count and items")
}

func indexChecks() []check {
	const page = "Using Global Secondary Indexes in DynamoDB, Developer Guide"
	return []check{
		{"dynamodb/index/sparse", "Take advantage of sparse indexes, Amazon DynamoDB Developer Guide", "An item without the index's keys is not in the index; it enters and leaves with them.", indexSparse},
		{"dynamodb/index/order", page, "Items of an index come in the order of its sort key.", indexOrder},
		{"dynamodb/index/pages", page, "Equal index keys do not hide items from paging.", indexPages},
		{"dynamodb/index/wrong-key-type-refused", page, "An index key attribute of another type is refused on write.", indexWrongType},
		{"dynamodb/index/empty-key-refused", page, "An index key attribute must not be an empty string.", indexEmptyKey},
		{"dynamodb/index/consistent-read-refused", page, "An index cannot be read consistently.", indexConsistent},
		{"dynamodb/index/missing-refused", "Query, Amazon DynamoDB API Reference", "Querying an index that does not exist is refused.", indexMissing},
		{"dynamodb/index/scan", page, "Scanning an index gives the items in it.", indexScan},
	}
}

// indexed makes a table with an index "i" over the string i and the number j.
func (p *probe) indexed() string {
	return p.tableOf(schema{
		attributes: map[string]types.ScalarAttributeType{"i": types.ScalarAttributeTypeS, "j": types.ScalarAttributeTypeN},
		indexes:    []types.GlobalSecondaryIndex{index("by-i", "i", "j")},
	})
}

func byIndex(table string) *dynamodb.QueryInput {
	return &dynamodb.QueryInput{TableName: &table, IndexName: aws.String("by-i"), KeyConditionExpression: aws.String("i = :i"),
		ExpressionAttributeValues: item{":i": str("x")}}
}

// indexHolds waits until the index's partition "x" reads as wanted: an index follows its table a moment later.
func (p *probe) indexHolds(table string, want ...item) {
	p.eventually("the index holds "+showItems(want), func() bool { return showItems(p.query(byIndex(table)).Items) == showItems(want) })
}

func indexSparse(p *probe) {
	table := p.indexed()
	p.put(table, key("none"), item{"pk": str("half"), "i": str("x")}, item{"pk": str("a"), "i": str("x"), "j": num("1"), "n": num("7")})
	p.indexHolds(table, item{"pk": str("a"), "i": str("x"), "j": num("1"), "n": num("7")})
	p.ok(errOf(p.update(table, change{set: "SET j = :j", values: item{":j": num("2")}})), "move within the index")
	p.indexHolds(table, item{"pk": str("a"), "i": str("x"), "j": num("2"), "n": num("7")})
	p.ok(errOf(p.update(table, change{set: "REMOVE j"})), "leave the index")
	p.indexHolds(table)
	p.ok(errOf(p.update(table, change{set: "SET j = :j", values: item{":j": num("3")}})), "enter the index")
	p.indexHolds(table, item{"pk": str("a"), "i": str("x"), "j": num("3"), "n": num("7")})
	p.ok(errOf(p.delete(table, dynamodb.DeleteItemInput{})), "delete")
	p.indexHolds(table)
}

func indexOrder(p *probe) {
	table := p.indexed()
	want := []item{}
	for i, j := range []string{"-100", "-2", "0", "1.5", "9", "10", "1000"} {
		want = append(want, item{"pk": str(fmt.Sprint(7 - i)), "i": str("x"), "j": num(j)})
	}
	p.put(table, want...)
	p.put(table, item{"pk": str("other"), "i": str("y"), "j": num("0")})
	p.indexHolds(table, want...)
}

func indexPages(p *probe) {
	table := p.indexed()
	for i := range 7 {
		p.put(table, item{"pk": str(fmt.Sprint(i)), "i": str("x"), "j": num("1")})
	}
	p.eventually("all items are in the index", func() bool { return p.query(byIndex(table)).Count == 7 })
	in := byIndex(table)
	in.Limit = aws.Int32(2)
	got := map[string]int{}
	for more := true; more; more = in.ExclusiveStartKey != nil {
		out := p.query(in)
		for _, it := range out.Items {
			got[show(it["pk"])]++
		}
		if in.ExclusiveStartKey = out.LastEvaluatedKey; in.ExclusiveStartKey != nil {
			p.equal(3, len(in.ExclusiveStartKey), "attributes of the last key: the index's and the table's")
		}
	}
	p.equal(map[string]int{`"0"`: 1, `"1"`: 1, `"2"`: 1, `"3"`: 1, `"4"`: 1, `"5"`: 1, `"6"`: 1}, got, "items by pages of 2")
}

func indexWrongType(p *probe) {
	table := p.indexed()
	p.refused(p.tryPut(table, item{"pk": str("a"), "i": num("1"), "j": num("1")}), invalid, "put a number as i")
	p.put(table, key("a"))
	p.refused(errOf(p.update(table, change{set: "SET j = :j", values: item{":j": str("1")}})), invalid, "update j to a string")
	p.stored(table, key("a"))
}

func indexEmptyKey(p *probe) {
	table := p.indexed()
	p.refused(p.tryPut(table, item{"pk": str("a"), "i": str(""), "j": num("1")}), invalid, "put an empty i")
}

func indexConsistent(p *probe) {
	in := byIndex(p.indexed())
	in.ConsistentRead = aws.Bool(true)
	p.refusedSaying(errOf(p.dynamo.Query(p.ctx, in)), invalid, "consistent query", "consistent")
}

func indexMissing(p *probe) {
	p.refused(errOf(p.dynamo.Query(p.ctx, byIndex(p.table()))), invalid, "query")
}

func indexScan(p *probe) {
	table := p.indexed()
	p.put(table, key("none"), item{"pk": str("a"), "i": str("x"), "j": num("1")}, item{"pk": str("b"), "i": str("y"), "j": num("1")})
	p.eventually("the scan gives both items", func() bool {
		out, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &table, IndexName: aws.String("by-i")})
		p.ok(err, "scan")
		return out.Count == 2 && out.ScannedCount == 2
	})
}
