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

// pausedRace is a race for one event on a clock that each call moves on, so that leases expire
// while their owners still work. Paused owners write late: in their own generation and in
// later ones.
type pausedRace struct {
	*bench
	clock      atomic.Int64 // milliseconds since t0
	generation int64        // that is running
	honest     int64        // from this attempt on owners complete at once

	mu        sync.Mutex
	attempts  map[int64]bool  // that were granted
	completed map[int64]int64 // attempt that completed → its generation
	paused    []*idempotency.Claim
}

func racePausedWorkers(b *bench) {
	ctx, cancel := context.WithTimeout(b.ctx, raceTime)
	defer cancel()
	p := &pausedRace{bench: b, attempts: make(map[int64]bool), completed: make(map[int64]int64)}
	for generation := int64(1); generation <= generations; generation++ {
		if generation > 1 {
			b.replayed(generation - 1)
			p.honest = b.record().Attempt
		}
		p.generation, p.honest = generation, p.honest+leastAttempts
		together(func(w int) { p.work(ctx, rand.New(rand.NewPCG(uint64(w), uint64(generation)))) })
		p.check(generation)
	}
	p.lateWrites()
}

// now moves the clock on by one millisecond.
func (p *pausedRace) now() time.Time {
	return p.t0.Add(time.Duration(p.clock.Add(1)) * time.Millisecond)
}

// work claims until the event is done, and pauses, fails, completes or resumes a paused
// attempt at random.
func (p *pausedRace) work(ctx context.Context, random *rand.Rand) {
	for ctx.Err() == nil {
		now := p.now()
		req := p.request(now)
		// Some 24 calls go by in one round of all workers: few leases outlive that.
		req.Lease, req.LeaseExpiredBefore = now.Add(30*time.Millisecond), now.Add(-5*time.Millisecond)
		got, err := p.Store.Claim(ctx, req)
		switch {
		case err != nil, got.Verdict == idempotency.Corrupt:
			p.Errorf("claim = %s, %v", got.Verdict, err)
			return
		case got.Verdict == idempotency.Duplicate:
			return
		case got.Verdict == idempotency.Busy:
			p.clock.Add(3) // it would wait for a while
		case got.Verdict == idempotency.Claimed:
			p.granted(got.Claim)
			p.attempt(ctx, got.Claim, random.IntN(10))
		}
		if random.IntN(4) == 0 {
			p.wake(ctx, random)
		}
	}
	p.Errorf("the event was not done in %v", raceTime)
}

// attempt does one thing with a claim: most of the first ones pause.
func (p *pausedRace) attempt(ctx context.Context, c *idempotency.Claim, dice int) {
	switch {
	case dice < 2:
		p.failAs(ctx, c)
	case c.Attempt < p.honest || dice < 5:
		p.mu.Lock()
		p.paused = append(p.paused, c)
		p.mu.Unlock()
	default:
		p.completeAs(ctx, c)
	}
}

// wake lets a paused attempt write. Every second one stays paused until the next
// generation.
func (p *pausedRace) wake(ctx context.Context, random *rand.Rand) {
	p.mu.Lock()
	var c *idempotency.Claim
	if n := len(p.paused); n > 0 {
		i := random.IntN(n)
		if claim := p.paused[i]; claim.Generation != p.generation || claim.Attempt%2 != 0 {
			c, p.paused = claim, slices.Delete(p.paused, i, i+1)
		}
	}
	p.mu.Unlock()
	switch {
	case c == nil:
	case random.IntN(3) == 0:
		p.failAs(ctx, c)
	default:
		p.completeAs(ctx, c)
	}
}

func (p *pausedRace) granted(c *idempotency.Claim) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.attempts[c.Attempt] {
		p.Errorf("attempt %d was granted twice", c.Attempt)
	}
	p.attempts[c.Attempt] = true
}

func (p *pausedRace) failAs(ctx context.Context, c *idempotency.Claim) {
	if _, err := p.Store.Fail(ctx, c, idempotency.Failure{Now: p.now(), Err: "boom", ReceivesLeft: 3}); err != nil {
		p.Errorf("fail: %v", err)
	}
}

// completeAs completes with an effect that only this attempt writes.
func (p *pausedRace) completeAs(ctx context.Context, c *idempotency.Claim) {
	effect := dispatch.Insert(attemptKey(c.Generation, c.Attempt), nil)
	got, err := p.Store.Complete(ctx, c, idempotency.Applied, dispatch.Effects{effect}, p.now())
	if err != nil {
		p.Errorf("complete: %v", err)
		return
	}
	if got.Verdict == idempotency.Completed {
		p.mu.Lock()
		p.completed[c.Attempt] = c.Generation
		p.mu.Unlock()
	}
}

func attemptKey(generation, attempt int64) string {
	return fmt.Sprintf("FACT#%d#%d", generation, attempt)
}

// check looks at the record and the effects at the end of a generation.
func (p *pausedRace) check(generation int64) {
	r := p.record()
	p.equal("state", r.State, idempotency.Done)
	p.equal("generation", r.Generation, generation)
	// If responses are lost, an attempt can be superseded before its owner learns that it
	// was granted.
	if last := slices.Max(slices.Collect(maps.Keys(p.attempts))); last > r.Attempt {
		p.Errorf("attempt %d was granted, the record is at %d", last, r.Attempt)
	}
	perGeneration := make(map[int64]int)
	for _, g := range p.completed {
		perGeneration[g]++
	}
	for g := int64(1); g <= generation; g++ {
		p.equal(fmt.Sprintf("completions in generation %d", g), perGeneration[g], 1)
	}
	p.checkEffects(r)
}

func (p *pausedRace) checkEffects(r idempotency.Record) {
	written := make(map[int64]int)
	for g := int64(1); g <= r.Generation; g++ {
		for attempt := int64(1); attempt <= r.Attempt; attempt++ {
			if p.item(attemptKey(g, attempt)) != nil {
				written[g]++
				p.equal("generation of the attempt that wrote", p.completed[attempt], g)
			}
		}
		p.equal(fmt.Sprintf("effects of generation %d", g), written[g], 1)
	}
}

// lateWrites lets every attempt that still pauses write at the very end.
func (p *pausedRace) lateWrites() {
	p.unchanged(func() {
		for _, c := range p.paused {
			p.equal("late failure", p.fail(c, idempotency.Failure{Now: p.now(), Err: "late"}).Verdict, idempotency.FailDone)
			got := p.complete(c, idempotency.Applied, p.now(), dispatch.Insert(attemptKey(c.Generation, c.Attempt), nil))
			p.equal("late completion", got.Verdict, idempotency.SupersededDone)
		}
	})
	p.checkEffects(p.record())
}
