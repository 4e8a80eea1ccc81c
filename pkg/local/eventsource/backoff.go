package eventsource

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff returns growing delays: doubled each time up to most, then random in the upper
// half, so that pollers do not retry at the same time.
type backoff struct {
	first, most time.Duration
	delay       time.Duration // the last one before jitter; 0 after a success
}

func (b *backoff) next() time.Duration {
	b.delay = min(b.most, max(b.first, 2*b.delay))
	return b.delay/2 + rand.N(b.delay/2+1)
}

func (b *backoff) reset() { b.delay = 0 }

// pause waits; it returns false if the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
