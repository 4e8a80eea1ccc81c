package reconcile

import (
	"context"
	"slices"
	"testing"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// quiet are the types that are paused, and the error of every question.
type quiet struct {
	types   []string
	resumes string // the name whose own pass may send
	err     error
}

func (q quiet) Quiet(_ context.Context, eventType, resumes string) (bool, error) {
	return slices.Contains(q.types, eventType) && (resumes == "" || resumes != q.resumes), q.err
}

// TestNoTierSendsAPausedType, however its event looks: without a record, stuck, or dead for the sweep;
// and once it is resumed every tier sends it, also from the slices that passes finished meanwhile.
func TestNoTierSendsAPausedType(t *testing.T) {
	for _, tier := range []string{Frequent, Nightly, Weekly} {
		t.Run(tier, func(t *testing.T) {
			w := newWorld(noon())
			at := noon().Add(-150 * time.Minute)
			for _, id := range []string{"evt_new", "evt_stuck", "evt_dead"} {
				w.arises(anEvent(id, at), at)
			}
			other := anEvent("evt_other", at)
			other.Type = "payment_intent.succeeded"
			w.arises(other, at)
			unfinished := func(id string, left int64) {
				r := done(anEvent(id, at), at)
				r.State, r.ReceivesLeft, r.Fails = idempotency.Failed, left, 1
				w.records[id] = r
			}
			unfinished("evt_stuck", 3)
			unfinished("evt_dead", 0)
			r := w.reconciler(t, func(c *Config) { c.Pause = quiet{types: []string{"invoice.paid"}} })
			report, err := r.Run(t.Context(), tier)
			want := 2
			if tier == Weekly {
				want = 3
			}
			if err != nil || !report.Complete() || report.Paused != want || report.Deferred != 0 || len(w.taken) != 1 || w.taken[0].ID != "evt_other" {
				t.Fatalf("paused: %+v, %v, sent %v", report, err, w.taken)
			}
			w.consume()
			r.cfg.Pause = quiet{}
			if report, err = r.Run(t.Context(), tier); err != nil || report.Requeued() != want || len(w.taken) != 1+want {
				t.Errorf("resumed: %+v, %v, sent %v", report, err, w.taken)
			}
		})
	}
}

// TestPausesThatCannotBeRead end a pass: what it must not send is not known.
func TestPausesThatCannotBeRead(t *testing.T) {
	w := newWorld(noon())
	w.arises(anEvent("evt_1", noon().Add(-time.Hour)), noon())
	r := w.reconciler(t, func(c *Config) { c.Pause = quiet{err: errDown} })
	report, err := r.Run(t.Context(), Frequent)
	if err == nil || report.Complete() || len(w.taken) > 0 {
		t.Errorf("%+v, %v, sent %v", report, err, w.taken)
	}
}

// TestBackfillOfAPause: a backfill sends nothing of a paused type, and counts it in a dry run too. The
// run that resumes the type sends it, and nothing before the start of history.
func TestBackfillOfAPause(t *testing.T) {
	w := newStage(noon())
	w.begins[Stream{}] = noon().Add(-2 * time.Hour)
	for id, ago := range map[string]time.Duration{"evt_before": 121 * time.Minute, "evt_1": 119 * time.Minute, "evt_2": 10 * time.Minute} {
		w.arises(anEvent(id, noon().Add(-ago)), noon())
	}
	r := w.reconciler(t, func(c *Config) { c.Pause = quiet{types: []string{"invoice.paid"}, resumes: "invoice.paid"} })
	req := BackfillRequest{Since: noon().Add(-3 * time.Hour), Until: noon(), Types: []string{"invoice.paid"}}
	for _, dry := range []bool{true, false} {
		req.DryRun = dry
		if report, err := r.Backfill(t.Context(), req); err != nil || report.Paused != 3 || report.Requeued() != 0 || len(w.taken) > 0 {
			t.Errorf("dry %v: %+v, %v", dry, report, err)
		}
	}
	req.Resumes = "invoice.paid"
	report, err := r.Backfill(t.Context(), req)
	if err != nil || !report.Complete() || report.Paused != 0 || len(report.Sent) != 2 || slices.Contains(report.Sent, "evt_before") {
		t.Errorf("resuming: %+v, %v", report, err)
	}
	if len(w.begins) != 1 {
		t.Errorf("begins are %v", w.begins)
	}
	// No pass has listed the account yet: it has no history.
	w.begins = map[Stream]time.Time{}
	if report, err := r.Backfill(t.Context(), req); err != nil || !report.Complete() || len(report.Sent) != 0 || len(w.begins) > 0 {
		t.Errorf("without a start of history: %+v, %v, begins %v", report, err, w.begins)
	}
}

// TestBackfillOfAPauseUnderExclusion: where policies exclude every account, the end of a pause has
// nothing to send, and is no error.
func TestBackfillOfAPauseUnderExclusion(t *testing.T) {
	for name, closed := range closed() {
		w := newWorld(noon())
		r := w.reconciler(t, func(c *Config) {
			policies(closed)(c)
			c.Accounts = map[string]string{"acct_1": "connect"}
		})
		req := BackfillRequest{Since: noon().Add(-time.Hour), Until: noon(), Resumes: "invoice.paid"}
		if report, err := r.Backfill(t.Context(), req); err != nil || !report.Nothing || len(w.lists) > 0 {
			t.Errorf("%s: %+v, %v", name, report, err)
		}
	}
}

// TestPausedSliceIsCovered: a pause leaves no gap, and its slices are compared again.
func TestPausedSliceIsCovered(t *testing.T) {
	w := newWorld(noon())
	w.arises(anEvent("evt_1", noon().Add(-time.Hour)), noon())
	r := w.reconciler(t, func(c *Config) { c.Pause = quiet{types: []string{"invoice.paid"}} })
	if _, err := r.Run(t.Context(), Nightly); err != nil {
		t.Fatal(err)
	}
	if p := Prove(w.allNotes(), limits.AWS().Reconcile, noon(), day); len(p.Gaps) > 0 {
		t.Errorf("gaps %+v", p.Gaps)
	}
	for _, n := range w.notes {
		if n.Listed > 0 && n.Sum != "" {
			t.Errorf("a slice with a paused event has the sum %s: later passes would not compare it", n.Sum)
		}
	}
}
