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

func (w *missedWorld) missed() int { return strings.Count(w.logs.String(), `"outcome":"missed"`) }

// TestMissedDeliveries counts an event as missed when only reconcile's message brings it.
func TestMissedDeliveries(t *testing.T) {
	for _, tc := range []struct {
		name string
		play func(*missedWorld)
		want int
	}{
		{"no webhook's message follows", func(w *missedWorld) {
			w.wait(message(w.t, "1", 1, fromReconcile), 15*time.Minute)
			time.Sleep(15 * time.Minute)
			w.wait(message(w.t, "1", 2, fromReconcile), 0)
		}, 1},
		{"the webhook's message follows", func(w *missedWorld) {
			w.wait(message(w.t, "1", 1, fromReconcile), 15*time.Minute)
			w.wait(message(w.t, "1", 1), 0)
			time.Sleep(15 * time.Minute)
			w.wait(message(w.t, "1", 2, fromReconcile), 0)
		}, 0},
		{"the webhook's message was first", func(w *missedWorld) {
			w.wait(message(w.t, "1", 1), 0)
			w.wait(message(w.t, "1", 1, fromReconcile), 0)
			w.wait(message(w.t, "1", 2, fromReconcile), 0)
		}, 0},
		{"it comes back early", func(w *missedWorld) {
			w.wait(message(w.t, "1", 1, fromReconcile), 15*time.Minute)
			time.Sleep(3 * time.Minute)
			w.wait(message(w.t, "1", 2, fromReconcile), 12*time.Minute)
			time.Sleep(12 * time.Minute)
			w.wait(message(w.t, "1", 3, fromReconcile), 0)
		}, 1},
		{"a second copy of reconcile counts nothing", func(w *missedWorld) {
			w.wait(message(w.t, "1", 1, fromReconcile), 15*time.Minute)
			w.wait(message(w.t, "1", 1, fromReconcile), 0)
		}, 0},
		{"done at its last receive", func(w *missedWorld) {
			w.wait(message(w.t, "1", 16, fromReconcile), 0)
		}, 0},
		{"a backfill is no delivery", func(w *missedWorld) {
			m := message(w.t, "1", 1, func(e *event.Envelope) { e.Source = event.Backfill })
			w.wait(m, 0)
		}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newMissedWorld(t)
				tc.play(w)
				if got := w.missed(); got != tc.want {
					t.Errorf("%d missed, want %d", got, tc.want)
				}
				if r, _, _ := w.store.Record(t.Context(), "evt_1"); r.State != idempotency.Done || r.Attempt != 1 {
					t.Errorf("record %+v, want done by one attempt", r)
				}
			})
		})
	}
}

// wait receives a message and wants it hidden for a time, 0 for acknowledged.
func (w *missedWorld) wait(m queue.Message, want time.Duration) {
	w.t.Helper()
	got := w.receive(m)
	if got != want {
		w.t.Errorf("receive %d of %s: hidden for %v, want %v", m.Receives, m.ID, got, want)
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
