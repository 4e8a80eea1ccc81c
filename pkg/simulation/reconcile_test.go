package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"tollgate/pkg/ingest"
	"tollgate/pkg/reconcile"
)

// reconcileShare is n where one in n plans has reconcile, whose passes take many steps.
const reconcileShare = 8

// reconcilePlan is the part of a plan with faults that only reconcile recovers from.
type reconcilePlan struct {
	on            bool
	withheld      float64       // that Stripe never delivers an event
	hidden        time.Duration // maximum delay of an event in Stripe's list
	garbled       float64       // that the list has an event that cannot be parsed whole
	maxDeliveries int           // deliveries after which Stripe stops, 0 for three days
	every         int           // only one in so many frequent passes runs
	absence       float64       // that nothing runs for days, from a step on
	slice         time.Duration // of the long tiers
	page          int           // events on one page of the list
	history       historyPlan
}

func newReconcilePlan(rng *rand.Rand, events int) reconcilePlan {
	p := reconcilePlan{
		on: true, withheld: 0.5 * rng.Float64(), hidden: []time.Duration{time.Second, 2 * time.Hour, 50 * time.Hour}[rng.IntN(3)],
		garbled: 0.3 * rng.Float64(), maxDeliveries: rng.IntN(4), every: []int{4, 16, 64}[rng.IntN(3)],
		absence: 0.05 * rng.Float64(), slice: []time.Duration{40 * time.Hour, 7 * 24 * time.Hour}[rng.IntN(2)], page: 2,
	}
	if rng.IntN(3) == 0 {
		p.history = newHistoryPlan(rng, events)
	}
	return p
}

// beginHistory sets the begin of each account's history to now, unless the first pass determines it.
func (n *reconciler) beginHistory() {
	h := n.sc.plan.reconciler.history
	if h.override > 0 {
		n.override = time.Now().Add(-h.override).Truncate(time.Second)
	}
	if n.noteSlices(); h.on {
		return
	}
	for account := range n.sc.listed() {
		n.begun[reconcile.Stream{Livemode: n.sc.plan.policies.on, Account: account}] = time.Now().Truncate(time.Second)
	}
}

// draw draws an event's faults at Stripe.
func (p reconcilePlan) draw(rng *rand.Rand, f *fact) {
	f.shown = f.happened
	if !p.on || f.behaviour == unhandled {
		return
	}
	if rng.IntN(2) == 0 {
		f.shown = f.shown.Add(time.Duration(rng.Int64N(int64(max(p.hidden, 1)))))
	}
	f.garbled = rng.Float64() < p.garbled
	if rng.Float64() < p.withheld {
		for _, d := range f.comes {
			d.due = time.Time{}
		}
	}
}

// reconciler runs reconcile on its schedule. A nil reconciler does nothing.
type reconciler struct {
	sc       *scenario
	tiers    []*tier
	notes    map[string]reconcile.Covered
	absent   bool // the one absence has happened
	rested   int  // passes run while nothing was pending
	fixAt    time.Time
	running  bool
	begun    map[reconcile.Stream]time.Time // begin of each account's history
	begunAt  int                            // step of the latest begin, -1
	override time.Time                      // begin in the configuration
	platform string                         // the platform's id, under which the map lists it by mistake
	notedAt  map[string]time.Time           // time of each note, zero for those of an older release
}

// tier is a schedule that starts passes.
type tier struct {
	name  string
	every time.Duration
	due   time.Time
}

func newReconciler(sc *scenario) *reconciler {
	n := &reconciler{sc: sc, notes: map[string]reconcile.Covered{}, begun: map[reconcile.Stream]time.Time{}, notedAt: map[string]time.Time{}, begunAt: -1}
	n.beginHistory()
	sc.limits.Reconcile.Slice = sc.plan.reconciler.slice
	for _, t := range reconcile.Tiers(sc.limits.Reconcile) {
		every := t.Every
		if t.Name == reconcile.Frequent {
			every *= time.Duration(sc.plan.reconciler.every)
		}
		n.tiers = append(n.tiers, &tier{t.Name, every, time.Now().Add(sc.upTo(every))})
	}
	return n
}

