package idempotencytest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// Bounds of the race: generations of the event, minimum attempts per generation before one
// completes normally, and total time.
const (
	generations   = 3
	leastAttempts = 8
	raceTime      = 3 * time.Minute
)

// zombies is a race for one event on a clock that each call moves on, so that leases expire
// while their owners still work. Paused owners write late: in their own generation and in
// later ones.
type zombies struct {
	*bench
	clock      atomic.Int64 // milliseconds since t0
	generation int64        // that is running
	honest     int64        // from this attempt on owners complete at once

	mu        sync.Mutex
	attempts  map[int64]bool  // that were granted
	completed map[int64]int64 // attempt that completed → its generation
	paused    []*idempotency.Claim
}

func raceZombies(b *bench) {
	ctx, cancel := context.WithTimeout(b.ctx, raceTime)
	defer cancel()
	z := &zombies{bench: b, attempts: make(map[int64]bool), completed: make(map[int64]int64)}
	for generation := int64(1); generation <= generations; generation++ {
		if generation > 1 {
			b.replayed(generation - 1)
			z.honest = b.record().Attempt
		}
		z.generation, z.honest = generation, z.honest+leastAttempts
		together(func(w int) { z.work(ctx, rand.New(rand.NewPCG(uint64(w), uint64(generation)))) })
		z.check(generation)
	}
	z.lateWrites()
}

// now moves the clock on by one millisecond.
func (z *zombies) now() time.Time { return z.t0.Add(time.Duration(z.clock.Add(1)) * time.Millisecond) }

// work claims until the event is done, and pauses, fails, completes or resumes a paused
// attempt at random.
func (z *zombies) work(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		now := z.now()
		req := z.request(now)
		// Some 24 calls go by in one round of all workers: few leases outlive that.
		req.Lease, req.LeaseExpiredBefore = now.Add(30*time.Millisecond), now.Add(-5*time.Millisecond)
		got, err := z.Store.Claim(ctx, req)
		switch {
		case err != nil, got.Verdict == idempotency.Corrupt:
			z.Errorf("claim = %s, %v", got.Verdict, err)
			return
		case got.Verdict == idempotency.Duplicate:
			return
		case got.Verdict == idempotency.Busy:
			z.clock.Add(3) // it would wait for a while
		case got.Verdict == idempotency.Claimed:
			z.granted(got.Claim)
			z.attempt(ctx, got.Claim, random.IntN(10))
		}
		if random.IntN(4) == 0 {
			z.wake(ctx, random)
		}
	}
	z.Errorf("the event was not done in %v", raceTime)
}

// attempt does one thing with a claim: most of the first ones pause.
func (z *zombies) attempt(ctx context.Context, c *idempotency.Claim, dice int) {
	switch {
	case dice < 2:
		z.failAs(ctx, c)
	case c.Attempt < z.honest || dice < 5:
		z.mu.Lock()
		z.paused = append(z.paused, c)
		z.mu.Unlock()
	default:
		z.completeAs(ctx, c)
	}
}

// wake lets a paused attempt write. Every second one stays paused until the next
// generation.
func (z *zombies) wake(ctx context.Context, random *rand.Rand) {
	z.mu.Lock()
	var c *idempotency.Claim
	if n := len(z.paused); n > 0 {
		i := random.IntN(n)
		if p := z.paused[i]; p.Generation != z.generation || p.Attempt%2 != 0 {
			c, z.paused = p, slices.Delete(z.paused, i, i+1)
		}
	}
	z.mu.Unlock()
	switch {
	case c == nil:
	case random.IntN(3) == 0:
		z.failAs(ctx, c)
	default:
		z.completeAs(ctx, c)
	}
}

func (z *zombies) granted(c *idempotency.Claim) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.attempts[c.Attempt] {
		z.Errorf("attempt %d was granted twice", c.Attempt)
	}
	z.attempts[c.Attempt] = true
}

func (z *zombies) failAs(ctx context.Context, c *idempotency.Claim) {
	if _, err := z.Store.Fail(ctx, c, idempotency.Failure{Now: z.now(), Err: "boom", ReceivesLeft: 3}); err != nil {
		z.Errorf("fail: %v", err)
	}
}

// completeAs completes with an effect that only this attempt writes.
func (z *zombies) completeAs(ctx context.Context, c *idempotency.Claim) {
	effect := dispatch.Insert(attemptKey(c.Generation, c.Attempt), nil)
	got, err := z.Store.Complete(ctx, c, idempotency.Applied, dispatch.Effects{effect}, z.now())
	if err != nil {
		z.Errorf("complete: %v", err)
		return
	}
	if got.Verdict == idempotency.Completed {
		z.mu.Lock()
		z.completed[c.Attempt] = c.Generation
		z.mu.Unlock()
	}
}

func attemptKey(generation, attempt int64) string {
	return fmt.Sprintf("FACT#%d#%d", generation, attempt)
}

// check looks at the record and the effects at the end of a generation.
func (z *zombies) check(generation int64) {
	r := z.record()
	z.equal("state", r.State, idempotency.Done)
	z.equal("generation", r.Generation, generation)
	// If responses are lost, an attempt can be superseded before its owner learns that it
	// was granted.
	if last := slices.Max(slices.Collect(maps.Keys(z.attempts))); last > r.Attempt {
		z.Errorf("attempt %d was granted, the record is at %d", last, r.Attempt)
	}
	perGeneration := make(map[int64]int)
	for _, g := range z.completed {
		perGeneration[g]++
	}
	for g := int64(1); g <= generation; g++ {
		z.equal(fmt.Sprintf("completions in generation %d", g), perGeneration[g], 1)
	}
	z.checkEffects(r)
}

func (z *zombies) checkEffects(r idempotency.Record) {
	written := make(map[int64]int)
	for g := int64(1); g <= r.Generation; g++ {
		for attempt := int64(1); attempt <= r.Attempt; attempt++ {
			if z.item(attemptKey(g, attempt)) != nil {
				written[g]++
				z.equal("generation of the attempt that wrote", z.completed[attempt], g)
			}
		}
		z.equal(fmt.Sprintf("effects of generation %d", g), written[g], 1)
	}
}

// lateWrites lets every attempt that still pauses write at the very end.
func (z *zombies) lateWrites() {
	z.unchanged(func() {
		for _, c := range z.paused {
			z.equal("late failure", z.fail(c, idempotency.Failure{Now: z.now(), Err: "late"}).Verdict, idempotency.FailDone)
			got := z.complete(c, idempotency.Applied, z.now(), dispatch.Insert(attemptKey(c.Generation, c.Attempt), nil))
			z.equal("late completion", got.Verdict, idempotency.SupersededDone)
		}
	})
	z.checkEffects(z.record())
}
