package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

func ofType(typ string) func(*event.Envelope) { return func(e *event.Envelope) { e.Type = typ } }

// TestWhoNeedsNoClaim: a first receive, with others left, of an event without a handler or with a
// pure one, that is not replayed.
func TestWhoNeedsNoClaim(t *testing.T) {
	for _, c := range []struct {
		name     string
		typ      string
		source   event.Source
		receives int
		claims   int
	}{
		{"pure", "pure", event.Webhook, 1, 0},
		{"no handler", "unhandled", event.Webhook, 1, 0},
		{"reconcile's", "pure", event.Reconcile, 1, 0},
		{"not pure", "invoice.paid", event.Webhook, 1, 1},
		{"second receive", "pure", event.Webhook, 2, 1},
		{"second receive, no handler", "unhandled", event.Webhook, 2, 1},
		{"last receive", "pure", event.Webhook, 16, 1},
		{"replayed", "pure", event.Replay, 1, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := setup(succeed)
			m := message(t, "1", c.receives, ofType(c.typ), func(e *event.Envelope) { e.Source = c.source })
			failed, err := b.handle(t, m)
			hidden := c.source == event.Reconcile // until the webhook's own message may have come
			if err != nil || len(failed) > 0 != hidden {
				t.Errorf("failed %v, %v", failed, err)
			}
			if ran := strings.Contains(b.logs.String(), `"handler_ms"`); ran != (c.typ != "unhandled") {
				t.Errorf("a duration of the handler is logged: %t\n%s", ran, b.logs)
			}
			if len(b.store.claims) != c.claims || len(b.store.outcomes) != 1 {
				t.Errorf("%d claims and completions %v, want %d claims and one completion", len(b.store.claims), b.store.outcomes, c.claims)
			}
		})
	}
}

// TestRunWithoutClaim: what each answer of the store means, for the message and its log line. A
// handler runs once more under a claim where the record says that one is needed.
func TestRunWithoutClaim(t *testing.T) {
	boom, gone := errors.New("boom"), dispatch.Park("object_gone", errors.New("gone"))
	unclaimed := func(c *idempotency.Claim) bool { return c.Unclaimed != nil }
	for _, c := range []struct {
		name     string
		handler  error
		complete idempotency.CompleteVerdict
		storeErr error
		fail     idempotency.FailVerdict
		claim    idempotency.ClaimVerdict
		runs     string // the attempts that the handler saw
		calls    string // of the queue
		log      string
	}{
		{"completed", nil, idempotency.Completed, nil, "", "", "0", "", `"outcome":"applied","attempt":1`},
		{"done by another", nil, idempotency.SupersededDone, nil, "", "", "0", "", `"outcome":"duplicate","attempt":0`},
		{"failed by another", nil, idempotency.Superseded, nil, "", idempotency.Claimed, "0 2", "", `"outcome":"applied","attempt":2`},
		{"another identity", nil, idempotency.Superseded, nil, "", idempotency.Corrupt, "0", "dead m1", `"outcome":"dead_lettered","attempt":0`},
		{"running elsewhere", nil, idempotency.Superseded, nil, "", idempotency.Busy, "0", "visibility r1", `"outcome":"busy","attempt":0`},
		{"store down", nil, "", idempotency.ErrStoreDown, "", "", "0", "visibility r1", `"outcome":"store_down","attempt":0`},
		{"unknown", nil, "", idempotency.ErrUnknown, "", "", "0", "visibility r1", `"outcome":"unknown","attempt":0`},
		{"failed", boom, "", nil, idempotency.FailWritten, "", "0", "visibility r1", `"outcome":"failed","attempt":1`},
		{"failed, done by another", boom, "", nil, idempotency.FailDone, "", "0", "", `"outcome":"duplicate","attempt":0`},
		{"failed, running elsewhere", boom, "", nil, idempotency.FailSuperseded, idempotency.Claimed, "0 2", "", `"outcome":"applied","attempt":2`},
		{"parked", gone, "", nil, idempotency.FailWritten, "", "0", "dead m1", `"outcome":"dead_lettered","attempt":1`},
		{"parked, done by another", gone, "", nil, idempotency.FailDone, "", "0", "", `"outcome":"duplicate","attempt":0`},
		{"parked, failed by another", gone, "", nil, idempotency.FailSuperseded, idempotency.Claimed, "0 2", "", `"outcome":"applied","attempt":2`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var runs []string
			b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
				runs = append(runs, fmt.Sprint(in.Attempt))
				if in.Attempt == 0 {
					return nil, c.handler
				}
				return nil, nil
			})
			b.store.complete = func(claim *idempotency.Claim, _ dispatch.Effects) (idempotency.CompleteResult, error) {
				if !unclaimed(claim) {
					return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: idempotency.Applied}, nil
				}
				return idempotency.CompleteResult{Verdict: c.complete, Outcome: idempotency.Applied}, c.storeErr
			}
			b.store.fail = func(idempotency.Failure) (idempotency.FailResult, error) {
				return idempotency.FailResult{Verdict: c.fail}, nil
			}
			b.store.claim = func(r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
				got := claimed(r)
				got.Verdict, got.Claim.Attempt = c.claim, 2
				return got, nil
			}
			failed, err := b.handle(t, message(t, "1", 1, ofType("pure")))
			if infra := c.storeErr != nil; infra != (err != nil) {
				t.Errorf("error %v", err)
			}
			if got := strings.Join(runs, " "); got != c.runs {
				t.Errorf("the handler ran as the attempts %q, want %q", got, c.runs)
			}
			if got := strings.Join(b.queue.calls, ", "); got != c.calls {
				t.Errorf("asked the queue for %q, want %q", got, c.calls)
			}
			if comesBack := c.calls == "visibility r1"; c.storeErr == nil && slices.Contains(failed, "m1") != comesBack {
				t.Errorf("failed %v", failed)
			}
			if d := b.queue.visibility["r1"]; c.storeErr != nil && d < 20*time.Second {
				t.Errorf("hidden for %v, want a back-off: there is no lease to wait for", d)
			}
			if !strings.Contains(b.logs.String(), c.log) {
				t.Errorf("log %s, want %s", b.logs, c.log)
			}
		})
	}
}

