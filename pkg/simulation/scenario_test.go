package simulation

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
)

// scenario is one schedule. Everything but pending and the processes' states is touched by
// the scheduler's goroutine alone.
type scenario struct {
	rng      *rand.Rand
	plan     plan
	limits   limits.Limits
	policies map[string]policy.Policy // of processes that start now
	trace    func(string)             // nil: the steps are not written down
	counts   *counts

	mu      sync.Mutex
	pending []*call
	called  chan struct{} // there is a new one

	step     int
	procs    []*proc
	nextProc int
	late     []late
	owners   atomic.Int64
	aliases  map[string]int // owners as the trace calls them

	facts       []*fact
	table       *table
	queue, dead *standardQueue
	store       *dynamostore.Store
	operator    *dynamostore.Operator

	clients      clients
	environments []*environment // of ingest
	secret       stored
	stripe       *stripeapi.Client
	hot          map[string]time.Time // records that are throttled, and until when
	revoked      map[string]bool      // accounts
	onFix        []func()             // what operators wait with for the fix
	skews        []time.Duration
	background   []appointment // what operators still have to do

	net     *net // nil without reconcile
	outages [parts]outage
	script  []appointment
	random  func() float64 // of the code under test

	healed   bool
	fixed    atomic.Bool // the handlers are
	deployed bool        // all that was wrong is fixed
	rounds   int         // redrives after the fix
	maxSteps int
	idle     time.Duration
	stirred  bool   // a process was started, woken or killed in this step
	wrong    string // the first thing that must not be
	complain func(string)
}

// Bounds of a schedule.
const (
	faultSteps = 150    // most steps with faults
	manySteps  = 20_000 // a schedule that needs more never ends

	maxRedrives = 4 // after the fix: clocks that differ may send a message there once more
)

func newScenario(seed uint64, trace func(string)) *scenario {
	rng := rand.New(rand.NewPCG(seed, 1))
	return newScenarioOf(newPlan(rng), rng, trace)
}

func newScenarioOf(p plan, rng *rand.Rand, trace func(string)) *scenario {
	sc := &scenario{rng: rng, plan: p, limits: limits.AWS(), random: half, maxSteps: manySteps, called: make(chan struct{}, 1), trace: trace, counts: newCounts(), aliases: map[string]int{}}
	sc.limits.MaxReceives = sc.plan.maxReceives
	sc.policies = sc.plan.policies.policies()
	sc.table = &table{sc: sc, items: map[string]item{}, tokens: map[string]token{}}
	sc.dead = &standardQueue{sc: sc, name: "d", retention: sc.limits.DLQRetention, visibility: 2 * time.Minute}
	sc.queue = &standardQueue{sc: sc, name: "m", retention: sc.limits.SourceRetention, visibility: sc.limits.Visibility, maxReceives: sc.plan.maxReceives}
	for range sc.plan.workers {
		sc.skews = append(sc.skews, sc.around(sc.plan.skew))
	}
	sc.clients, sc.hot, sc.revoked = newClients(sc.limits), map[string]time.Time{}, map[string]bool{}
	sc.storeSecret()
	sc.stripe = newStripe(sc)
	var err error
	options := dynamostore.Options{Limits: sc.limits, Random: half}
	if sc.store, err = dynamostore.New(sc.table, "tollgate", options); err != nil {
		panic(err)
	}
	if sc.operator, err = dynamostore.NewOperator(sc.table, "tollgate", options); err != nil {
		panic(err)
	}
	if sc.plan.net.on {
		sc.net = newNet(sc)
	}
	sc.happen()
	return sc
}

// half stands for every random number of the code under test: two processes that draw at
// the same moment must not disturb each other's luck.
func half() float64 { return 0.5 }

func (sc *scenario) log(format string, args ...any) {
	if sc.trace != nil {
		sc.trace(fmt.Sprintf("%5d %s ", sc.step, time.Now().Format("02 15:04:05.000")) + fmt.Sprintf(format, args...))
	}
}

