package simulation

import (
	"context"
	"testing"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// movedDeadLetter adds a dead letter as SQS moves a message, without our attributes, of an event
// received by an endpoint.
func (sc *scenario) movedDeadLetter(f *fact, endpoint string) *message {
	e := f.env
	e.Endpoint, e.Source, e.ReceivedAt = endpoint, "webhook", time.Now()
	body, err := queue.Encode(e)
	if err != nil {
		panic(err)
	}
	return sc.dead.add(body, f.id, time.Now())
}

// TestPurgeOfMovedDeadLetters: SQS moved a dead letter whose event has a record by another message. The
// purge marks the event only if the dead letter's endpoint takes it, and keeps it while an
// attempt runs.
func TestPurgeOfMovedDeadLetters(t *testing.T) {
	for _, c := range []struct {
		name        string
		endpoint    string // that received the moved message
		running     bool   // an attempt holds the lease
		purgeMarked bool
		left        int // dead letters
	}{
		{"its endpoint takes the event", connectEU, false, true, 1},
		{"its endpoint excludes the event", connectUS, false, false, 1},
		{"an attempt runs", connectEU, true, false, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := fixedPlan{events: 1, behaviour: permanent}
			d.policies = policyPlan{on: true, first: map[string]policy.Action{connectEU: policy.Ignore, connectUS: policy.Ignore}}
			d.run(t, func(t *testing.T, sc *scenario) {
				f := sc.facts[0]
				sc.live(0) // one endpoint ignores it, the other's message is a dead letter now
				if sc.state(f) != idempotency.Failed || len(sc.dead.messages) != 1 {
					t.Fatalf("the record is %q with %d dead letters, want one of a failed event", sc.state(f), len(sc.dead.messages))
				}
				if c.running {
					sc.spawn(&proc{name: "a consumer's claim"}, func(ctx context.Context) {
						now := time.Now()
						got, err := sc.store.Claim(ctx, idempotency.ClaimRequest{Event: f.env, Owner: "own-x", Now: now, Lease: now.Add(30 * time.Second), LeaseExpiredBefore: now, Receives: 16})
						if err != nil || got.Verdict != idempotency.Claimed {
							t.Errorf("claim: %+v, %v", got, err)
						}
					})
					sc.live(0)
				}
				sc.purge(sc.movedDeadLetter(f, c.endpoint))
				sc.live(0)
				if f.purgeMarked != c.purgeMarked || len(sc.dead.messages) != c.left {
					t.Errorf("purged %v with %d dead letters left, want %v with %d", f.purgeMarked, len(sc.dead.messages), c.purgeMarked, c.left)
				}
			})
		})
	}
}

// TestPurgeByID: a replay was killed before its send, and the event is purged by its id. No pass
// of any tier sends it.
func TestPurgeByID(t *testing.T) {
	fixedPlan{events: 1, reconciler: always()}.run(t, func(t *testing.T, sc *scenario) {
		f, l := sc.facts[0], limits.AWS()
		sc.live(time.Minute)
		sc.spawn(&proc{name: "replay that dies"}, func(ctx context.Context) {
			req := idempotency.ReplayRequest{EventID: f.id, Generation: 1, Now: time.Now(), By: "op", Why: "a test"}
			if err := sc.operator.Replay(ctx, req); err != nil {
				t.Error(err)
			}
		})
		sc.live(0)
		sc.purgeByID(f)
		sc.live(l.Reconcile.Weekly.Every + l.Reconcile.StuckAge)
		if sc.state(f) != idempotency.Failed || !f.purgeMarked || f.messages != 1 {
			t.Errorf("the record is %q, purged %v, after %d messages", sc.state(f), f.purgeMarked, f.messages)
		}
	})
}