// starts returns the passes that are due. One runs at a time; overdue turns are skipped.
func (n *reconciler) starts() (out []func()) {
	if n == nil || n.running || n.sc.fails(reconciling) {
		return nil
	}
	for _, t := range n.tiers {
		if !t.due.After(time.Now()) {
			out = append(out, func() { n.pass(t) })
		}
	}
	return out
}

func (n *reconciler) nextDue() (at time.Time) {
	if n == nil {
		return at
	}
	for _, t := range n.tiers {
		if at.IsZero() || t.due.Before(at) {
			at = t.due
		}
	}
	return at
}

// disrupt stops everything for days; messages may expire.
func (n *reconciler) disrupt() {
	if n == nil || n.absent || len(n.sc.procs) > 0 || !n.sc.faulty(n.sc.plan.reconciler.absence) {
		return
	}
	n.absent = true
	d := n.sc.upTo(5 * 24 * time.Hour)
	n.sc.log("everything is away for %v", d)
	until(time.Now().Add(d))
}

// pass is one invocation of the reconcile function.
func (n *reconciler) pass(t *tier) {
	sc := n.sc
	for !t.due.After(time.Now()) {
		t.due = t.due.Add(t.every)
	}
	p := &proc{name: "reconcile, " + t.name, ends: time.Now().Add(sc.limits.Reconcile.Timeout)}
	r := n.reconcilerOf(p)
	var report reconcile.Report
	var failure error
	peace := sc.healed && sc.outages == [parts]outage{}
	p.finish = func() {
		sc.log("%s pass: %+v, %v", t.name, report, failure)
		if peace && !p.halted && !report.Nothing && (failure != nil || !report.Complete()) {
			sc.violate("a %s pass in peace is not complete: %+v, %v", t.name, report, failure)
		}
		if report.Mismatched > 0 && n.platform == "" && !slices.ContainsFunc(sc.facts, func(f *fact) bool { return sc.wasBroken(p, f) }) {
			sc.violate("a %s pass suspects a record: %+v", t.name, report)
		}
	}
	p.over = func() { n.running = false }
	n.running = true
	sc.spawn(p, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, (sc.limits.Reconcile.StopAfter+sc.limits.Reconcile.Timeout)/2)
		defer cancel()
		report, failure = r.Run(ctx, t.name)
	})
}

// reconcilerOf returns what a process of the reconcile function, or a backfill, runs.
func (n *reconciler) reconcilerOf(p *proc) *reconcile.Reconciler {
	sc := n.sc
	worker := sc.rng.IntN(len(sc.skews))
	skew := sc.skews[worker]
	var pauses reconcile.Pause
	if w := sc.warmed(p, worker); w != nil {
		pauses = w
	}
	r, err := reconcile.New(reconcile.Config{
		Lister: lister{sc}, Records: sc.store, Sender: sender{sc}, Coverage: notes{n, time.Now()}, Begins: begins{n}, Depth: depth{sc}, Pause: pauses,
		Accounts: n.accounts(), Policies: sc.policies, Begin: n.override, Types: []string{"thing.happened", rowType, mailType}, Limits: sc.limits, Now: func() time.Time { return time.Now().Add(skew) },
	})
	if err != nil {
		panic(err)
	}
	return r
}

// accounts returns the accounts to list, nil for only the platform's own.
func (n *reconciler) accounts() map[string]string {
	if n.platform != "" {
		return map[string]string{n.platform: ingest.DefaultEndpoint}
	}
	return n.sc.plan.policies.accounts()
}

// atRest starts the passes while nothing else is pending: one of each tier once the list shows
// everything, then weekly ones until the fix. It reports false when none remains.
func (n *reconciler) atRest() bool {
	if n == nil || n.sc.deployed && n.rested >= len(n.tiers) {
		return false
	}
	weekly := n.tiers[len(n.tiers)-1]
	next := weekly
	switch {
	case n.rested < len(n.tiers):
		next = n.tiers[n.rested]
	case n.fixAt.IsZero() && !n.sc.deployed:
		n.sc.checkRest()
		n.fixAt = time.Now().Add(n.sc.upTo(n.sc.plan.patience))
	}
	if !n.sc.deployed && !n.fixAt.IsZero() && next.due.After(n.fixAt) {
		until(n.fixAt)
		return false
	}
	begin := next.due
	for _, f := range n.sc.facts { // skewed clocks see it a little later
		begin = later(begin, f.shown.Add(n.sc.limits.Reconcile.SettleLag+2*n.sc.plan.skew))
	}
	until(begin)
	n.rested++
	n.pass(next)
	return true
}

