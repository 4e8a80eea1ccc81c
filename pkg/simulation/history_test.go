package simulation

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"tollgate/pkg/reconcile"
)

// Stripe's list has what happened before the system began. No scheduled pass sends that,
// unless an operator's configuration says from when on, or notes of an older release show
// that it was compared then.

// historyPlan is the part of a plan that is about what was before the scenario.
type historyPlan struct {
	on       bool          // there is no begin at first
	old      []bool        // by event: it happened before
	noted    time.Duration // an older release noted slices so far back; 0 for none
	override time.Duration // the configuration says to compare so far back; 0 for none
}

func newHistoryPlan(rng *rand.Rand, events int) historyPlan {
	p := historyPlan{on: true}
	for range events {
		p.old = append(p.old, rng.IntN(2) == 0)
	}
	switch back := time.Duration(1+rng.IntN(25)) * 24 * time.Hour; rng.IntN(4) {
	case 0:
		p.noted = back
	case 1:
		p.override = back
	}
	return p
}

// before makes an event one that happened before the scenario, and was never delivered.
func (sc *scenario) before(f *fact) {
	f.happened = time.Now().Add(-time.Hour - sc.upTo(28*24*time.Hour))
	f.created = f.happened.Unix()
	f.comes = nil
}

// stream is whose list an event is on.
func (f *fact) stream() reconcile.Stream {
	return reconcile.Stream{Livemode: f.env.Livemode, Account: f.env.Account}
}

// compared reports whether passes compare an event, as far as its creation says.
func (n *net) compared(f *fact) bool {
	begin, known := n.begun[f.stream()]
	if n.override.IsZero() {
		return known && f.created >= begin.Unix()
	}
	return f.created >= n.override.Unix()
}

// noteSlices leaves the notes of an older release.
func (n *net) noteSlices() {
	h := n.sc.plan.net.history
	if h.noted == 0 {
		return
	}
	for account := range n.sc.listed() {
		c := reconcile.Covered{
			Livemode: n.sc.plan.policies.on, Account: account, Tier: reconcile.Weekly,
			From: time.Now().Add(-h.noted).Truncate(time.Hour), To: time.Now().Add(-h.noted + time.Hour), DoneAt: time.Now().Add(-time.Hour),
		}
		n.notes[noteKey(c)] = c
	}
}

// listed are the accounts whose events reconcile lists.
func (sc *scenario) listed() map[string]string {
	if all := sc.plan.policies.accounts(); all != nil {
		return all
	}
	return map[string]string{"": ""}
}

// begins keeps from when on each account is compared.
type begins struct{ net *net }

func (b begins) Begins(ctx context.Context) (all map[reconcile.Stream]time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	all = map[reconcile.Stream]time.Time{}
	err = do(b.net.sc, ctx, opCovered, "begins", func() error {
		for s, at := range b.net.begun {
			all[s] = at
		}
		return nil
	})
	return all, err
}

func (b begins) Oldest(ctx context.Context, of []reconcile.Stream, _, _ time.Time) (oldest map[reconcile.Stream]time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	oldest = map[reconcile.Stream]time.Time{}
	err = do(b.net.sc, ctx, opCovered, "oldest", func() error {
		for s, at := range b.net.oldestNotes(time.Now()) {
			if slices.Contains(of, s) {
				oldest[s] = at
			}
		}
		return nil
	})
	return oldest, err
}

func (n *net) oldestNotes(before time.Time) map[reconcile.Stream]time.Time {
	oldest := map[reconcile.Stream]time.Time{}
	for _, c := range n.notes {
		if at, found := oldest[c.Stream()]; c.Tier != reconcile.Configured && n.notedAt[noteKey(c)].Before(before) && (!found || c.From.Before(at)) {
			oldest[c.Stream()] = c.From
		}
	}
	return oldest
}

func (b begins) PutBegin(ctx context.Context, of reconcile.Stream, at time.Time) (got time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	err = do(b.net.sc, ctx, opCover, "begin of "+of.Account, func() error {
		if _, found := b.net.begun[of]; !found {
			b.net.begun[of], b.net.begunAt = at.Truncate(time.Second), b.net.sc.step
			b.net.checkBegin(procOf(ctx), of, at)
		}
		got = b.net.begun[of]
		return nil
	})
	return got, err
}

// checkBegin: history begins at the oldest note, else now.
func (n *net) checkBegin(p *proc, of reconcile.Stream, at time.Time) {
	noted, found := n.oldestNotes(p.began)[of]
	_, any := n.oldestNotes(time.Now().Add(1))[of] // one may be put while the pass runs
	n.sc.log("the history of %q begins at %s", of.Account, at.Format(time.DateTime))
	n.sc.count("a history begins")
	switch {
	case found && at.After(noted):
		n.sc.violate("the history of %q begins at %v, after the oldest note, of %v", of.Account, at, noted)
	case !any && at.Before(p.began.Add(-n.sc.plan.skew-2*time.Minute)):
		n.sc.violate("the history of %q begins at %v, before there was anything", of.Account, at)
	}
}

// checkSince: a pass sends nothing from before the begin.
func (n *net) checkSince(f *fact) {
	if n != nil && !n.compared(f) {
		n.sc.violate("%s: reconcile sends what was created at %v, before the history begins", f.id, f.happened)
	}
}
