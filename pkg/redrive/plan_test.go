package redrive_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

func TestFilter(t *testing.T) {
	l := redrive.Letter{
		MessageID: "m1", Event: event.Envelope{ID: "evt_1", Type: "invoice.paid", Account: "acct_1"}, SentAt: start,
		Cause: queue.DeadLetter{Reason: "handler", Fingerprint: "0123456789ab"},
	}
	odd := redrive.Letter{MessageID: "m2", Undecodable: "why", SentAt: start, Cause: queue.DeadLetter{Reason: "undecodable"}}
	second := start.Add(time.Second)
	tests := []struct {
		filter         redrive.Filter
		text           string
		letter, others bool
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
		if got := [2]bool{tt.filter.Matches(l), tt.filter.Matches(odd)}; got != [2]bool{tt.letter, tt.others} || tt.filter.Validate() != nil {
			t.Errorf("%+v selects %v of the letter and the odd one", tt.filter, got)
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

func TestSurvey(t *testing.T) {
	table := records{
		"evt_30": {State: "DONE", Attempt: 2, Err: "earlier", Ident: identOf(30)}, "evt_31": {State: "FAILED", Attempt: 16, Err: "timeout", Ident: identOf(31)},
		"evt_3": {State: "DONE", Ident: identOf(3)},
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
		options   redrive.Options
		want      redrive.Plan
		groups    int
	}{
		{"all", redrive.Selection{}, redrive.Options{}, redrive.Plan{Read: 34, Selected: 34, Oldest: start, Done: 2, Undecodable: 1}, 5},
		{"by a cause that the record tells", redrive.Selection{Filter: redrive.Filter{Fingerprint: queue.Fingerprint("invoice.paid", "max_receives", "timeout")}},
			redrive.Options{}, redrive.Plan{Read: 34, Selected: 1, Oldest: start.Add(31 * time.Second)}, 1},
		{"some", redrive.Selection{Limit: 12}, redrive.Options{}, redrive.Plan{Read: 12, Selected: 12, More: true, Oldest: start, Done: 1}, 1},
		{"of those that are looked at", redrive.Selection{Filter: redrive.Filter{ID: "evt_29"}}, redrive.Options{Limit: 20}, redrive.Plan{Read: 20, More: true}, 0},
		{"none", redrive.Selection{Filter: redrive.Filter{Account: "acct_1"}, Limit: 1}, redrive.Options{}, redrive.Plan{Read: 34}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, seen, each := fill(t), 0, 0
				tt.selection.Seen = func(n int) { seen += n }
				tt.selection.Each = func(l redrive.Letter, payload []byte) error {
					if each++; l.MessageID == "" || len(payload) == 0 || !tt.selection.Filter.Matches(l) {
						return fmt.Errorf("called with %+v and %q", l, payload)
					}
					return nil
				}
				got, unreleased, err := redrive.Survey(t.Context(), q, table, tt.selection, tt.options)
				if err != nil || unreleased != 0 || len(q.hidden()) != 0 {
					t.Fatalf("%v; %d unreleased, %v hidden", err, unreleased, q.hidden())
				}
				if diff := cmp.Diff(&tt.want, got, cmpopts.IgnoreUnexported(redrive.Plan{}), cmpopts.IgnoreFields(redrive.Plan{}, "Groups")); diff != "" || len(got.Groups) != tt.groups {
					t.Errorf("%d groups %s", len(got.Groups), diff)
				}
				if each != got.Selected || got.Left() != got.Selected || seen < got.Read {
					t.Errorf("%d visited, %d planned, %d seen; %d selected of %d", each, got.Left(), seen, got.Selected, got.Read)
				}
			})
		})
	}
}

// TestCorruptLettersAreNoLeftovers: their events' ids are done under another identity, so
// their own events were never handled.
func TestCorruptLettersAreNoLeftovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const letters = 177
		q, table := &fakeQueue{}, records{}
		for i := range letters {
			q.add(message(t, i, envelope(i), queue.DeadLetter{Reason: "corrupt", EventID: envelope(i).ID}.Attributes()))
			table[envelope(i).ID] = idempotency.Record{State: idempotency.Done, Attempt: 1, Generation: 1, Ident: "another's"}
		}
		plan, _, err := redrive.Survey(t.Context(), q, table, redrive.Selection{}, redrive.Options{})
		if err != nil || plan.Selected != letters || plan.Done != 0 || len(plan.Groups) != 1 || plan.Groups[0].Done != 0 {
			t.Fatalf("%v; %d selected, %d called leftovers, groups %+v", err, plan.Selected, plan.Done, plan.Groups)
		}
		moved, err := redrive.Move{Queue: q, Mover: &fakeMover{dead: q}, Records: table, Rate: redrive.MaxRate}.Run(t.Context(), plan, redrive.Options{})
		if err != nil || len(moved.Letters) != letters {
			t.Fatalf("%v, %d moved", err, len(moved.Letters))
		}
		tally, err := redrive.Await{Records: table}.Run(t.Context(), moved.Letters)
		if diff := cmp.Diff(redrive.Tally{Untracked: letters}, tally); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}

func TestSurveyFails(t *testing.T) {
	full := errors.New("disk is full")
	for name, tt := range map[string]struct {
		records redrive.Records
		each    func(redrive.Letter, []byte) error
		want    string
	}{
		"when records cannot be read": {recordsFunc(func(string) error { return errAway }), nil, "queue is away"},
		"when its visitor fails":      {records{}, func(redrive.Letter, []byte) error { return full }, "disk is full"},
	} {
		synctest.Test(t, func(t *testing.T) {
			q := queueOf(t, 15)
			p, _, err := redrive.Survey(t.Context(), q, tt.records, redrive.Selection{Each: tt.each}, redrive.Options{})
			if p != nil || err == nil || !strings.Contains(err.Error(), tt.want) || len(q.hidden()) != 0 {
				t.Errorf("%s: %v, %v, %v hidden", name, p, err, q.hidden())
			}
		})
	}
}
