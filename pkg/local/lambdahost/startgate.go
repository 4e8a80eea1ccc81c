package lambdahost

import (
	"sync"
	"time"
)

// Back-off between starts of a function that fails to start.
const (
	firstStartDelay = 100 * time.Millisecond
	maxStartDelay   = 5 * time.Second
)

// startGate limits the starts of a function that fails to start: after a failure one
// start at a time is allowed, after a growing delay. Other callers get the last failure.
type startGate struct {
	mu       sync.Mutex
	failures int
	last     error
	notUntil time.Time
	probing  bool // a start is running since the last failure
}

// enter allows a start, which must end in leave, or returns the last failure.
func (g *startGate) enter(now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failures == 0 {
		return nil
	}
	if g.probing || now.Before(g.notUntil) {
		return g.last
	}
	g.probing = true
	return nil
}

// leave records how a start ended; nil opens the gate.
func (g *startGate) leave(now time.Time, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.probing = false
	g.last = err
	if err == nil {
		g.failures = 0
		return
	}
	if now.Before(g.notUntil) {
		return // a concurrent start has just failed and was counted
	}
	g.failures++
	delay := maxStartDelay
	if shift := g.failures - 1; shift < 6 {
		delay = min(maxStartDelay, firstStartDelay<<shift)
	}
	g.notUntil = now.Add(delay)
}
