package pause

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/redrive"
)

// Step is a step of a resumption, in this order.
type Step string

const (
	StepEnable Step = "enable" // of the event source mapping, for everything
	StepWait   Step = "wait"   // until no process has the switch as it was
	StepMove   Step = "move"   // of the held messages, back to the queue of events; not for everything
	StepPass   Step = "pass"   // over the span of the pause
)

// Passes compare a span with Stripe's list.
type Passes interface {
	Backfill(context.Context, reconcile.BackfillRequest) (reconcile.BackfillReport, error)
}

// Resumption ends a pause. Every step can be repeated, so one that ended early, or whose process
// died, is resumed again.
type Resumption struct {
	Store  Store
	Hold   redrive.DLQ                 // the hold queue; its Mover sends to the queue of events
	Enable func(context.Context) error // enables the event source mapping, for All
	// Passes list every account that reconcile lists, with its Pause; nil for a system without a key
	// for Stripe's API, which compares nothing.
	Passes Passes
	Limits limits.Limits
	Rate   int // messages and events a second at most; default redrive.DefaultRate

	// Called if set: before each step, with the number of messages just sent, and after each page of
	// the pass.
	OnStep   func(Step)
	OnSent   func(int)
	Progress func(reconcile.Counts)
}

// Resumed is what a resumption did, also one that ended early.
type Resumed struct {
	Span  Span
	Moved int // messages sent from the hold queue to the queue of events
	Pass  reconcile.BackfillReport
	// Compared is until when the pass lists what was created: Stripe's list may lack newer events, which
	// the scheduled passes compare. Zero without a pass.
	Compared time.Time
}

// Errors of a resumption that must be run again.
var (
	// ErrHeld means that messages may be left in the hold queue.
	ErrHeld = errors.New("the hold queue may have more messages of the type: resume it again")
	// ErrNotCompared means that the span of the pause is not compared completely.
	ErrNotCompared = errors.New("the time of the pause is not completely compared with Stripe's list: resume again")
)

// rounds bounds how often the hold queue is read: SQS's counts lag by up to a minute.
const (
	rounds     = 12
	roundEvery = 10 * time.Second
)

// Run resumes a name. After an error the name is still being resumed.
func (r *Resumption) Run(ctx context.Context, name, by string) (done Resumed, err error) {
	s, err := change(ctx, r.Store, func(s *State) error { return s.resume(name, time.Now(), by) })
	if err != nil {
		return done, fmt.Errorf("resume %s: %w", name, err)
	}
	done.Span = s.Resuming[name]
	steps := []func(context.Context, string, *Resumed) error{r.wait, r.move}
	if name == All {
		steps = []func(context.Context, string, *Resumed) error{r.enable, r.wait}
	}
	if r.Passes != nil {
		steps = append(steps, r.pass)
	}
	for _, step := range steps {
		if err := step(ctx, name, &done); err != nil {
			return done, fmt.Errorf("resume %s: %w", name, err)
		}
	}
	if _, err = change(ctx, r.Store, func(s *State) error { return s.finish(name, done.Span) }); err != nil {
		return done, fmt.Errorf("resume %s: %w", name, err)
	}
	return done, nil
}

func (r *Resumption) begins(s Step) {
	if r.OnStep != nil {
		r.OnStep(s)
	}
}

func (r *Resumption) enable(ctx context.Context, _ string, _ *Resumed) error {
	r.begins(StepEnable)
	return r.Enable(ctx)
}

// wait lets every process learn that the name is not paused: a message that is held later would stay
// in the hold queue, and a pass with an old switch would leave events.
func (r *Resumption) wait(ctx context.Context, _ string, _ *Resumed) error {
	r.begins(StepWait)
	return sleep(ctx, r.Limits.PauseSettle())
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// move sends the held messages of the type to the queue of events, until the hold queue certainly has
// none.
func (r *Resumption) move(ctx context.Context, name string, done *Resumed) error {
	r.begins(StepMove)
	hold := r.Hold
	hold.Records = unread{}
	for n := range rounds {
		if n > 0 {
			if err := sleep(ctx, roundEvery/time.Duration(max(hold.TimeScale, 1))); err != nil {
				return err
			}
		}
		s, err := r.Store.Pauses(ctx)
		if err == nil {
			err = s.resumes(name, done.Span)
		}
		if err != nil {
			return err
		}
		plan, err := hold.Plan(ctx, redrive.Selection{Filter: redrive.Filter{Type: name}, WaitHidden: true, Arriving: true})
		if err != nil {
			return fmt.Errorf("read the hold queue: %w", err)
		}
		if plan.Selected == 0 && plan.Certain {
			return nil
		}
		moved, err := hold.Redrive(ctx, plan, redrive.Options{Rate: r.Rate, OnSent: r.OnSent})
		done.Moved += moved.Moved
		if _, left := errors.AsType[*redrive.LeftError](err); err != nil && !left {
			return fmt.Errorf("move held messages: %w", err)
		}
	}
	return ErrHeld
}

// pass compares the span with Stripe's list, and what frequent passes before it may have left.
func (r *Resumption) pass(ctx context.Context, name string, done *Resumed) (err error) {
	r.begins(StepPass)
	rate := r.Rate
	if rate == 0 {
		rate = redrive.DefaultRate
	}
	now := time.Now()
	done.Compared = now.Add(-r.Limits.Reconcile.SettleLag)
	req := reconcile.BackfillRequest{
		Since: done.Span.From.Add(-r.Limits.Reconcile.Frequent.Span), Until: now, Types: []string{name},
		Rate: float64(rate), Resumes: name, Progress: r.Progress,
	}
	if name == All {
		req.Types = nil
	}
	done.Pass, err = r.Passes.Backfill(ctx, req)
	switch {
	case err != nil:
		return err
	case done.Pass.Nothing: // policies exclude every account
		return nil
	case name != All && done.Pass.Paused > 0:
		return fmt.Errorf("%w (%d events are of a paused type)", ErrNotCompared, done.Pass.Paused)
	case !done.Pass.Complete():
		return fmt.Errorf("%w (%d events do not fit into the queue: let the consumer work on it first)", ErrNotCompared, done.Pass.Deferred)
	}
	return nil
}

// unread are the records of held messages, which play no part.
type unread struct{}

func (unread) Get(context.Context, string) (idempotency.Record, bool, error) {
	return idempotency.Record{}, false, nil
}
