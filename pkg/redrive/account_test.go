package redrive_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// inContext is an event whose account is known from its context, and the same as a release
// that ignored context reads and sends it.
func inContext() (e, older event.Envelope) {
	e = envelope(0)
	e.Body = fmt.Appendf(nil, `{"id":%q,"object":"event","type":"invoice.paid","context":"org_1/acct_1","created":%d,"data":{"object":{"id":"in_1"}}}`, e.ID, e.Created)
	e.ObjectID = "in_1"
	older = e
	e.Account, e.AccountFrom = "acct_1", event.FromContext
	return e, older
}

// TestRecordsOfAContext: dead letters of this release and of an earlier one find the record
// that either made, for their cause, for a purge and for the outcome of a redrive.
func TestRecordsOfAContext(t *testing.T) {
	e, older := inContext()
	foreign := e
	foreign.Account = "acct_2"
	for _, tt := range []struct {
		name             string
		letter, recorded event.Envelope
		is               bool
	}{
		{"new letter, new record", e, e, true},
		{"new letter, old record", e, older, true},
		{"old letter, new record", older, e, true},
		{"old letter, old record", older, older, true},
		{"new letter, record of another account", e, foreign, false},
		{"old letter, record of another account", older, foreign, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				table := idempotencytest.NewMemory(nil)
				failIn(t, table, tt.recorded, 0)
				r, _, _ := table.Record(t.Context(), e.ID)
				found := records{e.ID: r}

				dead := &fakeQueue{}
				dead.add(message(t, 0, tt.letter, nil))
				var from redrive.From
				_, err := dlq(dead, nil, found).Plan(t.Context(), redrive.Selection{Each: func(d redrive.DeadLetter, _ []byte) (bool, error) {
					from = d.From
					return true, nil
				}})
				if (from == redrive.FromRecord) != tt.is || err != nil {
					t.Errorf("cause from %s, %v", from, err)
				}

				before := found[e.ID]
				done := before
				done.State = idempotency.Done
				again := &fakeQueue{}
				again.add(message(t, 0, tt.letter, nil))
				moved, _ := dlq(again, &fakeMover{dead: again}, found).Redrive(t.Context(), planned(t, again, records{}, redrive.Filter{}), redrive.Options{Wait: true, Timeout: time.Millisecond})
				want := map[bool]redrive.Outcome{true: redrive.Done, false: redrive.Untracked}[tt.is]
				if got := moved.Sent[0].OutcomeOf(done, time.Now(), limits.AWS()); got != want {
					t.Errorf("outcome %s, want %s", got, want)
				}

				wantPurge := map[bool]redrive.Purged{true: {Deleted: 1, Marked: 1}, false: {Deleted: 1, Corrupt: 1}}[tt.is]
				got, err := purging(dead, &fakeMover{dead: dead}, table).Purge(t.Context(), planned(t, dead, found, redrive.Filter{}), redrive.PurgeOptions{Excludes: takesAll})
				if diff := cmp.Diff(wantPurge, got); diff != "" || err != nil {
					t.Errorf("purge: %v %s", err, diff)
				}
			})
		})
	}
}

// TestPurgeOfTwoReleasesMessages of one event: the one with its last attempt marks it.
func TestPurgeOfTwoReleasesMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, older := inContext()
		table := idempotencytest.NewMemory(nil)
		failIn(t, table, older, 0)
		failIn(t, table, e, 0)
		dead := &fakeQueue{}
		for i, letter := range []event.Envelope{older, e} {
			dead.add(message(t, i, letter, queue.DeadLetter{Reason: "handler", Attempt: int64(i + 1)}.Attributes()))
		}
		got, err := purging(dead, &fakeMover{dead: dead}, table).Purge(t.Context(), planned(t, dead, records{}, redrive.Filter{}), redrive.PurgeOptions{})
		if diff := cmp.Diff(redrive.Purged{Deleted: 2, Marked: 2}, got); diff != "" || err != nil {
			t.Errorf("%v %s", err, diff)
		}
	})
}
