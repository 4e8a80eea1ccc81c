package redrive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// Options of a redrive.
type Options struct {
	// Rate is how many messages a second are sent at most. Defaults to DefaultRate.
	Rate int
	// Limit is how many messages are sent at most. Defaults to all that are left of the plan.
	Limit int
	// Canary is how many messages are sent first; the rest is sent only after all of their
	// events are done. Defaults to none.
	Canary int
	// Wait waits for the outcome of every message.
	Wait bool
	// Timeout bounds the wait for the canary, and again that for all. Defaults to DefaultTimeout.
	Timeout time.Duration

	// OnSent, if set, is called with the number of messages just sent.
	OnSent func(n int)
	// OnOutcomes, if set, is called with the outcomes after each poll.
	OnOutcomes func(s Stage, o Outcomes)
}

// DefaultTimeout of a wait for outcomes.
const DefaultTimeout = 10 * time.Minute

// Stage is what a redrive waits for.
type Stage string

const (
	StageCanary Stage = "canary"   // the first messages
	StageAll    Stage = "outcomes" // all of them
)

// Result of a redrive, also of one that ended early.
type Result struct {
	Moved     int       `json:"moved"`     // stored in the queue of events
	Left      int       `json:"left"`      // of the plan, not processed
	Refused   int       `json:"refused"`   // not stored, and still in the dead-letter queue
	Refusal   string    `json:"refusal"`   // why, of the last one
	Undeleted int       `json:"undeleted"` // of the moved, those that may still be in the dead-letter queue: harmless
	Canary    *Outcomes `json:"canary"`    // nil: no canary was waited for
	Outcomes  *Outcomes `json:"outcomes"`  // nil: outcomes were not waited for
	Seconds   float64   `json:"seconds"`

	Sent []Sent `json:"-"` // of a run with canary or wait
}

// ErrNoCanary means that no selected message can serve as a canary: their events are done,
// or have no usable record.
var ErrNoCanary = errors.New("no selected message can serve as a canary: their events are done, or have no record that can tell")

// OutcomeError means that not all messages were done when a wait ended.
type OutcomeError struct {
	Stage    Stage
	Outcomes Outcomes
	Sent     int
	Timeout  time.Duration
}

func (e *OutcomeError) Error() string {
	what, tail := "messages", ""
	if e.Stage == StageCanary {
		what, tail = "canary messages", ", nothing more was sent"
	}
	if n := e.Outcomes.Failed(); n > 0 {
		return fmt.Sprintf("%d of %d %s failed again%s: %s: %s", n, e.Sent, what, tail, e.Outcomes.FailedID, e.Outcomes.FailedError)
	}
	return fmt.Sprintf("%d of %d %s were not done within %s%s", e.Outcomes.Waiting, e.Sent, what, e.Timeout, tail)
}

// RefusedError means that the queue of events refused messages; they are still dead letters.
type RefusedError struct {
	Messages int
	Text     string // why, of the last one
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("the queue refused %d messages, which are still dead letters: %s", e.Messages, e.Text)
}

// LeftError means that messages of the plan were not received again: another reader hides
// them, or they are gone.
type LeftError struct{ Messages int }

func (e *LeftError) Error() string {
	return fmt.Sprintf("%d messages of the plan were not received again", e.Messages)
}

// Redrive sends the messages of a plan to the queue of events again, under the lock. It sends
// the canary first, waits as far as the options ask for it, and returns an error unless all
// was sent and all outcomes that it waited for are done. The rest of a run that ended early
// stays in the plan for another run.
func (d *DLQ) Redrive(ctx context.Context, p *Plan, o Options) (r Result, err error) {
	began := time.Now()
	defer func() { r.Left, r.Seconds = p.Left(), time.Since(began).Seconds() }()
	o.Timeout = cmp.Or(max(o.Timeout, 0), DefaultTimeout)
	m := &mover{DLQ: d, plan: p, track: o.Wait || o.Canary > 0, onSent: o.OnSent, result: &r}
	err = d.locked(ctx, func(ctx context.Context) error {
		if o.Canary > 0 {
			if err := m.canary(ctx, o, began); err != nil {
				return err
			}
		}
		m.most, m.track = 0, o.Wait
		if o.Limit > 0 {
			if m.most = o.Limit - r.Moved; m.most <= 0 {
				return nil
			}
		}
		return m.move(ctx, o.Rate)
	})
	if err == nil && o.Wait {
		r.Outcomes, err = d.outcomes(ctx, StageAll, r.Sent, o, began)
	}
	switch {
	case err != nil:
		return r, err
	case r.Refused > 0:
		return r, &RefusedError{r.Refused, r.Refusal}
	case p.Left() > 0 && o.Limit == 0:
		return r, &LeftError{p.Left()}
	}
	return r, nil
}

// canary sends a few messages and fails unless all of their events are done.
func (m *mover) canary(ctx context.Context, o Options, began time.Time) (err error) {
	m.most, m.evidence = o.Canary, true
	defer func() { m.evidence = false }()
	if err := m.move(ctx, o.Rate); err != nil {
		return err
	}
	if len(m.result.Sent) == 0 {
		return ErrNoCanary
	}
	m.result.Canary, err = m.outcomes(ctx, StageCanary, m.result.Sent, o, began)
	return err
}

// outcomes waits for the outcomes of a stage, whose messages were sent since began. Not all
// done is an *OutcomeError.
func (d *DLQ) outcomes(ctx context.Context, s Stage, sent []Sent, o Options, began time.Time) (*Outcomes, error) {
	w := &waiter{DLQ: d, stage: s, sent: sent, began: began, outcomes: make([]Outcome, len(sent)), nextSearch: time.Now().Add(firstSearch)}
	got, err := w.wait(ctx, o)
	if err == nil && got.Failed()+got.Waiting > 0 {
		err = &OutcomeError{s, got, len(sent), o.Timeout}
	}
	return &got, err
}
