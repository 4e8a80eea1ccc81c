package redrive_test

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/event"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

func TestFilter(t *testing.T) {
	l := redrive.DeadLetter{
		MessageID: "m1", Event: event.Envelope{ID: "evt_1", Type: "invoice.paid", Account: "acct_1"}, SentAt: start,
		Cause: queue.DeadLetter{Reason: "handler", Fingerprint: "0123456789ab"},
	}
	odd := redrive.DeadLetter{MessageID: "m2", Undecodable: "why", SentAt: start, Cause: queue.DeadLetter{Reason: "undecodable"}}
	second := start.Add(time.Second)
	tests := []struct {
		filter         redrive.Filter
		text           string
		message, other bool
	}{
		{redrive.Filter{}, "all", true, true},
		{redrive.Filter{Type: "invoice.paid"}, "type invoice.paid", true, false},
		{redrive.Filter{Type: "invoice.*"}, "type invoice.*", true, false},
		{redrive.Filter{Type: "*"}, "type *", true, false},
		{redrive.Filter{Type: "invoice"}, "type invoice", false, false},
		{redrive.Filter{Type: "invoice.paid.*"}, "type invoice.paid.*", false, false},
		{redrive.Filter{Fingerprint: "0123456789ab"}, "error 0123456789ab", true, false},
		{redrive.Filter{Fingerprint: "0123456789"}, "error 0123456789", false, false},
		{redrive.Filter{Reason: "undecodable"}, "reason undecodable", false, true},
		{redrive.Filter{Account: "acct_1"}, "account acct_1", true, false},
		{redrive.Filter{Account: "acct_2"}, "account acct_2", false, false},
		{redrive.Filter{ID: "evt_1"}, "id evt_1", true, false},
		{redrive.Filter{ID: "m2"}, "id m2", false, true},
		{redrive.Filter{Since: start}, "since 2000-01-01T00:00:00Z", true, true},
		{redrive.Filter{Since: second}, "since 2000-01-01T00:00:01Z", false, false},
		{redrive.Filter{Until: start}, "until 2000-01-01T00:00:00Z", false, false},
		{redrive.Filter{Until: second}, "until 2000-01-01T00:00:01Z", true, true},
		{redrive.Filter{Type: "invoice.paid", Reason: "park"}, "type invoice.paid, reason park", false, false},
	}
	for _, tt := range tests {
		if got := [2]bool{tt.filter.Matches(l), tt.filter.Matches(odd)}; got != [2]bool{tt.message, tt.other} || tt.filter.Validate() != nil {
			t.Errorf("%+v selects %v of the message and the odd one", tt.filter, got)
		}
		if got := tt.filter.String(); got != tt.text {
			t.Errorf("says %q, want %q", got, tt.text)
		}
	}
	for _, f := range []redrive.Filter{{Type: "in*"}, {Type: "*.paid"}, {Type: "a*.*"}, {Since: second, Until: start}, {Since: start, Until: start}} {
		if f.Validate() == nil {
			t.Errorf("%+v is let pass", f)
		}
	}
}

func TestPlan(t *testing.T) {
	table := records{
		"evt_30": {State: "DONE", Attempt: 2, Err: "earlier", Identity: identOf(30)}, "evt_31": {State: "FAILED", Attempt: 16, Err: "timeout", Identity: identOf(31)},
		"evt_3": {State: "DONE", Identity: identOf(3)},
	}
	fill := func(t *testing.T) *fakeQueue {
		q := queueOf(t, 30)
		for i := 30; i < 33; i++ { // moved by the queue
			q.add(message(t, i, envelope(i), nil))
		}
		q.add(redrive.Received{Message: queue.Message{ID: "odd", Body: "no message", SentAt: start}})
		return q
	}
	tests := []struct {
		name      string
		selection redrive.Selection
		want      redrive.Plan
		groups    int
	}{
		{"all", redrive.Selection{}, redrive.Plan{Read: 34, Selected: 34, Oldest: start, Done: 2, Undecodable: 1}, 5},
		{"by a cause that the record tells", redrive.Selection{Filter: redrive.Filter{Fingerprint: queue.Fingerprint("invoice.paid", "", "timeout")}},
			redrive.Plan{Read: 34, Selected: 1, Oldest: start.Add(31 * time.Second)}, 1},
		{"some", redrive.Selection{Limit: 12}, redrive.Plan{Read: 12, Selected: 12, More: true, Oldest: start, Done: 1}, 1},
		{"of those that are looked at", redrive.Selection{Filter: redrive.Filter{ID: "evt_29"}, MaxRead: 20}, redrive.Plan{Read: 20, More: true}, 0},
		{"none", redrive.Selection{Filter: redrive.Filter{Account: "acct_1"}, Limit: 1}, redrive.Plan{Read: 34}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, seen, each := fill(t), 0, 0
				tt.selection.OnRead = func(n int) { seen += n }
				tt.selection.Each = func(d redrive.DeadLetter, payload []byte) (bool, error) {
					if each++; d.MessageID == "" || len(payload) == 0 || !tt.selection.Filter.Matches(d) {
						return false, fmt.Errorf("called with %+v and %q", d, payload)
					}
					return true, nil
				}
				got, err := dlq(q, nil, table).Plan(t.Context(), tt.selection)
				if err != nil || len(q.hidden()) != 0 {
					t.Fatalf("%v; %v hidden", err, q.hidden())
				}
				if diff := cmp.Diff(&tt.want, got, cmpopts.IgnoreUnexported(redrive.Plan{}), cmpopts.IgnoreFields(redrive.Plan{}, "Groups", "Certain")); diff != "" || len(got.Groups) != tt.groups {
					t.Errorf("%d groups %s", len(got.Groups), diff)
				}
				if each != got.Selected || got.Left() != got.Selected || seen < got.Read {
					t.Errorf("%d visited, %d planned, %d seen; %d selected of %d", each, got.Left(), seen, got.Selected, got.Read)
				}
			})
		})
	}
}

func TestPlanFails(t *testing.T) {
	full := errors.New("disk is full")
	for name, tt := range map[string]struct {
		records redrive.Records
		each    error
		want    error
	}{
		"when records cannot be read": {recordsFunc(func(string) error { return errAway }), nil, errAway},
		"when its visitor fails":      {records{}, full, full},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(t, 15)
			_, err := dlq(q, nil, tt.records).Plan(t.Context(), redrive.Selection{Each: func(redrive.DeadLetter, []byte) (bool, error) { return true, tt.each }})
			if !errors.Is(err, tt.want) || len(q.hidden()) != 0 {
				t.Errorf("%s: %v, %v hidden", name, err, q.hidden())
			}
		})
	}
}

// TestPlanReadsFewRecords: no record is read for a message that the filter rejects without one.
func TestPlanReadsFewRecords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		p := planned(t, queueOf(t, 30), recordsFunc(func(string) error { asked.Add(1); return nil }), redrive.Filter{ID: "evt_7"})
		if p.Selected != 1 || asked.Load() != 1 {
			t.Errorf("%d selected, %d records read", p.Selected, asked.Load())
		}
	})
}
