package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

func noon() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

// TestCrashBetweenSendAndNote: nothing is lost, and the next pass has nothing left to do
// but the note.
func TestCrashBetweenSendAndNote(t *testing.T) {
	w := newWorld(noon())
	w.arises(anEvent("evt_1", w.now.Add(-time.Hour)), w.now)
	r := w.reconciler(t, nil)
	w.noteErr = errDown
	report, err := r.Run(t.Context(), Frequent)
	if !errors.Is(err, errDown) || report.Complete() || report.Unrecorded != 1 || len(w.notes) != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
	if e := w.taken[0]; e.Source != event.Reconcile || e.Endpoint != "default" || !e.ReceivedAt.Equal(noon()) || e.Body == nil {
		t.Errorf("sent %+v", e)
	}
	w.consume()
	w.noteErr = nil
	report, err = r.Run(t.Context(), Frequent)
	if err != nil || !report.Complete() || report.Known != 1 || len(w.taken) != 1 || w.copies != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	none := sumOf(nil)
	want := []Covered{
		{Tier: Frequent, From: noon().Add(-3 * time.Hour), To: noon().Add(-2*time.Hour - time.Second), DoneAt: noon(), Sum: none},
		{Tier: Frequent, From: noon().Add(-2 * time.Hour), To: noon().Add(-time.Hour - time.Second), DoneAt: noon(), Sum: none},
		{Tier: Frequent, From: noon().Add(-time.Hour), To: noon().Add(-5 * time.Minute), Listed: 1, Known: 1, DoneAt: noon(), Sum: sumOf([]string{"evt_1"})},
	}
	got, _, _ := w.Covered(t.Context(), noon().Add(-4*time.Hour), noon())
	slices.SortFunc(got, func(a, b Covered) int { return a.From.Compare(b.From) })
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("notes (-want +got):\n%s", d)
	}
}

// TestQueueDown: a send that fails ends the pass, and its slice is not finished.
func TestQueueDown(t *testing.T) {
	w := newWorld(noon())
	w.arises(anEvent("evt_1", w.now.Add(-2*time.Hour)), w.now)
	w.dead = true
	report, err := w.reconciler(t, nil).Run(t.Context(), Nightly)
	if !errors.Is(err, errDown) || report.Complete() || report.Requeued() != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if len(w.notes) != 1 { // the newest hour, before the one with the event
		t.Errorf("finished %v", w.notes)
	}
}

// goneAccount fails every list of acct_gone.
func goneAccount(err error) func(Query) error {
	return func(q Query) error {
		if q.Account == "acct_gone" {
			return err
		}
		return nil
	}
}

// TestAccounts: each is listed as itself, under its endpoint; one that cannot be listed
// holds up no other, and the pass reports it.
func TestAccounts(t *testing.T) {
	w := newWorld(noon())
	w.live = true
	for _, account := range []string{"", "acct_1", "acct_gone"} {
		e := anEvent("evt_"+account+"x", w.now.Add(-time.Hour))
		e.Livemode, e.Account = true, account
		w.arises(e, w.now)
	}
	foreign := anEvent("evt_foreign", w.now.Add(-time.Hour))
	foreign.Account = "acct_2"
	w.stripe = append(w.stripe, &listed{Item{Event: foreign}, "acct_1", w.now})
	w.fail = goneAccount(errDown)
	r := w.reconciler(t, func(c *Config) {
		c.Accounts = map[string]string{"": "default", "acct_1": "connect", "acct_gone": "connect"}
	})
	report, err := r.Run(t.Context(), Nightly)
	if err == nil || !strings.Contains(err.Error(), `"acct_gone"`) || strings.Count(err.Error(), "acct_gone") != 1 {
		t.Errorf("error %v, want one of acct_gone", err)
	}
	if report.Unrecorded != 2 || report.Mismatched != 1 || report.Complete() || report.Finished != 2*report.Slices/3 {
		t.Errorf("%+v", report)
	}
	ways := map[string]string{}
	for _, e := range w.taken {
		ways[e.Account] = e.Endpoint
	}
	if d := cmp.Diff(map[string]string{"": "default", "acct_1": "connect"}, ways); d != "" {
		t.Errorf("accounts and endpoints (-want +got):\n%s", d)
	}
}

