package consumer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/pkg/queue"
)

// ErrInfrastructure says that every message of a batch failed because the store or
// the queue could not be used; the event source mapping then slows down.
var ErrInfrastructure = errors.New("no message could be handled")

// ErrStuck says that a handler did not return; the process is about to end.
var ErrStuck = errors.New("a handler outlived its context")

// batch is one invocation. Every message counts as failed until its result says otherwise.
type batch struct {
	c         *Consumer
	ctx       context.Context
	deadline  time.Time   // when Lambda ends the function
	storeDown atomic.Bool // stop claiming
	stuck     atomic.Bool // stop claiming, then exit
	throttled atomic.Int32

	mu      sync.Mutex
	acked   map[string]bool // message ids to acknowledge
	pending []string        // receipts acknowledged but not deleted by us yet
	infra   int             // messages that failed for infrastructure reasons
}

// Handle runs one batch and returns the ids of the messages that must come back, in
// the batch's order, never nil. An error fails the whole batch. The context's deadline
// is the function's; without one the consumer's timeout counts from now.
func (c *Consumer) Handle(ctx context.Context, messages []queue.Message) (failed []string, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = c.cfg.Now().Add(c.cfg.Limits.ConsumerTimeout)
	}
	b := &batch{c: c, ctx: ctx, deadline: deadline, acked: map[string]bool{}}
	fresh, suspects := split(messages, c.cfg.Limits.SuspectReceives)

	b.concurrently(fresh)
	b.scatter(suspects)
	for _, m := range suspects {
		// A message that kills the process must not take finished ones with it.
		b.deleteFinished()
		b.one(m)
	}
	if b.stuck.Load() {
		b.deleteFinished()
		c.cfg.Exit(1)
		return nil, ErrStuck
	}
	failed = make([]string, 0, len(messages))
	for _, m := range messages {
		if !b.acked[m.ID] {
			failed = append(failed, m.ID)
		}
	}
	// One throttled item says nothing about the store.
	if len(messages) > 0 && b.infra == len(messages) && (b.infra > 1 || b.throttled.Load() == 0) {
		return nil, fmt.Errorf("%w: %d of %d messages", ErrInfrastructure, b.infra, len(messages))
	}
	return failed, nil
}

// split puts messages that failed often enough to be suspected of killing the process last.
func split(messages []queue.Message, suspectFrom int) (fresh, suspects []queue.Message) {
	for _, m := range messages {
		if m.Receives >= suspectFrom {
			suspects = append(suspects, m)
		} else {
			fresh = append(fresh, m)
		}
	}
	return fresh, suspects
}

// scatter gives each suspect but the first a time of its own to come back at, for the
// case that the process dies: messages that were killed together would come back
// together, in the same order, until one bad message has made dead letters of them all.
func (b *batch) scatter(suspects []queue.Message) {
	if len(suspects) < 2 {
		return
	}
	l := b.c.cfg.Limits
	var wg sync.WaitGroup
	for _, m := range suspects[1:] {
		spread := 0.9 + 0.1*b.c.cfg.Rand()
		wg.Go(func() { b.setVisibility(m, time.Duration(spread*float64(l.Backoff(l.SuspectReceives)))) })
	}
	wg.Wait()
}

func (b *batch) concurrently(messages []queue.Message) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, b.c.cfg.Limits.BatchConcurrency)
	for _, m := range messages {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			b.one(m)
		})
	}
	wg.Wait()
}

// one handles a message, sets its visibility and notes its result.
func (b *batch) one(m queue.Message) {
	r := b.guarded(m)
	if !r.ack {
		b.setVisibility(m, r.delay)
	}
	if r.stuck {
		b.stuck.Store(true)
	}
	if r.storeDown {
		b.storeDown.Store(true)
	}
	b.mu.Lock()
	if r.ack {
		b.acked[m.ID] = true
		b.pending = append(b.pending, m.Receipt)
	}
	if r.infra {
		b.infra++
	}
	b.mu.Unlock()
	b.c.log(b.ctx, m, r)
}

// guarded turns a panic of our own code into a failed message; handlers' panics are
// caught where handlers are called.
func (b *batch) guarded(m queue.Message) (r result) {
	defer func() {
		if v := recover(); v != nil {
			b.c.cfg.Logger.ErrorContext(b.ctx, "consumer panicked", "message_id", m.ID, "stack", string(debug.Stack()))
			r = b.c.transient(m, fmt.Errorf("consumer panicked: %v", v))
		}
	}()
	return b.message(m)
}

// setVisibility is best effort: when it fails the queue's own timeout applies.
func (b *batch) setVisibility(m queue.Message, d time.Duration) {
	ctx, cancel := b.own()
	defer cancel()
	if err := b.c.cfg.Queue.SetVisibility(ctx, m.Receipt, d); err != nil {
		b.c.cfg.Logger.WarnContext(ctx, "set visibility failed", "message_id", m.ID, "error", err.Error())
	}
}

// deleteFinished acknowledges what is done so far. It is best effort too: a message
// that stays is acknowledged by the answer, or comes back to find itself done.
func (b *batch) deleteFinished() {
	b.mu.Lock()
	receipts := b.pending
	b.pending = nil
	b.mu.Unlock()
	if len(receipts) == 0 {
		return
	}
	ctx, cancel := b.own()
	defer cancel()
	if err := b.c.cfg.Queue.Delete(ctx, receipts); err != nil {
		b.c.cfg.Logger.WarnContext(ctx, "delete finished messages failed", "count", len(receipts), "error", err.Error())
	}
}

// own is the context of a write that must not end with the handler's: at most the
// record budget, and over before Lambda ends the function.
func (b *batch) own() (context.Context, context.CancelFunc) {
	l := b.c.cfg.Limits
	budget := min(l.RecordBudget, max(b.left()-l.HandlerGrace, l.HandlerGrace))
	return context.WithTimeout(context.WithoutCancel(b.ctx), budget)
}

// left is the time until Lambda ends the function.
func (b *batch) left() time.Duration { return b.deadline.Sub(b.c.cfg.Now()) }
