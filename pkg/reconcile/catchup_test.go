package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// errBad is Stripe's answer to one list and not to others.
var errBad = errors.New("400: no such event")

// aged makes n events of one second, so long ago; the newest exhausted its retries, the others are done.
func (w *world) aged(name string, n int, ago time.Duration) {
	at := noon().Add(-ago)
	for i := range n {
		e := anEvent(fmt.Sprintf("evt_%s_%03d", name, i), at)
		w.arises(e, at)
		w.records[e.ID] = done(e, at)
	}
	newest := w.stripe[slices.IndexFunc(w.stripe, func(l *listed) bool { return l.Event.Created == at.Unix() })].Event
	w.records[newest.ID] = idempotency.Record{ID: newest.ID, State: idempotency.Failed, Identity: idempotency.Identity(newest), Updated: at}
}

// begun is the note of a tier's newest slice: without one it has not begun, and nothing of it is left.
func (w *world) begun(t *testing.T, tier, account string) {
	t.Helper()
	note := Covered{Tier: tier, Account: account, From: w.now.Add(-time.Hour), To: w.now.Add(-time.Minute), DoneAt: w.now}
	if err := w.Cover(t.Context(), note); err != nil {
		t.Fatal(err)
	}
}

// later pages of the events of one time fail.
func laterPages(ago time.Duration, err error) func(Query) error {
	return func(q Query) error {
		if at := noon().Add(-ago); q.After != "" && !at.Before(q.From) && !at.After(q.To) {
			return err
		}
		return nil
	}
}

func (w *world) ids() (ids []string) {
	for _, e := range w.taken {
		ids = append(ids, e.ID)
	}
	return ids
}

const day = 24 * time.Hour

// TestSliceThatCannotBeListedBreedsNoCopies: what a slice of the net sends goes after its
// last page, a slice that fails holds up no younger one, and the passes say that it does.
func TestSliceThatCannotBeListedBreedsNoCopies(t *testing.T) {
	w := newWorld(noon())
	w.begun(t, Weekly, "")
	w.aged("bad", 101, 25*day)
	w.aged("good", 101, 20*day)
	w.fail = laterPages(25*day, errBad)
	r := w.reconciler(t, nil)
	for n := range 3 {
		report, err := r.Run(t.Context(), Frequent)
		if !errors.Is(err, errBad) || report.Complete() || report.LeftOver != 1 {
			t.Errorf("run %d: %+v, %v; want one slice left over, and incomplete", n, report, err)
		}
		if got := w.ids(); len(got) != 1 || w.records[got[0]].ID[:8] != "evt_good" {
			t.Fatalf("run %d: %v were sent, want the dead letter of the slice behind it, once", n, got)
		}
		if unfinished := []int{1, 0, 0}[n]; report.Unfinished != unfinished {
			t.Errorf("run %d: %d unfinished, want %d", n, report.Unfinished, unfinished)
		}
		w.now = w.now.Add(15 * time.Minute)
	}
	w.fail = nil
	for n := range 2 {
		if report, err := r.Run(t.Context(), Frequent); err != nil || !report.Complete() || len(w.taken) != 2 {
			t.Errorf("run %d after it can be listed: %+v, %v, %v", n, report, err, w.ids())
		}
	}
}

// TestWeeklyPassSendsNothingOfHalfASlice: neither where a page fails nor where the time ends.
func TestWeeklyPassSendsNothingOfHalfASlice(t *testing.T) {
	for name, fail := range map[string]func(*world) error{
		"a page fails":  func(*world) error { return errBad },
		"time runs out": func(w *world) error { w.now = w.now.Add(time.Hour); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(noon())
			w.aged("old", 101, 3*day)
			w.fail = func(q Query) error {
				if q.After != "" {
					return fail(w)
				}
				return nil
			}
			report, _ := w.reconciler(t, nil).Run(t.Context(), Weekly)
			if report.Complete() || report.Requeued() != 0 || len(w.taken) != 0 || report.Listed == 0 {
				t.Errorf("%+v, sent %v", report, w.ids())
			}
		})
	}
}

// TestCatchUpThatCannotSend stops there, reports it, and continues in the next run.
func TestCatchUpThatCannotSend(t *testing.T) {
	w := newWorld(noon())
	w.begun(t, Weekly, "")
	w.aged("older", 1, 25*day)
	w.aged("old", 1, 20*day)
	w.dead = true
	r := w.reconciler(t, nil)
	report, err := r.Run(t.Context(), Frequent)
	if !errors.Is(err, errDown) || report.Complete() || report.Requeued() != 0 || report.LeftOver != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	w.dead = false
	if report, err := r.Run(t.Context(), Frequent); err != nil || !report.Complete() || report.Unfinished != 2 {
		t.Errorf("%+v, %v", report, err)
	}
}

