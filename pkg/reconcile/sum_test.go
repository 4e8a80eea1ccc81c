package reconcile

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// finished is a world in which the nightly tier has found all events of two days done.
func finished(t *testing.T) (*world, *Reconciler) {
	t.Helper()
	w := newWorld(noon())
	for n := range 48 {
		e := anEvent(fmt.Sprintf("evt_%02d", n), noon().Add(-time.Duration(n)*time.Hour-30*time.Minute))
		w.arises(e, noon())
		w.records[e.ID] = done(e, noon())
	}
	r := w.reconciler(t, nil)
	if report, err := r.Run(t.Context(), Nightly); err != nil || report.Known != 48 || w.reads != 48 {
		t.Fatalf("%+v, %v, %d records read", report, err, w.reads)
	}
	w.reads, w.now = 0, noon().Add(time.Hour)
	return w, r
}

// again is a record whose event was replayed two hours ago, and whose message is lost.
func (w *world) again(e event.Envelope) idempotency.Record {
	r := done(e, w.now.Add(-2*time.Hour))
	r.State = idempotency.Failed
	return r
}

func TestUnchangedSliceIsNotRead(t *testing.T) {
	for _, tier := range []string{Nightly, Weekly} {
		w, r := finished(t)
		lists := len(w.lists)
		report, err := r.Run(t.Context(), tier)
		if err != nil || !report.Complete() || report.Known != 48 || report.Listed != 48 {
			t.Errorf("%s: %+v, %v", tier, report, err)
		}
		if w.reads != 0 {
			t.Errorf("%s: %d records read", tier, w.reads)
		}
		if listed := len(w.lists) - lists; listed < 75 {
			t.Errorf("%s: %d lists, want one of each slice", tier, listed)
		}
	}
}

// TestChangesInFinishedSlices: each is found by a tier that looks at it.
func TestChangesInFinishedSlices(t *testing.T) {
	e := anEvent("evt_20", noon().Add(-20*time.Hour-30*time.Minute))
	late := anEvent("evt_late", noon().Add(-20*time.Hour-30*time.Minute))
	for _, c := range []struct {
		name    string
		change  func(*world, *Reconciler)
		nightly string // what it sends
		weekly  string
	}{
		{"nothing", func(*world, *Reconciler) {}, "", ""},
		{"a message lost after a replay", func(w *world, _ *Reconciler) { w.records[e.ID] = w.again(e) }, e.ID, e.ID},
		{"a replay that became a dead letter", func(w *world, _ *Reconciler) {
			rec := w.again(e)
			rec.ReceivesLeft = 0
			w.records[e.ID] = rec
		}, "", e.ID},
		{"an entry that the list shows late", func(w *world, _ *Reconciler) { w.arises(late, w.now) }, late.ID, late.ID},
		{"one event in place of another", func(w *world, _ *Reconciler) {
			for _, l := range w.stripe {
				if l.Event.ID == e.ID {
					l.Event = late
				}
			}
		}, late.ID, late.ID},
		{"open records unknown", func(w *world, _ *Reconciler) { w.openErr, w.records[e.ID] = errDown, w.again(e) }, e.ID, e.ID},
		{"a newer note without a sum", func(w *world, _ *Reconciler) {
			for _, n := range w.notes {
				n.Tier, n.Sum, n.DoneAt = Backfill, "", n.DoneAt.Add(time.Minute)
				_ = w.Cover(t.Context(), n)
			}
			delete(w.records, e.ID)
		}, e.ID, e.ID},
	} {
		for tier, want := range map[string]string{Nightly: c.nightly, Weekly: c.weekly} {
			w, r := finished(t)
			c.change(w, r)
			if _, err := r.Run(t.Context(), tier); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(w.ids(), " "); got != want {
				t.Errorf("%s, %s: sent %q, want %q", c.name, tier, got, want)
			}
		}
	}
}

// TestSumsOfOtherVersions prove nothing, even if they are the same texts as ours.
func TestSumsOfOtherVersions(t *testing.T) {
	for _, sum := range []string{"", "2:", "other"} {
		w := newWorld(noon())
		w.history("")
		w.now = noon().Add(time.Minute)
		r := w.reconciler(t, nil)
		p, err := r.pass(t.Context(), Tier{Name: Nightly}, event.Reconcile)
		if err != nil {
			t.Fatal(err)
		}
		hour := Window{noon().Add(-2 * time.Hour), noon().Add(-time.Hour - time.Second)}
		if err := w.Cover(t.Context(), Covered{Tier: Nightly, From: hour.From, To: hour.To, DoneAt: noon(), Sum: sum}); err != nil {
			t.Fatal(err)
		}
		p.recall(t.Context())
		if got := p.parts("", hour); len(got) != 1 || got[0].sum != "" {
			t.Errorf("the sum %q is used: %+v", sum, got)
		}
	}
}

