package conformance

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func capacityChecks() []check {
	const units = "DynamoDB read and write operations, Developer Guide"
	return []check{
		{"dynamodb/capacity/not-asked", "PutItem, Amazon DynamoDB API Reference", "No capacity is returned unless it is asked for.", onTable(capacityNotAsked)},
		{"dynamodb/capacity/write", units, "A write takes 1 unit for each KB of the larger of the old and the new item.", onTable(capacityWrite)},
		{"dynamodb/capacity/index-write", "Using global secondary indexes, Developer Guide", "An index entry takes units of its own when it appears, changes or moves.", capacityIndexWrite},
		{"dynamodb/capacity/read", units, "A read takes 1 unit for each 4 KB, half when eventually consistent.", onTable(capacityRead)},
		{"dynamodb/capacity/query", units, "A query and a scan add the sizes up before they round.", capacityQuery},
		{"dynamodb/capacity/batch", "BatchGetItem, Amazon DynamoDB API Reference", "A batch rounds each item.", onTable(capacityBatch)},
		{"dynamodb/capacity/transaction", "DynamoDB Transactions: How it works, Developer Guide", "A transaction takes twice as much, and a repeated one the reads.", onTable(capacityTransaction)},
		{"dynamodb/item-collection/no-local-index", "PutItem, Amazon DynamoDB API Reference", "Without local secondary indexes no metrics of item collections are given.", onTable(noItemCollection)},
	}
}

// ofSize makes an item whose size is that many bytes.
func ofSize(pk string, bytes int) item {
	return item{"pk": str(pk), "v": str(strings.Repeat("x", bytes-len("pk")-len(pk)-len("v")))}
}

// costs compares a ConsumedCapacity's sum, and its parts of the table and the index by-i when they are given.
func (p *probe) costs(want string, got *types.ConsumedCapacity, what string) {
	text := "nothing"
	if got != nil {
		text = fmt.Sprint(aws.ToFloat64(got.CapacityUnits))
		if got.Table != nil {
			text += fmt.Sprintf(" table %v", aws.ToFloat64(got.Table.CapacityUnits))
		}
		if ix, ok := got.GlobalSecondaryIndexes["by-i"]; ok {
			text += fmt.Sprintf(" index %v", aws.ToFloat64(ix.CapacityUnits))
		}
	}
	p.equal(want, text, "capacity of "+what)
}

func (p *probe) putFor(table string, it item, asked types.ReturnConsumedCapacity) *types.ConsumedCapacity {
	out, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: it, ReturnConsumedCapacity: asked})
	p.ok(err, "put")
	return out.ConsumedCapacity
}

func capacityNotAsked(p *probe, table string) {
	p.costs("nothing", p.putFor(table, key("a"), ""), "a write")
	p.costs("nothing", p.putFor(table, key("a"), types.ReturnConsumedCapacityNone), "a write")
}

func capacityWrite(p *probe, table string) {
	const total = types.ReturnConsumedCapacityTotal
	p.costs("1", p.putFor(table, ofSize("a", 1024), total), "1 KB")
	p.costs("2", p.putFor(table, ofSize("b", 1025), total), "1 KB and a byte")
	p.costs("2", p.putFor(table, ofSize("b", 100), total), "a small item in place of a larger one")
	out, err := p.dynamo.UpdateItem(p.ctx, &dynamodb.UpdateItemInput{TableName: &table, Key: key("a"), UpdateExpression: aws.String("REMOVE v"), ReturnConsumedCapacity: total})
	p.ok(err, "update")
	p.costs("1", out.ConsumedCapacity, "an update")
	gone, err := p.dynamo.DeleteItem(p.ctx, &dynamodb.DeleteItemInput{TableName: &table, Key: key("none"), ReturnConsumedCapacity: total})
	p.ok(err, "delete")
	p.costs("1", gone.ConsumedCapacity, "a delete of nothing")
}

