package conformance

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

func tableChecks() []check {
	const create = "CreateTable, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/table/describe", "DescribeTable, Amazon DynamoDB API Reference", "A table is described with its keys, its ARN and its status.", tableDescribe},
		{"dynamodb/table/duplicate-refused", create, "Creating a table that exists is refused with ResourceInUseException.", tableDuplicate},
		{"dynamodb/table/missing-refused", "GetItem, Amazon DynamoDB API Reference", "Reading or writing a table that does not exist is refused with ResourceNotFoundException.", tableMissing},
		{"dynamodb/table/delete", "DeleteTable, Amazon DynamoDB API Reference", "A deleted table is gone.", tableDelete},
		{"dynamodb/table/list-pages", "ListTables, Amazon DynamoDB API Reference", "Tables are listed in pages that continue after the last name.", tableListPages},
		{"dynamodb/table/undefined-key-refused", create, "A key attribute must be in AttributeDefinitions.", tableUndefinedKey},
		{"dynamodb/table/unused-definition-refused", create, "AttributeDefinitions may name key attributes of the table and its indexes only.", tableUnusedDefinition},
		{"dynamodb/table/short-name-refused", "Naming rules, Amazon DynamoDB Developer Guide", "A table name has at least three characters.", tableShortName},
		{"dynamodb/table/binary-and-numeric-keys", "Core components of Amazon DynamoDB, Developer Guide", "Keys may be numbers and binaries; equal numbers are one key however written.", tableKeyTypes},
	}
}

func tableDescribe(p *probe) {
	name := p.tableOf(schema{sort: types.ScalarAttributeTypeN})
	out, err := p.dynamo.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name})
	p.ok(err, "describe")
	p.equal(name, aws.ToString(out.Table.TableName), "name")
	p.equal(types.TableStatusActive, out.Table.TableStatus, "status")
	p.equal(2, len(out.Table.KeySchema), "keys")
	p.equal("sk", aws.ToString(out.Table.KeySchema[1].AttributeName), "sort key")
	p.equal(types.KeyTypeRange, out.Table.KeySchema[1].KeyType, "sort key's role")
	if arn := aws.ToString(out.Table.TableArn); !strings.HasSuffix(arn, ":table/"+name) {
		p.failf("ARN %q does not end in :table/%s", arn, name)
	}
}

func tableDuplicate(p *probe) {
	name := p.table()
	p.refused(errOf(p.dynamo.CreateTable(p.ctx, schema{}.input(name))), "ResourceInUseException", "create again")
}

func tableMissing(p *probe) {
	name := unique()
	p.refused(errOf(p.dynamo.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &name, Key: key("a")})), notFound, "get")
	p.refused(p.tryPut(name, key("a")), notFound, "put")
	p.refused(errOf(p.update(name, change{set: "SET n = :n", values: item{":n": num("1")}})), notFound, "update")
	p.refused(errOf(p.dynamo.DeleteItem(p.ctx, &dynamodb.DeleteItemInput{TableName: &name, Key: key("a")})), notFound, "delete")
	p.refused(errOf(p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &name})), notFound, "scan")
	p.refused(errOf(p.dynamo.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name})), notFound, "describe")
}

func tableDelete(p *probe) {
	name := p.table()
	p.ok(errOf(p.dynamo.DeleteTable(p.ctx, &dynamodb.DeleteTableInput{TableName: &name})), "delete table")
	p.eventually("the table is gone", func() bool {
		_, err := p.dynamo.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &name})
		return err != nil
	})
	p.refused(errOf(p.dynamo.DeleteTable(p.ctx, &dynamodb.DeleteTableInput{TableName: &name})), notFound, "delete again")
}

func tableListPages(p *probe) {
	want := []string{p.table(), p.table(), p.table()}
	var found []string
	for pages := dynamodb.NewListTablesPaginator(p.dynamo, &dynamodb.ListTablesInput{Limit: aws.Int32(2)}); pages.HasMorePages(); {
		page, err := pages.NextPage(p.ctx)
		p.ok(err, "list")
		if len(page.TableNames) > 2 {
			p.failf("a page of %d names, limit 2", len(page.TableNames))
		}
		found = append(found, page.TableNames...)
	}
	for _, name := range want {
		if n := len(found) - len(slices.DeleteFunc(slices.Clone(found), func(s string) bool { return s == name })); n != 1 {
			p.failf("table listed %d times", n)
		}
	}
}

