package redrive

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of a pass over the queue.
const (
	MaxMessages    = 100_000 // a queue gives out no more than 120,000 messages at once
	receiveBatch   = 10
	requestTimeout = 30 * time.Second
	emptyReceives  = 2 // in a row are taken for the end
	parallel       = 8 // requests at once
)

// walk hands each dead letter once to visit, in batches of at most ten, until the queue
// returns no more, limit messages were read or visit returns false. Then it shows all messages
// again that visit did not delete: also after an error, a panic of visit, or when the context
// is cancelled, which is an error. It returns how many stay hidden.
func (d *DLQ) walk(ctx context.Context, limit int, visit func(f *inFlight, batch []Received) (more bool, err error)) (unreleased int, err error) {
	f := &inFlight{queue: d.Queue, visibility: d.Visibility(), latest: map[string]*receipt{}}
	// An interrupt cancels no request: messages of a lost response would stay hidden.
	detached := context.WithoutCancel(ctx)
	defer func() {
		// What is not released in this time becomes visible anyway.
		ctx, cancel := context.WithTimeout(detached, f.visibility)
		defer cancel()
		if unreleased = f.release(ctx); unreleased > 0 && d.OnUnreleased != nil {
			d.OnUnreleased(unreleased)
		}
	}()
	// Receives in a row without a new message end the walk. Messages that came back because
	// their visibility could not be extended do so only once each of them may have.
	empty, repeated, read := 0, 0, 0
	for empty < emptyReceives && repeated <= len(f.latest) {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("stopped after %d: %w", read, err)
		}
		f.extend(detached)
		batch, got, err := f.receive(detached, min(receiveBatch, limit-read))
		if err != nil {
			return 0, err
		}
		switch {
		case len(batch) > 0:
			empty, repeated = 0, 0
		case got > 0:
			repeated++
			continue
		default:
			empty++
			continue
		}
		read += len(batch)
		if more, err := visit(f, batch); err != nil || !more || read >= limit {
			return 0, err
		}
	}
	return 0, nil
}

// inFlight keeps received messages hidden and shows all of them again at the end. For one
// goroutine at a time.
type inFlight struct {
	queue      Queue
	visibility time.Duration
	latest     map[string]*receipt // by message id
	order      []*receipt          // earliest until first; includes outdated receipts
}

// receipt is one receive of a message.
type receipt struct {
	id, handle string
	until      time.Time
}

// receive returns the messages of one receive that are new to the walk, and how many it got
// in all.
func (f *inFlight) receive(ctx context.Context, limit int) (fresh []Received, got int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	asked := time.Now()
	messages, err := f.queue.Receive(ctx, limit, f.visibility)
	for _, m := range messages {
		if f.latest[m.ID] == nil {
			fresh = append(fresh, m)
		}
		r := &receipt{m.ID, m.Receipt, asked.Add(f.visibility)}
		f.latest[m.ID] = r // only the latest receipt is valid
		f.order = append(f.order, r)
	}
	return fresh, len(messages), err
}

// forget drops a message that was deleted.
func (f *inFlight) forget(id string) { delete(f.latest, id) }

// extend hides messages again that have less than half of their time left. One that cannot be
// extended becomes visible; it is not visited twice.
func (f *inFlight) extend(ctx context.Context) {
	now := time.Now()
	var due []*receipt
	for len(f.order) > 0 && f.order[0].until.Sub(now) < f.visibility/2 {
		if r := f.order[0]; f.latest[r.id] == r {
			due = append(due, r)
		}
		f.order = f.order[1:]
	}
	f.set(ctx, due, f.visibility)
	for _, r := range due {
		r.until = now.Add(f.visibility)
		f.order = append(f.order, r)
	}
}

// release shows all messages again and returns how many it could not; those become visible
// when their time is over.
func (f *inFlight) release(ctx context.Context) (failed int) {
	var all []*receipt
	for _, r := range f.order { // not the map's order: a run can be repeated step by step
		if f.latest[r.id] == r {
			all = append(all, r)
		}
	}
	f.latest, f.order = map[string]*receipt{}, nil
	return f.set(ctx, all, 0)
}

// set returns how many messages it failed for that are still hidden.
func (f *inFlight) set(ctx context.Context, list []*receipt, hide time.Duration) (failed int) {
	var bad atomic.Int64
	each(len(list), func(i int) {
		if f.queue.SetVisibility(ctx, list[i].handle, hide) != nil && time.Now().Before(list[i].until) {
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