// lookAgain adds one pass of the longest tier, which may send more now.
func (n *reconciler) lookAgain() {
	if n != nil {
		n.rested = min(n.rested, len(n.tiers)-1)
	}
}

// lister is Stripe's list of events.
type lister struct{ sc *scenario }

const listDays = 30 * 24 * time.Hour

func (l lister) Livemode(context.Context) (bool, error) { return l.sc.plan.policies.on, nil }

func (l lister) ListEvents(ctx context.Context, q reconcile.Query) (page reconcile.Page, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err = do(l.sc, ctx, opList, q.From.Format(time.DateTime)+" "+q.After, func() error {
		page = l.page(q)
		return nil
	})
	return page, err
}

func (l lister) page(q reconcile.Query) (page reconcile.Page) {
	if q.Account == l.sc.reconciler.platform {
		q.Account = ""
	}
	begun := q.After == ""
	now := time.Now()
	for _, f := range slices.Backward(l.sc.facts) { // the newest first
		switch {
		case !begun:
			begun = f.id == q.After
			continue
		case f.shown.After(now) || f.created < q.From.Unix() || f.created > q.To.Unix() || now.Sub(f.happened) > listDays || !slices.Contains(q.Types, f.env.Type) || f.listedFor != q.Account || f.env.Livemode != l.sc.plan.policies.on:
			continue
		case len(page.Items) == l.sc.plan.reconciler.page:
			page.More = true
			return page
		}
		i := reconcile.Item{Event: f.listed, Position: len(page.Items)}
		if f.garbled {
			i.Err, i.Event.Body = errors.New("garbled"), nil
		}
		page.Items, page.Last = append(page.Items, i), f.id
	}
	return page
}

// fetcher fetches an event by its id.
type fetcher struct{ sc *scenario }

func (s fetcher) FetchEvent(ctx context.Context, _, id string, _ bool) (body []byte, err error) {
	err = do(s.sc, ctx, opFetch, id, func() error {
		body = s.sc.fact(id).body
		return nil
	})
	return body, err
}

type depth struct{ sc *scenario }

func (d depth) Depth(ctx context.Context) (messages int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err = do(d.sc, ctx, opDepth, d.sc.queue.name, func() error {
		messages = len(d.sc.queue.messages)
		return nil
	})
	return messages, err
}

func noteKey(c reconcile.Covered) string { return fmt.Sprint(c.Tier, c.Account, c.From.Unix()) }

// notes stores the slices that a pass has finished.
type notes struct {
	reconciler *reconciler
	begun      time.Time
}

func (o notes) Cover(ctx context.Context, c reconcile.Covered) error {
	key := noteKey(c)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	return do(o.reconciler.sc, ctx, opCover, key, func() error {
		o.reconciler.notes[key] = c
		if _, again := o.reconciler.notedAt[key]; !again {
			o.reconciler.notedAt[key] = time.Now()
		}
		o.reconciler.sc.covered(procOf(ctx), c, o.begun)
		return nil
	})
}

func (o notes) Covered(ctx context.Context, from, to time.Time) (all []reconcile.Covered, _ []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err = do(o.reconciler.sc, ctx, opCovered, "", func() error {
		for _, c := range o.reconciler.notes {
			if !c.From.Before(from) && c.From.Before(to) {
				all = append(all, c)
			}
		}
		return nil
	})
	return all, nil, err
}

// covered: every event of a finished slice has a record or a message.
func (sc *scenario) covered(p *proc, c reconcile.Covered, begun time.Time) {
	for _, f := range sc.facts {
		if f.created < c.From.Unix() || f.created > c.To.Unix() || f.stream() != c.Stream() || f.shown.After(begun) || !sc.sweptUnder(p.policies, f) || sc.state(f) != "" || f.done || f.ignored || f.purged {
			continue
		}
		trace := func(m *message) bool { return m.event == f.id }
		if !slices.ContainsFunc(slices.Concat(sc.queue.messages, sc.dead.messages, sc.hold.messages), trace) && !sc.leftByPause(p, f) {
			sc.violate("%s: slice %s of %s is noted as finished, and the event is nowhere", f.id, c.From.Format(time.DateTime), c.Tier)
		}
	}
}
