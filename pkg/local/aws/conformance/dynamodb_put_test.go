package conformance

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func putChecks() []check {
	const page = "PutItem, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/put/replaces-whole-item", page, "A put replaces the item, attributes that it lacks are gone.", onTable(putReplaces)},
		{"dynamodb/put/insert-once", page, "With attribute_not_exists on the key a second put is refused and changes nothing.", onTable(putInsertOnce)},
		{"dynamodb/put/all-old-on-failed-condition", page, "A refused conditional put carries the stored item when asked with ALL_OLD.", onTable(putAllOldOnFailure)},
		{"dynamodb/put/no-item-on-failed-condition", page, "A refused conditional put carries no item by default.", onTable(putNoItemOnFailure)},
		{"dynamodb/put/returns-all-old", page, "ALL_OLD returns the item that was replaced, and nothing for a new one.", onTable(putReturnsOld)},
		{"dynamodb/put/other-return-values-refused", page, "A put knows ReturnValues NONE and ALL_OLD only.", onTable(putReturnValuesRefused)},
		{"dynamodb/put/missing-key-refused", page, "An item must have every key attribute.", putMissingKey},
		{"dynamodb/put/wrong-key-type-refused", page, "A key attribute must have the type of the table's definition.",
			func(p *probe) {
				p.refused(p.tryPut(p.table(), item{"pk": num("1")}), invalid, "put with a numeric key")
			}},
		{"dynamodb/put/empty-key-refused", page, "A key attribute must not be an empty string or binary.", putEmptyKey},
		{"dynamodb/put/empty-values", page, "Attributes that are no key may be empty strings, binaries, lists and maps.", onTable(putEmptyValues)},
		{"dynamodb/put/empty-set-refused", "Supported data types and naming rules in Amazon DynamoDB, Developer Guide", "An empty set is refused, at the top and nested.", onTable(putEmptySet)},
		{"dynamodb/put/duplicate-in-set-refused", "Supported data types and naming rules in Amazon DynamoDB, Developer Guide",
			"The values of a set are unique; numbers are compared as numbers.", onTable(putDuplicateInSet)},
		{"dynamodb/put/all-types", "AttributeValue, Amazon DynamoDB API Reference", "Every attribute type comes back as it was put.", onTable(putAllTypes)},
		{"dynamodb/put/condition-on-missing-item", page, "A condition on an item that does not exist sees no attribute.", onTable(putConditionOnMissing)},
	}
}

func putReplaces(p *probe, table string) {
	p.put(table, item{"pk": str("a"), "x": num("1"), "y": num("2")}, item{"pk": str("a"), "y": num("3")})
	p.stored(table, item{"pk": str("a"), "y": num("3")})
}

func (p *probe) insertOnce(table string, it item, allOld bool) error {
	in := &dynamodb.PutItemInput{TableName: &table, Item: it, ConditionExpression: aws.String("attribute_not_exists(pk)")}
	if allOld {
		in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	_, err := p.dynamo.PutItem(p.ctx, in)
	return err
}

func putInsertOnce(p *probe, table string) {
	first := item{"pk": str("a"), "v": str("first")}
	p.ok(p.insertOnce(table, first, false), "first put")
	p.refused(p.insertOnce(table, item{"pk": str("a"), "v": str("second")}, false), conditionFailed, "second put")
	p.stored(table, first)
}

func putAllOldOnFailure(p *probe, table string) {
	first := item{"pk": str("a"), "v": list(num("1"), doc(item{"x": boolean(true)}))}
	p.put(table, first)
	p.failedWith(p.insertOnce(table, item{"pk": str("a")}, true), first)
}

func putNoItemOnFailure(p *probe, table string) {
	p.put(table, key("a"))
	p.failedWith(p.insertOnce(table, key("a"), false), nil)
}

func putReturnsOld(p *probe, table string) {
	first := item{"pk": str("a"), "n": num("1")}
	for _, want := range []item{nil, first} {
		out, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: first, ReturnValues: types.ReturnValueAllOld})
		p.ok(err, "put")
		p.sameItem(want, out.Attributes, "replaced item")
	}
}

func putReturnValuesRefused(p *probe, table string) {
	for _, ret := range []types.ReturnValue{types.ReturnValueAllNew, types.ReturnValueUpdatedOld, types.ReturnValueUpdatedNew} {
		p.refused(errOf(p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: key("a"), ReturnValues: ret})), invalid, "put returning "+string(ret))
	}
}

func putMissingKey(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeS})
	p.refused(p.tryPut(table, item{"pk": str("a"), "v": num("1")}), invalid, "put without sort key")
	p.refused(p.tryPut(table, item{"v": num("1")}), invalid, "put without keys")
}

func putEmptyKey(p *probe) {
	p.refused(p.tryPut(p.table(), key("")), invalid, "put with an empty string key")
	binary := p.tableOf(schema{hash: types.ScalarAttributeTypeB})
	p.refused(p.tryPut(binary, item{"pk": &types.AttributeValueMemberB{Value: []byte{}}}), invalid, "put with an empty binary key")
}

