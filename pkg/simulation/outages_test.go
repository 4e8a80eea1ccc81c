package simulation

import (
	"time"
)

// part is something that can be away as a whole, or fail now and then.
type part int

const (
	store part = iota
	queues
	ingestion
	consumers // nobody takes messages
	startups  // consumers take messages and crash at once
	reconciling
	contention // others have the items: transactions conflict
	parts
)

func (p part) String() string {
	return [parts]string{"the store", "the queue", "ingest", "the consumer", "the consumer's start", "reconcile", "each transaction"}[p]
}

// outage is a time in which a part fails.
type outage struct {
	until  time.Time
	rate   float64 // of its calls; 1 for all
	moment bool    // so short that tries outlast it: all that it does is to refuse
}

// appointment is what a drill or an operator does at a time.
type appointment struct {
	at time.Time
	do func()
}

func (o opName) part() (p part, can bool) {
	switch o {
	case opUpdate, opTransact, opGet, opBatchGet, opCover, opCovered:
		return store, true
	case opSend, opReceive, opVisibility, opDelete, opDead, opDepth, opCount:
		return queues, true
	}
	return 0, false
}

// fails draws whether a call of a part that is away or browned out fails.
func (w *world) fails(p part) bool {
	o := w.outages[p]
	return time.Now().Before(o.until) && (o.rate >= 1 || w.rng.Float64() < o.rate)
}

func (w *world) breaks(p part, d time.Duration, rate float64) {
	w.outages[p] = outage{until: time.Now().Add(d), rate: rate}
	w.met(metOutage(p, rate))
	w.log("%s fails in %.0f %% until %s", p, 100*rate, w.outages[p].until.Format("02 15:04:05"))
}

// brownRates are the shares of calls that fail in a brown-out.
func brownRates() []float64 { return []float64{0.01, 0.05, 0.1, 0.25, 0.5} }

// disrupt begins outages, now and then.
func (w *world) disrupt() {
	if w.faulty(w.plan.blackout) {
		w.breaks([]part{store, store, queues}[w.rng.IntN(3)], w.upTo(20*time.Minute), 1)
	}
	if w.faulty(w.plan.brownout) {
		w.breaks([]part{store, queues}[w.rng.IntN(2)], w.upTo(2*time.Hour), brownRates()[w.rng.IntN(5)])
	}
	if w.faulty(w.plan.contention) {
		w.breaks(contention, w.upTo(20*time.Second), 1)
	}
	if w.faulty(w.plan.offline) {
		w.breaks(ingestion, w.upTo(24*time.Hour), 1)
	}
	if w.faulty(w.plan.hot) {
		w.heat()
	}
	if w.faulty(w.plan.moment) {
		w.refuse()
	}
	if w.faulty(w.plan.revoke) {
		w.revoke()
	}
	if w.faulty(w.plan.secrets.bad) {
		w.spoilSecret()
	}
	w.net.disrupt()
}
