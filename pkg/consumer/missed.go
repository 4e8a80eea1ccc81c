package consumer

import (
	"sync"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// A delivery counts as missed when reconcile's message wrote the record first and the
// webhook's own message does not follow within limits.MissedAfter of queue time. After an
// outage of the consumer both are in the queue, and nothing was missed. So a reconcile
// message whose event is done is not acknowledged at once, but hidden for that time.

// watch bounds how many messages wait at once: they stay in flight, and reconcile sends less
// when more are in flight. Safe for concurrent use.
type watch struct {
	every time.Duration
	most  int

	mu    sync.Mutex
	began []time.Time // start times of the last waits, at most `most`
}

func newWatch(l limits.Limits) *watch { return &watch{every: l.MissedAfter, most: l.MissedWatched} }

// begin reports whether another message may wait, and counts it.
func (w *watch) begin(now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.began) == w.most {
		if now.Sub(w.began[0]) < w.every {
			return false
		}
		w.began = w.began[1:]
	}
	w.began = append(w.began, now)
	return true
}

// watchForWebhook decides on a reconcile message whose event it has just completed.
func (c *Consumer) watchForWebhook(m queue.Message) (ack bool, delay time.Duration) {
	if m.Receives >= c.cfg.Limits.MaxReceives || !c.missed.begin(c.cfg.Now()) {
		return true, 0
	}
	return false, c.cfg.Limits.MissedAfter
}

// duplicate decides on a message whose event is done.
func (c *Consumer) duplicate(m queue.Message, env event.Envelope, got idempotency.ClaimResult) result {
	r := result{env: env, outcome: outcomeDuplicate, ack: true}
	if env.Source != event.Reconcile || got.Source != event.Reconcile || m.Receives < 2 {
		return r
	}
	left := c.cfg.Limits.MissedAfter - c.cfg.Now().Sub(got.DoneAt)
	// The queue waits whole seconds, by another clock.
	if left > c.cfg.Limits.MissedAfter/10 && m.Receives < c.cfg.Limits.MaxReceives {
		r.ack, r.delay = false, min(left, c.cfg.Limits.MissedAfter)
		return r
	}
	r.outcome = outcomeMissed
	return r
}
