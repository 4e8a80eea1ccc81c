package lossy_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dynamostore"
)

// TestMistakesShow builds the workers wrong and wants the check to see it, at the latest
// when the queue is empty. What it sees for each cannot be cured any more.
func TestMistakesShow(t *testing.T) {
	var opened atomic.Int64
	tests := []struct {
		name string
		flaw flaw
		sees string
	}{
		{"writes without the fence", func(c dynamostore.Client) dynamostore.Client { return unfenced{c, &opened} }, "has 2 facts"},
		{"effects outside the transaction, before it", func(c dynamostore.Client) dynamostore.Client { return apart{c, true} }, "has 2 facts"},
		{"effects outside the transaction, after it", func(c dynamostore.Client) dynamostore.Client { return apart{c, false} }, "does not name that attempt's fact"},
	}
	t.Run("all", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				sys := newSystem(t, size{fewer, 4, crew, 50, *seed}, short(), tt.flaw, "")
				sys.send()
				seen := func() bool {
					return slices.ContainsFunc(sys.check(), func(s string) bool { return strings.Contains(s, tt.sees) })
				}
				took := sys.run(func() bool { return seen() || sys.empty() })
				wrong := sys.check()
				t.Logf("%v, %d things wrong: %.150s", took.Round(time.Millisecond), len(wrong), strings.Join(wrong, "; "))
				if !seen() {
					t.Errorf("none of %d complaints is that an event %s", len(wrong), tt.sees)
				}
			})
		}
	})
	if opened.Load() == 0 {
		t.Error("no write lost its fence: the store's expression is another one now")
	}
}

// fence is the store's condition on every write after a claim, and unfence one that
// always holds and uses the same values.
const (
	fence   = "st=:running AND att=:att AND own=:own"
	unfence = "attribute_exists(pk) AND (st=:running OR st<>:running OR att=:att OR own=:own)"
)

// unfenced sends the store's writes without their fence.
type unfenced struct {
	dynamostore.Client
	writes *atomic.Int64
}

func (u unfenced) open(condition *string) *string {
	if aws.ToString(condition) != fence {
		return condition
	}
	u.writes.Add(1)
	return aws.String(unfence)
}

func (u unfenced) UpdateItem(ctx context.Context, in *dynamodb.UpdateItemInput, o ...func(*dynamodb.Options)) (*dynamodb.UpdateItemOutput, error) {
	other := *in
	other.ConditionExpression = u.open(in.ConditionExpression)
	return u.Client.UpdateItem(ctx, &other, o...)
}

func (u unfenced) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	other := *in
	other.TransactItems = slices.Clone(in.TransactItems)
	record := *in.TransactItems[0].Update
	record.ConditionExpression = u.open(record.ConditionExpression)
	other.TransactItems[0].Update = &record
	return u.Client.TransactWriteItems(ctx, &other, o...)
}

// apart commits the record and the effects one after the other, each with its condition.
type apart struct {
	dynamostore.Client
	effectsFirst bool
}

func (a apart) TransactWriteItems(ctx context.Context, in *dynamodb.TransactWriteItemsInput, o ...func(*dynamodb.Options)) (*dynamodb.TransactWriteItemsOutput, error) {
	parts := [][]types.TransactWriteItem{in.TransactItems[:1], in.TransactItems[1:]}
	if a.effectsFirst {
		slices.Reverse(parts)
	}
	for _, part := range parts {
		out, err := a.Client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: part}, o...)
		if err != nil {
			return out, err
		}
	}
	return &dynamodb.TransactWriteItemsOutput{}, nil
}
