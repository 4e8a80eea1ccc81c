package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// claimIn claims an event in a table, with a lease of 30 s.
func claimIn(t *testing.T, table *idempotencytest.Memory, e event.Envelope) *idempotency.Claim {
	t.Helper()
	now := time.Now()
	got, err := table.Claim(t.Context(), idempotency.ClaimRequest{Event: e, Own: idempotency.NewOwner(), Now: now, Lease: now.Add(30 * time.Second), Cutoff: now, Receives: 1})
	if err != nil || got.Claim == nil {
		t.Fatalf("claim %s: %+v, %v", e.ID, got, err)
	}
	return got.Claim
}

func failIn(t *testing.T, table *idempotencytest.Memory, e event.Envelope) {
	t.Helper()
	if _, err := table.Fail(t.Context(), claimIn(t, table, e), idempotency.Failure{Now: time.Now(), Err: "no row", Reason: "handler"}); err != nil {
		t.Fatal(err)
	}
}

// TestPurge: what is deleted is done or never was; who is at work is left alone.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead, table := queueOf(t, 7), idempotencytest.NewMemory(nil)
		done := func(i int) {
			if _, err := table.Complete(t.Context(), claimIn(t, table, envelope(i)), idempotency.Applied, nil, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		failIn(t, table, envelope(0))
		done(1)
		claimIn(t, table, envelope(2)) // died since
		<-time.After(time.Minute)
		claimIn(t, table, envelope(3)) // runs
		other := envelope(4)
		other.Created++
		failIn(t, table, other)
		// 5 and 6 were never claimed; 5 has a second letter.
		dead.add(message(t, 50, envelope(5), nil))
		dead.add(redrive.Received{Message: queue.Message{ID: "odd", Body: "no message"}})

		m := &fakeMover{dead: dead}
		gone := 0
		purge := redrive.Purge{Queue: dead, Deleter: m, Store: table, Gone: func(n int) { gone += n }}
		plan := survey(t, dead, records{}, redrive.Filter{})
		got, err := purge.Run(t.Context(), plan, redrive.Options{})
		want := redrive.Purged{Deleted: 8, Ignored: 5, Done: 1, Unclaimed: 2, Busy: 1}
		if diff := cmp.Diff(want, got); diff != "" || err != nil || gone != 8 {
			t.Errorf("%v, %d gone %s", err, gone, diff)
		}
		if diff := cmp.Diff([]string{"evt_3"}, dead.ids()); diff != "" || len(dead.hidden()) != 0 {
			t.Errorf("what is left: %s, hidden %v", diff, dead.hidden())
		}
		outcomes := map[string]string{}
		for i := range 7 {
			r, _, err := table.Record(t.Context(), fmt.Sprint("evt_", i))
			if err != nil {
				t.Fatal(err)
			}
			outcomes[r.ID] = string(r.State) + " " + string(r.Outcome)
			if redrive.WasPurged(r) {
				outcomes[r.ID] += ", purged"
			}
		}
		if diff := cmp.Diff(map[string]string{
			"evt_0": "DONE ignored, purged", "evt_1": "DONE applied", "evt_2": "DONE ignored, purged", "evt_3": "RUNNING ",
			"evt_4": "FAILED ", "evt_5": "DONE ignored, purged", "evt_6": "DONE ignored, purged",
		}, outcomes); diff != "" {
			t.Error(diff)
		}
		if len(m.ids()) != 0 {
			t.Errorf("a purge sent %v", m.ids())
		}
	})
}

// TestPurgeFaults: no letter goes whose event is not done, and a second run does the rest.
func TestPurgeFaults(t *testing.T) {
	const letters = 25
	fault := func(op idempotencytest.Op, err error, applied bool) func(idempotencytest.Op, string) idempotencytest.Fault {
		return func(got idempotencytest.Op, id string) idempotencytest.Fault {
			if got == op && id == "evt_13" {
				return idempotencytest.Fault{Err: err, Applied: applied}
			}
			return idempotencytest.Fault{}
		}
	}
	tests := []struct {
		name   string
		table  func(idempotencytest.Op, string) idempotencytest.Fault
		queue  faults
		err    error
		settle time.Duration // until the second run can do the rest
	}{
		{"a claim fails", fault(idempotencytest.OpClaim, idempotency.ErrStoreDown, false), faults{}, idempotency.ErrStoreDown, 0},
		{"a claim's answer is lost", fault(idempotencytest.OpClaim, idempotency.ErrStoreDown, true), faults{}, idempotency.ErrStoreDown, time.Minute},
		{"a completion fails", fault(idempotencytest.OpComplete, idempotency.ErrStoreDown, false), faults{}, idempotency.ErrStoreDown, time.Minute},
		{"a completion's answer is lost", fault(idempotencytest.OpComplete, idempotency.ErrUnknown, true), faults{}, idempotency.ErrUnknown, 0},
		{"a delete fails once", nil, faults{deleteFails: at(2)}, nil, 0},
		{"deletes fail", nil, faults{deleteFails: always}, errAway, 0},
		{"a letter cannot be deleted", nil, faults{keeps: only("m7")}, nil, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var well atomic.Bool
				table := idempotencytest.NewMemory(func(op idempotencytest.Op, id string) idempotencytest.Fault {
					if tt.table == nil || well.Load() {
						return idempotencytest.Fault{}
					}
					return tt.table(op, id)
				})
				dead := queueOf(t, letters)
				m := &fakeMover{dead: dead, faults: tt.queue}
				purge := redrive.Purge{Queue: dead, Deleter: m, Store: table}
				got, err := purge.Run(t.Context(), survey(t, dead, records{}, redrive.Filter{}), redrive.Options{})
				if !errors.Is(err, tt.err) || got.Deleted+len(dead.ids()) != letters || len(dead.hidden()) != 0 {
					t.Errorf("%+v, %v; %d letters are left, %d hidden", got, err, len(dead.ids()), len(dead.hidden()))
				}
				for i := range letters {
					id := fmt.Sprint("evt_", i)
					if r, _, _ := table.Record(t.Context(), id); r.State != idempotency.Done && !slices.Contains(dead.ids(), id) {
						t.Errorf("%s is %q, and its letter is gone", id, r.State)
					}
				}
				well.Store(true)
				m.faults = faults{}
				<-time.After(tt.settle)
				if got, err := purge.Run(t.Context(), survey(t, dead, records{}, redrive.Filter{}), redrive.Options{}); err != nil || len(dead.ids()) != 0 || got.Busy != 0 {
					t.Errorf("the second run: %+v, %v; %v are left", got, err, dead.ids())
				}
			})
		})
	}
}

func TestPurgeStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := queueOf(t, 45)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		gone := 0
		purge := redrive.Purge{Queue: dead, Deleter: &fakeMover{dead: dead}, Store: idempotencytest.NewMemory(nil), Gone: func(n int) {
			if gone += n; gone == 20 {
				cancel()
			}
		}}
		plan := survey(t, dead, records{}, redrive.Filter{})
		got, err := purge.Run(ctx, plan, redrive.Options{})
		if !errors.Is(err, context.Canceled) || got.Deleted != 20 || len(dead.ids()) != 25 || len(dead.hidden()) != 0 || plan.Left() != 25 {
			t.Errorf("%+v, %v; %d letters are left, %d hidden, %d planned", got, err, len(dead.ids()), len(dead.hidden()), plan.Left())
		}
	})
}
