// Package consumer is the life of a batch of queue messages: decode, claim, dispatch,
// complete, and one result for each message.
//
// It promises that a message is acknowledged only when its event's record is done or
// a copy stands in the dead-letter queue. It never decides from the message's receive
// count, from a clock or from a read whether an event was handled: only the store's
// conditional writes do.
//
//	c, err := consumer.New(consumer.Config{Limits: l, Store: store, Queue: q, Handlers: mux, …})
//	failed, err := c.Handle(ctx, messages)
package consumer

import (
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
	"tollgate/pkg/queue"
)

// Store makes the conditional writes that decide everything; see package idempotency
// for what each answer means. Safe for concurrent use.
type Store interface {
	Claim(context.Context, idempotency.ClaimRequest) (idempotency.ClaimResult, error)
	Complete(ctx context.Context, c *idempotency.Claim, o idempotency.Outcome, e dispatch.Effects, now time.Time) (idempotency.CompleteResult, error)
	Fail(context.Context, *idempotency.Claim, idempotency.Failure) (idempotency.FailResult, error)
}

// Queue is what a consumer does to the queue besides answering. Safe for concurrent use.
type Queue interface {
	// SetVisibility makes a received message invisible for d from now on.
	SetVisibility(ctx context.Context, receipt string, d time.Duration) error
	// Delete acknowledges received messages, at most a batch.
	Delete(ctx context.Context, receipts []string) error
	// DeadLetter puts a copy of m into the dead-letter queue; nil means that it is there.
	DeadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error
}

// Handlers finds and runs the handler of an event; *dispatch.Mux is one.
type Handlers interface {
	Handles(event.Envelope) bool
	Dispatch(context.Context, dispatch.Input) (dispatch.Effects, error)
}

// Fetcher gets an event's bytes from Stripe by its id. Its errors are read as a
// handler's: permanent ones are marked by package dispatch, all others are transient.
type Fetcher interface {
	FetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error)
}

// Config is what a Consumer needs. Store, Queue, Handlers and Fetcher are required.
type Config struct {
	Limits   limits.Limits
	Store    Store
	Queue    Queue
	Handlers Handlers
	Fetcher  Fetcher
	Policies map[string]Policy // by endpoint; an endpoint without one takes every event
	Logger   *slog.Logger      // default: slog.Default()

	Now   func() time.Time // default: time.Now
	Rand  func() float64   // in [0, 1); default: math/rand/v2
	Owner func() string    // default: idempotency.NewOwner
	// Exit ends the process when a handler outlives its context, so that no goroutine
	// outlives an invocation. Default: os.Exit.
	Exit func(code int)
}

// Consumer handles batches. It is safe for concurrent use.
type Consumer struct{ cfg Config }

// New checks the configuration and fills in its defaults.
func New(c Config) (*Consumer, error) {
	if c.Store == nil || c.Queue == nil || c.Handlers == nil || c.Fetcher == nil {
		return nil, errors.New("consumer: store, queue, handlers and fetcher are required")
	}
	if err := c.Limits.Validate(); err != nil {
		return nil, err
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
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
	return &Consumer{cfg: c}, nil
}
