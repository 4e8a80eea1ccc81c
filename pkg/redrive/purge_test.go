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
	got, err := table.Claim(t.Context(), idempotency.ClaimRequest{Event: e, Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(30 * time.Second), LeaseExpiredBefore: now, Receives: 1})
	if err != nil || got.Claim == nil {
		t.Fatalf("claim %s: %+v, %v", e.ID, got, err)
	}
	return got.Claim
}

func failIn(t *testing.T, table *idempotencytest.Memory, e event.Envelope, left int) {
	t.Helper()
	if _, err := table.Fail(t.Context(), claimIn(t, table, e), idempotency.Failure{Now: time.Now(), Err: "no row", Reason: "handler", ReceivesLeft: left}); err != nil {
		t.Fatal(err)
	}
}

func doneIn(e event.Envelope) func(*testing.T, *idempotencytest.Memory) {
	return func(t *testing.T, table *idempotencytest.Memory) {
		t.Helper()
		if _, err := table.Complete(t.Context(), claimIn(t, table, e), idempotency.Applied, nil, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
}

// takesAll is a policy that excludes nothing.
func takesAll(event.Envelope) bool { return false }

// purging is a queue whose messages ann purges.
func purging(dead *fakeQueue, m *fakeMover, store redrive.Store) *redrive.DLQ {
	d := dlq(dead, m, records{})
	d.Store, d.Operator = store, "ann"
	return d
}

// TestPurgeAnswers: one message for each state of its event.
func TestPurgeAnswers(t *testing.T) {
	e := envelope(0)
	running := func(t *testing.T, table *idempotencytest.Memory) { claimIn(t, table, e) }
	failed := func(left, attempts int) func(*testing.T, *idempotencytest.Memory) {
		return func(t *testing.T, table *idempotencytest.Memory) {
			for range attempts {
				failIn(t, table, e, left)
			}
		}
	}
	none := func(*testing.T, *idempotencytest.Memory) {}
	ours := func(reason string, attempt int64) map[string]string {
		return queue.DeadLetter{Reason: reason, Error: "no", EventID: e.ID, EventType: e.Type, Attempt: attempt}.Attributes()
	}
	excludes := func(event.Envelope) bool { return true }
	for _, tt := range []struct {
		name       string
		table      func(*testing.T, *idempotencytest.Memory)
		attributes map[string]string // nil: the queue moved it
		excludes   func(event.Envelope) bool
		later      time.Duration
		want       redrive.Purged
		purged     bool
	}{
		{"dead", failed(0, 3), ours("handler", 3), takesAll, 0, redrive.Purged{Deleted: 1, Marked: 1}, true},
		{"dead, of another attempt", failed(0, 3), ours("handler", 2), takesAll, 0, redrive.Purged{Deleted: 1, Waiting: 1}, false},
		{"failed, with receives left", failed(4, 3), ours("handler", 3), takesAll, 0, redrive.Purged{Deleted: 1, Waiting: 1}, false},
		{"done", doneIn(e), ours("handler", 1), takesAll, 0, redrive.Purged{Deleted: 1, Leftovers: 1}, false},
		{"running", running, ours("handler", 1), takesAll, 0, redrive.Purged{Busy: 1}, false},
		{"died at its last receive", running, ours("handler", 1), takesAll, time.Minute, redrive.Purged{Deleted: 1, Marked: 1}, true},
		{"without a record", none, ours("handler", 1), takesAll, 0, redrive.Purged{Deleted: 1, NoRecord: 1}, false},
		{"another event's record", func(t *testing.T, table *idempotencytest.Memory) {
			other := e
			other.Created++
			failIn(t, table, other, 0)
		}, ours("handler", 1), takesAll, 0, redrive.Purged{Deleted: 1, Corrupt: 1}, false},
		{"excluded by its mode", failed(0, 1), ours("livemode", 0), nil, 0, redrive.Purged{Deleted: 1, Excluded: 1}, false},
		{"excluded by its account", failed(0, 1), ours("account", 0), nil, 0, redrive.Purged{Deleted: 1, Excluded: 1}, false},
		{"corrupt before the claim", failed(0, 1), ours("corrupt", 0), nil, 0, redrive.Purged{Deleted: 1, Excluded: 1}, false},
		{"of a newer release", failed(0, 1), ours("newer_version", 0), nil, 0, redrive.Purged{Deleted: 1, Excluded: 1}, false},
		{"corrupt after the claim", failed(0, 1), ours("corrupt", 1), nil, 0, redrive.Purged{Deleted: 1, Marked: 1}, true},
		{"parked by an older release", failed(0, 1), ours("livemode", 1), nil, 0, redrive.Purged{Deleted: 1, Marked: 1}, true},
		{"moved", failed(0, 16), nil, takesAll, 0, redrive.Purged{Deleted: 1, Marked: 1}, true},
		{"moved, and its endpoint excludes it", failed(0, 16), nil, excludes, 0, redrive.Purged{Deleted: 1, Excluded: 1}, false},
		{"moved, and no policy is known", failed(0, 16), nil, nil, 0, redrive.Purged{NoPolicy: 1}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := idempotencytest.NewMemory(nil)
				tt.table(t, table)
				time.Sleep(tt.later)
				before, _, _ := table.Record(t.Context(), e.ID)
				dead := &fakeQueue{}
				dead.add(message(t, 0, e, tt.attributes))
				d := purging(dead, &fakeMover{dead: dead}, table)
				got, err := d.Purge(t.Context(), planned(t, dead, records{}, redrive.Filter{}), redrive.PurgeOptions{Excludes: tt.excludes})
				if diff := cmp.Diff(tt.want, got); diff != "" || err != nil || len(dead.ids()) != 1-tt.want.Deleted || len(dead.hidden()) != 0 {
					t.Errorf("%v, %v are left, %v hidden %s", err, dead.ids(), dead.hidden(), diff)
				}
				after, _, _ := table.Record(t.Context(), e.ID)
				if redrive.WasPurged(after) != tt.purged || tt.purged && after.PurgeBy != "ann" {
					t.Errorf("purged %v by %q, want %v", redrive.WasPurged(after), after.PurgeBy, tt.purged)
				}
				if !tt.purged && !cmp.Equal(before, after) {
					t.Errorf("the record changed: %s", cmp.Diff(before, after))
				}
			})
		})
	}
}

