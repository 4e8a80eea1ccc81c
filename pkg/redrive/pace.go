package redrive

import (
	"context"
	"time"

	"tollgate/pkg/limits"
)

// pace spreads letters evenly over time. A pause is not made up for.
type pace struct {
	rate int // a second
	next time.Time
}

func newPace(rate int) *pace { return &pace{rate: min(rate, MaxRate)} }

// most is how many letters go at once: as many as make two steps or more in a second.
func (p *pace) most() int { return min(max(p.rate/2, 1), limits.SQSMaxBatch) }

// wait returns when n more letters may go, or with the context's error.
func (p *pace) wait(ctx context.Context, n int) error {
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	timer := time.NewTimer(p.next.Sub(now))
	defer timer.Stop()
	p.next = p.next.Add(time.Duration(n) * time.Second / time.Duration(p.rate))
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return ctx.Err()
	}
}
