package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/limits"
)

// fixedPlan is a scenario that is written, not drawn: the real limits, no clock skew, and outages
// at given times.
type fixedPlan struct {
	events        int
	spread        time.Duration // period in which the events happen
	behaviour     behaviour     // default works
	claims        bool          // no handler is pure
	batch         int           // default 10
	reconciler    reconcilePlan
	outages       []planned
	shortestWaits bool // every random wait is the shortest
	policies      policyPlan
	rows          rowPlan // all of one object
	bus           bool    // events come through EventBridge too
}

// planned is an outage that begins at an offset.
type planned struct {
	part part
	from time.Duration
	long time.Duration
	rate float64 // default 1
}

// always is reconcile with all of its passes, over events that are delivered in time.
func always() reconcilePlan {
	return reconcilePlan{on: true, every: 1, page: 100, slice: limits.AWS().Reconcile.Slice}
}

func (d fixedPlan) plan() plan {
	p := plan{
		events: d.events, spread: d.spread, workers: 3, batch: 10, maxReceives: limits.AWS().MaxReceives,
		objects: max(2, d.events), retries: stripeRetries, reconciler: d.reconciler, policies: d.policies, claims: d.claims, bus: d.bus,
	}
	if p.rows = d.rows; p.rows.on {
		p.objects, p.delay = 1, time.Second
	}
	if d.batch > 0 {
		p.batch = d.batch
	}
	for range d.events {
		b := d.behaviour
		if b == "" {
			b = works
		}
		p.behaviours = append(p.behaviours, b)
	}
	return p
}

// run builds the scenario and runs check in it.
func (d fixedPlan) run(t *testing.T, check func(t *testing.T, sc *scenario)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var trace func(string)
		if *oneSeed != 0 {
			trace = func(line string) { fmt.Println(line) }
		}
		sc := newScenarioOf(d.plan(), rand.New(rand.NewPCG(1, 1)), trace)
		sc.healed, sc.maxSteps = true, 2_000_000
		sc.complain = func(wrong string) { t.Error(wrong) }
		if d.shortestWaits {
			sc.random = func() float64 { return 0 }
		}
		for _, o := range d.outages {
			if o.rate == 0 {
				o.rate = 1
			}
			sc.script = append(sc.script, appointment{time.Now().Add(o.from), func() { sc.breaks(o.part, o.long, o.rate) }})
		}
		defer sc.end()
		check(t, sc)
	})
}

// live runs steps for a time, and on until nothing is pending.
func (sc *scenario) live(d time.Duration) {
	for end := time.Now().Add(d); sc.wrong == ""; sc.step++ {
		sc.turn()
		sc.keep()
		if !time.Now().Before(end) && sc.quiet() {
			return
		}
		sc.act()
	}
}

// liveUntil runs steps until a time.
func (sc *scenario) liveUntil(end time.Time) {
	for ; sc.wrong == "" && time.Now().Before(end); sc.step++ {
		sc.turn()
		sc.keep()
		sc.act()
	}
}

// keep runs the due appointments of the script.
func (sc *scenario) keep() {
	var rest []appointment
	for _, a := range sc.script {
		if a.at.After(time.Now()) {
			rest = append(rest, a)
		} else {
			a.do()
		}
	}
	sc.script = rest
}

// recover fixes the handlers and redrives all dead letters.
func (sc *scenario) recover() {
	sc.fixed.Store(true)
	sc.redrive(len(sc.dead.messages))
	sc.live(0)
}

// undone counts the events that are not done.
func (sc *scenario) undone() (n int) {
	for _, f := range sc.facts {
		if !sc.settled(f) {
			n++
		}
	}
	return n
}

// most returns the largest number of messages sent for one event.
func (sc *scenario) most() (n int) {
	for _, f := range sc.facts {
		n = max(n, f.messages)
	}
	return n
}

// whole checks that every event is done with its effects and no dead letter is left.
func (sc *scenario) whole(t *testing.T) {
	t.Helper()
	if n := sc.undone(); n > 0 {
		t.Errorf("%d of %d events are not done", n, len(sc.facts))
	}
	if n := len(sc.dead.messages); n > 0 {
		t.Errorf("%d dead letters", n)
	}
	sc.checkEnd()
}
