package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/stripeapi"
)

// scenario is one seeded run. Only the scheduler's goroutine touches its fields, except pending
// and the processes' states, which mu guards.
type scenario struct {
	rng      *rand.Rand
	plan     plan
	limits   limits.Limits
	policies map[string]policy.Policy // for processes that start now
	trace    func(string)             // receives the steps; nil for none
	counts   *counts

	mu      sync.Mutex
	pending []*call
	called  chan struct{} // signals a new pending call

	step     int
	procs    []*proc
	nextProc int
	late     []late
	owners   atomic.Int64
	aliases  map[string]int // short names of owners in the trace

	facts       []*fact
	table       *table
	queue, dead *standardQueue
	hold        *standardQueue
	pausing     pausing
	store       *dynamostore.Store
	operator    *dynamostore.Operator

	clients      clients
	environments []*environment // processes of ingest
	secret       stored
	stripe       *stripeapi.Client
	hot          map[string]time.Time // throttled records, and until when
	revoked      map[string]bool      // connected accounts that revoked access
	onFix        []func()             // what operators do after the fix
	skews        []time.Duration
	background   []appointment // what operators will do later

	reconciler *reconciler // nil without reconcile
	restored   time.Time   // the end of the table's restore, zero for none
	outages    [parts]outage
	script     []appointment
	random     func() float64 // random numbers of the code under test

	healed   bool
	fixed    atomic.Bool // the handlers' bugs are fixed
	deployed bool        // all bugs and policies are fixed
	rounds   int         // redrives after the fix
	maxSteps int
	idle     time.Duration
	stirred  bool   // a process was started, resumed or killed in this step
	wrong    string // the first violation
	complain func(string)
}

// Bounds of a scenario.
const (
	faultSteps = 150    // maximum of steps with faults
	manySteps  = 20_000 // more than this counts as endless

	maxRedrives = 4 // after the fix; skewed clocks may cause one more
)

func newScenario(seed uint64, trace func(string)) *scenario {
	rng := rand.New(rand.NewPCG(seed, 1))
	return newScenarioOf(newPlan(rng), rng, trace)
}

func newScenarioOf(p plan, rng *rand.Rand, trace func(string)) *scenario {
	sc := &scenario{rng: rng, plan: p, limits: limits.AWS(), random: half, maxSteps: manySteps, called: make(chan struct{}, 1), trace: trace, counts: newCounts(), aliases: map[string]int{}}
	sc.limits.MaxReceives = sc.plan.maxReceives
	sc.policies = sc.plan.policies.policies()
	sc.table = &table{sc: sc, items: map[string]item{}, tokens: map[string]token{}, before: map[string]version{}}
	sc.dead = &standardQueue{sc: sc, name: "d", retention: sc.limits.DLQRetention, visibility: 2 * time.Minute}
	sc.queue = &standardQueue{sc: sc, name: "m", retention: sc.limits.SourceRetention, visibility: sc.limits.Visibility, maxReceives: sc.plan.maxReceives}
	sc.hold = &standardQueue{sc: sc, name: "h", retention: sc.limits.HoldRetention, visibility: 2 * time.Minute}
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
	if sc.plan.reconciler.on {
		sc.reconciler = newReconciler(sc)
	}
	sc.restored = sc.plan.mail.restoredFrom(time.Now())
	sc.happen()
	return sc
}

// half is every random number of the code under test, so that goroutines that draw at the same
// moment do not change the seed's run.
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

// run executes the scenario: faults, then a time without faults, then the fix and a redrive.
func (sc *scenario) run() {
	defer sc.end()
	for end := 20 + sc.rng.IntN(faultSteps); sc.wrong == ""; sc.step++ {
		sc.turn()
		switch {
		case !sc.healed && sc.quiet() && len(sc.dead.messages) > 0 && sc.rng.IntN(2) == 0:
			sc.settleDeadLetters() // the remaining faults need something to hit
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

// turn runs before each step: every process runs until it waits.
func (sc *scenario) turn() {
	synctest.Wait()
	sc.reap()
	sc.arrive()
	if sc.step > sc.maxSteps {
		sc.violate("not finished after %d steps", sc.maxSteps)
	}
}

// rest runs once nothing is pending: the passes of reconcile, then the fix and a redrive. It
// reports whether the scenario is over.
func (sc *scenario) rest() (over bool) {
	if sc.resumeAll() || sc.reconciler.atRest() {
		return false
	}
	sc.checkRest()
	if sc.deployed && sc.openDeadLetters() == 0 {
		sc.checkEnd()
		return true
	}
	if sc.rounds++; sc.rounds > maxRedrives {
		sc.violate("the dead-letter queue is never empty")
	}
	sc.fix()
	if sc.reconciler == nil {
		time.Sleep(sc.upTo(sc.plan.patience)) // the fix takes this long
	}
	if hidden := sc.dead.nextVisible(); !hidden.IsZero() {
		until(hidden) // messages that a killed command received
	}
	sc.table.expire()
	sc.redrive(len(sc.dead.messages))
	return false
}

// fix repairs handlers, policies and records.
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
			sc.reconciler.lookAgain()
		}
	}
	if sc.plan.policies.on {
		sc.log("each endpoint takes its account")
		sc.policies = sc.plan.policies.policies()
		sc.reconciler.lookAgain()
	}
	for _, do := range sc.onFix {
		do()
	}
}

