package simulation

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"tollgate/pkg/reconcile"
)

// Stripe lists events from before the system's start. No scheduled pass sends them, unless the
// configuration sets an earlier begin or notes of an older release show that it compared them.

// historyPlan is the part of a plan for events from before the start.
type historyPlan struct {
	on       bool          // the first pass determines the begin
	old      []bool        // by event: it happened before the start
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

// before dates an event before the start; it was never delivered.
func (sc *scenario) before(f *fact) {
	f.happened = time.Now().Add(-time.Hour - sc.upTo(28*24*time.Hour))
	f.created = f.happened.Unix()
	f.comes = nil
}

// stream returns the list that has an event.
func (f *fact) stream() reconcile.Stream {
	return reconcile.Stream{Livemode: f.env.Livemode, Account: f.env.Account}
}

// compared reports whether passes compare an event, by its creation time.
func (n *reconciler) compared(f *fact) bool {
	begin, known := n.begun[f.stream()]
	if n.override.IsZero() {
		return known && f.created >= begin.Unix()
	}
	return f.created >= n.override.Unix()
}

// noteSlices writes the notes of an older release.
func (n *reconciler) noteSlices() {
	h := n.sc.plan.reconciler.history
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

// listed returns the accounts whose events reconcile lists.
func (sc *scenario) listed() map[string]string {
	if all := sc.plan.policies.accounts(); all != nil {
		return all
	}
	return map[string]string{"": ""}
}

// begins stores the begin of each account's history.
type begins struct{ reconciler *reconciler }

func (b begins) Begins(ctx context.Context) (all map[reconcile.Stream]time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	all = map[reconcile.Stream]time.Time{}
	err = do(b.reconciler.sc, ctx, opCovered, "begins", func() error {
		for s, at := range b.reconciler.begun {
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
	err = do(b.reconciler.sc, ctx, opCovered, "oldest", func() error {
		for s, at := range b.reconciler.oldestNotes(time.Now()) {
			if slices.Contains(of, s) {
				oldest[s] = at
			}
		}
		return nil
	})
	return oldest, err
}

func (n *reconciler) oldestNotes(before time.Time) map[reconcile.Stream]time.Time {
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
	err = do(b.reconciler.sc, ctx, opCover, "begin of "+of.Account, func() error {
		if _, found := b.reconciler.begun[of]; !found {
			b.reconciler.begun[of], b.reconciler.begunAt = at.Truncate(time.Second), b.reconciler.sc.step
			b.reconciler.checkBegin(procOf(ctx), of, at)
		}
		got = b.reconciler.begun[of]
		return nil
	})
	return got, err
}

// checkBegin: history begins at the oldest note, else now.
func (n *reconciler) checkBegin(p *proc, of reconcile.Stream, at time.Time) {
	noted, found := n.oldestNotes(p.began)[of]
	_, any := n.oldestNotes(time.Now().Add(1))[of] // one may be written while the pass runs
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
func (n *reconciler) checkSince(f *fact) {
	if n != nil && !n.compared(f) {
		n.sc.violate("%s: reconcile sends what was created at %v, before the history begins", f.id, f.happened)
	}
}
