package simulation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/number"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// table is the simulated DynamoDB: one table, which evaluates expressions with the embedded
// service's parser.
type table struct {
	sc     *scenario
	items  map[string]value.Item
	tokens map[string]token
	before map[string]version // of items that were just written
}

// version is what an item was until it was written: an eventually consistent read may still return it.
type version struct {
	item  value.Item
	until time.Time
}

// indexLag is how long such a read may lag behind.
const indexLag = time.Second

// maybeStale returns an item as an eventually consistent read may see it.
func (t *table) maybeStale(key string) (value.Item, bool) {
	if v, ok := t.before[key]; ok && time.Since(v.until) < indexLag && t.sc.rng.IntN(2) == 0 {
		return v.item, v.item != nil
	}
	found, ok := t.items[key]
	return found, ok
}

// token is the content that a client token belongs to, for ten minutes.
type token struct {
	content string
	until   time.Time
}

const tokenLife = 10 * time.Minute

type attributes = map[string]types.AttributeValue

// UpdateItem implements dynamostore.Client.
func (t *table) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (out *dynamodb.UpdateItemOutput, err error) {
	key := keyOf(in.Key)
	t.sc.begins(procOf(ctx), key, in.ExpressionAttributeValues)
	u := t.sc.ofRelease(procOf(ctx), types.Update{UpdateExpression: in.UpdateExpression, ExpressionAttributeValues: in.ExpressionAttributeValues})
	err = t.sc.clients.store.do(t.sc, ctx, opUpdate, key, func() error {
		old, fresh, err := t.evaluate(key, aws.ToString(in.ConditionExpression), aws.ToString(u.UpdateExpression), in.ExpressionAttributeNames, u.ExpressionAttributeValues)
		if err != nil {
			return err
		}
		if fresh == nil {
			return &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed"), Item: toSDK(old)}
		}
		t.put(procOf(ctx), key, fresh, in.ExpressionAttributeValues)
		out = &dynamodb.UpdateItemOutput{Attributes: toSDK(fresh)}
		return nil
	})
	return out, err
}

// TransactWriteItems implements dynamostore.Client.
func (t *table) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, _ ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	subject := "without a record"
	if u, put := in.TransactItems[0].Update, in.TransactItems[0].Put; u != nil {
		subject = keyOf(u.Key)
	} else if key := keyOf(put.Item); strings.HasPrefix(key, recordPrefix) {
		subject = key
	}
	err := t.sc.clients.store.do(t.sc, ctx, opTransact, subject, func() error { return t.transact(procOf(ctx), in) })
	return &dynamodb.TransactWriteItemsOutput{}, err
}

func (t *table) transact(p *proc, in *dynamodb.TransactWriteItemsInput) error {
	content := fmt.Sprint(len(in.TransactItems), render(in.TransactItems))
	if known, ok := t.tokens[aws.ToString(in.ClientRequestToken)]; ok && time.Now().Before(known.until) {
		if known.content != content {
			return &types.IdempotentParameterMismatchException{Message: aws.String("mismatch")}
		}
		t.sc.count("the same transaction comes again")
		return nil
	}
	reasons := make([]types.CancellationReason, len(in.TransactItems))
	writes := make([]func(), 0, len(in.TransactItems))
	failed := false
	for i, action := range in.TransactItems {
		reasons[i] = types.CancellationReason{Code: aws.String("None")}
		write, old, err := t.action(p, action)
		if err != nil {
			return err
		}
		if write == nil {
			failed = true
			reasons[i] = types.CancellationReason{Code: aws.String("ConditionalCheckFailed"), Message: aws.String("The conditional request failed"), Item: toSDK(old)}
			continue
		}
		writes = append(writes, write)
	}
	if failed {
		return &types.TransactionCanceledException{Message: aws.String("Transaction cancelled"), CancellationReasons: reasons}
	}
	// Effects first, so that the record's write is checked against them.
	for i := len(writes) - 1; i >= 0; i-- {
		writes[i]()
	}
	if in.ClientRequestToken != nil {
		t.tokens[*in.ClientRequestToken] = token{content, time.Now().Add(tokenLife)}
	}
	return nil
}

// action returns what one part of a transaction writes, nil if its condition fails.
func (t *table) action(p *proc, a types.TransactWriteItem) (write func(), old value.Item, err error) {
	switch {
	case a.Update != nil:
		key, u := keyOf(a.Update.Key), t.sc.ofRelease(p, *a.Update)
		old, fresh, err := t.evaluate(key, aws.ToString(u.ConditionExpression), aws.ToString(u.UpdateExpression), u.ExpressionAttributeNames, u.ExpressionAttributeValues)
		if err != nil || fresh == nil {
			return nil, old, err
		}
		return func() { t.put(p, key, fresh, a.Update.ExpressionAttributeValues) }, nil, nil
	case a.Put != nil:
		fresh := fromSDK(a.Put.Item)
		key := fresh["pk"].Text
		held, err := t.holds(key, aws.ToString(a.Put.ConditionExpression), a.Put.ExpressionAttributeNames, a.Put.ExpressionAttributeValues)
		if err != nil || !held {
			if a.Put.ReturnValuesOnConditionCheckFailure == types.ReturnValuesOnConditionCheckFailureAllOld {
				old = t.items[key]
			}
			return nil, old, err
		}
		return func() { t.put(p, key, fresh, nil) }, nil, nil
	default:
		c := a.ConditionCheck
		held, err := t.holds(keyOf(c.Key), aws.ToString(c.ConditionExpression), c.ExpressionAttributeNames, c.ExpressionAttributeValues)
		if err != nil || !held {
			return nil, nil, err
		}
		return func() {}, nil, nil
	}
}