// TestTypesGoInChunks: Stripe takes twenty names at once.
func TestTypesGoInChunks(t *testing.T) {
	w := newWorld(noon())
	var types []string
	for n := range 41 {
		typ := fmt.Sprintf("type.%02d", n)
		types = append(types, typ)
		e := anEvent(fmt.Sprint("evt_", n), w.now.Add(-time.Hour))
		e.Type = typ
		w.arises(e, w.now)
	}
	r := w.reconciler(t, func(c *Config) { c.Types = types })
	if report, err := r.Run(t.Context(), Frequent); err != nil || report.Unrecorded != 41 || !report.Complete() {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestItemsThatCannotBeRead: what is known by id, type and creation goes by its id; what
// is not is counted, and takes nothing else with it.
func TestItemsThatCannotBeRead(t *testing.T) {
	w := newWorld(noon())
	at := w.now.Add(-time.Hour)
	whole := func(id string) *listed { return &listed{Item{Event: anEvent(id, at)}, "", w.now} }
	broken := func(id, typ string, recorded bool) *listed {
		e := event.Envelope{ID: id, Object: event.ObjectSnapshot, Type: typ, Created: at.Unix(), Body: []byte("half")}
		if recorded {
			w.records[id] = idempotency.Record{ID: id, State: idempotency.Done, Identity: "of the whole event"}
		}
		return &listed{Item{Event: e, Err: event.ErrNotEvent}, "", w.now}
	}
	w.stripe = []*listed{
		whole("evt_1"), broken("evt_2", "invoice.paid", false), broken("", "", false), broken("evt_4", "", false),
		broken("evt_5", "invoice.paid", true), whole("evt_6"),
	}
	report, err := w.reconciler(t, nil).Run(t.Context(), Frequent)
	want := Counts{Listed: 6, Known: 1, Unrecorded: 3, Unreadable: 2}
	if d := cmp.Diff(want, report.Counts); d != "" || err != nil || !report.Complete() {
		t.Errorf("error %v, complete %v, counts (-want +got):\n%s", err, report.Complete(), d)
	}
	for _, e := range w.taken {
		if (e.ID == "evt_2") != (e.Body == nil) {
			t.Errorf("%s has the body %q", e.ID, e.Body)
		}
	}
	for _, c := range w.notes {
		if c.Errors != 2 && c.Listed > 0 {
			t.Errorf("noted %+v, want 2 errors", c)
		}
	}
}

// TestPageWithoutIDs: such a page has no next one, and the slice is not finished.
func TestPageWithoutIDs(t *testing.T) {
	w := newWorld(noon())
	for range 101 {
		w.stripe = append(w.stripe, &listed{Item{Err: event.ErrNotEvent, Event: event.Envelope{Created: w.now.Unix() - 3600}}, "", w.now})
	}
	report, err := w.reconciler(t, nil).Run(t.Context(), Frequent)
	if err == nil || !strings.Contains(err.Error(), "no id of a whole page") || report.Unreadable != 100 || report.Complete() {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestOutOfTime: a long pass stops, newest slices first, and quarter-hourly passes take
// up what it left, the oldest first, each once the tier should have finished it.
func TestOutOfTime(t *testing.T) {
	w := newWorld(noon())
	r := w.reconciler(t, nil)
	calls := 0
	w.fail = func(Query) error { calls++; w.now = w.now.Add(time.Minute); return nil }
	report, err := r.Run(t.Context(), Nightly)
	if err != nil || !report.Stopped || report.Complete() || report.Finished != 13 {
		t.Fatalf("%+v, %v", report, err)
	}
	var order []int64
	w.fail = func(q Query) error { order = append(order, q.From.Unix()); return nil }
	// Thirty hours back is what the last night was for; what is younger waits for its night.
	if report, err = r.Run(t.Context(), Frequent); err != nil || report.CaughtUp < 44 || report.CaughtUp > 46 || !report.Complete() {
		t.Fatalf("%+v, %v", report, err)
	}
	w.now = noon().Add(8 * time.Hour)
	if report, err = r.Run(t.Context(), Frequent); err != nil || report.CaughtUp != 8 || !report.Complete() {
		t.Fatalf("%+v, %v", report, err)
	}
	order = slices.DeleteFunc(order, func(from int64) bool { return from > noon().Add(-5*time.Hour).Unix() }) // the passes' own
	if len(order) < 50 || !slices.IsSorted(order) {
		t.Errorf("slices are taken in the order %v, want the oldest first", order)
	}
	long := Tiers(limits.AWS().Reconcile)[1]
	notes, _, _ := w.Covered(t.Context(), w.now.Add(-100*time.Hour), w.now)
	notes = slices.DeleteFunc(notes, func(c Covered) bool { return c.Tier != Nightly })
	if left, found := long.left(w.now, time.Time{}, notes); found {
		t.Errorf("still left: %v", left)
	}
	// The other long tier has not begun: it is not for the quarter-hourly pass to begin it.
	for _, c := range w.notes {
		if c.Tier == Weekly {
			t.Fatalf("noted %+v", c)
		}
	}
}

// TestCatchUpKeepsTheTiersRule: a slice that the weekly pass left sends dead letters, however
// full the queue is.
func TestCatchUpKeepsTheTiersRule(t *testing.T) {
	w := newWorld(noon())
	e := anEvent("evt_old", w.now.Add(-20*24*time.Hour))
	w.arises(e, w.now)
	w.records[e.ID] = idempotency.Record{ID: e.ID, State: idempotency.Failed, Identity: idempotency.Identity(e)}
	w.Cover(t.Context(), Covered{Tier: Weekly, From: noon().Add(-time.Hour), To: noon().Add(-time.Minute), DoneAt: noon()})
	if report, err := w.reconciler(t, nil).Run(t.Context(), Nightly); err != nil || report.CaughtUp != 0 || !report.Complete() {
		t.Errorf("a nightly pass does another's work: %+v, %v", report, err)
	}
	full := w.reconciler(t, func(c *Config) { c.Depth = depthFunc(func() int { return 100_000 }) })
	report, err := full.Run(t.Context(), Frequent)
	if err != nil || report.Unfinished != 1 || report.CaughtUp < 400 || !report.Complete() {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestWhatIsLeft: a slice is left when the tier looked at it too long ago, or in part, or
// never; what the other mode or another account has finished is none of its.
func TestWhatIsLeft(t *testing.T) {
	nightly := Tiers(limits.AWS().Reconcile)[1]
	all := func(done time.Time, change func(*Covered)) (notes []Covered) {
		for _, w := range nightly.windows(noon()) {
			c := Covered{Tier: Nightly, From: w.From, To: w.To, DoneAt: done}
			change(&c)
			notes = append(notes, c)
		}
		return notes
	}
	target := sliceStart(noon().Add(-50*time.Hour), time.Hour)
	for _, c := range []struct {
		name string
		when time.Time
		with func(*Covered)
		left bool
	}{
		{"all finished", noon().Add(-10 * time.Hour), func(*Covered) {}, false},
		{"finished the night before last", noon().Add(-34 * time.Hour), func(*Covered) {}, true},
		{"one finished in part", noon(), func(c *Covered) {
			if c.From.Equal(target) {
				c.To = c.To.Add(-time.Second)
			}
		}, true},
		{"one finished in the other mode", noon(), func(c *Covered) { c.Livemode = c.From.Equal(target) }, true},
		{"one finished for another account", noon(), func(c *Covered) {
			if c.From.Equal(target) {
				c.Account = "acct_1"
			}
		}, true},
		{"one finished by the other tier", noon(), func(c *Covered) {
			if c.From.Equal(target) {
				c.Tier = Weekly
			}
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(noon())
			for _, note := range all(c.when, c.with) {
				w.Cover(t.Context(), note)
			}
			report, err := w.reconciler(t, nil).Run(t.Context(), Frequent)
			if err != nil || (report.CaughtUp > 0) != c.left {
				t.Errorf("%+v, %v", report, err)
			}
			notes, _, _ := w.Covered(t.Context(), noon().Add(-80*time.Hour), noon())
			notes = slices.DeleteFunc(notes, func(c Covered) bool { return c.Tier != Nightly || c.Livemode || c.Account != "" })
			if left, found := nightly.left(noon(), time.Time{}, notes); found {
				t.Errorf("after that %v is left", left)
			}
		})
	}
}

func TestBackfill(t *testing.T) {
	for _, c := range []struct {
		name          string
		req           BackfillRequest
		sent, notes   int
		listed, known int
	}{
		{"two days", BackfillRequest{Since: noon().Add(-48 * time.Hour), Until: noon()}, 3, 48, 4, 1},
		{"dry", BackfillRequest{Since: noon().Add(-48 * time.Hour), Until: noon(), DryRun: true}, 0, 0, 4, 1},
		{"some types cover nothing", BackfillRequest{Since: noon().Add(-48 * time.Hour), Until: noon(), Types: []string{"payment_intent.succeeded"}}, 1, 0, 1, 0},
		{"a part", BackfillRequest{Since: noon().Add(-48 * time.Hour), Until: noon().Add(-20 * time.Hour)}, 1, 29, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(noon())
			for n, hours := range []time.Duration{1, 10, 30, 40, 60} {
				e := anEvent(fmt.Sprint("evt_", n), w.now.Add(-hours*time.Hour))
				if n == 1 {
					e.Type = "payment_intent.succeeded"
				}
				w.arises(e, w.now)
				if n == 2 {
					w.records[e.ID] = done(e, w.now)
				}
			}
			seen := 0
			c.req.Progress = func(n Counts) { seen += n.Listed }
			report, err := w.reconciler(t, nil).Backfill(t.Context(), c.req)
			if err != nil || !report.Complete() || report.Listed != c.listed || report.Known != c.known || seen != c.listed {
				t.Errorf("%+v, %v, %d seen on the way", report, err, seen)
			}
			if len(w.taken) != c.sent || len(w.notes) != c.notes {
				t.Errorf("%d sent and %d notes, want %d and %d", len(w.taken), len(w.notes), c.sent, c.notes)
			}
			for _, e := range w.taken {
				if e.Source != event.Backfill {
					t.Errorf("%s came by %s", e.ID, e.Source)
				}
			}
		})
	}
	slow := newWorld(noon())
	slow.fail = func(Query) error { slow.now = slow.now.Add(time.Minute); return nil }
	report, err := slow.reconciler(t, nil).Backfill(t.Context(), BackfillRequest{Since: noon().Add(-48 * time.Hour), Until: noon()})
	if err != nil || !report.Complete() || report.Finished != 48 {
		t.Errorf("a backfill that takes an hour: %+v, %v", report, err)
	}
	w := newWorld(noon())
	if _, err := w.reconciler(t, nil).Backfill(t.Context(), BackfillRequest{Since: noon().Add(-time.Minute), Until: noon()}); err == nil {
		t.Error("a time within the settle lag must fail, as there is nothing to list")
	}
}

func TestNewRefuses(t *testing.T) {
	_, err := New(Config{Accounts: map[string]string{"acct_1": "No Endpoint"}})
	for _, part := range []string{"a lister", "records", "a sender", "coverage", "begins", "depth", "types", `account "acct_1"`} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v does not name %s", err, part)
		}
	}
	w := newWorld(noon())
	if _, err := w.reconciler(t, nil).Run(t.Context(), Backfill); err == nil {
		t.Error("backfill runs on the schedule")
	}
	keyless := &noKey{w}
	report, err := w.reconciler(t, func(c *Config) { c.Lister = keyless }).Run(t.Context(), Frequent)
	if !errors.Is(err, errDown) || report.Complete() {
		t.Errorf("without a key: %+v, %v", report, err)
	}
}

type noKey struct{ *world }

func (*noKey) Livemode(context.Context) (bool, error) { return false, errDown }