func tableUndefinedKey(p *probe) {
	in := schema{sort: types.ScalarAttributeTypeS}.input(unique())
	in.AttributeDefinitions = in.AttributeDefinitions[:1]
	p.refused(errOf(p.dynamo.CreateTable(p.ctx, in)), invalid, "create without the definition of sk")
}

func tableUnusedDefinition(p *probe) {
	in := schema{attributes: map[string]types.ScalarAttributeType{"other": types.ScalarAttributeTypeS}}.input(unique())
	p.refused(errOf(p.dynamo.CreateTable(p.ctx, in)), invalid, "create with a definition that no key uses")
}

func tableShortName(p *probe) {
	p.refused(errOf(p.dynamo.CreateTable(p.ctx, schema{}.input("ab"))), invalid, "create with a name of two characters")
}

func tableKeyTypes(p *probe) {
	table := p.tableOf(schema{hash: types.ScalarAttributeTypeN, sort: types.ScalarAttributeTypeB})
	p.put(table, item{"pk": num("1.50"), "sk": bin(0, 255), "v": str("first")})
	p.put(table, item{"pk": num("15e-1"), "sk": bin(0, 255), "v": str("second")})
	p.sameItem(item{"pk": num("1.5"), "sk": bin(0, 255), "v": str("second")},
		p.get(table, rangeKey(num("1.5"), bin(0, 255))), "item")
	out, err := p.dynamo.Scan(p.ctx, &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)})
	p.ok(err, "scan")
	p.equal(int32(1), out.Count, "items")
}

func ttlChecks() []check {
	const page = "UpdateTimeToLive, Amazon DynamoDB API Reference"
	return []check{
		{"dynamodb/ttl/disabled-at-first", "DescribeTimeToLive, Amazon DynamoDB API Reference", "A new table has time to live disabled.",
			func(p *probe) { p.equal(types.TimeToLiveStatusDisabled, p.ttl(p.table()).TimeToLiveStatus, "status") }},
		{"dynamodb/ttl/enable", page, "Time to live is enabled for one attribute, and described so.", onTable(ttlEnable)},
		{"dynamodb/ttl/enable-twice-refused", page, "Enabling time to live for a second attribute is refused.", onTable(ttlTwice)},
		{"dynamodb/ttl/missing-table", page, "Time to live of a table that does not exist is refused.", ttlMissingTable},
		{"dynamodb/ttl/expired-item-is-read", "Working with expired items and time to live (TTL), Developer Guide",
			"An item that has just expired is deleted later: until then it is read and its conditions hold.", onTable(ttlLate)},
	}
}

func (p *probe) enableTTL(table, attribute string) error {
	_, err := p.dynamo.UpdateTimeToLive(p.ctx, &dynamodb.UpdateTimeToLiveInput{TableName: &table,
		TimeToLiveSpecification: &types.TimeToLiveSpecification{AttributeName: &attribute, Enabled: aws.Bool(true)}})
	return err
}

func (p *probe) ttl(table string) *types.TimeToLiveDescription {
	out, err := p.dynamo.DescribeTimeToLive(p.ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &table})
	p.ok(err, "describe time to live")
	return out.TimeToLiveDescription
}

func ttlEnable(p *probe, table string) {
	p.ok(p.enableTTL(table, "exp"), "enable")
	got := p.ttl(table)
	p.equal("exp", aws.ToString(got.AttributeName), "attribute")
	if got.TimeToLiveStatus != types.TimeToLiveStatusEnabled && got.TimeToLiveStatus != types.TimeToLiveStatusEnabling {
		p.failf("status %s", got.TimeToLiveStatus)
	}
}

func ttlTwice(p *probe, table string) {
	p.ok(p.enableTTL(table, "exp"), "enable")
	p.refused(p.enableTTL(table, "other"), invalid, "enable for another attribute")
}

func ttlMissingTable(p *probe) {
	name := unique()
	p.refused(p.enableTTL(name, "exp"), notFound, "enable")
	p.refused(errOf(p.dynamo.DescribeTimeToLive(context.WithoutCancel(p.ctx), &dynamodb.DescribeTimeToLiveInput{TableName: &name})), notFound, "describe")
}

func ttlLate(p *probe, table string) {
	p.ok(p.enableTTL(table, "exp"), "enable")
	it := item{"pk": str("a"), "exp": epoch(time.Now().Add(-time.Minute))}
	p.put(table, it)
	p.stored(table, it)
	p.refused(errOf(p.update(table, change{set: "SET n = :n", cond: "attribute_not_exists(pk)", values: item{":n": num("1")}})), conditionFailed, "a condition that wants no item")
}