// evaluate returns the item before and after an update; after is nil when refused.
func (t *table) evaluate(key, condition, update string, names map[string]string, values attributes) (old, fresh value.Item, err error) {
	old = t.items[key]
	p, err := expr.NewParams(names, fromSDK(values))
	if err != nil {
		return nil, nil, err
	}
	if condition != "" {
		c, err := p.Condition("ConditionExpression", condition)
		if err != nil || !c.Match(old) {
			return old, nil, err
		}
	}
	u, err := p.Update(update)
	if err != nil {
		return nil, nil, err
	}
	base := old
	if base == nil {
		base = value.Item{"pk": value.Of(key)}
	}
	fresh, err = u.Apply(base)
	return old, fresh, err
}

func (t *table) holds(key, condition string, names map[string]string, values attributes) (bool, error) {
	if condition == "" {
		return true, nil
	}
	p, err := expr.NewParams(names, fromSDK(values))
	if err != nil {
		return false, err
	}
	c, err := p.Condition("ConditionExpression", condition)
	if err != nil {
		return false, err
	}
	return c.Match(t.items[key]), nil
}

// put stores an item and checks the invariants.
func (t *table) put(p *proc, key string, fresh value.Item, values attributes) {
	old := t.items[key]
	t.items[key], t.before[key] = fresh, version{old, time.Now()}
	t.sc.checkRow(key, old, fresh)
	t.sc.mailed(p, key, fresh)
	if strings.HasPrefix(key, recordPrefix) {
		t.sc.recordWritten(p, key, old, fresh, values)
	}
	if key == limits.KeyPause {
		t.sc.pausesWritten(p, fresh)
	}
}

// expire deletes items whose TTL has passed.
func (t *table) expire() {
	maps.DeleteFunc(t.items, func(key string, i item) bool {
		_, mortal := i["exp"]
		over := mortal && num(i, "exp") < time.Now().Unix()
		if over {
			t.sc.count("expires: a record")
		}
		return over
	})
}

// read is a handler's read of an item for an event. One fault must not fail it.
func (t *table) read(ctx context.Context, key, who string) (fields map[string]any, err error) {
	p, subject := procOf(ctx), key+" for "+who
	if had := left(ctx); had > 3*t.sc.limits.Try() {
		defer func() {
			if err != nil && t.sc.faultsOf(p, subject) < 2 {
				t.sc.report(p, "with %v left, a read of %s fails after one fault: %v", had, subject, err)
			}
		}()
	}
	err = t.sc.clients.rows.do(t.sc, ctx, opGet, subject, func() error {
		fields = map[string]any{}
		for name, v := range t.items[key] {
			if v.Type == value.Num {
				fields[name] = integer(v)
			} else {
				fields[name] = v.Text
			}
		}
		return nil
	})
	return fields, err
}

// GetItem implements dynamostore.ReaderClient, for operators' commands.
func (t *table) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	out := &dynamodb.GetItemOutput{}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // of the SDK's own transport
	defer cancel()
	err := t.sc.clients.operator.do(t.sc, ctx, opGet, keyOf(in.Key), func() error {
		if found, ok := t.items[keyOf(in.Key)]; ok {
			out.Item = toSDK(found)
		}
		return nil
	})
	return out, err
}