func capacityIndexWrite(p *probe) {
	table := p.indexed()
	const indexes = types.ReturnConsumedCapacityIndexes
	with := func(j, n string) item {
		return item{"pk": str("a"), "i": str("x"), "j": num(j), "n": num(n)}
	}
	p.costs("1 table 1", p.putFor(table, key("b"), indexes), "an item without index keys")
	p.costs("2 table 1 index 1", p.putFor(table, with("1", "1"), indexes), "a new entry")
	p.costs("1 table 1", p.putFor(table, with("1", "1"), indexes), "the same item")
	p.costs("2 table 1 index 1", p.putFor(table, with("1", "2"), indexes), "a changed entry")
	p.costs("3 table 1 index 2", p.putFor(table, with("2", "2"), indexes), "a moved entry")
	p.costs("2 table 1 index 1", p.putFor(table, key("a"), indexes), "an entry that disappears")
}

func capacityRead(p *probe, table string) {
	p.put(table, ofSize("a", 4096), ofSize("b", 4097))
	for _, c := range []struct {
		pk         string
		consistent bool
		want       string
	}{{"a", true, "1"}, {"a", false, "0.5"}, {"b", true, "2"}, {"b", false, "1"}, {"none", true, "1"}, {"none", false, "0.5"}} {
		out, err := p.dynamo.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &table, Key: key(c.pk), ConsistentRead: &c.consistent, ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal})
		p.ok(err, "get")
		p.costs(c.want, out.ConsumedCapacity, fmt.Sprintf("a read of %s, consistent %v", c.pk, c.consistent))
	}
}

func capacityQuery(p *probe) {
	table := p.indexed()
	for i := range 3 {
		it := ofSize(fmt.Sprint(i), 2500)
		it["i"], it["j"] = str("x"), num(fmt.Sprint(i))
		p.put(table, it)
	}
	consistent := true
	scan, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &table, ConsistentRead: &consistent, ReturnConsumedCapacity: types.ReturnConsumedCapacityIndexes})
	p.ok(err, "scan")
	p.costs("2 table 2", scan.ConsumedCapacity, "a scan of 7.5 KB")
	in := byIndex(table)
	in.ReturnConsumedCapacity = types.ReturnConsumedCapacityIndexes
	p.costs("1 table 0 index 1", p.query(in).ConsumedCapacity, "a query of an index")
	in.ExpressionAttributeValues = item{":i": str("none")}
	p.costs("0.5 table 0 index 0.5", p.query(in).ConsumedCapacity, "a query that finds nothing")
}

func capacityBatch(p *probe, table string) {
	const total = types.ReturnConsumedCapacityTotal
	p.put(table, ofSize("a", 1025))
	p.put(table, key("b"))
	read, err := p.dynamo.BatchGetItem(p.ctx, &dynamodb.BatchGetItemInput{ReturnConsumedCapacity: total, RequestItems: map[string]types.KeysAndAttributes{
		table: {Keys: []item{key("a"), key("b"), key("none")}}}})
	p.ok(err, "batch get")
	p.equal(1, len(read.ConsumedCapacity), "tables")
	p.costs("1.5", &read.ConsumedCapacity[0], "a batch of reads")
}

func capacityTransaction(p *probe, table string) {
	in := &dynamodb.TransactWriteItemsInput{ReturnConsumedCapacity: types.ReturnConsumedCapacityTotal, ClientRequestToken: aws.String(unique()),
		TransactItems: []types.TransactWriteItem{transactPut(table, ofSize("a", 1025), ""), transactCheck(table, "b", "attribute_not_exists(pk)")}}
	for _, want := range []string{"6", "4"} {
		out, err := p.dynamo.TransactWriteItems(p.ctx, in)
		p.ok(err, "transaction")
		p.equal(1, len(out.ConsumedCapacity), "tables")
		p.costs(want, &out.ConsumedCapacity[0], "a transaction")
	}
}

func noItemCollection(p *probe, table string) {
	out, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: key("a"), ReturnItemCollectionMetrics: types.ReturnItemCollectionMetricsSize})
	p.ok(err, "put")
	p.equal(true, out.ItemCollectionMetrics == nil, "no metrics")
}
