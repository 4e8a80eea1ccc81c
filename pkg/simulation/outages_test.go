package simulation

import (
	"time"
)

// part is a component that can have a full or partial outage.
type part int

const (
	store part = iota
	queues
	ingestion
	consumers // no messages are received
	startups  // consumers receive messages and crash at once
	reconciling
	contention // transactions conflict with others
	parts
)

func (p part) String() string {
	return [parts]string{"the store", "the queue", "ingest", "the consumer", "the consumer's start", "reconcile", "each transaction"}[p]
}

// outage is a period in which calls of a part fail.
type outage struct {
	until time.Time
	rate  float64 // share of failing calls; 1 for all
	brief bool    // only refuses, and shorter than the retries
}

// appointment is an action at a time.
type appointment struct {
	at time.Time
	do func()
}

func (o opName) part() (p part, can bool) {
	switch o {
	case opUpdate, opTransact, opPut, opGet, opBatchGet, opCover, opCovered, opOpen:
		return store, true
	case opSend, opReceive, opVisibility, opDelete, opDead, opHold, opDepth, opCount:
		return queues, true
	}
	return 0, false
}

// fails draws whether a call fails by an outage of its part.
func (sc *scenario) fails(p part) bool {
	o := sc.outages[p]
	return time.Now().Before(o.until) && (o.rate >= 1 || sc.rng.Float64() < o.rate)
}

func (sc *scenario) breaks(p part, d time.Duration, rate float64) {
	sc.outages[p] = outage{until: time.Now().Add(d), rate: rate}
	sc.count(outageName(p, rate))
	sc.log("%s fails in %.0f %% until %s", p, 100*rate, sc.outages[p].until.Format("02 15:04:05"))
}

// brownRates are the shares of failing calls in partial outages.
func brownRates() []float64 { return []float64{0.01, 0.05, 0.1, 0.25, 0.5} }

// disrupt draws whether outages begin.
func (sc *scenario) disrupt() {
	if sc.faulty(sc.plan.blackout) {
		sc.breaks([]part{store, store, queues}[sc.rng.IntN(3)], sc.upTo(20*time.Minute), 1)
	}
	if sc.faulty(sc.plan.brownout) {
		sc.breaks([]part{store, queues}[sc.rng.IntN(2)], sc.upTo(2*time.Hour), brownRates()[sc.rng.IntN(5)])
	}
	if sc.faulty(sc.plan.contention) {
		sc.breaks(contention, sc.upTo(20*time.Second), 1)
	}
	if sc.faulty(sc.plan.offline) {
		sc.breaks(ingestion, sc.upTo(24*time.Hour), 1)
	}
	if sc.faulty(sc.plan.hot) {
		sc.makeHot()
	}
	if sc.faulty(sc.plan.brief) {
		sc.refuseBriefly()
	}
	if sc.faulty(sc.plan.revoke) {
		sc.revoke()
	}
	if sc.faulty(sc.plan.secrets.bad) {
		sc.spoilSecret()
	}
	sc.reconciler.disrupt()
}