// heal ends all faults; paused processes resume at their time.
func (sc *scenario) heal() {
	sc.log("faults end")
	sc.healed, sc.outages = true, [parts]outage{}
	sc.storeSecret()
	clear(sc.hot)
}

// until sleeps to t without running steps.
func until(t time.Time) { time.Sleep(time.Until(t)) }

// deliveries returns those of all events.
func (sc *scenario) deliveries() (all []*delivery) {
	for _, f := range sc.facts {
		all = append(all, f.comes...)
	}
	return all
}

// quiet reports whether nothing is pending.
func (sc *scenario) quiet() bool {
	return len(sc.procs) == 0 && (len(sc.queue.messages) == 0 || sc.pausing.disabled) && len(sc.late) == 0 && len(sc.background) == 0 &&
		!slices.ContainsFunc(sc.deliveries(), func(d *delivery) bool { return !d.due.IsZero() })
}

// end terminates every goroutine of the scenario.
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
		time.Sleep(time.Minute) // for processes that wait for a timer
	}
	panic("processes outlive the schedule")
}

// reap handles processes that have returned.
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
		sc.cool(p)
		if p.over != nil {
			p.over()
		}
	}
}

// arrive applies delayed requests whose callers have timed out.
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

// act executes one step.
func (sc *scenario) act() {
	sc.disturb()
	if sc.stirred { // wait until it blocks again
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

// disturb injects the faults of a step.
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
			p.ends = later(p.ends, time.Now().Add(d+sc.upTo(5*time.Second))) // a paused process is killed late
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
	if sc.faulty(sc.plan.policies.upgrade) {
		sc.upgrade()
	}
	if sc.faulty(sc.plan.policies.change) {
		sc.repolicy()
	}
	if sc.faulty(sc.plan.pauses.press) {
		sc.press()
	}
	if sc.faulty(sc.plan.attack) {
		sc.attack(sc.facts[sc.rng.IntN(len(sc.facts))])
	}
}

// oneOf picks a process, preferring one that is about to commit effects.
func (sc *scenario) oneOf(running []*proc) *proc {
	sc.mu.Lock()
	committing := slices.DeleteFunc(slices.Clone(running), func(p *proc) bool {
		return !slices.ContainsFunc(sc.pending, func(c *call) bool { return c.proc == p && (c.op == opTransact || c.op == opPut) })
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

// starts returns the processes that could start now.
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
	out = append(out, sc.reconciler.starts()...)
	if !sc.fails(consumers) && !sc.pausing.disabled && sc.queue.visibleNow() > 0 {
		if worker, free := sc.freeWorker(); free {
			out = append(out, func() { sc.poll(worker) })
		}
	}
	return out
}

// freeWorker returns the worker, and so the clock, of another invocation; paused ones do not count as busy.
func (sc *scenario) freeWorker() (int, bool) {
	busy := 0
	for _, p := range sc.procs {
		if p.resume == nil && !p.dead {
			busy++
		}
	}
	return sc.rng.IntN(sc.plan.workers), busy < sc.plan.workers
}

// pass advances the clock: a little while something could happen at once, else to the next known
// time, but in small steps while code waits for a timer.
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
	sooner(sc.reconciler.nextDue())
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

// sleep advances the clock, at most to the next call, whose own timeout is running.
func (sc *scenario) sleep(d time.Duration) {
	select {
	case <-sc.called: // drop the signal of calls that are already known
	default:
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-sc.called:
	case <-timer.C:
	}
}
