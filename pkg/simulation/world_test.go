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

// world is one schedule. Everything but pending and the processes' states is touched by
// the scheduler's goroutine alone.
type world struct {
	rng      *rand.Rand
	plan     plan
	limits   limits.Limits
	policies map[string]policy.Policy // of processes that start now
	trace    func(string)             // nil: the steps are not written down
	tally    *tally

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
	chores       []appointment // what operators still have to do

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

func newWorld(seed uint64, trace func(string)) *world {
	rng := rand.New(rand.NewPCG(seed, 1))
	return newWorldOf(newPlan(rng), rng, trace)
}

func newWorldOf(p plan, rng *rand.Rand, trace func(string)) *world {
	w := &world{rng: rng, plan: p, limits: limits.AWS(), random: half, maxSteps: manySteps, called: make(chan struct{}, 1), trace: trace, tally: newTally(), aliases: map[string]int{}}
	w.limits.MaxReceives = w.plan.maxReceives
	w.policies = w.plan.policies.policies()
	w.table = &table{w: w, items: map[string]item{}, tokens: map[string]token{}}
	w.dead = &standardQueue{w: w, name: "d", retention: w.limits.DLQRetention, visibility: 2 * time.Minute}
	w.queue = &standardQueue{w: w, name: "m", retention: w.limits.SourceRetention, visibility: w.limits.Visibility, maxReceives: w.plan.maxReceives}
	for range w.plan.workers {
		w.skews = append(w.skews, w.around(w.plan.skew))
	}
	w.clients, w.hot, w.revoked = newClients(w.limits), map[string]time.Time{}, map[string]bool{}
	w.storeSecret()
	w.stripe = newStripe(w)
	var err error
	options := dynamostore.Options{Limits: w.limits, Random: half}
	if w.store, err = dynamostore.New(w.table, "tollgate", options); err != nil {
		panic(err)
	}
	if w.operator, err = dynamostore.NewOperator(w.table, "tollgate", options); err != nil {
		panic(err)
	}
	if w.plan.net.on {
		w.net = newNet(w)
	}
	w.happen()
	return w
}

// half stands for every random number of the code under test: two processes that draw at
// the same moment must not disturb each other's luck.
func half() float64 { return 0.5 }

func (w *world) log(format string, args ...any) {
	if w.trace != nil {
		w.trace(fmt.Sprintf("%5d %s ", w.step, time.Now().Format("02 15:04:05.000")) + fmt.Sprintf(format, args...))
	}
}

func (w *world) violate(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
		w.log("WRONG: %s", w.wrong)
		if w.complain != nil {
			w.complain(w.wrong)
		}
	}
}

// run is the schedule: faults, then peace, then the fix and a redrive of everything.
func (w *world) run() {
	defer w.end()
	for end := 20 + w.rng.IntN(faultSteps); w.wrong == ""; w.step++ {
		w.turn()
		switch {
		case !w.healed && w.quiet() && len(w.dead.messages) > 0 && w.rng.IntN(2) == 0:
			w.settleLetters() // nothing else would meet the faults that are left
		case !w.healed && (w.step >= end || w.quiet() && w.rng.IntN(4) == 0):
			w.heal()
		case w.healed && w.quiet():
			if w.rest() {
				return
			}
		default:
			w.act()
		}
	}
}

// turn comes before each step: every process runs until it waits.
func (w *world) turn() {
	synctest.Wait()
	w.reap()
	w.arrive()
	if w.step > w.maxSteps {
		w.violate("there is no end after %d steps", w.maxSteps)
	}
}

// rest is what happens when nothing else does: the passes of reconcile, then the fix and
// a redrive. It reports true at the end.
func (w *world) rest() (over bool) {
	if w.net.atRest() {
		return false
	}
	w.checkRest()
	if w.deployed && w.openLetters() == 0 {
		w.checkEnd()
		return true
	}
	if w.rounds++; w.rounds > maxRedrives {
		w.violate("the dead-letter queue is never empty")
	}
	w.fix()
	if w.net == nil {
		time.Sleep(w.upTo(w.plan.patience)) // until the fix is deployed
	}
	if hidden := w.dead.nextVisible(); !hidden.IsZero() {
		until(hidden) // what a command that died had in its hands
	}
	w.table.expire()
	w.redrive(len(w.dead.messages))
	return false
}

