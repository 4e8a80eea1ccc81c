package eventsource

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// corePollers poll always, as long as the concurrency allows so many.
	corePollers = 2
	// surplusWait is the receive wait of the others, which leave when it brings nothing.
	surplusWait = 2 * time.Second
)

// pool is the pollers of one Run. There are few while there is little to do; a
// poller that gets a full batch, or that leaves no other one polling, brings
// another, which leaves when it finds nothing.
type pool struct {
	source *Source
	polls  context.Context // ends the polling
	work   context.Context // ends invocations and deletes, which outlive the polling
	wg     sync.WaitGroup

	// failing is what the last batch of any poller came to. While it is true no
	// poller is added: new ones would each fail once without having backed off.
	failing atomic.Bool

	mu      sync.Mutex
	pollers int
	polling int // of them, in a receive
}

// Run polls until the context is done, then waits for running invocations and
// sends their deletes, at most for Options.DrainTimeout, and returns nil. When
// that is over it ends the invocations' context, waits for them all the same, and
// returns an error. What was not deleted comes back by its visibility. Errors of
// queue and function are logged and retried, not returned.
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
	p.source.counts.pollers.Add(1)
	p.wg.Go(func() { newPoller(p).run() })
}

// leave ends a poller's membership unless it is one of the core.
func (p *pool) leave() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.pollers <= corePollers && p.polls.Err() == nil {
		return false
	}
	p.pollers--
	p.source.counts.pollers.Add(-1)
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

// enter and exit frame a receive; exit tells whether no other poller is in one.
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
