package drift_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/drift"
)

const day = 24 * time.Hour

// rows keeps n invoices from a time on, called <name>_<n>.
func (w *world) rows(name string, n int, at time.Time) {
	for i := range n {
		w.kept(fmt.Sprintf("%s_%04d", name, i), 7, at)
	}
}

// run does one run and returns its report and the keys that drifted.
func run(t *testing.T, s *drift.Sweep) (r drift.Report, drifted []string, err error) {
	t.Helper()
	s.OnDrift = func(f drift.Finding) { drifted = append(drifted, f.Key) }
	r, err = s.Run(t.Context())
	return r, drifted, err
}

// TestSweepTakesRecentRowsFirst: the recent rows, then the others and entitlements without a row;
// then nothing until a week after its start.
func TestSweepTakesRecentRowsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.rows("in_a", 60, time.Now().Add(-40*day))
		w.rows("in_b", 60, time.Now().Add(-30*day))
		delete(w.items, row+"in_a_0000")
		w.objects["in_b_0010"] = invoice("in_b_0010", 8)
		s := w.sweep()
		s.Requests = 50 // a run's
		r, drifted, err := run(t, s)
		if err != nil || r.Done || r.Checked < 50 || r.Checked >= 50+25 || len(drifted) != 1 || drifted[0] != row+"in_b_0010" {
			t.Fatalf("first run %+v, %v, %v", r, drifted, err)
		}
		checked, all := r.Checked, drifted
		for range 5 {
			s = w.sweep()
			s.Requests = 50
			if r, drifted, err = run(t, s); err != nil {
				t.Fatal(err)
			}
			checked, all = checked+r.Checked, append(all, drifted...)
		}
		// 60 recent rows, 59 others and all 120 entitlements.
		if !r.Done || checked != 60+59+120 || len(all) != 2 || all[1] != ent+"in_a_0000" {
			t.Errorf("at the end %+v, %d compared, drifted %v", r, checked, all)
		}
		if r.Age > time.Hour || !r.Known {
			t.Errorf("age %v", r.Age)
		}
		time.Sleep(6 * day)
		if r, _, _ = run(t, w.sweep()); !r.Done || r.Checked != 0 || r.Age < 6*day {
			t.Errorf("after six days %+v", r)
		}
		time.Sleep(2 * day)
		if r, _, _ = run(t, w.sweep()); r.Checked == 0 || r.Age > day {
			t.Errorf("after eight days %+v", r)
		}
	})
}

// TestKilledRun: wherever a run is killed, the next ones compare every row and report every
// drift.
func TestKilledRun(t *testing.T) {
	for at := 1; at < 200; at += 17 {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.rows("in", 90, time.Now())
			for _, n := range []int{0, 24, 25, 39, 40, 89} {
				id := fmt.Sprintf("in_%04d", n)
				w.objects[id] = invoice(id, 8)
			}
			reported := map[string]bool{}
			ctx, kill := context.WithCancel(t.Context())
			w.onFetch = func(string) {
				w.mu.Lock()
				defer w.mu.Unlock()
				if w.fetches == at {
					kill()
				}
			}
			s := w.sweep()
			s.OnDrift = func(f drift.Finding) { reported[f.Key] = true }
			s.Run(ctx)
			kill()
			s = w.sweep()
			s.Requests = 10_000
			s.OnDrift = func(f drift.Finding) { reported[f.Key] = true }
			for done := false; !done; {
				r, err := s.Run(t.Context())
				if done = r.Done; err != nil {
					t.Fatalf("killed at fetch %d: %+v, %v", at, r, err)
				}
			}
			if len(reported) != 6 {
				t.Errorf("killed at fetch %d: reported %v", at, reported)
			}
		})
	}
}

// TestTwoRuns: of two runs at once one ends; together they compare everything.
func TestTwoRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.rows("in", 200, time.Now())
		w.onFetch = func(string) { time.Sleep(time.Second) }
		other := make(chan error, 1)
		go func() {
			_, err := w.sweep().Run(t.Context())
			other <- err
		}()
		_, err := w.sweep().Run(t.Context())
		if second := <-other; (err == nil) == (second == nil) {
			t.Errorf("errors %v and %v, want one", err, second)
		}
		if !w.position.Recent.Started.IsZero() || w.position.Recent.Verified.IsZero() {
			t.Errorf("position %+v", w.position)
		}
	})
}

