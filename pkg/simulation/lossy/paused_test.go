package lossy_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// pausing is a worker's store that pauses some of its attempts: the
// attempt sleeps until its lease is over, and others may have it, then goes on as if
// nothing had been. It falls asleep before its handler or before its last write. What is
// frozen there is the worker's clock as well: the write has the time that it would have had.
type pausing struct {
	consumer.Store
	limits  limits.Limits
	percent int
	paused  *pausedWorkers

	mu     sync.Mutex
	rng    *rand.Rand
	chosen map[*idempotency.Claim]bool // those that will fall asleep before their last write
	leave  func()                      // called when one falls asleep
}

// pausedWorkers counts over all workers.
type pausedWorkers struct{ attempts, paused, refused atomic.Int64 }

// Claim claims, and may fall asleep with what it got.
func (d *pausing) Claim(ctx context.Context, req idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	r, err := d.Store.Claim(ctx, req)
	if err != nil || r.Verdict != idempotency.Claimed {
		return r, err
	}
	d.paused.attempts.Add(1)
	sleeps, now := d.draw(r.Claim)
	if sleeps && now {
		d.sleep(r.Claim.Lease)
	}
	return r, nil
}

// draw decides whether an attempt is paused, and whether at once.
func (d *pausing) draw(c *idempotency.Claim) (sleeps, now bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rng.IntN(100) >= d.percent {
		return false, false
	}
	d.paused.paused.Add(1)
	now = d.rng.IntN(3) == 0
	if !now {
		d.chosen[c] = true
	}
	return true, now
}

// onPause sets what is called when an attempt of this worker falls asleep.
func (d *pausing) onPause(leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leave = leave
}

// sleep outlasts a lease and the margin after which others take it over, and mostly the
// time in which they do.
func (d *pausing) sleep(lease time.Time) {
	d.mu.Lock()
	more := time.Duration(d.rng.Float64() * float64(3*d.limits.TakeOverMargin+d.limits.ConsumerTimeout))
	d.leave()
	d.mu.Unlock()
	pause(context.Background(), time.Until(lease)+d.limits.TakeOverMargin+more)
}

// awake returns the context of an attempt's last write, after its sleep if it has one.
func (d *pausing) awake(ctx context.Context, c *idempotency.Claim) (context.Context, context.CancelFunc) {
	d.mu.Lock()
	sleeps := d.chosen[c]
	delete(d.chosen, c)
	d.mu.Unlock()
	if !sleeps {
		return ctx, func() {}
	}
	d.sleep(c.Lease)
	return context.WithTimeout(context.WithoutCancel(ctx), d.limits.RecordBudget)
}

// Complete completes, late for a paused attempt.
func (d *pausing) Complete(ctx context.Context, c *idempotency.Claim, o idempotency.Outcome, e dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	ctx, cancel := d.awake(ctx, c)
	defer cancel()
	r, err := d.Store.Complete(ctx, c, o, e, now)
	if err == nil && (r.Verdict == idempotency.Superseded || r.Verdict == idempotency.SupersededDone) {
		d.paused.refused.Add(1)
	}
	return r, err
}

// Fail fails, late for a paused attempt.
func (d *pausing) Fail(ctx context.Context, c *idempotency.Claim, f idempotency.Failure) (idempotency.FailResult, error) {
	ctx, cancel := d.awake(ctx, c)
	defer cancel()
	r, err := d.Store.Fail(ctx, c, f)
	if err == nil && r.Verdict != idempotency.FailWritten {
		d.paused.refused.Add(1)
	}
	return r, err
}