// fix deploys what was wrong: the handlers, and the policies.
func (w *world) fix() {
	if w.deployed {
		return
	}
	w.deployed = true
	w.fixed.Store(true)
	clear(w.revoked)
	w.plan.versions.consumes = true
	for _, f := range w.facts {
		if w.repair(f) {
			w.net.lookAgain()
		}
	}
	if w.plan.policies.on {
		w.log("each endpoint takes its account")
		w.policies = w.plan.policies.policies()
		w.net.lookAgain()
	}
	for _, do := range w.onFix {
		do()
	}
}

// heal ends all faults; processes that are stopped go on when it is their time.
func (w *world) heal() {
	w.log("faults end")
	w.healed, w.outages = true, [parts]outage{}
	w.storeSecret()
	clear(w.hot)
}

// until lets time pass without a look at anything.
func until(t time.Time) { time.Sleep(time.Until(t)) }

// deliveries are those of all events.
func (w *world) deliveries() (all []*delivery) {
	for _, f := range w.facts {
		all = append(all, f.comes...)
	}
	return all
}

// quiet reports whether nothing is left to happen.
func (w *world) quiet() bool {
	return len(w.procs) == 0 && len(w.queue.messages) == 0 && len(w.late) == 0 && len(w.chores) == 0 &&
		!slices.ContainsFunc(w.deliveries(), func(d *delivery) bool { return !d.due.IsZero() })
}

// end releases every goroutine of the world.
func (w *world) end() {
	for _, p := range w.procs {
		w.kill(p, "the schedule is over")
	}
	w.healed = true
	for range 100 {
		synctest.Wait()
		if w.reap(); len(w.procs) == 0 {
			return
		}
		time.Sleep(time.Minute) // what waits for its own clock
	}
	panic("processes outlive the schedule")
}