// TestPurgeOfSeveralMessages of one event: the one with its last attempt marks it,
// whichever is first, and none is reported as waiting.
func TestPurgeOfSeveralMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table, dead := idempotencytest.NewMemory(nil), &fakeQueue{}
		for i := range int64(15) {
			failIn(t, table, envelope(0), 0)
			dead.add(message(t, int(i), envelope(0), queue.DeadLetter{Reason: "handler", EventID: "evt_0", Attempt: i + 1}.Attributes()))
		}
		d := purging(dead, &fakeMover{dead: dead}, table)
		got, err := d.Purge(t.Context(), planned(t, dead, records{}, redrive.Filter{}), redrive.PurgeOptions{})
		if diff := cmp.Diff(redrive.Purged{Deleted: 15, Marked: 15}, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}

// TestPurgeKeepsWhatItCannotRead: a message of a newer release may have a record, whether its
// consumer wrote it or the queue moved it.
func TestPurgeKeepsWhatItCannotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &fakeQueue{}
		dead.add(redrive.Received{Message: queue.Message{ID: "m1", Body: `{"v":9}`}, Attributes: queue.DeadLetter{Reason: "handler", EventID: "evt_0", Attempt: 3}.Attributes()})
		dead.add(redrive.Received{Message: queue.Message{ID: "m2", Body: "no message"}})
		dead.add(redrive.Received{Message: queue.Message{ID: "m3", Body: `{"v":9,"id":"evt_1","type":"invoice.paid"}`}})
		d := purging(dead, &fakeMover{dead: dead}, idempotencytest.NewMemory(nil))
		got, err := d.Purge(t.Context(), planned(t, dead, records{}, redrive.Filter{}), redrive.PurgeOptions{})
		if diff := cmp.Diff(redrive.Purged{Deleted: 1, Excluded: 1, Unread: 2}, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}

