package conformance

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

const (
	conditionFailed = "ConditionalCheckFailedException"
	invalid         = "ValidationException"
	notFound        = "ResourceNotFoundException"
	canceled        = "TransactionCanceledException"
)

type (
	value = types.AttributeValue
	item  = map[string]value
)

func str(s string) value         { return &types.AttributeValueMemberS{Value: s} }
func num(n string) value         { return &types.AttributeValueMemberN{Value: n} }
func bin(b ...byte) value        { return &types.AttributeValueMemberB{Value: b} }
func boolean(b bool) value       { return &types.AttributeValueMemberBOOL{Value: b} }
func null() value                { return &types.AttributeValueMemberNULL{Value: true} }
func list(v ...value) value      { return &types.AttributeValueMemberL{Value: append([]value{}, v...)} }
func doc(m item) value           { return &types.AttributeValueMemberM{Value: m} }
func strSet(s ...string) value   { return &types.AttributeValueMemberSS{Value: s} }
func numSet(n ...string) value   { return &types.AttributeValueMemberNS{Value: n} }
func binSet(b ...[]byte) value   { return &types.AttributeValueMemberBS{Value: b} }
func key(pk string) item         { return item{"pk": str(pk)} }
func rangeKey(pk, sk value) item { return item{"pk": pk, "sk": sk} }

// show writes a value so that equal values have equal texts: sets and maps sorted.
func show(v value) string {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return strconv.Quote(v.Value)
	case *types.AttributeValueMemberN:
		return v.Value
	case *types.AttributeValueMemberB:
		return "0x" + hex.EncodeToString(v.Value)
	case *types.AttributeValueMemberBOOL:
		return strconv.FormatBool(v.Value)
	case *types.AttributeValueMemberNULL:
		return "null"
	case *types.AttributeValueMemberL:
		return "[" + showAll(v.Value, show, false) + "]"
	case *types.AttributeValueMemberM:
		return showItem(v.Value)
	case *types.AttributeValueMemberSS:
		return "<" + showAll(v.Value, strconv.Quote, true) + ">"
	case *types.AttributeValueMemberNS:
		return "<" + showAll(v.Value, func(n string) string { return n }, true) + ">"
	case *types.AttributeValueMemberBS:
		return "<" + showAll(v.Value, func(b []byte) string { return "0x" + hex.EncodeToString(b) }, true) + ">"
	}
	return fmt.Sprintf("unknown %T", v)
}

func showAll[T any](all []T, one func(T) string, sorted bool) string {
	texts := make([]string, len(all))
	for i, v := range all {
		texts[i] = one(v)
	}
	if sorted {
		slices.Sort(texts)
	}
	return strings.Join(texts, ", ")
}

func showItem(it item) string {
	texts := make([]string, 0, len(it))
	for _, name := range slices.Sorted(maps.Keys(it)) {
		texts = append(texts, name+": "+show(it[name]))
	}
	return "{" + strings.Join(texts, ", ") + "}"
}

func showItems(all []item) string { return showAll(all, showItem, false) }

// sameItem compares items by their texts, where a number has one form only.
func (p *probe) sameItem(want, got item, what string) {
	p.equal(showItem(want), showItem(got), what)
}

// schema is what a check's table looks like; the zero value has a string key pk alone.
type schema struct {
	hash, sort types.ScalarAttributeType // of pk and sk; no sort key when empty
	attributes map[string]types.ScalarAttributeType
	indexes    []types.GlobalSecondaryIndex
}

func (s schema) input(name string) *dynamodb.CreateTableInput {
	if s.hash == "" {
		s.hash = types.ScalarAttributeTypeS
	}
	in := &dynamodb.CreateTableInput{
		TableName:              &name,
		BillingMode:            types.BillingModePayPerRequest,
		KeySchema:              []types.KeySchemaElement{hashKey("pk")},
		AttributeDefinitions:   []types.AttributeDefinition{{AttributeName: aws.String("pk"), AttributeType: s.hash}},
		GlobalSecondaryIndexes: s.indexes,
	}
	if s.sort != "" {
		in.KeySchema = append(in.KeySchema, sortKey("sk"))
		in.AttributeDefinitions = append(in.AttributeDefinitions,
			types.AttributeDefinition{AttributeName: aws.String("sk"), AttributeType: s.sort})
	}
	for attribute, kind := range s.attributes {
		in.AttributeDefinitions = append(in.AttributeDefinitions,
			types.AttributeDefinition{AttributeName: aws.String(attribute), AttributeType: kind})
	}
	return in
}

func hashKey(name string) types.KeySchemaElement {
	return types.KeySchemaElement{AttributeName: &name, KeyType: types.KeyTypeHash}
}

func sortKey(name string) types.KeySchemaElement {
	return types.KeySchemaElement{AttributeName: &name, KeyType: types.KeyTypeRange}
}

// index is a global secondary index over the attributes hash and, if not empty, sort.
func index(name, hash, sort string) types.GlobalSecondaryIndex {
	keys := []types.KeySchemaElement{hashKey(hash)}
	if sort != "" {
		keys = append(keys, sortKey(sort))
	}
	return types.GlobalSecondaryIndex{IndexName: &name, KeySchema: keys, Projection: projectAll()}
}

