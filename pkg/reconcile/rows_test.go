package reconcile

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// TestBrokenRowsHoldUpNoOther: each is counted and named, and nothing is sent for it; the
// other events on the page are compared, in every tier.
func TestBrokenRowsHoldUpNoOther(t *testing.T) {
	for _, tier := range []string{Frequent, Nightly, Weekly} {
		t.Run(tier, func(t *testing.T) {
			w := newWorld(noon())
			at := noon().Add(-2 * time.Hour)
			for _, id := range []string{"evt_1", "evt_att", "evt_2", "evt_lease", "evt_state", "evt_3"} {
				w.arises(anEvent(id, at), at)
			}
			ident := func(id string) string { return idempotency.Identity(anEvent(id, at)) }
			w.records["evt_att"] = idempotency.Record{ID: "evt_att", State: idempotency.Done, Broken: "attribute att has an unexpected type"}
			w.records["evt_lease"] = idempotency.Record{ID: "evt_lease", State: idempotency.Running, Identity: ident("evt_lease"), ReceivesLeft: 3}
			w.records["evt_state"] = idempotency.Record{ID: "evt_state", State: "PAUSED", Identity: ident("evt_state"), ReceivesLeft: 3}
			var log bytes.Buffer
			r := w.reconciler(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
			report, err := r.Run(t.Context(), tier)
			want := Counts{Listed: 6, Unrecorded: 3, Mismatched: 3}
			if d := cmp.Diff(want, report.Counts); d != "" || err != nil || !report.Complete() {
				t.Errorf("%v, complete %v, counts (-want +got):\n%s", err, report.Complete(), d)
			}
			if d := cmp.Diff([]string{"evt_1", "evt_2", "evt_3"}, w.sentOnce()); d != "" {
				t.Errorf("sent (-want +got):\n%s", d)
			}
			for _, named := range []string{"event=evt_att", "attribute att", "event=evt_lease", "without a lease", "event=evt_state", "PAUSED"} {
				if !strings.Contains(log.String(), named) {
					t.Errorf("the log does not have %q:\n%s", named, &log)
				}
			}
		})
	}
}

// TestBrokenNoteHoldsUpNoPass: it is named and proves nothing.
func TestBrokenNoteHoldsUpNoPass(t *testing.T) {
	w := newWorld(noon())
	w.history("")
	w.begun(t, Nightly, "")
	w.broken = []string{"COVER#test#-#nightly#x"}
	var log bytes.Buffer
	r := w.reconciler(t, func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	report, err := r.Run(t.Context(), Frequent)
	if err != nil || !report.Complete() || report.CaughtUp == 0 || report.Unrecorded == 0 || !strings.Contains(log.String(), w.broken[0]) {
		t.Errorf("%+v, %v, log:\n%s", report, err, &log)
	}
}

// TestPurgedIsKnown in every tier, by hand too: an operator gave the event up. A claim
// removes the mark, and passes cover the event again.
func TestPurgedIsKnown(t *testing.T) {
	w := newWorld(noon())
	e := anEvent("evt_1", noon().Add(-2*time.Hour))
	w.arises(e, noon())
	w.records[e.ID] = idempotency.Record{
		ID: e.ID, State: idempotency.Failed, Identity: idempotency.Identity(e), Updated: noon().Add(-100 * time.Minute), Purged: noon().Add(-100 * time.Minute),
	}
	r := w.reconciler(t, nil)
	w.runAll(t, r)
	if report, err := r.Backfill(t.Context(), BackfillRequest{Since: noon().Add(-day), Until: noon()}); err != nil || report.Known != 1 || len(w.taken) != 0 {
		t.Errorf("%+v, %v, sent %v", report, err, w.ids())
	}
	claimed := w.records[e.ID]
	claimed.Purged = time.Time{}
	w.records[e.ID] = claimed
	if report, err := r.Run(t.Context(), Weekly); err != nil || report.Unfinished != 1 {
		t.Errorf("after a claim: %+v, %v", report, err)
	}
}

// TestStoppedConsumerForTwentyMinutes: what was delivered waits on the queue. Each pass may
// send it again, each event once and within the bound of the queue, and no metric reports
// missing deliveries.
func TestStoppedConsumerForTwentyMinutes(t *testing.T) {
	w := newWorld(noon())
	r := w.reconciler(t, nil)
	limit := limits.AWS().Reconcile.MaxBacklog
	w.stopped = true
	for minute := range 60 {
		w.now = noon().Add(time.Duration(minute) * time.Minute)
		for n := range 20 {
			e := anEvent("evt_"+w.now.Format("1504")+"_"+string(rune('a'+n)), w.now)
			w.arises(e, w.now)
			w.put(e)
		}
		w.stopped = minute < 20
		w.consume()
		if minute%15 != 0 || minute == 0 {
			continue
		}
		before := len(w.taken)
		report, err := r.Run(t.Context(), Frequent)
		sent := len(w.taken) - before
		if err != nil || report.Requeued() != sent || len(w.queue) > limit {
			t.Errorf("minute %d: %+v, %v, %d sent, %d on the queue", minute, report, err, sent, len(w.queue))
		}
		if minute > 20 && sent > 0 {
			t.Errorf("minute %d: the consumer works again, and a pass sent %d", minute, sent)
		}
	}
	if len(w.unknown()) > 0 || w.copies > 11*20 {
		t.Errorf("%d unknown, %d copies; want at most one of each event older than the settle lag", len(w.unknown()), w.copies)
	}
	t.Logf("%d copies of %d events", w.copies, len(w.stripe))
}