func (sc *scenario) violate(format string, args ...any) {
	if sc.wrong == "" {
		sc.wrong = fmt.Sprintf(format, args...)
		sc.log("WRONG: %s", sc.wrong)
		if sc.complain != nil {
			sc.complain(sc.wrong)
		}
	}
}

// run is the schedule: faults, then peace, then the fix and a redrive of everything.
func (sc *scenario) run() {
	defer sc.end()
	for end := 20 + sc.rng.IntN(faultSteps); sc.wrong == ""; sc.step++ {
		sc.turn()
		switch {
		case !sc.healed && sc.quiet() && len(sc.dead.messages) > 0 && sc.rng.IntN(2) == 0:
			sc.settleLetters() // nothing else would meet the faults that are left
		case !sc.healed && (sc.step >= end || sc.quiet() && sc.rng.IntN(4) == 0):
			sc.heal()
		case sc.healed && sc.quiet():
			if sc.rest() {
				return
			}
		default:
			sc.act()
		}
	}
}

// turn comes before each step: every process runs until it waits.
func (sc *scenario) turn() {
	synctest.Wait()
	sc.reap()
	sc.arrive()
	if sc.step > sc.maxSteps {
		sc.violate("there is no end after %d steps", sc.maxSteps)
	}
}

// rest is what happens when nothing else does: the passes of reconcile, then the fix and
// a redrive. It reports true at the end.
func (sc *scenario) rest() (over bool) {
	if sc.net.atRest() {
		return false
	}
	sc.checkRest()
	if sc.deployed && sc.openLetters() == 0 {
		sc.checkEnd()
		return true
	}
	if sc.rounds++; sc.rounds > maxRedrives {
		sc.violate("the dead-letter queue is never empty")
	}
	sc.fix()
	if sc.net == nil {
		time.Sleep(sc.upTo(sc.plan.patience)) // until the fix is deployed
	}
	if hidden := sc.dead.nextVisible(); !hidden.IsZero() {
		until(hidden) // what a command that died had in its hands
	}
	sc.table.expire()
	sc.redrive(len(sc.dead.messages))
	return false
}

// fix deploys what was wrong: the handlers, and the policies.
func (sc *scenario) fix() {
	if sc.deployed {
		return
	}
	sc.deployed = true
	sc.fixed.Store(true)
	clear(sc.revoked)
	sc.plan.versions.consumes = true
	for _, f := range sc.facts {
		if sc.repair(f) {
			sc.net.lookAgain()
		}
	}
	if sc.plan.policies.on {
		sc.log("each endpoint takes its account")
		sc.policies = sc.plan.policies.policies()
		sc.net.lookAgain()
	}
	for _, do := range sc.onFix {
		do()
	}
}

// heal ends all faults; processes that are stopped go on when it is their time.
func (sc *scenario) heal() {
	sc.log("faults end")
	sc.healed, sc.outages = true, [parts]outage{}
	sc.storeSecret()
	clear(sc.hot)
}

// until lets time pass without a look at anything.
func until(t time.Time) { time.Sleep(time.Until(t)) }

// deliveries are those of all events.
func (sc *scenario) deliveries() (all []*delivery) {
	for _, f := range sc.facts {
		all = append(all, f.comes...)
	}
	return all
}

// quiet reports whether nothing is left to happen.
func (sc *scenario) quiet() bool {
	return len(sc.procs) == 0 && len(sc.queue.messages) == 0 && len(sc.late) == 0 && len(sc.background) == 0 &&
		!slices.ContainsFunc(sc.deliveries(), func(d *delivery) bool { return !d.due.IsZero() })
}

// end releases every goroutine of the scenario.
func (sc *scenario) end() {
	for _, p := range sc.procs {
		sc.kill(p, "the schedule is over")
	}
	sc.healed = true
	for range 100 {
		synctest.Wait()
		if sc.reap(); len(sc.procs) == 0 {
			return
		}
		time.Sleep(time.Minute) // what waits for its own clock
	}
	panic("processes outlive the schedule")
}

