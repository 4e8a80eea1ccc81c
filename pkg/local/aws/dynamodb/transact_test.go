package dynamodb

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

func txUpdate(key, update string, values attrs) types.TransactWriteItem {
	return types.TransactWriteItem{Update: &types.Update{TableName: aws.String("things"), Key: attrs{"pk": str(key)}, UpdateExpression: &update, ExpressionAttributeValues: values}}
}

func (s *server) transact(token string, items ...types.TransactWriteItem) error {
	in := &sdk.TransactWriteItemsInput{TransactItems: items}
	if token != "" {
		in.ClientRequestToken = &token
	}
	_, err := s.TransactWriteItems(context.Background(), in)
	return err
}

func (s *server) wantItems(want map[string]attrs) {
	s.t.Helper()
	for key, item := range want {
		if diff := cmp.Diff(item, s.get("things", attrs{"pk": str(key)}), sameAttrs); diff != "" {
			s.t.Errorf("item %s (-want +got)\n%s", key, diff)
		}
	}
}

// clock is a time that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newClock() *clock { return &clock{now: time.Unix(1_700_000_000, 0)} }

func TestClientTokenIsRememberedForTenMinutes(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := newServer(t, Options{Now: c.Now})
	s.table("things", "pk", "")
	add := txUpdate("a", "ADD n :one", attrs{":one": num("1")})
	other := txUpdate("a", "ADD n :one", attrs{":one": num("2")})
	const mismatch = "IdempotentParameterMismatchException: The provided client token was already used with different request parameters"
	steps := []struct {
		name string
		do   func()
		item types.TransactWriteItem
		n    string
		err  string
	}{
		{"first", func() {}, add, "1", ""},
		{"repeated", func() {}, add, "1", ""},
		{"with other parameters", func() {}, other, "1", mismatch},
		{"after a restart", s.reopen, add, "1", ""},
		{"with other parameters after a restart", s.reopen, other, "1", mismatch},
		{"at the end of its life", func() { c.add(tokenLife - time.Millisecond) }, add, "1", ""},
		{"after its life", func() { c.add(time.Millisecond) }, add, "2", ""},
		{"swept, it lives on", func() {
			check(t, s.db.sweep())
		}, add, "2", ""},
		{"swept after its life", func() {
			c.add(tokenLife)
			check(t, s.db.sweep())
		}, other, "4", ""},
	}
	for _, step := range steps {
		step.do()
		t.Run(step.name, func(t *testing.T) {
			wantError(t, s.transact("token", step.item), step.err)
			if got := s.get("things", attrs{"pk": str("a")})["n"].(*types.AttributeValueMemberN).Value; got != step.n {
				t.Errorf("n = %s, want %s", got, step.n)
			}
		})
	}
}

// Sixty-four transactions that each move one unit between two items, at once:
// each sees the whole of every other one or nothing of it.
func TestTransactionsAreIsolated(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	s.put("things", attrs{"pk": str("a"), "n": num("40")})
	s.put("things", attrs{"pk": str("b"), "n": num("0")})
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 64 {
		wg.Go(func() {
			take := txUpdate("a", "SET n = n - :one", attrs{":one": num("1")})
			take.Update.ConditionExpression = aws.String("n >= :one")
			err := s.transact("", take, txUpdate("b", "SET n = n + :one", attrs{":one": num("1")}))
			var cancelled *types.TransactionCanceledException
			if err != nil && !errors.As(err, &cancelled) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				done++
			}
		})
	}
	wg.Wait()
	if done != 40 {
		t.Errorf("%d transactions went through, want 40", done)
	}
	s.wantItems(map[string]attrs{"a": {"pk": str("a"), "n": num("0")}, "b": {"pk": str("b"), "n": num("40")}})
}
