package conformance

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func batchChecks() []check {
	const get = "BatchGetItem, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/batch-get/100-keys", get, "A call reads 100 keys; what is not there is left out.", batchGet100},
		{"dynamodb/batch-get/101-keys-refused", get, "More than 100 keys are refused.", batchGet101},
		{"dynamodb/batch-get/duplicate-keys-refused", get, "A key may be named once.", batchGetDuplicate},
		{"dynamodb/batch-get/several-tables", get, "One call reads several tables, each with its own projection.", batchGetTables},
		{"dynamodb/batch-get/missing-table-refused", get, "A table that does not exist is refused.", batchGetMissingTable},
	}
}

func (p *probe) batchGet(table string, keys ...item) (map[string][]item, error) {
	out, err := p.dynamo.BatchGetItem(p.ctx, &dynamodb.BatchGetItemInput{
		RequestItems: map[string]types.KeysAndAttributes{table: {Keys: keys, ConsistentRead: aws.Bool(true)}}})
	if err != nil {
		return nil, err
	}
	p.equal(0, len(out.UnprocessedKeys), "unprocessed keys")
	return out.Responses, nil
}

func keysUpTo(n int) []item {
	keys := make([]item, n)
	for i := range keys {
		keys[i] = key(fmt.Sprint(i))
	}
	return keys
}

func batchGet100(p *probe) {
	table, _ := p.numbered(30)
	got, err := p.batchGet(table, keysUpTo(100)...)
	p.ok(err, "batch get")
	seen := map[string]bool{}
	for _, it := range got[table] {
		seen[showItem(it)] = true
	}
	p.equal(30, len(seen), "different items")
	p.equal(30, len(got[table]), "items")
	if !seen[showItem(item{"pk": str("17"), "n": num("17")})] {
		p.failf("item 17 is not whole")
	}
}

func batchGet101(p *probe) {
	_, err := p.batchGet(p.table(), keysUpTo(101)...)
	p.refused(err, invalid, "batch get of 101 keys")
}

func batchGetDuplicate(p *probe) {
	_, err := p.batchGet(p.table(), key("a"), key("b"), key("a"))
	p.refusedSaying(err, invalid, "batch get", "duplicates")
}

func batchGetTables(p *probe) {
	first, second := p.table(), p.table()
	p.put(first, item{"pk": str("a"), "n": num("1"), "m": num("2")})
	p.put(second, item{"pk": str("a"), "n": num("3"), "m": num("4")})
	out, err := p.dynamo.BatchGetItem(p.ctx, &dynamodb.BatchGetItemInput{RequestItems: map[string]types.KeysAndAttributes{
		first:  {Keys: []item{key("a")}, ConsistentRead: aws.Bool(true)},
		second: {Keys: []item{key("a"), key("b")}, ConsistentRead: aws.Bool(true), ProjectionExpression: aws.String("m")},
	}})
	p.ok(err, "batch get")
	p.equal(`{m: 2, n: 1, pk: "a"}`, showItems(out.Responses[first]), "first table")
	p.equal(`{m: 4}`, showItems(out.Responses[second]), "second table")
}

func batchGetMissingTable(p *probe) {
	_, err := p.batchGet(unique(), key("a"))
	p.refused(err, notFound, "batch get")
}
