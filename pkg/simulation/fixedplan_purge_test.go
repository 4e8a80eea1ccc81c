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

// movedLetter adds a letter to the dead-letter queue as SQS moves a message, without our
// attributes. Its event came through the endpoint.
func (sc *scenario) movedLetter(f *fact, endpoint string) *message {
	e := f.env
	e.Endpoint, e.Source, e.ReceivedAt = endpoint, "webhook", time.Now()
	body, err := queue.Encode(e)
	if err != nil {
		panic(err)
	}
	return sc.dead.add(body, f.id, time.Now())
}

// TestPurgeOfMovedLetters: SQS moved a letter of an event whose record another message made.
// The purge gives the event up only if the letter's endpoint takes it, and leaves the letter
// while an attempt runs.
func TestPurgeOfMovedLetters(t *testing.T) {
	for _, c := range []struct {
		name     string
		endpoint string // that the moved letter came through
		running  bool   // an attempt holds the record
		givenUp  bool
		left     int // letters
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
				sc.live(0) // one endpoint ignores it, the other's message is a letter now
				if sc.state(f) != idempotency.Failed || len(sc.dead.messages) != 1 {
					t.Fatalf("the record is %q with %d letters, want one of a failed event", sc.state(f), len(sc.dead.messages))
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
				sc.purge(sc.movedLetter(f, c.endpoint))
				sc.live(0)
				if f.givenUp != c.givenUp || len(sc.dead.messages) != c.left {
					t.Errorf("given up %v with %d letters left, want %v with %d", f.givenUp, len(sc.dead.messages), c.givenUp, c.left)
				}
			})
		})
	}
}

// TestGivenUpByID: an operator's command that was to replay an event died before its message,
// and the event is given up by its id. No pass of any tier sends it.
func TestGivenUpByID(t *testing.T) {
	fixedPlan{events: 1, net: always()}.run(t, func(t *testing.T, sc *scenario) {
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
		if sc.state(f) != idempotency.Failed || !f.givenUp || f.messages != 1 {
			t.Errorf("the record is %q, given up %v, after %d messages", sc.state(f), f.givenUp, f.messages)
		}
	})
}
