package stripeapi

import (
	"context"
	"sync"

	"golang.org/x/time/rate"
)

// limiter holds all requests of a client, and those to one resource, under Stripe's
// rates. Each process has its own: Stripe's answer 429 is what all of them share.
type limiter struct {
	all       *rate.Limiter
	perSecond float64 // for one resource

	mu        sync.Mutex
	resources map[string]*rate.Limiter // bounded by the paths that this package knows
}

func newLimiter(all, perResource float64) *limiter {
	return &limiter{
		all:       rate.NewLimiter(rate.Limit(all), max(int(all), 1)),
		perSecond: perResource,
		resources: map[string]*rate.Limiter{},
	}
}

// wait returns when a request to a resource may go, or the context's error.
func (l *limiter) wait(ctx context.Context, resource string) error {
	if err := l.of(resource).Wait(ctx); err != nil {
		return err
	}
	return l.all.Wait(ctx)
}

func (l *limiter) of(resource string) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.resources[resource]
	if r == nil {
		r = rate.NewLimiter(rate.Limit(l.perSecond), max(int(l.perSecond), 1))
		l.resources[resource] = r
	}
	return r
}