// TestStripeDownRaisesTheAge: no row is reported, the position stays, and the age grows, also
// before the first pass.
func TestStripeDownRaisesTheAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.rows("in", 30, time.Now())
		w.down = true
		for range 12 {
			if r, drifted, err := run(t, w.sweep()); !errors.Is(err, drift.ErrStripe) || len(drifted) != 0 || !r.Known {
				t.Fatalf("%+v, %v, %v", r, drifted, err)
			}
			time.Sleep(day)
		}
		r, _, _ := run(t, w.sweep())
		if r.Age < 12*day || w.position.Recent.After != "" {
			t.Errorf("age %v, position %+v", r.Age, w.position)
		}
		w.down = false
		if r, _, err := run(t, w.sweep()); err != nil || r.Age > time.Hour {
			t.Errorf("after the outage %+v, %v", r, err)
		}
	})
}

// TestManyFailuresAreNoWholePass: a pass in which a tenth of the rows cannot be fetched does not
// count, and starts again a day later; a single such row does not matter.
func TestManyFailuresAreNoWholePass(t *testing.T) {
	for _, c := range []struct {
		failing int
		whole   bool
	}{{1, true}, {20, false}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			w.rows("in", 100, time.Now())
			for n := range c.failing {
				id := fmt.Sprintf("in_%04d", n*5)
				w.objects[id] = invoice(id, 7)
			}
			failing := map[string]bool{}
			for n := range c.failing {
				failing[fmt.Sprintf("in_%04d", n*5)] = true
			}
			for id := range failing {
				w.objects[id] = ""
			}
			time.Sleep(time.Minute)
			r, _, err := run(t, w.sweep())
			if err != nil || r.Failed != c.failing {
				t.Errorf("%d: %+v, %v", c.failing, r, err)
			}
			if whole := !w.position.Recent.Verified.IsZero(); whole != c.whole {
				t.Errorf("%d failing: whole %v", c.failing, whole)
			}
			time.Sleep(time.Hour)
			if r, _, _ = run(t, w.sweep()); r.Checked != 0 {
				t.Errorf("%d: an hour later %d rows are compared again", c.failing, r.Checked)
			}
			time.Sleep(day)
			if r, _, _ = run(t, w.sweep()); (r.Checked == 0) != c.whole {
				t.Errorf("%d: a day later %+v", c.failing, r)
			}
		})
	}
}

// TestRowsOfTheOtherModeOnly: nothing was compared, so nothing is verified.
func TestRowsOfTheOtherModeOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.rows("in", 30, time.Now())
		s := w.sweep()
		s.Checker.Livemode = true
		r, _, err := run(t, s)
		if err != nil || r.Checked != 0 || r.Skipped == 0 || !w.position.Recent.Verified.IsZero() {
			t.Errorf("%+v, %v, position %+v", r, err, w.position)
		}
	})
}

// TestClockThatWentBack: times in the future neither stop the passes nor count as verified.
func TestClockThatWentBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.rows("in", 10, time.Now())
		ahead := time.Now().Add(1000 * day)
		w.position = drift.Position{Ver: 3, Began: ahead, Recent: drift.Pass{Verified: ahead, Tried: ahead}, Older: drift.Pass{Started: ahead, After: "X"}}
		r, _, err := run(t, w.sweep())
		if err != nil || r.Checked < 10 || w.position.Recent.Verified.After(time.Now()) || !r.Done {
			t.Errorf("%+v, %v, position %+v", r, err, w.position)
		}
	})
}

// TestSlowStripe: with the slowest answers that are awaited a run still ends in its time, and
// moves on.
func TestSlowStripe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.rows("in", 300, time.Now())
		for n := range 300 {
			id := fmt.Sprintf("in_%04d", n)
			w.objects[id] = invoice(id, 8)
		}
		w.onFetch = func(string) { time.Sleep(6 * time.Second) }
		started := time.Now()
		r, _, err := run(t, w.sweep())
		if took := time.Since(started); err != nil || r.Drifted < 25 || took > 13*time.Minute {
			t.Errorf("%+v in %v, %v", r, took, err)
		}
	})
}

// TestLargeTable: over a table of many old rows one pass over the recent ones reads each page
// once.
func TestLargeTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.pageSize = 1000
		w.rows("in_a", 9900, time.Now().Add(-400*day))
		w.rows("in_b", 40, time.Now())
		pages := 0
		w.onKept = func() { pages++ }
		s := w.sweep()
		s.Requests = 40
		r, _, err := run(t, s)
		if err != nil || r.Checked != 40 || w.position.Recent.Verified.IsZero() || pages > 25 {
			t.Errorf("%+v, %v after %d pages", r, err, pages)
		}
	})
}
