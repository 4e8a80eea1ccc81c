package simulation

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/limits"
)

// drill is a world with a plan of its own: the real limits, clocks that agree, and
// outages at given times.
type drill struct {
	events    int
	spread    time.Duration // in which the events happen
	behaviour behaviour     // default works
	batch     int           // default 10
	net       netPlan
	outages   []planned
	unlucky   bool // every random wait is the shortest
	policies  policyPlan
	rows      rowPlan // of one object
}

// planned is an outage from a time after the beginning.
type planned struct {
	part part
	from time.Duration
	long time.Duration
	rate float64 // default 1
}

// always is a net whose events come in time and whose turns all come.
func always() netPlan {
	return netPlan{on: true, every: 1, page: 100, slice: limits.AWS().Reconcile.Slice}
}

func (d drill) plan() plan {
	p := plan{
		events: d.events, spread: d.spread, workers: 3, batch: 10, maxReceives: limits.AWS().MaxReceives,
		objects: max(2, d.events), retries: stripeRetries, net: d.net, policies: d.policies,
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

// run lets the check live in the world.
func (d drill) run(t *testing.T, check func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var trace func(string)
		if *oneSeed != 0 {
			trace = func(line string) { fmt.Println(line) }
		}
		w := newWorldOf(d.plan(), rand.New(rand.NewPCG(1, 1)), trace)
		w.healed, w.maxSteps = true, 2_000_000
		w.complain = func(wrong string) { t.Error(wrong) }
		if d.unlucky {
			w.random = func() float64 { return 0 }
		}
		for _, o := range d.outages {
			if o.rate == 0 {
				o.rate = 1
			}
			w.script = append(w.script, appointment{time.Now().Add(o.from), func() { w.breaks(o.part, o.long, o.rate) }})
		}
		defer w.end()
		check(t, w)
	})
}

// live goes on for a time, and until nothing is left to happen.
func (w *world) live(d time.Duration) {
	for end := time.Now().Add(d); w.wrong == ""; w.step++ {
		w.turn()
		w.keep()
		if !time.Now().Before(end) && w.quiet() {
			return
		}
		w.act()
	}
}

// liveUntil goes on until a moment, whatever is still under way.
func (w *world) liveUntil(end time.Time) {
	for ; w.wrong == "" && time.Now().Before(end); w.step++ {
		w.turn()
		w.keep()
		w.act()
	}
}

// keep does what the script has for now.
func (w *world) keep() {
	var rest []appointment
	for _, a := range w.script {
		if a.at.After(time.Now()) {
			rest = append(rest, a)
		} else {
			a.do()
		}
	}
	w.script = rest
}

// recover is the fix and one redrive of all dead letters.
func (w *world) recover() {
	w.fixed.Store(true)
	w.redrive(len(w.dead.messages))
	w.live(0)
}

// undone counts the events that are not done.
func (w *world) undone() (n int) {
	for _, f := range w.facts {
		if !w.settled(f) {
			n++
		}
	}
	return n
}

// most is the largest number of messages that were sent for one event.
func (w *world) most() (n int) {
	for _, f := range w.facts {
		n = max(n, f.messages)
	}
	return n
}

// whole checks that every event is done with its effects, and no dead letter is left.
func (w *world) whole(t *testing.T) {
	t.Helper()
	if n := w.undone(); n > 0 {
		t.Errorf("%d of %d events are not done", n, len(w.facts))
	}
	if n := len(w.dead.messages); n > 0 {
		t.Errorf("%d dead letters", n)
	}
	w.checkEnd()
}