// TestFailedWithoutClaim: the failure names the receives that are left, none of them if it is for good.
func TestFailedWithoutClaim(t *testing.T) {
	for left, cause := range map[int]error{15: errors.New("boom"), 0: dispatch.Permanent(errors.New("boom"))} {
		b := setup(func(context.Context, dispatch.Input) (dispatch.Effects, error) { return nil, cause })
		_, _ = b.handle(t, message(t, "1", 1, ofType("pure")))
		if len(b.store.claims) != 0 || len(b.store.failures) != 1 || b.store.failures[0].ReceivesLeft != left {
			t.Errorf("%v: %d claims, failures %+v, want one with %d receives left", cause, len(b.store.claims), b.store.failures, left)
		}
	}
}

// TestNoTimeForTheClaim: a refused run without a claim that used up its time comes back soon.
func TestNoTimeForTheClaim(t *testing.T) {
	b := setup(succeed)
	begin, elapsed := time.Now(), time.Duration(0)
	b.config.Now = func() time.Time { return begin.Add(elapsed) }
	b.store.complete = func(*idempotency.Claim, dispatch.Effects) (idempotency.CompleteResult, error) {
		elapsed = b.config.Limits.ConsumerTimeout - b.config.Limits.HandlerBudget
		return idempotency.CompleteResult{Verdict: idempotency.Superseded}, nil
	}
	failed, err := b.handle(t, message(t, "1", 1, ofType("pure")))
	if err != nil || len(failed) != 1 || len(b.store.claims) > 0 {
		t.Errorf("failed %v, %v, %d claims", failed, err, len(b.store.claims))
	}
	if d := b.queue.visibility["r1"]; d > b.config.Limits.NoTimeDelay {
		t.Errorf("hidden for %v, want at most %v", d, b.config.Limits.NoTimeDelay)
	}
}

// TestStuckRunWithoutClaim: the process exits though the record asks for a claim.
func TestStuckRunWithoutClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		var runs atomic.Int64
		b := setup(func(context.Context, dispatch.Input) (dispatch.Effects, error) { runs.Add(1); <-stop; return nil, nil })
		b.store.fail = func(idempotency.Failure) (idempotency.FailResult, error) {
			return idempotency.FailResult{Verdict: idempotency.FailSuperseded}, nil
		}
		_, _ = b.handle(t, message(t, "1", 1, ofType("pure")))
		close(stop)
		if runs.Load() != 1 || len(b.store.claims) > 0 || len(b.exits) != 1 {
			t.Errorf("%d runs, %d claims, exits %v, want one run, no claim and an exit", runs.Load(), len(b.store.claims), b.exits)
		}
	})
}
