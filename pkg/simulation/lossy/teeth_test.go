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

	"tollgate/pkg/consumer"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
)

// TestMistakesShow builds the workers wrong and wants the judge to see it.
func TestMistakesShow(t *testing.T) {
	var opened atomic.Int64
	tests := []struct {
		name string
		flaw flaw
		sees string
	}{
		{"writes without the fence", flaw{client: func(c dynamostore.Client) dynamostore.Client { return unfenced{c, &opened} }}, "has 2 facts"},
		{"effects outside the transaction, before it", flaw{client: func(c dynamostore.Client) dynamostore.Client { return apart{c, true} }}, "has 2 facts"},
		{"effects outside the transaction, after it", flaw{client: func(c dynamostore.Client) dynamostore.Client { return apart{c, false} }}, "has 0 facts"},
		{"a store that is down read as done", flaw{store: func(s consumer.Store) consumer.Store { return hasty{s} }}, "has 0 facts"},
	}
	t.Run("all", func(t *testing.T) {
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, size{fewer, 4, 24, 50, *seed}, short(), tt.flaw, "")
				w.send()
				took := w.run()
				wrong := w.judge()
				t.Logf("%v, %d things wrong: %.150s", took.Round(time.Millisecond), len(wrong), strings.Join(wrong, "; "))
				if !slices.ContainsFunc(wrong, func(s string) bool { return strings.Contains(s, tt.sees) }) {
					t.Errorf("none of %d complaints says that an event %s", len(wrong), tt.sees)
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

// hasty takes an error of the store for an event that was done before.
type hasty struct{ consumer.Store }

func (h hasty) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	r, err := h.Store.Claim(ctx, req)
	if err != nil {
		return idempotency.ClaimResult{Verdict: idempotency.Duplicate}, nil
	}
	return r, nil
}
