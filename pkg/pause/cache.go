package pause

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// Cache reads the switch at most once in limits.PauseAge. While the switch cannot be read, it
// serves what it read for up to limits.PauseStale. It is safe for concurrent use; others wait for
// a read.
type Cache struct {
	read   func(context.Context) (State, error)
	limits limits.Limits
	now    func() time.Time

	mu    sync.Mutex
	state State
	err   error     // ErrUnreadable, instead of a state
	at    time.Time // before the last answered read; zero for none
	next  time.Time // of the next read
}

// NewCache reads with [Store.Pauses]; now may be nil.
func NewCache(read func(context.Context) (State, error), l limits.Limits, now func() time.Time) *Cache {
	if now == nil {
		now = time.Now
	}
	return &Cache{read: read, limits: l, now: now}
}

// Paused is [State.Holds]. Its error wraps idempotency.ErrStoreDown if the switch cannot be read
// now, else ErrUnreadable.
func (c *Cache) Paused(ctx context.Context, eventType string) (bool, error) {
	s, err := c.get(ctx)
	return s.Holds(eventType), err
}

// Quiet is [State.Quiet], with the errors of Paused.
func (c *Cache) Quiet(ctx context.Context, eventType, resumes string) (bool, error) {
	s, err := c.get(ctx)
	return s.Quiet(eventType, resumes), err
}

func (c *Cache) get(ctx context.Context) (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now().Round(0) // the monotonic clock may stop while Lambda freezes the process
	if !c.at.IsZero() && now.Before(c.next) && !now.Before(c.at) {
		return c.state, c.err
	}
	ctx, cancel := context.WithTimeout(ctx, c.limits.RecordBudget)
	defer cancel()
	s, err := c.read(ctx)
	switch {
	case err == nil:
		c.state, c.err, c.at = s, nil, now
	case errors.Is(err, ErrUnreadable):
		c.state, c.err, c.at = State{}, err, now
	case c.at.IsZero() || c.err != nil || now.Before(c.at) || now.Sub(c.at) >= c.limits.PauseStale:
		return State{}, fmt.Errorf("%w: read pauses: %w", idempotency.ErrStoreDown, err)
	}
	c.next = now.Add(c.limits.PauseAge)
	return c.state, c.err
}
