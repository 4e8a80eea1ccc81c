package delivery

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
)

// lane is what a process knows of a destination: its slots, its rate and its cached state.
type lane struct {
	destination.Destination
	target Target
	slots  chan struct{}
	tokens *rate.Limiter

	mu       sync.Mutex
	state    State
	read     time.Time // zero: read it again
	failures int       // in a row, of this process
}

func newLane(d destination.Destination, t Target) *lane {
	return &lane{Destination: d, target: t, slots: make(chan struct{}, d.Concurrency), tokens: rate.NewLimiter(rate.Limit(d.Rate), d.Concurrency)}
}

// enter waits for a slot, which leave frees.
func (l *lane) enter(ctx context.Context) error {
	select {
	case l.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *lane) leave() { <-l.slots }

// current returns the state, at most ttl old.
func (l *lane) current(ctx context.Context, store Store, now time.Time, ttl time.Duration) (State, error) {
	l.mu.Lock()
	state, read := l.state, l.read
	l.mu.Unlock()
	if age := now.Sub(read); !read.IsZero() && age >= 0 && age < ttl {
		return state, nil
	}
	state, err := store.State(ctx, l.Name)
	if err != nil {
		return State{}, fmt.Errorf("read state of destination: %w", err)
	}
	l.keep(state, now)
	return state, nil
}

func (l *lane) keep(s State, read time.Time) {
	l.mu.Lock()
	l.state, l.read = s, read
	l.mu.Unlock()
}

// failing returns for how long the destination has accepted nothing, 0 if its last answer was good.
func (l *lane) failing(now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Since.IsZero() {
		return 0
	}
	return now.Sub(l.state.Since)
}

// swap writes a state that is based on the current one, and reports whether it was written. If
// another write came first the state is read again.
func (l *lane) swap(ctx context.Context, store Store, next State, now time.Time) (bool, error) {
	won, err := store.SwapState(ctx, l.Name, next)
	if err != nil || !won {
		l.keep(State{}, time.Time{})
		return false, err
	}
	next.Ver++
	l.keep(next, now)
	return true, nil
}

// answered counts an answer, and returns the failures in a row.
func (l *lane) answered(v Verdict) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures++; v != Retry { // a receiver that answers is up
		l.failures = 0
	}
	return l.failures
}

// after returns the state after an attempt. failures are those in a row.
func (s State) after(a Answer, failures int, now time.Time, l limits.Sender) State {
	if a.Verdict == Done {
		s.Since, s.Seen, s.Open = time.Time{}, time.Time{}, time.Time{}
		return s
	}
	if a.Verdict == Stop { // a receiver that answers is up
		s.Open = time.Time{}
	}
	switch quiet := now.Sub(s.Seen); {
	case s.Since.IsZero() || quiet > l.FailureGap: // an old failure does not make a new one a series
		s.Since, s.Seen = now, now
	case quiet > l.FailureGap/4:
		s.Seen = now
	}
	if failures >= l.BreakerFailures && now.Sub(s.Since) >= l.BreakerAfter && s.Open.IsZero() {
		s.Open = now.Add(l.BreakerOpen)
	}
	switch {
	case !s.Off.IsZero():
	case a.Verdict == Disable:
		s.Off, s.Why = now, a.Err
	case now.Sub(s.Since) >= l.DisableAfter:
		s.Off, s.Why = now, "nothing but failures since "+s.Since.UTC().Format(time.RFC3339)
	}
	return s
}
