package dynamostore

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/outbox"
	"tollgate/pkg/redrive"
)

func TestDLQLock(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	ops, reader := f.operator, f.reader
	now := time.UnixMilli(1_700_000_000_000).UTC()
	claim := func(owner, by string, from time.Duration) redrive.Lock {
		return redrive.Lock{Owner: owner, By: by, What: "dlq list", Until: now.Add(from + time.Minute)}
	}
	steps := []struct {
		name string
		do   func(context.Context) error
		held *redrive.Lock // by whom it is refused
	}{
		{"the first takes it", func(ctx context.Context) error { return ops.LockDLQ(ctx, claim("a", "ann", 0), now) }, nil},
		{"the same request again", func(ctx context.Context) error { return ops.LockDLQ(ctx, claim("a", "ann", 0), now) }, nil},
		{"another gets the holder and the expiry", func(ctx context.Context) error {
			return ops.LockDLQ(ctx, claim("b", "bob", 0), now)
		}, new(claim("a", "ann", 0))},
		{"its owner renews", func(ctx context.Context) error {
			return ops.LockDLQ(ctx, claim("a", "ann", 30*time.Second), now.Add(30*time.Second))
		}, nil},
		{"until its very end it holds", func(ctx context.Context) error {
			return ops.LockDLQ(ctx, claim("b", "bob", 90*time.Second), now.Add(90*time.Second))
		}, new(claim("a", "ann", 30*time.Second))},
		{"after its end another takes over", func(ctx context.Context) error {
			return ops.LockDLQ(ctx, claim("b", "bob", 91*time.Second), now.Add(91*time.Second))
		}, nil},
		{"the former holder gets an error", func(ctx context.Context) error {
			return ops.LockDLQ(ctx, claim("a", "ann", 92*time.Second), now.Add(92*time.Second))
		}, new(claim("b", "bob", 91*time.Second))},
		{"and releases nothing", func(ctx context.Context) error { return ops.UnlockDLQ(ctx, "a") }, nil},
		{"so it still holds", func(ctx context.Context) error {
			return ops.LockDLQ(ctx, claim("a", "ann", 92*time.Second), now.Add(92*time.Second))
		}, new(claim("b", "bob", 91*time.Second))},
		{"its owner releases", func(ctx context.Context) error { return ops.UnlockDLQ(ctx, "b") }, nil},
		{"twice does no harm", func(ctx context.Context) error { return ops.UnlockDLQ(ctx, "b") }, nil},
		{"another takes it at once", func(ctx context.Context) error {
			return ops.LockDLQ(ctx, claim("c", "cat", 93*time.Second), now.Add(93*time.Second))
		}, nil},
	}
	for _, s := range steps {
		err := s.do(t.Context())
		held, refused := errors.AsType[*redrive.LockedError](err)
		switch {
		case s.held == nil && err != nil:
			t.Fatalf("%s: %v", s.name, err)
		case s.held != nil && !refused:
			t.Fatalf("%s: error is %v", s.name, err)
		case s.held != nil:
			if diff := cmp.Diff(*s.held, held.Lock); diff != "" {
				t.Fatalf("%s: %s", s.name, diff)
			}
		}
	}
	got, _, err := reader.Item(t.Context(), "OPS#dlq")
	want := map[string]any{"pk": "OPS#dlq", "own": "c", "who": "cat", "what": "dlq list", "lease": now.Add(153 * time.Second).UnixMilli()}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestDLQLockRace: of many at once exactly one has it.
func TestDLQLockRace(t *testing.T) {
	ops := serveEmbedded(t).fixture(t, http.DefaultTransport).operator
	now := time.Now()
	var wg sync.WaitGroup
	var won, refused atomic.Int64
	for i := range 20 {
		wg.Go(func() {
			err := ops.LockDLQ(t.Context(), redrive.Lock{Owner: string(rune('a' + i)), Until: now.Add(time.Minute)}, now)
			if _, held := errors.AsType[*redrive.LockedError](err); held {
				refused.Add(1)
			} else if err == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || refused.Load() != 19 {
		t.Errorf("%d have it, %d were refused", won.Load(), refused.Load())
	}
}

func TestMissingTable(t *testing.T) {
	client := serveEmbedded(t).client(http.DefaultTransport, false)
	o, ops := newStore(t, client, "no-such-table"), newOperator(t, client, "no-such-table")
	now := time.Now()
	_, _, listErr := o.Unsent(t.Context(), outbox.Query{Shard: 0, Limit: 10})
	_, _, waitingErr := o.Waiting(t.Context(), OutboxRequest{})
	for what, err := range map[string]error{
		"claim": ops.LockDLQ(t.Context(), redrive.Lock{Owner: "a"}, now), "unlock": ops.UnlockDLQ(t.Context(), "a"),
		"begin of an audit entry": errOf(ops.BeginAudit(t.Context(), AuditEntry{Verb: "redrive", StartedAt: now})),
		"end of an audit entry":   ops.EndAudit(t.Context(), "x", "done", now),
		"list":                    listErr, "list all": waitingErr, "mark": o.MarkSent(t.Context(), "OUT#1", now),
		"count": errOf(o.CountHeld(t.Context(), 0, 10)), "release": errOf(ops.Release(t.Context(), "OUT#1", now)),
	} {
		if err == nil || !strings.Contains(err.Error(), "ResourceNotFoundException") {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, noClient := NewOperator(nil, "t", Options{})
	_, noTable := NewOperator(client, "", Options{})
	if noClient == nil || noTable == nil {
		t.Errorf("no client: %v; no table: %v", noClient, noTable)
	}
}