func TestWasPurged(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    idempotency.Record
		want bool
	}{
		{"marked", idempotency.Record{State: idempotency.Failed, Purged: start}, true},
		{"completed by a purge of an older release", idempotency.Record{State: idempotency.Done, Owner: "purge-0123"}, true},
		{"replayed since then", idempotency.Record{State: idempotency.Failed, Owner: "purge-0123"}, false},
		{"done", idempotency.Record{State: idempotency.Done, Owner: "0123"}, false},
	} {
		if got := redrive.WasPurged(tt.r); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// TestPurgeFaults: no message is deleted whose event is not marked, and a second run does
// the rest.
func TestPurgeFaults(t *testing.T) {
	const messages = 25
	fault := func(op idempotencytest.Op, err error, applied bool) func(idempotencytest.Op, string) idempotencytest.Fault {
		return func(got idempotencytest.Op, id string) idempotencytest.Fault {
			if got == op && id == "evt_13" {
				return idempotencytest.Fault{Err: err, Applied: applied}
			}
			return idempotencytest.Fault{}
		}
	}
	tests := []struct {
		name  string
		table func(idempotencytest.Op, string) idempotencytest.Fault
		queue faults
		err   error
	}{
		{"a write fails", fault(idempotencytest.OpPurge, idempotency.ErrStoreDown, false), faults{}, idempotency.ErrStoreDown},
		{"a write's response is lost", fault(idempotencytest.OpPurge, idempotency.ErrStoreDown, true), faults{}, idempotency.ErrStoreDown},
		{"a delete fails once", nil, faults{deleteFails: at(2)}, nil},
		{"deletes fail", nil, faults{deleteFails: always}, errAway},
		{"a message cannot be deleted", nil, faults{keeps: only("m7")}, nil},
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
				dead := queueOf(t, messages)
				for i := range messages {
					failIn(t, table, envelope(i), 0)
				}
				m := &fakeMover{dead: dead, faults: tt.queue}
				d := purging(dead, m, table)
				plan := planned(t, dead, records{}, redrive.Filter{})
				got, err := d.Purge(t.Context(), plan, redrive.PurgeOptions{})
				if !errors.Is(err, tt.err) || got.Deleted+got.Undeleted+plan.Left() != messages || got.Deleted+len(dead.ids()) != messages || len(dead.hidden()) != 0 {
					t.Errorf("%+v, %v; %d messages are left, %d hidden", got, err, len(dead.ids()), len(dead.hidden()))
				}
				for i := range messages {
					id := fmt.Sprint("evt_", i)
					if r, _, _ := table.Record(t.Context(), id); !redrive.WasPurged(r) && !slices.Contains(dead.ids(), id) {
						t.Errorf("%s is %q, and its message is gone", id, r.State)
					}
				}
				well.Store(true)
				m.faults = faults{}
				if got, err := d.Purge(t.Context(), planned(t, dead, records{}, redrive.Filter{}), redrive.PurgeOptions{}); err != nil || len(dead.ids()) != 0 || got.Busy != 0 {
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
		plan := planned(t, dead, records{}, redrive.Filter{})
		got, err := purging(dead, &fakeMover{dead: dead}, idempotencytest.NewMemory(nil)).Purge(ctx, plan, redrive.PurgeOptions{OnDeleted: func(n int) {
			if gone += n; gone == 20 {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) || got.Deleted != 20 || len(dead.ids()) != 25 || len(dead.hidden()) != 0 || plan.Left() != 25 {
			t.Errorf("%+v, %v; %d messages are left, %d hidden, %d planned", got, err, len(dead.ids()), len(dead.hidden()), plan.Left())
		}
	})
}