func projectAll() *types.Projection {
	return &types.Projection{ProjectionType: types.ProjectionTypeAll}
}

// table makes a table with a string key pk and returns its name.
func (p *probe) table() string { return p.tableOf(schema{}) }

func (p *probe) tableOf(s schema) string {
	name := unique()
	p.ok(errOf(p.dynamo.CreateTable(p.ctx, s.input(name))), "create table")
	p.atEnd(func(ctx context.Context) { p.dynamo.DeleteTable(ctx, &dynamodb.DeleteTableInput{TableName: &name}) })
	p.awaitActive(name)
	return name
}

func (p *probe) awaitActive(table string) {
	p.eventually("table "+table+" is active", func() bool {
		out, err := p.dynamo.DescribeTable(p.ctx, &dynamodb.DescribeTableInput{TableName: &table})
		if _, missing := errors.AsType[*types.ResourceNotFoundException](err); missing {
			return false
		}
		p.ok(err, "describe table")
		for _, i := range out.Table.GlobalSecondaryIndexes {
			if i.IndexStatus != types.IndexStatusActive {
				return false
			}
		}
		return out.Table.TableStatus == types.TableStatusActive
	})
}

func (p *probe) put(table string, items ...item) {
	for _, it := range items {
		p.ok(p.tryPut(table, it), "put "+abbreviated(showItem(it)))
	}
}

func abbreviated(s string) string {
	if len(s) > 200 {
		return s[:200] + "…"
	}
	return s
}

func (p *probe) tryPut(table string, it item) error {
	_, err := p.dynamo.PutItem(p.ctx, &dynamodb.PutItemInput{TableName: &table, Item: it})
	return err
}

// get reads consistently; the item is nil if there is none.
func (p *probe) get(table string, k item) item {
	out, err := p.dynamo.GetItem(p.ctx, &dynamodb.GetItemInput{TableName: &table, Key: k, ConsistentRead: aws.Bool(true)})
	p.ok(err, "get "+showItem(k))
	return out.Item
}

// stored wants the table to hold exactly this under the item's key.
func (p *probe) stored(table string, want item) {
	k := item{"pk": want["pk"]}
	if sk, ok := want["sk"]; ok {
		k["sk"] = sk
	}
	p.sameItem(want, p.get(table, k), "stored item")
}

// change is an UpdateItem in short.
type change struct {
	key    item
	set    string // the update expression, whatever its first word
	cond   string
	names  map[string]string
	values item
	ret    types.ReturnValue
	allOld bool // give the stored item with a refused condition
}

func (c change) input(table string) *dynamodb.UpdateItemInput {
	in := &dynamodb.UpdateItemInput{
		TableName: &table, Key: c.key, ReturnValues: c.ret,
		UpdateExpression: optional(c.set), ConditionExpression: optional(c.cond),
		ExpressionAttributeNames: c.names, ExpressionAttributeValues: c.values,
	}
	if c.key == nil {
		in.Key = key("a")
	}
	if c.set == "" && c.cond != "" {
		in.UpdateExpression = aws.String("REMOVE untouched") // a condition needs no update, but not every target knows that
	}
	if c.allOld {
		in.ReturnValuesOnConditionCheckFailure = types.ReturnValuesOnConditionCheckFailureAllOld
	}
	return in
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (p *probe) update(table string, c change) (item, error) {
	out, err := p.dynamo.UpdateItem(p.ctx, c.input(table))
	if err != nil {
		return nil, err
	}
	return out.Attributes, nil
}

// failedWith wants a refused condition that carries exactly this item (nil: none).
func (p *probe) failedWith(err error, want item) {
	p.refused(err, conditionFailed, "conditional write")
	refusal, ok := errors.AsType[*types.ConditionalCheckFailedException](err)
	if !ok {
		p.failf("error %T is not the typed exception", err)
	}
	p.sameItem(want, refusal.Item, "item in the refusal")
}

// updates makes a check: the item "a" holds before, the change succeeds, the item holds after.
func updates(before item, c change, after item) func(*probe) {
	return func(p *probe) {
		table := p.table()
		p.put(table, with(key("a"), before))
		p.ok(errOf(p.update(table, c)), c.set)
		p.stored(table, with(key("a"), after))
	}
}

// refuses makes a check: the change is refused as invalid, in words that have the texts, and nothing changes.
func refuses(before item, c change, texts ...string) func(*probe) {
	return func(p *probe) {
		table := p.table()
		p.put(table, with(key("a"), before))
		stored := p.get(table, key("a"))
		p.refusedSaying(errOf(p.update(table, c)), invalid, c.set+" if "+c.cond, texts...)
		p.stored(table, stored)
	}
}

func with(a, b item) item {
	both := maps.Clone(a)
	maps.Copy(both, b)
	return both
}

func epoch(t time.Time) value { return num(strconv.FormatInt(t.Unix(), 10)) }