// reap takes note of processes that have returned.
func (w *world) reap() {
	w.mu.Lock()
	var crashed, gone []*proc
	for _, p := range w.procs {
		switch {
		case p.crash && !p.dead:
			crashed = append(crashed, p)
		case p.done:
			gone = append(gone, p)
		}
	}
	w.procs = slices.DeleteFunc(w.procs, func(p *proc) bool { return p.done && !(p.crash && !p.dead) })
	w.mu.Unlock()
	for _, p := range crashed {
		w.kill(p, "its own code")
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
func (w *world) arrive() {
	for i := 0; i < len(w.late); {
		if l := w.late[i]; !time.Now().Before(l.at) {
			w.late = slices.Delete(w.late, i, i+1)
			err := l.c.apply()
			arrived := "applied"
			if err != nil {
				arrived = "refused"
			}
			w.met(fmt.Sprintf("late: %s, %s", l.c.op, arrived))
			w.log("%s %s of process %d arrives late: %v", l.c.op, l.c.subject, l.c.proc.id, err)
		} else {
			i++
		}
	}
}

// act lets one thing happen.
func (w *world) act() {
	w.disturb()
	if w.stirred { // what it woke or started must have come to its next wait
		synctest.Wait()
		w.stirred = false
	}
	calls, starts := w.eligible(), w.starts()
	if n := len(calls) + len(starts); n > 0 && (w.healed || w.rng.IntN(12) > 0) {
		w.idle = 0
		if i := w.rng.IntN(n); i < len(calls) {
			w.reply(calls[i])
		} else {
			starts[i-len(calls)]()
		}
		return
	}
	w.pass(len(calls)+len(starts) > 0)
}

// disturb makes one of the faults of a step, now and then.
func (w *world) disturb() {
	var running []*proc
	for _, p := range w.procs {
		switch {
		case p.dead:
		case p.resume != nil && !time.Now().Before(p.wakes):
			w.wake(p)
		case p.resume != nil:
		case !p.ends.IsZero() && !time.Now().Before(p.ends):
			w.kill(p, "its time is over")
		default:
			running = append(running, p)
		}
	}
	if len(running) > 0 && w.faulty(w.plan.crash) {
		w.kill(running[w.rng.IntN(len(running))], "a crash")
	}
	if len(running) > 0 && w.faulty(w.plan.stop) {
		if p := w.oneOf(running); !p.dead {
			d := w.upTo(w.plan.pause)
			w.stop(p, d)
			p.ends = later(p.ends, time.Now().Add(d+w.upTo(5*time.Second))) // a stopped process is killed late
		}
	}
	w.disrupt()
	if w.faulty(w.plan.operator) {
		w.operate()
	}
	if w.faulty(w.plan.spoil) {
		w.spoil(w.facts[w.rng.IntN(len(w.facts))])
	}
	if w.faulty(w.plan.versions.roll) {
		w.roll()
	}
	if w.faulty(w.plan.jump) {
		w.jump()
	}
	if w.faulty(w.plan.policies.change) {
		w.repolicy()
	}
	if w.faulty(w.plan.attack) {
		w.attack(w.facts[w.rng.IntN(len(w.facts))])
	}
}

// oneOf picks a process, more often than not one that is about to commit effects.
func (w *world) oneOf(running []*proc) *proc {
	w.mu.Lock()
	committing := slices.DeleteFunc(slices.Clone(running), func(p *proc) bool {
		return !slices.ContainsFunc(w.pending, func(c *call) bool { return c.proc == p && c.op == opTransact })
	})
	w.mu.Unlock()
	if len(committing) > 0 && w.rng.IntN(2) == 0 {
		running = committing
	}
	return running[w.rng.IntN(len(running))]
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// starts are the processes that could start now.
func (w *world) starts() (out []func()) {
	for _, d := range w.deliveries() {
		if !d.due.IsZero() && !d.due.After(time.Now()) {
			out = append(out, func() { w.deliver(d) })
		}
	}
	for i, chore := range w.chores {
		if !chore.at.After(time.Now()) {
			out = append(out, func() {
				w.chores = slices.Delete(w.chores, i, i+1)
				chore.do()
			})
		}
	}
	out = append(out, w.net.starts()...)
	if !w.fails(consumers) && w.queue.visibleNow() > 0 {
		if worker, free := w.freeWorker(); free {
			out = append(out, func() { w.poll(worker) })
		}
	}
	return out
}

// freeWorker returns a clock for another invocation; those that are stopped do not count.
func (w *world) freeWorker() (int, bool) {
	busy := 0
	for _, p := range w.procs {
		if p.resume == nil && !p.dead {
			busy++
		}
	}
	return w.rng.IntN(w.plan.workers), busy < w.plan.workers
}

// pass lets time pass: a little while something could happen at once, else until the
// next thing that is known, but in small steps while code waits for its own clock.
func (w *world) pass(little bool) {
	if little {
		time.Sleep(1 + w.upTo(time.Second))
		return
	}
	next := time.Now().Add(time.Hour)
	sooner := func(t time.Time) {
		if t.After(time.Now()) && t.Before(next) {
			next = t
		}
	}
	for _, d := range w.deliveries() {
		sooner(d.due)
	}
	sooner(w.queue.nextVisible())
	sooner(w.net.nextDue())
	for _, a := range slices.Concat(w.script, w.chores) {
		sooner(a.at)
	}
	for _, l := range w.late {
		sooner(l.at)
	}
	w.mu.Lock()
	for _, c := range w.pending {
		sooner(c.after)
	}
	w.mu.Unlock()
	d := time.Until(next)
	for _, p := range w.procs {
		if sooner(p.wakes); p.resume == nil {
			sooner(p.ends)
			w.idle = min(max(2*w.idle, 10*time.Millisecond), 10*time.Second)
			d = w.idle
		}
	}
	w.sleep(max(1, min(d, time.Until(next))))
}

// sleep lets time pass, but no further than to the next call: its own time runs out too.
func (w *world) sleep(d time.Duration) {
	select {
	case <-w.called: // those before are known
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-w.called:
	case <-timer.C:
	}
}

// poll is one invocation of the consumer function with a batch.
func (w *world) poll(worker int) {
	batch := w.queue.take(1 + w.rng.IntN(w.plan.batch))
	for i := range batch {
		batch[i].Body = w.consumed(batch[i].Body)
	}
	if len(batch) == 0 {
		return
	}
	if w.fails(startups) {
		w.log("a consumer of %d messages does not start", len(batch))
		return
	}
	p := &proc{name: fmt.Sprintf("consumer of %d messages", len(batch)), ends: time.Now().Add(w.limits.ConsumerTimeout)}
	skew, lag := w.clocks(worker)
	for _, m := range batch {
		p.batch = append(p.batch, w.taken(m))
	}
	l := w.limits
	if w.sameEvent(batch) {
		l.BatchConcurrency = 1 // nothing would tell their calls apart, and a seed must
	}
	c, err := consumer.New(consumer.Config{
		Store: watched{w}, Queue: consumerQueue{w}, Handlers: business{w}, Fetcher: fetcher{w}, Limits: l, Policies: w.policies, Logger: slog.New(outcomes{w, p}),
		Now: func() time.Time { return w.clock(p).Add(skew()) }, Rand: w.random,
		Owner: func() string { return "own" + strconv.FormatInt(w.owners.Add(1), 10) },
		Exit:  func(int) { w.asksToDie(p); runtime.Goexit() },
	})
	if err != nil {
		panic(err)
	}
	payload := invocation(batch)
	var answer []byte
	var failure error
	p.finish = func() {
		w.checkOutcomes(p)
		w.checkFaults(p)
		w.checkWaits(p)
		if failure != nil || w.faulty(w.plan.lose) {
			w.log("the batch of process %d comes back: %v", p.id, failure)
			return
		}
		failed := failures(answer)
		for _, m := range batch {
			if !slices.Contains(failed, m.ID) {
				w.acknowledged(p, m.Receipt)
			}
		}
	}
	w.spawn(p, func(ctx context.Context) {
		if lag != nil {
			lagged, cancel := context.WithDeadline(ctx, p.ends.Add(*lag))
			defer cancel()
			ctx = lagged
		}
		answer, failure = sqsqueue.NewLambdaHandler(c).Invoke(ctx, payload)
	})
}

// sameEvent reports whether two messages of a batch are of one event.
func (w *world) sameEvent(batch []queue.Message) bool {
	seen := map[string]bool{}
	for _, m := range batch {
		id := w.queue.find(m.ID).event
		if seen[id] {
			return true
		}
		seen[id] = true
	}
	return false
}

// clock is a look of a process at the time, for which it has to run: so all that follows
// from it, such as the time that a write may take, is as of when it goes on.
func (w *world) clock(p *proc) time.Time {
	w.halt(p)
	return time.Now()
}

// clocks draws those of an invocation: how far the worker's is off, at each look, and how far
// Lambda's is off from that, nil for a deadline by the worker's own.
func (w *world) clocks(worker int) (skew func() time.Duration, lag *time.Duration) {
	if !w.faulty(w.plan.lag) {
		return func() time.Duration {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.skews[worker]
		}, nil
	}
	w.met("a deadline of another clock")
	off := w.around(25 * time.Second)
	return func() time.Duration { return 0 }, &off
}

// jump sets a worker's clock.
func (w *world) jump() {
	worker := w.rng.IntN(len(w.skews))
	w.mu.Lock()
	w.skews[worker] = w.around(time.Minute)
	w.mu.Unlock()
	w.log("the clock of worker %d jumps: it is off by %v", worker, w.skews[worker])
	w.met("a clock jumps")
}

// asksToDie notes that a process's own code ends it.
func (w *world) asksToDie(p *proc) {
	w.mu.Lock()
	p.crash = true
	w.mu.Unlock()
}