// reap takes note of processes that have returned.
func (sc *scenario) reap() {
	sc.mu.Lock()
	var crashed, gone []*proc
	for _, p := range sc.procs {
		switch {
		case p.crash && !p.dead:
			crashed = append(crashed, p)
		case p.done:
			gone = append(gone, p)
		}
	}
	sc.procs = slices.DeleteFunc(sc.procs, func(p *proc) bool { return p.done && !(p.crash && !p.dead) })
	sc.mu.Unlock()
	for _, p := range crashed {
		sc.kill(p, "its own code")
	}
	for _, p := range gone {
		if !p.dead && p.finish != nil {
			p.finish()
		}
		if p.over != nil {
			p.over()
		}
	}
}

// arrive applies the requests that were under way when their callers gave up.
func (sc *scenario) arrive() {
	for i := 0; i < len(sc.late); {
		if l := sc.late[i]; !time.Now().Before(l.at) {
			sc.late = slices.Delete(sc.late, i, i+1)
			err := l.c.apply()
			arrived := "applied"
			if err != nil {
				arrived = "refused"
			}
			sc.count(fmt.Sprintf("late: %s, %s", l.c.op, arrived))
			sc.log("%s %s of process %d arrives late: %v", l.c.op, l.c.subject, l.c.proc.id, err)
		} else {
			i++
		}
	}
}

// act lets one thing happen.
func (sc *scenario) act() {
	sc.disturb()
	if sc.stirred { // what it woke or started must have come to its next wait
		synctest.Wait()
		sc.stirred = false
	}
	calls, starts := sc.eligible(), sc.starts()
	if n := len(calls) + len(starts); n > 0 && (sc.healed || sc.rng.IntN(12) > 0) {
		sc.idle = 0
		if i := sc.rng.IntN(n); i < len(calls) {
			sc.reply(calls[i])
		} else {
			starts[i-len(calls)]()
		}
		return
	}
	sc.pass(len(calls)+len(starts) > 0)
}

// disturb makes one of the faults of a step, now and then.
func (sc *scenario) disturb() {
	var running []*proc
	for _, p := range sc.procs {
		switch {
		case p.dead:
		case p.resume != nil && !time.Now().Before(p.wakes):
			sc.wake(p)
		case p.resume != nil:
		case !p.ends.IsZero() && !time.Now().Before(p.ends):
			sc.kill(p, "its time is over")
		default:
			running = append(running, p)
		}
	}
	if len(running) > 0 && sc.faulty(sc.plan.crash) {
		sc.kill(running[sc.rng.IntN(len(running))], "a crash")
	}
	if len(running) > 0 && sc.faulty(sc.plan.stop) {
		if p := sc.oneOf(running); !p.dead {
			d := sc.upTo(sc.plan.pause)
			sc.stop(p, d)
			p.ends = later(p.ends, time.Now().Add(d+sc.upTo(5*time.Second))) // a stopped process is killed late
		}
	}
	sc.disrupt()
	if sc.faulty(sc.plan.operator) {
		sc.operate()
	}
	if sc.faulty(sc.plan.spoil) {
		sc.spoil(sc.facts[sc.rng.IntN(len(sc.facts))])
	}
	if sc.faulty(sc.plan.versions.roll) {
		sc.roll()
	}
	if sc.faulty(sc.plan.jump) {
		sc.jump()
	}
	if sc.faulty(sc.plan.policies.change) {
		sc.repolicy()
	}
	if sc.faulty(sc.plan.attack) {
		sc.attack(sc.facts[sc.rng.IntN(len(sc.facts))])
	}
}

