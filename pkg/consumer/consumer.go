// Package consumer handles batches of queue messages: decode, policy, pause, claim, dispatch,
// complete, and one result for each message. At its first receive an event without a handler,
// or with a Pure one, runs without a claim; its completion is refused if there is a record.
//
// It promises that a message is acknowledged only when its event's record is done, a copy is
// in the dead-letter queue or, of a paused type, in the hold queue, or its endpoint ignores the
// event. It checks the endpoint's policy at every receive, before it reads or writes the record,
// which all endpoints share.
// Whether an event was handled is decided by the store's conditional writes alone, never by
// the receive count, a clock or a read.
//
//	c, err := consumer.New(consumer.Config{Limits: l, Store: store, Queue: q, Handlers: mux, …})
//	failed, err := c.Handle(ctx, messages)
package consumer

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// Store makes the conditional writes; package idempotency defines what each answer means.
// Safe for concurrent use.
type Store interface {
	Claim(context.Context, idempotency.ClaimRequest) (idempotency.ClaimResult, error)
	Complete(ctx context.Context, c *idempotency.Claim, o idempotency.Outcome, e dispatch.Effects, now time.Time) (idempotency.CompleteResult, error)
	Fail(context.Context, *idempotency.Claim, idempotency.Failure) (idempotency.FailResult, error)
}

// Queue has the calls that a consumer makes besides its batch response. Safe for concurrent use.
type Queue interface {
	// SetVisibility hides a received message for d from now.
	SetVisibility(ctx context.Context, receipt string, d time.Duration) error
	// Delete acknowledges received messages, at most a batch.
	Delete(ctx context.Context, receipts []string) error
	// DeadLetter puts a copy of m into the dead-letter queue; nil means that it is stored.
	DeadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error
}

// Pause holds the messages of paused event types. Safe for concurrent use.
type Pause interface {
	// Paused is called for every message. Its error wraps idempotency.ErrStoreDown if it is not
	// known now; any other error means that it cannot be known before an operator acts.
	Paused(ctx context.Context, eventType string) (bool, error)
	// Hold puts a copy of m into the hold queue; nil means that it is stored.
	Hold(ctx context.Context, m queue.Message) error
}

// Handlers finds and runs the handler of an event; *dispatch.Mux is one.
type Handlers interface {
	Handles(event.Envelope) bool
	// Pure reports whether the event's handler changes nothing outside its effects.
	Pure(event.Envelope) bool
	Dispatch(context.Context, dispatch.Input) (dispatch.Effects, error)
}

// Fetcher gets an event's bytes from Stripe by id. As for a handler, errors marked by package
// dispatch are permanent, all others transient.
type Fetcher interface {
	FetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error)
}

// Config holds a consumer's parts.
type Config struct {
	Store    Store                    // required
	Queue    Queue                    // required
	Handlers Handlers                 // required
	Fetcher  Fetcher                  // required
	Policies map[string]policy.Policy // by endpoint; an endpoint without one takes every event
	Pause    Pause                    // default: no type is paused
	// HandOver, if set, is called with the messages that an event has just written, as the
	// effects of Dispatch, right after its completion and before its message is acknowledged. It
	// should return when its context ends. Its error is logged and changes nothing else.
	HandOver func(context.Context, dispatch.Effects) error
	Logger   *slog.Logger  // one line per message; default none
	Limits   limits.Limits // default limits.AWS()

	Now   func() time.Time // default time.Now
	Rand  func() float64   // in [0, 1); default rand.Float64
	Owner func() string    // default idempotency.NewOwner
	// Exit ends the process when a handler does not return after its context ended, so that
	// no goroutine outlives an invocation. Default os.Exit.
	Exit func(code int)
}

// Consumer handles batches. It is safe for concurrent use.
type Consumer struct {
	cfg    Config
	missed *watch
}

// New fills in the defaults and returns a consumer, or an error that names every part
// that is missing and every relation of the limits that does not hold.
func New(c Config) (*Consumer, error) {
	c.Limits = cmp.Or(c.Limits, limits.AWS())
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Rand == nil {
		c.Rand = rand.Float64
	}
	if c.Owner == nil {
		c.Owner = idempotency.NewOwner
	}
	if c.Exit == nil {
		c.Exit = os.Exit
	}
	return &Consumer{cfg: c, missed: newWatch(c.Limits)}, nil
}

func (c Config) validate() error {
	var errs []error
	for _, part := range []struct {
		name    string
		missing bool
	}{
		{"a store", c.Store == nil}, {"a queue", c.Queue == nil},
		{"handlers", c.Handlers == nil}, {"a fetcher", c.Fetcher == nil},
	} {
		if part.missing {
			errs = append(errs, errors.New("consumer needs "+part.name))
		}
	}
	return errors.Join(append(errs, c.Limits.Validate())...)
}
