package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"tollgate/pkg/destination"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Queue has the calls that a sender makes besides its batch response. Safe for concurrent use.
type Queue interface {
	// SetVisibility hides a received message for d from now.
	SetVisibility(ctx context.Context, receipt string, d time.Duration) error
	// DeadLetter puts a copy of m into the dead-letter queue; nil means that it is stored.
	DeadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error
}

// Events fetches an event's bytes from Stripe. As for a handler, errors marked by package dispatch
// are permanent, all others transient.
type Events interface {
	FetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error)
}

// Config holds a sender's parts.
type Config struct {
	Store        Store             // required
	Queue        Queue             // required
	Destinations destination.Set   // their rates and concurrencies hold for this process
	Targets      map[string]Target // one for each destination
	Events       Events            // required by destinations of whole events
	Logger       *slog.Logger      // one line per job; default none
	Limits       limits.Limits     // default limits.AWS()

	Now   func() time.Time // default time.Now
	Rand  func() float64   // in [0, 1); default rand.Float64
	Owner func() string    // default idempotency.NewOwner
}

// Sender handles batches of jobs. It is safe for concurrent use.
type Sender struct {
	cfg   Config
	lanes map[string]*lane
}

// New fills in the defaults and returns a sender, or an error that names every missing part.
func New(c Config) (*Sender, error) {
	c.Limits = cmp.Or(c.Limits, limits.AWS())
	var errs []error
	if c.Store == nil || c.Queue == nil {
		errs = append(errs, errors.New("sender needs a store and a queue"))
	}
	s := &Sender{cfg: c, lanes: map[string]*lane{}}
	for name, d := range c.Destinations {
		if c.Targets[name] == nil || d.Whole && c.Events == nil {
			errs = append(errs, fmt.Errorf("sender needs a target for destination %s, and for whole events a fetcher", name))
		}
		s.lanes[name] = newLane(d, c.Targets[name])
	}
	if c.Logger == nil {
		s.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		s.cfg.Now = time.Now
	}
	if c.Rand == nil {
		s.cfg.Rand = rand.Float64
	}
	if c.Owner == nil {
		s.cfg.Owner = idempotency.NewOwner
	}
	return s, errors.Join(errs...)
}

// now has no monotonic clock, which stops while a process is frozen: a lease would seem to hold.
func (s *Sender) now() time.Time { return s.cfg.Now().Round(0) }

// batch is one invocation.
type batch struct {
	*Sender
	ctx      context.Context
	deadline time.Time // when Lambda ends the function
}

// Handle runs one batch in parallel and returns the ids of the jobs that must come back, in the
// batch's order, never nil. The context's deadline is the function's; without one the sender's
// timeout counts from now.
func (s *Sender) Handle(ctx context.Context, messages []queue.Message) (failed []string, err error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = s.now().Add(s.cfg.Limits.Sender.Timeout)
	}
	b := &batch{Sender: s, ctx: ctx, deadline: deadline.Round(0)}
	acked := make([]bool, len(messages))
	var wg sync.WaitGroup
	for i, m := range messages {
		wg.Go(func() { acked[i] = b.process(m) })
	}
	wg.Wait()
	failed = make([]string, 0, len(messages))
	for i, m := range messages {
		if !acked[i] {
			failed = append(failed, m.ID)
		}
	}
	return failed, nil
}

// process handles a job, sets its visibility and logs its result.
func (b *batch) process(m queue.Message) (ack bool) {
	r := b.recovering(m)
	if !r.ack {
		ctx, cancel := b.detached()
		defer cancel()
		r.delay = max(r.delay, b.cfg.Limits.MinDelay)
		if err := b.cfg.Queue.SetVisibility(ctx, m.Receipt, r.delay); err != nil { // the queue's own timeout applies
			b.cfg.Logger.WarnContext(ctx, "set visibility failed", "message_id", m.ID, "error", limits.Cut(err.Error(), limits.MaxErrorText))
		}
	}
	b.log(m, r)
	return r.ack
}

// recovering turns a panic into a failed job.
func (b *batch) recovering(m queue.Message) (r result) {
	defer func() {
		if v := recover(); v != nil {
			b.cfg.Logger.ErrorContext(b.ctx, "sender panicked", "message_id", m.ID, "stack", string(debug.Stack()))
			r = result{outcome: outcomeUnknown, delay: b.wait(m), err: errors.New("sender panicked")}
		}
	}()
	return b.job(m)
}

// detached is the context of writes that must not end with the invocation's.
func (b *batch) detached() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(b.ctx), b.cfg.Limits.RecordBudget)
}

// wait is a job's wait before it comes back without an attempt, by its receives.
func (b *batch) wait(m queue.Message) time.Duration {
	return b.jitter(b.cfg.Limits.Sender.Backoff(m.Receives, b.cfg.Limits.Sender.WaitCap))
}

// jitter returns 0.9 to 1 of d.
func (s *Sender) jitter(d time.Duration) time.Duration {
	return time.Duration((0.9 + 0.1*s.cfg.Rand()) * float64(d))
}
