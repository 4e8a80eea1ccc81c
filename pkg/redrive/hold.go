package redrive

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// parallel bounds the requests that are under way at once.
const parallel = 8

// hold keeps received messages hidden and gives all of them back. It is for one
// goroutine at a time.
type hold struct {
	queue      Queue
	visibility time.Duration
	latest     map[string]*held // by message id
	order      []*held          // by until, the earliest first; may have some that are no longer the latest
}

// held is one receive.
type held struct {
	id, receipt string
	until       time.Time
}

func newHold(q Queue, visibility time.Duration) *hold {
	return &hold{queue: q, visibility: visibility, latest: map[string]*held{}}
}

// keep remembers a receive that was asked for at the given time; it reports false
// when the message was received before. Only the latest receipt counts.
func (h *hold) keep(m Received, asked time.Time) (fresh bool) {
	_, again := h.latest[m.ID]
	e := &held{m.ID, m.Receipt, asked.Add(h.visibility)}
	h.latest[m.ID] = e
	h.order = append(h.order, e)
	return !again
}

// forget lets go of a message that was taken out of the queue.
func (h *hold) forget(id string) { delete(h.latest, id) }

// extend hides on what has less than half of its time left. A message that cannot be
// extended is in the queue again, where it belongs, and is counted once all the same.
func (h *hold) extend(ctx context.Context) {
	now := time.Now()
	var due []*held
	for len(h.order) > 0 && h.order[0].until.Sub(now) < h.visibility/2 {
		if e := h.order[0]; h.latest[e.id] == e {
			due = append(due, e)
		}
		h.order = h.order[1:]
	}
	h.set(ctx, due, h.visibility)
	for _, e := range due {
		e.until = now.Add(h.visibility)
		h.order = append(h.order, e)
	}
}

// release shows all messages again and returns how many it could not; those come back
// by themselves when their time is over.
func (h *hold) release(ctx context.Context) (failed int) {
	var all []*held
	for _, e := range h.order { // not the map's order: a run can be repeated step by step
		if h.latest[e.id] == e {
			all = append(all, e)
		}
	}
	h.latest, h.order = map[string]*held{}, nil
	return h.set(ctx, all, 0)
}

// set returns how many messages it failed for that are still hidden.
func (h *hold) set(ctx context.Context, list []*held, d time.Duration) (failed int) {
	var bad atomic.Int64
	each(len(list), func(i int) {
		if h.queue.SetVisibility(ctx, list[i].receipt, d) != nil && time.Now().Before(list[i].until) {
			bad.Add(1)
		}
	})
	return int(bad.Load())
}

// each runs f(0) to f(n-1), several at once, and waits for all.
func each(n int, f func(int)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range min(n, parallel) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