// BatchGetItem leaves keys unprocessed, as DynamoDB does under load.
func (t *table) BatchGetItem(ctx context.Context, in *dynamodb.BatchGetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.BatchGetItemOutput, error) {
	out := &dynamodb.BatchGetItemOutput{Responses: map[string][]attributes{}}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for name, ask := range in.RequestItems {
		err := t.sc.clients.operator.do(t.sc, ctx, opBatchGet, keyOf(ask.Keys[0]), func() error {
			var unread []attributes
			for i, key := range ask.Keys {
				found, ok := t.items[keyOf(key)]
				if !aws.ToBool(ask.ConsistentRead) {
					found, ok = t.maybeStale(keyOf(key))
				}
				switch {
				case i > 0 && t.sc.faulty(t.sc.plan.fault):
					unread = append(unread, key)
				case ok:
					out.Responses[name] = append(out.Responses[name], toSDK(found))
				}
			}
			if len(unread) > 0 {
				out.UnprocessedKeys = map[string]types.KeysAndAttributes{name: {Keys: unread, ConsistentRead: ask.ConsistentRead}}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PutItem implements dynamostore.Client, for records: notes are kept apart from the table.
func (t *table) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	key := keyOf(in.Item)
	err := t.sc.clients.store.do(t.sc, ctx, opPut, key, func() error {
		held, err := t.holds(key, aws.ToString(in.ConditionExpression), in.ExpressionAttributeNames, in.ExpressionAttributeValues)
		if err != nil {
			return err
		}
		if !held {
			return &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed"), Item: toSDK(t.items[key])}
		}
		fresh := fromSDK(in.Item)
		if t.sc.older(procOf(ctx)) {
			delete(fresh, "hist")
		}
		t.put(procOf(ctx), key, fresh, nil)
		return nil
	})
	return &dynamodb.PutItemOutput{}, err
}

// Query reads a partition of the index of open records, which lags behind the table.
func (t *table) Query(ctx context.Context, in *dynamodb.QueryInput, _ ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	if aws.ToString(in.IndexName) != dynamostore.OpenIndex {
		panic("the simulation does not list")
	}
	out := &dynamodb.QueryOutput{}
	shard := valueOf(in.ExpressionAttributeValues[":shard"]).Text
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err := t.sc.clients.operator.do(t.sc, ctx, opOpen, shard, func() error {
		out.Items = nil
		for _, key := range slices.Sorted(maps.Keys(t.items)) {
			if found, ok := t.maybeStale(key); ok && found["open"].Text == shard {
				out.Items = append(out.Items, toSDK(found))
			}
		}
		return nil
	})
	return out, err
}

// Scan is not used by a scenario.
func (t *table) Scan(context.Context, *dynamodb.ScanInput, ...func(*dynamodb.Options)) (*dynamodb.ScanOutput, error) {
	panic("the simulation does not list")
}

func keyOf(key attributes) string { return key["pk"].(*types.AttributeValueMemberS).Value }

func fromSDK(in attributes) value.Item {
	if in == nil {
		return nil // a request without values, not one with none
	}
	out := make(value.Item, len(in))
	for name, v := range in {
		out[name] = valueOf(v)
	}
	return out
}

func valueOf(v types.AttributeValue) value.Value {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return value.Of(v.Value)
	case *types.AttributeValueMemberN:
		n, err := number.Parse(v.Value)
		if err != nil {
			panic(err)
		}
		return value.Value{Type: value.Num, Num: n}
	case *types.AttributeValueMemberBOOL:
		return value.Value{Type: value.Bool, Bool: v.Value}
	case *types.AttributeValueMemberNULL:
		return value.Value{Type: value.Null}
	case *types.AttributeValueMemberM:
		return value.Value{Type: value.Map, Map: fromSDK(v.Value)}
	case *types.AttributeValueMemberL:
		list := make([]value.Value, len(v.Value))
		for i := range v.Value {
			list[i] = valueOf(v.Value[i])
		}
		return value.Value{Type: value.List, List: list}
	}
	panic(fmt.Sprintf("the scenario writes no %T", v))
}

func toSDK(in value.Item) attributes {
	out := make(attributes, len(in))
	for name, v := range in {
		out[name] = sdkOf(v)
	}
	return out
}

func sdkOf(v value.Value) types.AttributeValue {
	switch v.Type {
	case value.Num:
		return &types.AttributeValueMemberN{Value: v.Num.String()}
	case value.Bool:
		return &types.AttributeValueMemberBOOL{Value: v.Bool}
	case value.Null:
		return &types.AttributeValueMemberNULL{Value: true}
	case value.Map:
		return &types.AttributeValueMemberM{Value: toSDK(v.Map)}
	case value.List:
		list := make([]types.AttributeValue, len(v.List))
		for i := range v.List {
			list[i] = sdkOf(v.List[i])
		}
		return &types.AttributeValueMemberL{Value: list}
	default:
		return &types.AttributeValueMemberS{Value: v.Text}
	}
}

// render is a transaction's content, as a client token compares it.
func render(actions []types.TransactWriteItem) string {
	var b strings.Builder
	for _, a := range actions {
		switch {
		case a.Update != nil:
			fmt.Fprint(&b, "U", aws.ToString(a.Update.UpdateExpression), text(a.Update.ExpressionAttributeValues))
		case a.Put != nil:
			fmt.Fprint(&b, "P", aws.ToString(a.Put.ConditionExpression), text(a.Put.Item))
		default:
			fmt.Fprint(&b, "C", aws.ToString(a.ConditionCheck.ConditionExpression), text(a.ConditionCheck.Key))
		}
	}
	return b.String()
}

func text(in attributes) string {
	raw, err := fromSDK(in).MarshalJSON()
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// num reads a number of an item, 0 when it is absent.
func num(item value.Item, name string) int64 {
	v, ok := item[name]
	if !ok {
		return 0
	}
	return integer(v)
}

func integer(v value.Value) int64 {
	n, err := strconv.ParseInt(v.Num.String(), 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}
