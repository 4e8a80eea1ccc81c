package idempotencytest

import (
	"fmt"
	"sync"
	"time"

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
	{"leases ending under live owners → one completion in each generation", raceZombies},
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

// tally counts verdicts that goroutines report.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (t *tally) add(verdict string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = make(map[string]int)
	}
	t.counts[verdict]++
}

// tryComplete is a completion from a goroutine of a race, which must not end the test itself.
func (b *bench) tryComplete(c *idempotency.Claim, now time.Time, effects ...dispatch.Effect) idempotency.CompleteResult {
	got, err := b.Store.Complete(b.ctx, c, idempotency.Applied, effects, now)
	if err != nil {
		b.Errorf("complete: %v", err)
	}
	return got
}

func raceClaims(b *bench) {
	var seen tally
	together(func(int) {
		got, err := b.Store.Claim(b.ctx, b.request(b.t0))
		if err != nil {
			b.Errorf("claim: %v", err)
		}
		seen.add(string(got.Verdict))
	})
	b.equal("verdicts", seen.counts, map[string]int{"claimed": 1, "busy": workers - 1})
	b.equal("attempt", b.record().Attempt, int64(1))
}

func raceCompletions(b *bench) {
	c := b.claimed()
	var seen tally
	together(func(w int) {
		// One claim is for one goroutine at a time; copies stand for the copies of its requests.
		same := *c
		for range w {
			same.NextToken()
		}
		got := b.tryComplete(&same, b.at(2), dispatch.Insert(key(w), nil))
		seen.add(string(got.Verdict))
	})
	b.equal("verdicts", seen.counts, map[string]int{"completed": workers})
	named := b.record().Effects
	written := 0
	for w := range workers {
		if b.item(key(w)) != nil {
			written++
			b.equal("named effects", named, []string{key(w)})
		}
	}
	b.equal("completions that wrote", written, 1)
}

func raceFailure(b *bench) {
	c := b.claimed()
	var seen tally
	together(func(w int) {
		same := *c
		if w == 0 {
			got, err := b.Store.Fail(b.ctx, &same, idempotency.Failure{Now: b.at(2), Err: "boom", ReceivesLeft: 14})
			if err != nil {
				b.Errorf("fail: %v", err)
			}
			seen.add("fail " + string(got.Verdict))
			return
		}
		for range w {
			same.NextToken()
		}
		seen.add(string(b.tryComplete(&same, b.at(2), dispatch.Insert(key(1), nil)).Verdict))
	})
	wrote := b.item(key(1)) != nil
	if b.record().State == idempotency.Done {
		b.equal("verdicts", seen.counts, map[string]int{"fail done": 1, "completed": workers - 1})
		b.equal("effect of the completion", wrote, true)
		return
	}
	b.equal("verdicts", seen.counts, map[string]int{"fail written": 1, "superseded": workers - 1})
	b.equal("effect beside a failure", wrote, false)
}

// claimNumbered claims an event of its own for a worker.
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
	var seen tally
	together(func(w int) {
		c := b.claimNumbered(w)
		got := b.tryComplete(c, b.at(2), dispatch.Insert(key(1), dispatch.Fields{"by": c.EventID}))
		seen.add(fmt.Sprintf("%s %s", got.Verdict, got.Outcome))
	})
	b.equal("verdicts", seen.counts, map[string]int{"completed applied": 1, "completed stale": workers - 1})
	by, _ := b.item(key(1))["by"].(string)
	r, _, err := b.Record(b.ctx, by)
	b.equal("effects of the writer", r.Effects, []string{key(1)})
	b.equal("error", err, nil)
}

func raceSwaps(b *bench) {
	together(func(w int) {
		c := b.claimNumbered(w)
		for b.ctx.Err() == nil {
			ver, sum := b.counter()
			got := b.tryComplete(c, b.at(2), dispatch.Swap(key(1), ver, dispatch.Fields{"sum": sum + int64(w)}))
			if got.Verdict != idempotency.SwapRefused {
				return
			}
		}
	})
	b.equal("counter", b.item(key(1)), map[string]any{"pk": key(1), "ver": int64(workers), "sum": int64(workers * (workers - 1) / 2)})
}

// counter reads the item that all workers swap.
func (b *bench) counter() (ver, sum int64) {
	item, _, err := b.Item(b.ctx, key(1))
	if err != nil {
		b.Errorf("item: %v", err)
	}
	ver, _ = item["ver"].(int64)
	sum, _ = item["sum"].(int64)
	return ver, sum
}
