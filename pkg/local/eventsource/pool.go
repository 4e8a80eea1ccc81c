package eventsource

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// corePollers always poll, if the concurrency allows that many.
	corePollers = 2
	// surplusWait is the receive wait of further pollers, which end when they receive nothing.
	surplusWait = 2 * time.Second
)

// pool is the pollers of one Run. It starts with the core pollers. A poller that gets a
// full batch, or that leaves no other one receiving, adds another, which ends when it
// receives nothing.
type pool struct {
	source *Source
	polls  context.Context // ends the polling
	work   context.Context // ends invocations and deletes, which outlive the polling
	wg     sync.WaitGroup

	// failing reports whether the last batch of any poller failed. Then no poller is
	// added: new ones would each fail once before they back off.
	failing atomic.Bool

	mu      sync.Mutex
	pollers int
	polling int // of them, in a receive
}

// Run polls until the context is done, then waits up to Options.DrainTimeout for running
// invocations and their deletes, and returns nil. After that time it cancels the
// invocations' context, waits for them and returns an error. Messages that were not
// deleted become visible again. Errors of queue and function are retried, not returned.
func (s *Source) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if pause(work, s.options.DrainTimeout) {
			cancel()
		}
	})
	defer stop()
	p := &pool{source: s, polls: ctx, work: work}
	for range min(corePollers, s.options.MaxConcurrency) {
		p.grow()
	}
	p.wg.Wait()
	if err := work.Err(); err != nil {
		return fmt.Errorf("drain event source for %v: %w", s.options.DrainTimeout, err)
	}
	return nil
}

// grow starts a poller if the concurrency allows one more.
func (p *pool) grow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pollers == p.source.options.MaxConcurrency {
		return
	}
	p.pollers++
	p.wg.Go(func() { newPoller(p).run() })
}

// leave removes a poller unless it is one of the core.
func (p *pool) leave() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pollers <= corePollers && p.polls.Err() == nil {
		return false
	}
	p.pollers--
	return true
}

// wait is how long the next receive waits.
func (p *pool) wait() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pollers > corePollers {
		return min(surplusWait, p.source.options.PollWait)
	}
	return p.source.options.PollWait
}

// enter and exit count receives; exit reports whether no other poller is in one.
func (p *pool) enter() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polling++
}

func (p *pool) exit() (last bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polling--
	return p.polling == 0
}
