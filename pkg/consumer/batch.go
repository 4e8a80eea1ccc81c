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

// ErrInfrastructure: every message of a batch failed because the store or the queue could
// not be used. The event source mapping then slows down.
var ErrInfrastructure = errors.New("no message could be handled")

// ErrStuck: a handler did not return; the process is about to exit.
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
	pending []string        // receipts acknowledged and not deleted yet
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
	fresh, poisonCandidates := split(messages, c.cfg.Limits.SuspectReceives)

	b.concurrently(fresh)
	b.stagger(poisonCandidates)
	for _, m := range poisonCandidates {
		// A message that crashes the process must not cause finished ones to be
		// redelivered.
		b.deleteFinished()
		b.process(m)
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
	// One throttled item does not mean that the store is down.
	if len(messages) > 0 && b.infra == len(messages) && (b.infra > 1 || b.throttled.Load() == 0) {
		return nil, fmt.Errorf("%w: %d of %d messages", ErrInfrastructure, b.infra, len(messages))
	}
	return failed, nil
}

// split separates messages that were received so often that they may kill the process.
func split(messages []queue.Message, suspectFrom int) (fresh, poisonCandidates []queue.Message) {
	for _, m := range messages {
		if m.Receives >= suspectFrom {
			poisonCandidates = append(poisonCandidates, m)
		} else {
			fresh = append(fresh, m)
		}
	}
	return fresh, poisonCandidates
}

// stagger sets a different visibility for each candidate but the first, in case the process
// dies: messages that were in flight together would come back together, in the same order,
// until one poison message had made dead letters of them all.
func (b *batch) stagger(poisonCandidates []queue.Message) {
	if len(poisonCandidates) < 2 {
		return
	}
	l := b.c.cfg.Limits
	var wg sync.WaitGroup
	for _, m := range poisonCandidates[1:] {
		spread := 0.9 + 0.1*b.c.cfg.Rand()
		wg.Go(func() { b.setVisibility(m, time.Duration(spread*float64(l.Backoff(l.SuspectReceives)))) })
	}
	wg.Wait()
}

func (b *batch) concurrently(messages []queue.Message) {
	if len(messages) == 1 { // this goroutine's stack has grown already
		b.process(messages[0])
		return
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, b.c.cfg.Limits.BatchConcurrency)
	for _, m := range messages {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			b.process(m)
		})
	}
	wg.Wait()
}

// process handles a message, sets its visibility and records its result.
func (b *batch) process(m queue.Message) {
	r := b.recovering(m)
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

// recovering turns a panic of this package into a failed message. Package dispatch recovers
// panics of handlers.
func (b *batch) recovering(m queue.Message) (r result) {
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
	ctx, cancel := b.detachedContext()
	defer cancel()
	if err := b.c.cfg.Queue.SetVisibility(ctx, m.Receipt, d); err != nil {
		b.c.cfg.Logger.WarnContext(ctx, "set visibility failed", "message_id", m.ID, "error", err.Error())
	}
}

// deleteFinished acknowledges the messages done so far. It is best effort: a message that
// stays is acknowledged by the batch response, or comes back as a duplicate.
func (b *batch) deleteFinished() {
	b.mu.Lock()
	receipts := b.pending
	b.pending = nil
	b.mu.Unlock()
	if len(receipts) == 0 {
		return
	}
	ctx, cancel := b.detachedContext()
	defer cancel()
	if err := b.c.cfg.Queue.Delete(ctx, receipts); err != nil {
		b.c.cfg.Logger.WarnContext(ctx, "delete finished messages failed", "count", len(receipts), "error", err.Error())
	}
}

// detachedContext is for writes that must not be cancelled with the handler: bounded by the
// record budget and by the time until Lambda ends the function.
func (b *batch) detachedContext() (context.Context, context.CancelFunc) {
	l := b.c.cfg.Limits
	budget := min(l.RecordBudget, max(b.left()-l.HandlerGrace, l.HandlerGrace))
	return context.WithTimeout(context.WithoutCancel(b.ctx), budget)
}

// left is the time until Lambda ends the function.
func (b *batch) left() time.Duration { return b.deadline.Sub(b.c.cfg.Now()) }
