package reconcile

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/limits"
)

// TestBackfillSendsMoreThanAPass: while the queue holds few, the operator waits for it.
func TestBackfillSendsMoreThanAPass(t *testing.T) {
	w := newWorld(noon())
	r := w.reconciler(t, nil)
	r.cfg.Limits.Reconcile.MaxSends = 20
	r.cfg.Depth = depthFunc(func() int { w.consume(); return len(w.queue) })
	for n := range 130 {
		w.arises(anEvent(fmt.Sprint("evt_", n), noon().Add(-time.Hour)), noon())
	}
	report, err := r.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-2 * time.Hour), Until: noon()})
	if err != nil || !report.Complete() || report.Unrecorded != 130 || len(w.taken) != 130 {
		t.Errorf("%+v, %v, %d sent", report, err, len(w.taken))
	}
}

// TestBackfillCoversByAllTypesAlone, however often the request names one.
func TestBackfillCoversByAllTypesAlone(t *testing.T) {
	const paid, succeeded, other = "invoice.paid", "payment_intent.succeeded", "invoice.voided"
	for _, c := range []struct {
		name   string
		types  []string
		covers bool
		listed int
	}{
		{"all", nil, true, 2},
		{"each", []string{succeeded, paid}, true, 2},
		{"each, one twice", []string{paid, succeeded, paid}, true, 2},
		{"one", []string{paid}, false, 1},
		{"one, twice", []string{paid, paid}, false, 1},
		{"as many, one of them foreign", []string{paid, other}, false, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(noon())
			for n, typ := range []string{paid, succeeded} {
				e := anEvent(fmt.Sprint("evt_", n), noon().Add(-time.Hour))
				e.Type = typ
				w.arises(e, noon())
			}
			report, err := w.reconciler(t, nil).Backfill(t.Context(), BackfillRequest{Since: noon().Add(-2 * time.Hour), Until: noon(), Types: c.types})
			if err != nil || !report.Complete() || report.Listed != c.listed || (len(w.notes) > 0) != c.covers {
				t.Errorf("%+v, %v, notes %v", report, err, w.notes)
			}
		})
	}
}

// TestBackfillSlicesFollowStripesClock: a local system's time scale does not cut the slices.
func TestBackfillSlicesFollowStripesClock(t *testing.T) {
	w := newWorld(noon())
	r := w.reconciler(t, func(c *Config) { c.Limits = limits.Scaled(60) })
	report, err := r.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-20 * 24 * time.Hour), Until: noon()})
	if err != nil || report.Slices != 20*24 {
		t.Errorf("%d slices, %v", report.Slices, err)
	}
}

// TestBackfillWaits for what it sent, at most as long as it is asked to.
func TestBackfillWaits(t *testing.T) {
	for name, tt := range map[string]struct {
		polled func(w *world) // after the first poll
		open   int
	}{
		"until all are done": {func(w *world) {
			for _, e := range w.taken {
				w.records[e.ID] = done(e, w.now)
			}
		}, 0},
		"until the time is up": {func(w *world) { w.now = w.now.Add(time.Hour) }, 2},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(noon())
			for n := range 2 {
				w.arises(anEvent(fmt.Sprint("evt_", n), noon().Add(-time.Hour)), noon())
			}
			began, polls := time.Now(), 0
			report, err := w.reconciler(t, nil).Backfill(t.Context(), BackfillRequest{
				Since: noon().Add(-2 * time.Hour), Until: noon(), Rate: 0.1, Wait: time.Minute,
				OnSettled: func(settled, total int) {
					if polls++; polls == 1 {
						tt.polled(w)
					}
				},
			})
			if err != nil || len(report.Sent) != 2 || report.Open != tt.open {
				t.Errorf("%s: %+v, %v", name, report, err)
			}
			if took := time.Since(began); took < 10*time.Second {
				t.Errorf("%s: 2 events at 0.1 a second took %s", name, took)
			}
		})
	}
}