// oneOf picks a process, more often than not one that is about to commit effects.
func (sc *scenario) oneOf(running []*proc) *proc {
	sc.mu.Lock()
	committing := slices.DeleteFunc(slices.Clone(running), func(p *proc) bool {
		return !slices.ContainsFunc(sc.pending, func(c *call) bool { return c.proc == p && c.op == opTransact })
	})
	sc.mu.Unlock()
	if len(committing) > 0 && sc.rng.IntN(2) == 0 {
		running = committing
	}
	return running[sc.rng.IntN(len(running))]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// starts are the processes that could start now.
func (sc *scenario) starts() (out []func()) {
	for _, d := range sc.deliveries() {
		if !d.due.IsZero() && !d.due.After(time.Now()) {
			out = append(out, func() { sc.deliver(d) })
		}
	}
	for i, task := range sc.background {
		if !task.at.After(time.Now()) {
			out = append(out, func() {
				sc.background = slices.Delete(sc.background, i, i+1)
				task.do()
			})
		}
	}
	out = append(out, sc.net.starts()...)
	if !sc.fails(consumers) && sc.queue.visibleNow() > 0 {
		if worker, free := sc.freeWorker(); free {
			out = append(out, func() { sc.poll(worker) })
		}
	}
	return out
}

// freeWorker returns a clock for another invocation; those that are stopped do not count.
func (sc *scenario) freeWorker() (int, bool) {
	busy := 0
	for _, p := range sc.procs {
		if p.resume == nil && !p.dead {
			busy++
		}
	}
	return sc.rng.IntN(sc.plan.workers), busy < sc.plan.workers
}

// pass lets time pass: a little while something could happen at once, else until the
// next thing that is known, but in small steps while code waits for its own clock.
func (sc *scenario) pass(little bool) {
	if little {
		time.Sleep(1 + sc.upTo(time.Second))
		return
	}
	next := time.Now().Add(time.Hour)
	sooner := func(t time.Time) {
		if t.After(time.Now()) && t.Before(next) {
			next = t
		}
	}
	for _, d := range sc.deliveries() {
		sooner(d.due)
	}
	sooner(sc.queue.nextVisible())
	sooner(sc.net.nextDue())
	for _, a := range slices.Concat(sc.script, sc.background) {
		sooner(a.at)
	}
	for _, l := range sc.late {
		sooner(l.at)
	}
	sc.mu.Lock()
	for _, c := range sc.pending {
		sooner(c.after)
	}
	sc.mu.Unlock()
	d := time.Until(next)
	for _, p := range sc.procs {
		if sooner(p.wakes); p.resume == nil {
			sooner(p.ends)
			sc.idle = min(max(2*sc.idle, 10*time.Millisecond), 10*time.Second)
			d = sc.idle
		}
	}
	sc.sleep(max(1, min(d, time.Until(next))))
}

// sleep lets time pass, but no further than to the next call: its own time runs out too.
func (sc *scenario) sleep(d time.Duration) {
	select {
	case <-sc.called: // those before are known
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-sc.called:
	case <-timer.C:
	}
}

// poll is one invocation of the consumer function with a batch.
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
		l.BatchConcurrency = 1 // nothing would tell their calls apart, and a seed must
	}
	c, err := consumer.New(consumer.Config{
		Store: watched{sc}, Queue: consumerQueue{sc}, Handlers: business{sc}, Fetcher: fetcher{sc}, Limits: l, Policies: sc.policies, Logger: slog.New(outcomes{sc, p}),
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

// clock is a look of a process at the time, for which it has to run: so all that follows
// from it, such as the time that a write may take, is as of when it goes on.
func (sc *scenario) clock(p *proc) time.Time {
	sc.halt(p)
	return time.Now()
}

// clocks draws those of an invocation: how far the worker's is off, at each look, and how far
// Lambda's is off from that, nil for a deadline by the worker's own.
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

// jump sets a worker's clock.
func (sc *scenario) jump() {
	worker := sc.rng.IntN(len(sc.skews))
	sc.mu.Lock()
	sc.skews[worker] = sc.around(time.Minute)
	sc.mu.Unlock()
	sc.log("the clock of worker %d jumps: it is off by %v", worker, sc.skews[worker])
	sc.count("a clock jumps")
}

// exits notes that a process's own code ends it.
func (sc *scenario) exits(p *proc) {
	sc.mu.Lock()
	p.crash = true
	sc.mu.Unlock()
}
