package consumer_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/queue"
)

func fromReconcile(e *event.Envelope) { e.Source = event.Reconcile }

// missedWorld is a consumer on a real store, whose messages are given to it by hand.
type missedWorld struct {
	*bundle
	t     *testing.T
	store *idempotencytest.Memory
	c     *consumer.Consumer
}

func newMissedWorld(t *testing.T) *missedWorld {
	t.Helper()
	b := setup(succeed)
	m := idempotencytest.NewMemory(nil)
	b.config.Store = m
	c, err := consumer.New(b.config)
	if err != nil {
		t.Fatal(err)
	}
	return &missedWorld{bundle: b, t: t, store: m, c: c}
}

// receive hands over one message and returns how long it stays hidden, 0 for acknowledged.
func (w *missedWorld) receive(m queue.Message) time.Duration {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), w.config.Limits.ConsumerTimeout)
	defer cancel()
	failed, err := w.c.Handle(ctx, []queue.Message{m})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(failed) == 0 {
		return 0
	}
	return w.queue.visibility[m.Receipt]
}

// TestMissedDeliveries counts an event as missed when only reconcile's message brings it.
func TestMissedDeliveries(t *testing.T) {
	type receive struct {
		after  time.Duration // the one before
		source event.Source
		n      int           // of its message
		hidden time.Duration // 0: acknowledged
	}
	const webhook, reconcile, minute = event.Webhook, event.Reconcile, time.Minute
	for _, tc := range []struct {
		name     string
		receives []receive
		want     int
	}{
		{"no webhook's message follows", []receive{{0, reconcile, 1, 15 * minute}, {15 * minute, reconcile, 2, 0}}, 1},
		{"the webhook's message follows", []receive{{0, reconcile, 1, 15 * minute}, {0, webhook, 1, 0}, {15 * minute, reconcile, 2, 0}}, 0},
		{"the webhook's message was first", []receive{{0, webhook, 1, 0}, {0, reconcile, 1, 0}, {0, reconcile, 2, 0}}, 0},
		{"it comes back early", []receive{{0, reconcile, 1, 15 * minute}, {3 * minute, reconcile, 2, 12 * minute}, {12 * minute, reconcile, 3, 0}}, 1},
		{"a second copy of reconcile counts nothing", []receive{{0, reconcile, 1, 15 * minute}, {0, reconcile, 1, 0}}, 0},
		{"done at its last receive", []receive{{0, reconcile, 16, 0}}, 0},
		{"a backfill is not a delivery", []receive{{0, event.Backfill, 1, 0}}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newMissedWorld(t)
				for i, r := range tc.receives {
					time.Sleep(r.after)
					m := message(t, "1", r.n, func(e *event.Envelope) { e.Source = r.source })
					if got := w.receive(m); got != r.hidden {
						t.Errorf("receive %d: hidden for %v, want %v", i, got, r.hidden)
					}
				}
				if got := strings.Count(w.logs.String(), `"outcome":"missed"`); got != tc.want {
					t.Errorf("%d missed, want %d", got, tc.want)
				}
				if r, _, _ := w.store.Record(t.Context(), "evt_1"); r.State != idempotency.Done || r.Attempt != 1 {
					t.Errorf("record %+v, want done by one attempt", r)
				}
			})
		})
	}
}

// TestMissedWatchIsBounded lets only a few messages of one process wait: they stay in
// flight, and reconcile sends less the more are.
func TestMissedWatchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newMissedWorld(t)
		waiting := 0
		for i := range 20 {
			if w.receive(message(t, string(rune('a'+i)), 1, fromReconcile)) > 0 {
				waiting++
			}
		}
		if waiting != w.config.Limits.MissedWatched {
			t.Errorf("%d wait, want %d", waiting, w.config.Limits.MissedWatched)
		}
		time.Sleep(w.config.Limits.MissedAfter)
		if w.receive(message(t, "z", 1, fromReconcile)) == 0 {
			t.Error("after that time no further message waits")
		}
	})
}
