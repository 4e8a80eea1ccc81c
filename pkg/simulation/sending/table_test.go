package sending

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/local/aws/dynamodb/expr"
	"tollgate/pkg/local/aws/dynamodb/number"
	"tollgate/pkg/local/aws/dynamodb/value"
)

// table is the simulated DynamoDB, which evaluates expressions with the embedded service's parser.
type table struct {
	dynamostore.Client // panics for the calls that nothing here makes
	w                  *world
	items              map[string]value.Item
}

type attributes = map[string]types.AttributeValue

func keyOf(key attributes) string { return key["pk"].(*types.AttributeValueMemberS).Value }

// GetItem implements dynamostore.Client.
func (t *table) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	return ask(t.w, ctx, "GetItem", keyOf(in.Key), func(*proc) (*dynamodb.GetItemOutput, error) {
		out := &dynamodb.GetItemOutput{}
		if !aws.ToBool(in.ConsistentRead) {
			t.w.violate("%s is read eventually consistent", keyOf(in.Key))
		}
		if found, ok := t.items[keyOf(in.Key)]; ok {
			out.Item = toSDK(found)
		}
		return out, nil
	})
}

// UpdateItem implements dynamostore.Client.
func (t *table) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	key := keyOf(in.Key)
	return ask(t.w, ctx, opOf(in), key, func(p *proc) (*dynamodb.UpdateItemOutput, error) {
		params, err := expr.NewParams(in.ExpressionAttributeNames, fromSDK(in.ExpressionAttributeValues))
		if err != nil {
			return nil, err
		}
		old := t.items[key]
		if err := holds(params, in.ConditionExpression, old); err != nil {
			return nil, err
		}
		u, err := params.Update(*in.UpdateExpression)
		if err != nil {
			return nil, err
		}
		base := old
		if base == nil {
			base = value.Item{"pk": value.Of(key)}
		}
		fresh, err := u.Apply(base)
		if err != nil {
			return nil, err
		}
		t.put(p, key, old, fresh)
		return &dynamodb.UpdateItemOutput{Attributes: toSDK(fresh)}, nil
	})
}

// opOf names an update.
func opOf(in *dynamodb.UpdateItemInput) string {
	values := in.ExpressionAttributeValues
	switch {
	case values[":cutoff"] != nil:
		return "Begin"
	case values[":end"] != nil:
		return "End"
	case values[":disabled"] != nil:
		return "Reopen"
	case in.ConditionExpression == nil:
		return "Number"
	}
	return "MarkSent"
}

// PutItem implements dynamostore.Client.
func (t *table) PutItem(ctx context.Context, in *dynamodb.PutItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.PutItemOutput, error) {
	key := keyOf(in.Item)
	err := t.w.call(ctx, "PutItem", key, func(p *proc) error {
		params, err := expr.NewParams(in.ExpressionAttributeNames, fromSDK(in.ExpressionAttributeValues))
		if err != nil {
			return err
		}
		if err := holds(params, in.ConditionExpression, t.items[key]); err != nil {
			return err
		}
		t.put(p, key, t.items[key], fromSDK(in.Item))
		return nil
	})
	return &dynamodb.PutItemOutput{}, err
}

// holds returns the refusal of a condition that does not hold.
func holds(params *expr.Params, condition *string, old value.Item) error {
	if condition == nil {
		return nil
	}
	c, err := params.Condition("ConditionExpression", *condition)
	if err != nil {
		return err
	}
	if !c.Match(old) {
		return &types.ConditionalCheckFailedException{Message: aws.String("The conditional request failed"), Item: toSDK(old)}
	}
	return nil
}

func (t *table) put(p *proc, key string, old, fresh value.Item) {
	t.items[key] = fresh
	t.w.written(p, key, old, fresh)
}

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
	case *types.AttributeValueMemberN:
		n, err := number.Parse(v.Value)
		if err != nil {
			panic(err)
		}
		return value.Value{Type: value.Num, Num: n}
	case *types.AttributeValueMemberL:
		list := make([]value.Value, len(v.Value))
		for i := range v.Value {
			list[i] = valueOf(v.Value[i])
		}
		return value.Value{Type: value.List, List: list}
	case *types.AttributeValueMemberM:
		return value.Value{Type: value.Map, Map: fromSDK(v.Value)}
	}
	return value.Of(v.(*types.AttributeValueMemberS).Value)
}

func toSDK(in value.Item) attributes {
	if in == nil {
		return nil
	}
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
	case value.List:
		list := make([]types.AttributeValue, len(v.List))
		for i := range v.List {
			list[i] = sdkOf(v.List[i])
		}
		return &types.AttributeValueMemberL{Value: list}
	case value.Map:
		return &types.AttributeValueMemberM{Value: toSDK(v.Map)}
	}
	return &types.AttributeValueMemberS{Value: v.Text}
}