// TestSumOfWhatIsAccountedFor: a slice has a sum if each of its events is done or in the index
// of open records, whatever its state there.
func TestSumOfWhatIsAccountedFor(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*world, *listed)
		sum   bool
	}{
		{"done", func(*world, *listed) {}, true},
		{"failed", func(w *world, l *listed) { w.records[l.Event.ID] = w.again(l.Event) }, true},
		{"purged", func(w *world, l *listed) {
			rec := w.again(l.Event)
			rec.Purged = w.now
			w.records[l.Event.ID] = rec
		}, true},
		{"runs for the first time", func(w *world, l *listed) {
			rec := w.again(l.Event)
			rec.State, rec.Lease, rec.ReceivesLeft = idempotency.Running, w.now.Add(time.Hour), 3
			w.records[l.Event.ID] = rec
		}, false},
		{"no record", func(w *world, l *listed) { delete(w.records, l.Event.ID) }, false},
		{"unreadable", func(_ *world, l *listed) { l.Event.ID, l.Err = "", event.ErrNotEvent }, false},
		{"another's", func(_ *world, l *listed) { l.Event.Account = "acct_2"; l.account = "" }, false},
		{"broken", func(w *world, l *listed) { w.records[l.Event.ID] = idempotency.Record{ID: l.Event.ID, Broken: "x"} }, false},
		{"contradicts", func(_ *world, l *listed) { l.Event.Type = "payment_intent.succeeded" }, false},
	} {
		w := newWorld(noon())
		for n := range 3 {
			e := anEvent(fmt.Sprint("evt_", n), noon().Add(-10*time.Hour))
			w.arises(e, noon())
			w.records[e.ID] = done(e, noon())
		}
		c.spoil(w, w.stripe[1])
		r := w.reconciler(t, nil)
		for range 2 {
			w.now = w.now.Add(time.Second)
			if _, err := r.Run(t.Context(), Nightly); err != nil {
				t.Fatal(err)
			}
		}
		seen := 0
		for _, n := range w.notes {
			if seen += n.Listed; n.Listed > 0 && (n.Sum != "") != c.sum {
				t.Errorf("%s: the note %+v", c.name, n)
			}
		}
		if seen != 3 {
			t.Errorf("%s: %d events noted, want 3", c.name, seen)
		}
	}
}

// TestGrowingSlice: of a slice that has begun only what is new is read.
func TestGrowingSlice(t *testing.T) {
	w := newWorld(noon())
	r := w.reconciler(t, nil)
	for n := range 9 {
		e := anEvent(fmt.Sprint("evt_", n), w.now)
		w.arises(e, w.now)
		w.records[e.ID] = done(e, w.now)
		w.now = w.now.Add(15 * time.Minute)
		before := w.reads
		if _, err := r.Run(t.Context(), Frequent); err != nil || w.reads-before != 1 {
			t.Errorf("pass %d: %d records read, %v; want 1", n, w.reads-before, err)
		}
	}
}

// TestSettledSlicesAreNotListed by the frequent tier, unless one of their events is open.
func TestSettledSlicesAreNotListed(t *testing.T) {
	w := newWorld(noon())
	e := anEvent("evt_1", noon().Add(30*time.Minute))
	r := w.reconciler(t, nil)
	listed := func() bool {
		before := len(w.lists)
		if report, err := r.Run(t.Context(), Frequent); err != nil || !report.Complete() {
			t.Errorf("%+v, %v", report, err)
		}
		for _, q := range w.lists[before:] {
			if q.From.Equal(noon()) {
				return true
			}
		}
		return false
	}
	w.arises(e, noon())
	w.records[e.ID] = done(e, noon())
	late := r.cfg.Limits.Reconcile.Late
	for ; w.now.Before(noon().Add(4 * time.Hour)); w.now = w.now.Add(15 * time.Minute) {
		want := w.now.After(noon()) && !w.now.After(noon().Add(time.Hour+late))
		if got := listed(); got != want {
			t.Errorf("%v after its beginning: listed %v, want %v", w.now.Sub(noon()), got, want)
		}
	}
	w.now = noon().Add(4*time.Hour - 15*time.Minute)
	for _, created := range []int64{e.Created, 0} {
		w.records[e.ID] = idempotency.Record{ID: e.ID, State: idempotency.Failed, Identity: idempotency.Identity(e), Created: created, Updated: w.now, ReceivesLeft: 3}
		if !listed() {
			t.Errorf("an event of it is open, created at %d: not listed", created)
		}
	}
}

// TestNotesThatCannotBeRead: everything is compared, and the pass says that it read none.
func TestNotesThatCannotBeRead(t *testing.T) {
	w, r := finished(t)
	r.cfg.Coverage = unreadNotes{w}
	report, err := r.Run(t.Context(), Nightly)
	if !errors.Is(err, errDown) || report.Known != 48 || w.reads != 48 {
		t.Errorf("%+v, %v, %d records read", report, err, w.reads)
	}
}

type unreadNotes struct{ *world }

func (unreadNotes) Covered(context.Context, time.Time, time.Time) ([]Covered, []string, error) {
	return nil, nil, errDown
}
