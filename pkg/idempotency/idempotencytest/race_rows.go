package idempotencytest

import (
	"fmt"
	"sync"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
)

// workers is how many attempts race in each of these tests.
const workers = 24

var raceRows = []row{
	{"claims of a new event → one is granted", raceClaims},
	{"completions of one claim → applied once", raceCompletions},
	{"a failure against completions → one of them wins", raceFailure},
	{"inserts of one fact by many events → one writes it", raceInserts},
	{"swaps of one item by many events → none is lost", raceSwaps},
	{"leases ending under live owners → one completion in each generation", racePausedWorkers},
}

// together runs f in as many goroutines as there are workers and waits for them.
func together(f func(worker int)) {
	start := make(chan struct{})
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			<-start
			f(w)
		})
	}
	close(start)
	wg.Wait()
}

// verdicts runs f as together does and counts its answers.
func verdicts(f func(worker int) string) map[string]int {
	var answers [workers]string
	together(func(w int) { answers[w] = f(w) })
	counts := make(map[string]int)
	for _, answer := range answers {
		counts[answer]++
	}
	return counts
}

// tryComplete is a completion from a goroutine of a race, which must not end the test itself.
func (b *bench) tryComplete(c *idempotency.Claim, effects ...dispatch.Effect) idempotency.CompleteResult {
	got, err := b.Store.Complete(b.ctx, c, idempotency.Applied, effects, b.at(2))
	if err != nil {
		b.Errorf("complete: %v", err)
	}
	return got
}

// copyOf returns a claim for the goroutine of a worker: one claim is for one goroutine at a
// time. Its requests have tokens of their own.
func copyOf(c *idempotency.Claim, w int) *idempotency.Claim {
	same := *c
	for range w {
		same.NextToken()
	}
	return &same
}

func raceClaims(b *bench) {
	got := verdicts(func(int) string {
		got, err := b.Store.Claim(b.ctx, b.request(b.t0))
		if err != nil {
			b.Errorf("claim: %v", err)
		}
		return string(got.Verdict)
	})
	b.equal("verdicts", got, map[string]int{"claimed": 1, "busy": workers - 1})
	b.equal("attempt", b.record().Attempt, int64(1))
}

func raceCompletions(b *bench) {
	c := b.claimed()
	got := verdicts(func(w int) string {
		return string(b.tryComplete(copyOf(c, w), dispatch.Insert(key(w), nil)).Verdict)
	})
	b.equal("verdicts", got, map[string]int{"completed": workers})
	written := 0
	for w := range workers {
		if b.item(key(w)) != nil {
			written++
			b.equal("named effects", b.record().Effects, []string{key(w)})
		}
	}
	b.equal("completions that wrote", written, 1)
}

func raceFailure(b *bench) {
	c := b.claimed()
	got := verdicts(func(w int) string {
		if w > 0 {
			return string(b.tryComplete(copyOf(c, w), dispatch.Insert(key(1), nil)).Verdict)
		}
		got, err := b.Store.Fail(b.ctx, copyOf(c, w), idempotency.Failure{Now: b.at(2), Err: "boom", ReceivesLeft: 14})
		if err != nil {
			b.Errorf("fail: %v", err)
		}
		return "fail " + string(got.Verdict)
	})
	want, done := map[string]int{"fail written": 1, "superseded": workers - 1}, b.record().State == idempotency.Done
	if done {
		want = map[string]int{"fail done": 1, "completed": workers - 1}
	}
	b.equal("verdicts", got, want)
	b.equal("effect of a completion", b.item(key(1)) != nil, done)
}

// claimNumbered claims a worker's own event.
func (b *bench) claimNumbered(w int) *idempotency.Claim {
	req := b.request(b.t0)
	req.Event.ID = fmt.Sprintf("evt_w%d", w)
	got, err := b.Store.Claim(b.ctx, req)
	if err != nil || got.Verdict != idempotency.Claimed {
		b.Errorf("claim of %s = %+v, %v", req.Event.ID, got, err)
		return &idempotency.Claim{EventID: req.Event.ID}
	}
	return got.Claim
}

func raceInserts(b *bench) {
	seen := verdicts(func(w int) string {
		c := b.claimNumbered(w)
		got := b.tryComplete(c, dispatch.Insert(key(1), dispatch.Fields{"by": c.EventID}))
		return fmt.Sprintf("%s %s", got.Verdict, got.Outcome)
	})
	b.equal("verdicts", seen, map[string]int{"completed applied": 1, "completed stale": workers - 1})
	by, _ := b.item(key(1))["by"].(string)
	r, _, err := b.Record(b.ctx, by)
	b.equal("effects of the writer", r.Effects, []string{key(1)})
	b.equal("error", err, nil)
}

func raceSwaps(b *bench) {
	together(func(w int) {
		c := b.claimNumbered(w)
		for b.ctx.Err() == nil {
			item, _, err := b.Item(b.ctx, key(1))
			if err != nil {
				b.Errorf("item: %v", err)
			}
			ver, _ := item["ver"].(int64)
			sum, _ := item["sum"].(int64)
			if b.tryComplete(c, dispatch.Swap(key(1), ver, dispatch.Fields{"sum": sum + int64(w)})).Verdict != idempotency.SwapRefused {
				return
			}
		}
	})
	b.equal("counter", b.item(key(1)), map[string]any{"pk": key(1), "ver": int64(workers), "sum": int64(workers * (workers - 1) / 2)})
}
