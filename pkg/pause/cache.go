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

// Cache reads the switch at most once in limits.PauseAge: one consistent read of one item. While
// the switch cannot be read, it serves what it read for up to limits.PauseStale. It is safe for
// concurrent use; who asks during a read waits for its result.
type Cache struct {
	read   func(context.Context) (State, error)
	limits limits.Limits
	now    func() time.Time

	mu      sync.Mutex
	known   answer
	at      time.Time // before the last answered read; zero for none
	next    time.Time // of the next read
	current *flight   // the read that runs, nil for none
}

// answer is a state, or ErrUnreadable, or idempotency.ErrStoreDown.
type answer struct {
	State
	err error
}

// flight is a read and its result.
type flight struct {
	answer
	done chan struct{}
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
	a := c.get(ctx)
	return a.Holds(eventType), a.err
}

// Quiet is [State.Quiet], with the errors of Paused.
func (c *Cache) Quiet(ctx context.Context, eventType, resumes string) (bool, error) {
	a := c.get(ctx)
	return a.Quiet(eventType, resumes), a.err
}

func (c *Cache) get(ctx context.Context) answer {
	now := c.now().Round(0) // the monotonic clock may stop while Lambda freezes the process
	c.mu.Lock()
	f := c.current
	switch {
	case !c.at.IsZero() && now.Before(c.next) && !now.Before(c.at):
		defer c.mu.Unlock()
		return c.known
	case f != nil:
		c.mu.Unlock()
		select {
		case <-f.done:
			return f.answer
		case <-ctx.Done():
			return down(ctx.Err())
		}
	}
	f = &flight{down(errors.New("the read did not end")), make(chan struct{})}
	c.current = f
	c.mu.Unlock()
	defer close(f.done)
	f.answer = c.refresh(ctx, now)
	return f.answer
}

// refresh reads the switch, and returns what is known then.
func (c *Cache) refresh(ctx context.Context, now time.Time) answer {
	ctx, cancel := context.WithTimeout(ctx, c.limits.RecordBudget)
	defer cancel()
	defer func() {
		c.mu.Lock()
		c.current = nil
		c.mu.Unlock()
	}()
	s, err := c.read(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		c.known, c.at = answer{s, nil}, now
	case errors.Is(err, ErrUnreadable):
		c.known, c.at = answer{err: err}, now
	case c.at.IsZero() || c.known.err != nil || now.Before(c.at) || now.Sub(c.at) >= c.limits.PauseStale:
		return down(err)
	}
	c.next = now.Add(c.limits.PauseAge)
	if stale := c.at.Add(c.limits.PauseStale); c.next.After(stale) {
		c.next = stale
	}
	return c.known
}

func down(err error) answer {
	return answer{err: fmt.Errorf("%w: read pauses: %w", idempotency.ErrStoreDown, err)}
}
