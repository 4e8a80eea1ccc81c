package eventsource

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff gives growing delays: doubled each time up to most, then taken at
// random from their upper half, so that pollers do not march in step.
type backoff struct {
	first, most time.Duration
	delay       time.Duration // the last one before the draw; 0 after a success
}

func (b *backoff) next() time.Duration {
	b.delay = min(b.most, max(b.first, 2*b.delay))
	return b.delay/2 + rand.N(b.delay/2+1)
}

func (b *backoff) reset() { b.delay = 0 }

// pause waits; false if the context ended before.
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
