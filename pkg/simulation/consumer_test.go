package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// poll invokes the consumer function with a batch.
func (sc *scenario) poll(worker int) {
	batch := sc.queue.take(1 + sc.rng.IntN(sc.plan.batch))
	for i := range batch {
		batch[i].Body = sc.consumed(batch[i].Body)
	}
	if len(batch) == 0 {
		return
	}
	if sc.fails(startups) {
		sc.log("a consumer of %d messages does not start", len(batch))
		return
	}
	p := &proc{name: fmt.Sprintf("consumer of %d messages", len(batch)), ends: time.Now().Add(sc.limits.ConsumerTimeout)}
	skew, lag := sc.clocks(worker)
	for _, m := range batch {
		p.batch = append(p.batch, sc.taken(m))
	}
	l := sc.limits
	if sc.sameEvent(batch) {
		l.BatchConcurrency = 1 // else their calls have no defined order
	}
	var holds consumer.Pause
	if w := sc.warmed(p, worker); w != nil {
		holds = w
	}
	c, err := consumer.New(consumer.Config{
		Pause: holds, Store: watched{sc}, Queue: consumerQueue{sc}, Handlers: business{sc}, Fetcher: fetcher{sc}, Limits: l, Policies: sc.policies, Logger: slog.New(outcomes{sc, p}),
		Now: func() time.Time { return sc.clock(p).Add(skew()) }, Rand: sc.random,
		Owner: func() string { return "own" + strconv.FormatInt(sc.owners.Add(1), 10) },
		Exit:  func(int) { sc.exits(p); runtime.Goexit() },
	})
	if err != nil {
		panic(err)
	}
	payload := invocation(batch)
	var answer []byte
	var failure error
	p.finish = func() {
		sc.checkOutcomes(p)
		sc.checkFaults(p)
		sc.checkWaits(p)
		if failure != nil || sc.faulty(sc.plan.lose) {
			sc.log("the batch of process %d comes back: %v", p.id, failure)
			return
		}
		failed := failures(answer)
		for _, m := range batch {
			if !slices.Contains(failed, m.ID) {
				sc.acknowledged(p, m.Receipt)
			}
		}
	}
	sc.spawn(p, func(ctx context.Context) {
		if lag != nil {
			lagged, cancel := context.WithDeadline(ctx, p.ends.Add(*lag))
			defer cancel()
			ctx = lagged
		}
		answer, failure = sqsqueue.NewLambdaHandler(c).Invoke(ctx, payload)
	})
}

// sameEvent reports whether two messages of a batch are of one event.
func (sc *scenario) sameEvent(batch []queue.Message) bool {
	seen := map[string]bool{}
	for _, m := range batch {
		id := sc.queue.find(m.ID).event
		if seen[id] {
			return true
		}
		seen[id] = true
	}
	return false
}

// clock reads the time for a process; a paused one reads it when it resumes, so that deadlines
// derived from it start then.
func (sc *scenario) clock(p *proc) time.Time {
	sc.halt(p)
	return time.Now()
}

// clocks returns the skew of an invocation's worker, and the difference between Lambda's clock and
// the worker's, nil if the deadline is by the worker's clock.
func (sc *scenario) clocks(worker int) (skew func() time.Duration, lag *time.Duration) {
	if !sc.faulty(sc.plan.lag) {
		return func() time.Duration {
			sc.mu.Lock()
			defer sc.mu.Unlock()
			return sc.skews[worker]
		}, nil
	}
	sc.count("a deadline of another clock")
	off := sc.around(25 * time.Second)
	return func() time.Duration { return 0 }, &off
}

// jump changes a worker's clock skew.
func (sc *scenario) jump() {
	worker := sc.rng.IntN(len(sc.skews))
	sc.mu.Lock()
	sc.skews[worker] = sc.around(time.Minute)
	sc.mu.Unlock()
	sc.log("the clock of worker %d jumps: it is off by %v", worker, sc.skews[worker])
	sc.count("a clock jumps")
}

// exits marks that a process ended itself.
func (sc *scenario) exits(p *proc) {
	sc.mu.Lock()
	p.crash = true
	sc.mu.Unlock()
}
