package secrets

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tollgate/pkg/limits"
)

// Config is where one secret is and how long a fetched value is cached.
type Config struct {
	API    API           // required
	ID     string        // name or ARN of the secret; required
	Logger *slog.Logger  // what was dropped and which fetch failed; default none
	Limits limits.Limits // SecretTTL, SecretRefetch, SecretDeadline; default limits.AWS()
	First  time.Duration // bounds a fetch while no value is cached; default Limits.FirstSecretDeadline()
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.API == nil {
		errs = append(errs, errors.New("secrets need a Secrets Manager client"))
	}
	if c.ID == "" {
		errs = append(errs, errors.New("secrets need the id of a secret"))
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.Limits = cmp.Or(c.Limits, limits.AWS())
	c.First = cmp.Or(c.First, c.Limits.FirstSecretDeadline())
	return c, errors.Join(errs...)
}

// cache keeps the last value that could be fetched. Times are taken when a fetch ends.
type cache[T any] struct {
	fetch  func(ctx context.Context, known T) (T, error)
	limits limits.Limits
	first  time.Duration // bounds a fetch while nothing is known
	log    *slog.Logger
	turn   chan struct{} // held by the one caller that fetches

	mu        sync.Mutex
	value     T
	known     bool
	err       error     // of the last fetch
	fetches   int       // fetches that have ended, well or not
	due       time.Time // of the next planned fetch
	unplanned time.Time // when a fetch before its time is next allowed
}

func newCache[T any](c Config, fetch func(context.Context, T) (T, error)) *cache[T] {
	return &cache[T]{fetch: fetch, limits: c.Limits, first: c.First, log: c.Logger, turn: make(chan struct{}, 1)}
}

// get returns the value, fetched again when it has expired. It fails only while no fetch
// has succeeded yet.
func (c *cache[T]) get(ctx context.Context) (T, error) {
	return c.refresh(ctx, &c.due, func() {})
}

// refetched returns the value after an early fetch, if one is allowed again.
func (c *cache[T]) refetched(ctx context.Context) (T, error) {
	return c.refresh(ctx, &c.unplanned, func() { c.unplanned = time.Now().Add(c.limits.SecretRefetch) })
}

// refresh fetches if nothing is known or from is reached; ended is called, under the
// lock, when it has. A caller that had to wait for another's fetch takes its outcome
// and does not fetch again.
func (c *cache[T]) refresh(ctx context.Context, from *time.Time, ended func()) (T, error) {
	wanted := func() bool { return !c.known || !time.Now().Before(*from) }
	c.mu.Lock()
	seen, need := c.fetches, wanted()
	c.mu.Unlock()
	if !need {
		return c.last(nil)
	}
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		return c.last(ctx.Err())
	}
	c.mu.Lock()
	deadline := c.limits.SecretDeadline
	if !c.known {
		deadline = c.first
	}
	need = c.fetches == seen && wanted()
	known := c.value
	c.mu.Unlock()
	if need {
		// Others wait for this fetch: it is not cancelled with the request that began it.
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
		defer cancel()
		value, err := c.fetch(bounded, known)
		c.keep(ctx, value, err, ended)
	}
	return c.last(nil)
}

// keep stores the outcome of a fetch. After a failure the cached value stays in use and the
// next planned fetch waits, so that an outage costs one deadline a minute.
func (c *cache[T]) keep(ctx context.Context, value T, err error, ended func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ended()
	c.fetches++
	c.err = err
	if err == nil {
		c.value, c.known, c.due = value, true, time.Now().Add(c.limits.SecretTTL)
		return
	}
	c.due = time.Now().Add(c.limits.SecretRefetch)
	if c.known {
		c.log.WarnContext(ctx, "secret could not be fetched, the cached value stays in use", "error", err.Error())
	}
}

// last returns the cached value, or the error why there is none.
func (c *cache[T]) last(err error) (T, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		return c.value, nil
	}
	return c.value, errors.Join(c.err, err)
}