func putEmptyValues(p *probe, table string) {
	it := item{"pk": str("a"), "s": str(""), "b": &types.AttributeValueMemberB{Value: []byte{}}, "l": list(), "m": doc(item{}),
		"deep": list(str(""), doc(item{"x": list()}))}
	p.put(table, it)
	p.stored(table, it)
}

func putEmptySet(p *probe, table string) {
	for what, v := range map[string]value{"strings": strSet([]string{}...), "numbers": numSet([]string{}...), "binaries": binSet([][]byte{}...),
		"nested": list(doc(item{"x": strSet([]string{}...)}))} {
		p.refused(p.tryPut(table, item{"pk": str("a"), "v": v}), invalid+"|SerializationException", "put an empty set: "+what)
	}
}

func putDuplicateInSet(p *probe, table string) {
	for what, v := range map[string]value{"strings": strSet("x", "y", "x"), "numbers": numSet("1", "1.0"), "binaries": binSet([]byte{1}, []byte{1})} {
		p.refused(p.tryPut(table, item{"pk": str("a"), "v": v}), invalid, "put a set with a duplicate: "+what)
	}
}

func putAllTypes(p *probe, table string) {
	it := item{"pk": str("a"), "S": str("ü\x00\n\"😀"), "N": num("-1.5"), "B": bin(0, 1, 255), "BOOL": boolean(false), "NULL": null(),
		"L": list(num("1"), str("x"), list(), null()), "M": doc(item{"x": doc(item{"y": bin(7)})}),
		"SS": strSet("b", "a"), "NS": numSet("3", "-2", "1.5"), "BS": binSet([]byte{2}, []byte{1, 1}), strings.Repeat("n", 255): boolean(true)}
	p.put(table, it)
	p.stored(table, it)
}

func putConditionOnMissing(p *probe, table string) {
	_, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: item{"pk": str("a"), "n": num("1")},
		ConditionExpression: aws.String("n = :n"), ExpressionAttributeValues: item{":n": num("1")},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld})
	p.failedWith(err, nil)
	p.sameItem(nil, p.get(table, key("a")), "item")
}

func itemLimitChecks() []check {
	const page = "Quotas in Amazon DynamoDB, Developer Guide"
	return []check{
		{"dynamodb/limit/item-400-kb", page, "An item may have 409,600 bytes of names and values, not one more.", onTable(limitItemSize)},
		{"dynamodb/limit/item-size-counts-utf8", "DynamoDB item sizes and formats, Developer Guide", "Names and strings count in bytes of UTF-8.", onTable(limitItemSizeUTF8)},
		{"dynamodb/limit/update-beyond-400-kb", page, "An update that would make the item larger than 400 KB is refused and changes nothing.", onTable(limitUpdateSize)},
		{"dynamodb/limit/key-length", page, "A partition key has at most 2048 bytes and a sort key 1024.", limitKeyLength},
		{"dynamodb/limit/nesting", page, "Attributes nest 32 levels deep at most.", onTable(limitNesting)},
	}
}

// sized is an item of exactly n bytes by AWS's rule: names and values, one byte each for pk's value.
func sized(n int) item {
	return item{"pk": str("a"), "d": str(strings.Repeat("x", n-len("pk")-len("a")-len("d")))}
}

func limitItemSize(p *probe, table string) {
	p.put(table, sized(400<<10))
	p.refusedSaying(p.tryPut(table, sized(400<<10+1)), invalid, "put 409,601 bytes", "item size")
}

func limitItemSizeUTF8(p *probe, table string) {
	rest := 400<<10 - len("pk") - len("a") - len("ü")
	p.put(table, item{"pk": str("a"), "ü": str(strings.Repeat("é", rest/2))})
	p.refused(p.tryPut(table, item{"pk": str("a"), "ü": str(strings.Repeat("é", rest/2+1))}), invalid, "put one character more")
}

func limitUpdateSize(p *probe, table string) {
	before := sized(300 << 10)
	p.put(table, before)
	p.refusedSaying(errOf(p.update(table, change{set: "SET e = :e", values: item{":e": str(strings.Repeat("y", 101<<10))}})), invalid, "update to 401 KB", "item size")
	p.stored(table, before)
}

func limitKeyLength(p *probe) {
	table := p.tableOf(schema{sort: types.ScalarAttributeTypeS})
	put := func(pk, sk int) error {
		return p.tryPut(table, rangeKey(str(strings.Repeat("p", pk)), str(strings.Repeat("s", sk))))
	}
	p.ok(put(2048, 1024), "put the longest keys")
	p.refused(put(2049, 1024), invalid, "put a partition key of 2049 bytes")
	p.refused(put(2048, 1025), invalid, "put a sort key of 1025 bytes")
}

func limitNesting(p *probe, table string) {
	nested := func(levels int) item {
		v := num("1")
		for range levels {
			v = list(v)
		}
		return item{"pk": str("a"), "v": v}
	}
	p.put(table, nested(30))
	p.refused(p.tryPut(table, nested(34)), invalid, "put 34 levels")
}
