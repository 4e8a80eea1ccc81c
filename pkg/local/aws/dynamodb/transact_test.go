package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
)

func txPut(item attrs, condition string) types.TransactWriteItem {
	p := &types.Put{TableName: aws.String("things"), Item: item}
	if condition != "" {
		p.ConditionExpression = &condition
		p.ReturnValuesOnConditionCheckFailure = "ALL_OLD"
	}
	return types.TransactWriteItem{Put: p}
}

func txDelete(key string) types.TransactWriteItem {
	return types.TransactWriteItem{Delete: &types.Delete{TableName: aws.String("things"), Key: attrs{"pk": str(key)}}}
}

func txCheck(key, condition string) types.TransactWriteItem {
	return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{TableName: aws.String("things"), Key: attrs{"pk": str(key)}, ConditionExpression: &condition}}
}

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

func TestTransactionDoesAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	s.put("things", attrs{"pk": str("here"), "n": num("1")})
	s.put("things", attrs{"pk": str("old")})

	if err := s.transact("", txPut(attrs{"pk": str("new")}, "attribute_not_exists(pk)"), txUpdate("here", "ADD n :one", attrs{":one": num("1")}),
		txDelete("old"), txCheck("absent", "attribute_not_exists(pk)")); err != nil {
		t.Fatal(err)
	}
	want := map[string]attrs{"new": {"pk": str("new")}, "here": {"pk": str("here"), "n": num("2")}, "old": nil, "absent": nil}
	s.wantItems(want)

	err := s.transact("", txUpdate("here", "ADD n :one", attrs{":one": num("1")}), txPut(attrs{"pk": str("new"), "x": num("1")}, "attribute_not_exists(pk)"),
		txCheck("absent", "attribute_exists(pk)"), txUpdate("new", "SET a = b", nil))
	wantError(t, err, "ValidationException: Transaction request cannot include multiple operations on one item")

	err = s.transact("", txUpdate("here", "ADD n :one", attrs{":one": num("1")}), txPut(attrs{"pk": str("new"), "x": num("1")}, "attribute_not_exists(pk)"),
		txCheck("absent", "attribute_exists(pk)"), txUpdate("other", "SET a = b", nil))
	wantError(t, err, "TransactionCanceledException: Transaction cancelled, please refer cancellation reasons for specific reasons [None, ConditionalCheckFailed, ConditionalCheckFailed, ValidationError]")
	var cancelled *types.TransactionCanceledException
	if !errors.As(err, &cancelled) {
		t.Fatal(err)
	}
	var got []string
	for _, r := range cancelled.CancellationReasons {
		got = append(got, fmt.Sprintf("%s|%s|%d", aws.ToString(r.Code), aws.ToString(r.Message), len(r.Item)))
	}
	wantReasons := []string{"None||0", "ConditionalCheckFailed|The conditional request failed|1", "ConditionalCheckFailed|The conditional request failed|0",
		"ValidationError|The provided expression refers to an attribute that does not exist in the item|0"}
	if diff := cmp.Diff(wantReasons, got); diff != "" {
		t.Errorf("reasons (-want +got)\n%s", diff)
	}
	s.wantItems(want)
}

func (s *server) wantItems(want map[string]attrs) {
	s.t.Helper()
	for key, item := range want {
		if diff := cmp.Diff(item, s.get("things", attrs{"pk": str(key)}), sameAttrs); diff != "" {
			s.t.Errorf("item %s (-want +got)\n%s", key, diff)
		}
	}
}

func TestTransactionLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	var many, large []types.TransactWriteItem
	for i := range 101 {
		many = append(many, txPut(attrs{"pk": str(fmt.Sprint(i))}, ""))
	}
	for i := range 12 {
		large = append(large, txPut(attrs{"pk": str(fmt.Sprint(i)), "x": str(strings.Repeat("x", 399<<10))}, ""))
	}
	check := "attribute_exists(pk)"
	tests := []struct {
		name  string
		items []types.TransactWriteItem
		err   string
	}{
		{"101 items", many, "ValidationException: 1 validation error detected: Value '101' at 'transactItems' failed to satisfy constraint: Member must have length between 1 and 100"},
		{"100 items", many[:100], ""},
		{"over 4 MB", large, "ValidationException: Transaction request size exceeds the limit of 4 MB; size: 4902962"},
		{"twice the same", []types.TransactWriteItem{txDelete("a"), txPut(attrs{"pk": str("a")}, "")},
			"ValidationException: Transaction request cannot include multiple operations on one item"},
		{"no action", []types.TransactWriteItem{{}}, "ValidationException: Invalid Request: TransactWriteRequest should contain Delete or Put or Update request"},
		{"two actions", []types.TransactWriteItem{{Delete: txDelete("a").Delete, Put: txPut(attrs{"pk": str("b")}, "").Put}},
			"ValidationException: TransactItems can only contain one of Check, Put, Update or Delete"},
		{"no such table", []types.TransactWriteItem{{ConditionCheck: &types.ConditionCheck{TableName: aws.String("nowhere"), Key: attrs{"pk": str("a")}, ConditionExpression: &check}}},
			"ResourceNotFoundException: Requested resource not found"},
		{"wrong key", []types.TransactWriteItem{{Delete: &types.Delete{TableName: aws.String("things"), Key: attrs{"other": str("a")}}}},
			"TransactionCanceledException: Transaction cancelled, please refer cancellation reasons for specific reasons [ValidationError]"},
		{"syntax", []types.TransactWriteItem{txUpdate("a", "SETT a = b", nil)},
			`ValidationException: Invalid UpdateExpression: Syntax error; token: "SETT", near: "SETT a"`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) { wantError(t, s.transact("", tc.items...), tc.err) })
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
			if err := s.db.sweep(); err != nil {
				t.Fatal(err)
			}
		}, add, "2", ""},
		{"swept after its life", func() {
			c.add(tokenLife)
			if err := s.db.sweep(); err != nil {
				t.Fatal(err)
			}
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

func TestCancelledTransactionDoesNotUseUpItsToken(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	s.put("things", attrs{"pk": str("a")})
	put := txPut(attrs{"pk": str("a"), "n": num("1")}, "attribute_not_exists(pk)")
	wantError(t, s.transact("token", put), "TransactionCanceledException: Transaction cancelled, please refer cancellation reasons for specific reasons [ConditionalCheckFailed]")
	if err := s.transact("", txDelete("a")); err != nil {
		t.Fatal(err)
	}
	if err := s.transact("token", put); err != nil {
		t.Fatal(err)
	}
	s.wantItems(map[string]attrs{"a": {"pk": str("a"), "n": num("1")}})
}

func TestTransactGet(t *testing.T) {
	t.Parallel()
	s := newServer(t, Options{})
	s.table("things", "pk", "")
	s.put("things", attrs{"pk": str("a"), "x": num("1"), "y": num("2")})
	s.put("things", attrs{"pk": str("b"), "x": num("3")})
	get := func(key, projection string) types.TransactGetItem {
		g := &types.Get{TableName: aws.String("things"), Key: attrs{"pk": str(key)}}
		if projection != "" {
			g.ProjectionExpression = &projection
		}
		return types.TransactGetItem{Get: g}
	}
	out, err := s.TransactGetItems(context.Background(), &sdk.TransactGetItemsInput{TransactItems: []types.TransactGetItem{get("a", "x"), get("none", ""), get("b", "")}})
	if err != nil {
		t.Fatal(err)
	}
	var got []attrs
	for _, r := range out.Responses {
		got = append(got, r.Item)
	}
	if diff := cmp.Diff([]attrs{{"x": num("1")}, nil, {"pk": str("b"), "x": num("3")}}, got, sameAttrs); diff != "" {
		t.Errorf("items (-want +got)\n%s", diff)
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
