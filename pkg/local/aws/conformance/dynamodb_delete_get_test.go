package conformance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func deleteChecks() []check {
	const page = "DeleteItem, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/delete/idempotent", page, "Deleting an item that does not exist is not an error.", onTable(deleteTwice)},
		{"dynamodb/delete/returns-all-old", page, "ALL_OLD returns the item that was deleted, and nothing where there was none.", onTable(deleteReturnsOld)},
		{"dynamodb/delete/condition", page, "A conditional delete deletes if the condition holds and changes nothing otherwise.", onTable(deleteCondition)},
		{"dynamodb/delete/all-old-on-failed-condition", page, "A refused conditional delete carries the stored item when asked with ALL_OLD.", onTable(deleteAllOldOnFailure)},
	}
}

func (p *probe) delete(table string, in dynamodb.DeleteItemInput) (item, error) {
	in.TableName, in.Key = &table, key("a")
	out, err := p.dynamo.DeleteItem(p.ctx, &in)
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

func deleteTwice(p *probe, table string) {
	p.put(table, key("a"), key("b"))
	for range 2 {
		got, err := p.delete(table, dynamodb.DeleteItemInput{})
		p.ok(err, "delete")
		p.sameItem(nil, got, "answer")
	}
	p.sameItem(nil, p.get(table, key("a")), "deleted item")
	p.stored(table, key("b"))
}

func deleteReturnsOld(p *probe, table string) {
	before := item{"pk": str("a"), "n": num("1")}
	p.put(table, before)
	for _, want := range []item{before, nil} {
		got, err := p.delete(table, dynamodb.DeleteItemInput{ReturnValues: types.ReturnValueAllOld})
		p.ok(err, "delete")
		p.sameItem(want, got, "deleted item")
	}
}

func deleteCondition(p *probe, table string) {
	before := item{"pk": str("a"), "n": num("1")}
	p.put(table, before)
	deleteIf := func(n string) error {
		_, err := p.delete(table, dynamodb.DeleteItemInput{ConditionExpression: aws.String("n = :n"),
			ExpressionAttributeValues: item{":n": num(n)}})
		return err
	}
	p.refused(deleteIf("2"), conditionFailed, "delete if n = 2")
	p.stored(table, before)
	p.ok(deleteIf("1"), "delete if n = 1")
	p.sameItem(nil, p.get(table, key("a")), "deleted item")
	p.refused(deleteIf("1"), conditionFailed, "delete a missing item if n = 1")
}

func deleteAllOldOnFailure(p *probe, table string) {
	before := item{"pk": str("a"), "n": num("1")}
	p.put(table, before)
	_, err := p.delete(table, dynamodb.DeleteItemInput{ConditionExpression: aws.String("attribute_not_exists(n)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
	p.failedWith(err, before)
}

func getChecks() []check {
	const page = "GetItem, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/get/missing-item", page, "Reading a key that is not there gives no item and no error.", func(p *probe) { p.sameItem(nil, p.get(p.table(), key("a")), "item") }},
		{"dynamodb/get/consistent-read", page, "A consistent read sees every write that was answered before.", onTable(getConsistent)},
		{"dynamodb/get/projection", "Using projection expressions in DynamoDB, Developer Guide",
			"A projection gives the named attributes and parts of documents; what is not there is left out.", onTable(getProjection)},
		{"dynamodb/get/projection-overlap-refused", "Using projection expressions in DynamoDB, Developer Guide", "Overlapping paths in a projection are refused.", onTable(getProjectionOverlap)},
		{"dynamodb/get/wrong-key-refused", page, "The key must match the table's schema, no attribute more or less.", onTable(getWrongKey)},
	}
}

func getConsistent(p *probe, table string) {
	for range 20 {
		got, err := p.update(table, change{set: "ADD n :one", values: item{":one": num("1")}, ret: types.ReturnValueAllNew})
		p.ok(err, "update")
		p.stored(table, got)
	}
}

func (p *probe) project(table, projection string, names map[string]string) (item, error) {
	out, err := p.dynamo.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &table, Key: key("a"), ConsistentRead: aws.Bool(true),
		ProjectionExpression: &projection, ExpressionAttributeNames: names})
	if err != nil {
		return nil, err
	}
	return out.Item, nil
}

func getProjection(p *probe, table string) {
	p.put(table, item{"pk": str("a"), "x": num("1"), "open": num("2"), "m": doc(item{"a": num("3"), "b": num("4")}),
		"l": list(num("5"), num("6"), num("7"))})
	got, err := p.project(table, "x, #o, m.b, nothing, m.c, l[0], l[2]", map[string]string{"#o": "open"})
	p.ok(err, "get")
	p.sameItem(item{"x": num("1"), "open": num("2"), "m": doc(item{"b": num("4")}), "l": list(num("5"), num("7"))}, got, "projected item")
}

func getProjectionOverlap(p *probe, table string) {
	p.put(table, key("a"))
	p.refusedSaying(errOf(p.project(table, "m, m.a", nil)), invalid, "projection m, m.a", "overlap")
}

func getWrongKey(p *probe, table string) {
	for what, k := range map[string]item{"wrong type": {"pk": num("1")}, "another name": {"x": str("a")},
		"a further name": {"pk": str("a"), "x": str("a")}, "empty": {"pk": str("")}} {
		p.refused(errOf(p.dynamo.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &table, Key: k})), invalid, what)
	}
}