// TestAccountThatCannotBeListedHoldsUpNoOthersCatchUp: a revoked account, for one.
func TestAccountThatCannotBeListedHoldsUpNoOthersCatchUp(t *testing.T) {
	w := newWorld(noon())
	w.begun(t, Nightly, "")
	w.begun(t, Nightly, "acct_gone")
	w.arises(anEvent("evt_old", noon().Add(-50*time.Hour)), noon())
	asked := 0
	w.fail = func(q Query) error {
		if q.Account == "acct_gone" {
			asked++
			return errBad
		}
		return nil
	}
	r := w.reconciler(t, func(c *Config) { c.Accounts = map[string]string{"": "default", "acct_gone": "connect"} })
	report, err := r.Run(t.Context(), Frequent)
	if !errors.Is(err, errBad) || report.Complete() || report.CaughtUp == 0 || report.Unrecorded != 1 || report.LeftOver != 0 {
		t.Errorf("%+v, %v", report, err)
	}
	if asked != 1 {
		t.Errorf("the account that cannot be listed was asked for %d times, want once", asked)
	}
}

// TestCatchUpWaitsForTheQuarter: a pass that could not do what it is for begins nothing else.
func TestCatchUpWaitsForTheQuarter(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*world, *Config)
		stops bool
		fails bool
	}{
		{"nothing is wrong", func(*world, *Config) {}, false, false},
		{"a full queue", func(w *world, c *Config) { c.Depth = depthFunc(func() int { return c.Limits.Reconcile.MaxBacklog }) }, true, false},
		{"more than a pass may send", func(_ *world, c *Config) { c.Limits.Reconcile.MaxSends = 1 }, true, false},
		{"no records", func(_ *world, c *Config) { c.Records = recordsFunc(func() error { return errDown }) }, true, true},
		{"no queue", func(w *world, _ *Config) { w.dead = true }, true, true},
		{"no list", func(w *world, _ *Config) { w.fail = func(Query) error { return errBad } }, true, true},
		{"no time", func(w *world, _ *Config) {
			w.fail = func(Query) error { w.now = w.now.Add(time.Hour); return nil }
		}, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(noon())
			w.begun(t, Nightly, "")
			for n := range 150 {
				w.arises(anEvent(fmt.Sprint("evt_", n), noon().Add(-time.Hour)), noon())
			}
			r := w.reconciler(t, nil)
			c.spoil(w, &r.cfg)
			report, err := r.Run(t.Context(), Frequent)
			if (report.CaughtUp > 0) == c.stops || report.Complete() == c.stops || (err != nil) != c.fails || report.LeftOver != 0 {
				t.Errorf("%+v, %v", report, err)
			}
			oldest := slices.MinFunc(w.lists, func(a, b Query) int { return a.From.Compare(b.From) })
			if caughtUp := oldest.From.Before(noon().Add(-4 * time.Hour)); caughtUp == c.stops {
				t.Errorf("listed back to %v", oldest.From)
			}
		})
	}
}

type recordsFunc func() error

func (f recordsFunc) Records(context.Context, []string) (map[string]idempotency.Record, error) {
	return nil, f()
}

func (f recordsFunc) Open(context.Context) (map[string]int64, error) { return nil, f() }

// TestHeldBodiesHaveABound: what is over it goes by its id, and the consumer fetches it.
func TestHeldBodiesHaveABound(t *testing.T) {
	w := newWorld(noon())
	large := make([]byte, maxHeld/4)
	for n := range 6 {
		e := anEvent(fmt.Sprint("evt_", n), noon().Add(-3*day))
		e.Body = large
		w.arises(e, noon())
	}
	small := anEvent("evt_small", noon().Add(-4*day))
	w.arises(small, noon())
	report, err := w.reconciler(t, nil).Run(t.Context(), Weekly)
	if err != nil || !report.Complete() || report.Unrecorded != 7 {
		t.Fatalf("%+v, %v", report, err)
	}
	bare := slices.DeleteFunc(slices.Clone(w.taken), func(e event.Envelope) bool { return e.Body != nil })
	if len(w.taken) != 7 || len(bare) != 2 || w.taken[6].Body == nil {
		t.Errorf("%d were sent, %d of them by id; want 7 and the two over the bound", len(w.taken), len(bare))
	}
}
