package simulation

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/policy"
	"tollgate/pkg/redrive"
	"tollgate/pkg/replay"
)

// operate is what operators do at any time: redrive, replay, fix the handlers.
func (w *world) operate() {
	switch n := w.rng.IntN(5); {
	case n == 0:
		w.log("the handlers are fixed")
		w.fixed.Store(true)
	case n <= 2 && len(w.dead.messages) > 0:
		w.settleLetters()
	case n == 3 && w.plan.purges:
		w.purgeByID(w.facts[w.rng.IntN(len(w.facts))])
	default:
		f := w.facts[w.rng.IntN(len(w.facts))]
		if (w.state(f) == idempotency.Done || f.givenUp) && f.replays < 3 && w.queueable(f) {
			w.replay(f)
		}
	}
}

// settleLetters redrives dead letters, or purges one.
func (w *world) settleLetters() {
	if w.plan.purges && w.rng.IntN(2) == 0 {
		w.purge(w.dead.messages[w.rng.IntN(len(w.dead.messages))])
	} else {
		w.redrive(1 + w.rng.IntN(3))
	}
}

func (w *world) queueable(f *fact) bool { return f.behaviour != unhandled }

// redrive is one run of the command: a plan of all dead letters, then a move of up to n.
func (w *world) redrive(n int) {
	records, err := dynamostore.NewReader(w.table, "tollgate")
	if err != nil {
		panic(err)
	}
	dead := deadLetters{w}
	p := &proc{name: "redrive", seen: map[string]bool{}}
	plan := &redrive.Plan{}
	p.finish = func() { w.checkHidden(p, plan) }
	w.spawn(p, func(ctx context.Context) {
		released := true
		d := redrive.DLQ{Queue: dead, Mover: dead, Records: records, Limits: w.limits, OnUnreleased: func(int) { released = false }}
		got, err := d.Plan(ctx, redrive.Selection{})
		if err != nil {
			return // the operator runs it again
		}
		plan, p.counted = got, released // else it reports so, and counts its own messages among the hidden
		_, _ = d.Redrive(ctx, plan, redrive.Options{Rate: redrive.MaxRate, Limit: n})
	})
}

// checkHidden: a redrive that ran alone names the letters that a dead reader hides.
func (w *world) checkHidden(p *proc, plan *redrive.Plan) {
	if !p.counted {
		return
	}
	others := func(o *proc) bool { return o != p && !o.dead && (o.seen != nil || o.purging != nil) }
	alone := !slices.ContainsFunc(w.procs, others) && !p.disturbed
	if w.met(fmt.Sprintf("redrive: letters are hidden: %v", p.unseen > 0)); alone && p.unseen > 0 && plan.Hidden == 0 {
		w.violate("a redrive says that it saw all letters, and a dead reader hides %d (certain: %v)", p.unseen, plan.Certain)
	}
}

// removedBy notes that a letter was removed under the eyes of all others.
func (w *world) removedBy(p *proc) {
	for _, o := range w.procs {
		o.disturbed = o.disturbed || o != p
	}
}

// replay runs a done event again. Now and then two operators do so at the same time.
func (w *world) replay(f *fact) {
	f.replays++
	w.replayOnce(f)
	if w.rng.IntN(4) == 0 {
		w.replayOnce(f)
	}
}

// comeBack is the longest that an operator waits before another try.
const comeBack = 30 * time.Minute

// replayOnce is one run of the command. An operator whose command died, failed or was
// refused gives it again until it says that the message is sent.
func (w *world) replayOnce(f *fact) {
	records, err := dynamostore.NewReader(w.table, "tollgate")
	if err != nil {
		panic(err)
	}
	p, policies := &proc{name: "replay of " + f.id}, w.policies
	r, err := replay.New(replay.Config{
		Records: records, Store: w.operator, Events: fetcher{w}, Queue: sender{w}, Endpoint: f.home(), Accounts: []string{f.env.Account},
		Excludes: func(e event.Envelope) bool { return w.verdict(policies, e.Endpoint, w.fact(e.ID)) != policy.Accept },
		By:       "op", Why: "a drill", Now: func() time.Time { return w.clock(p) },
	})
	if err != nil {
		panic(err)
	}
	result, failure := replay.Result{}, errors.New("it died")
	p.finish = func() {
		outcome := string(result.Action)
		if refused, is := errors.AsType[*replay.RefusedError](failure); is {
			outcome = "refused, " + string(refused.Reason)
		} else if failure != nil {
			outcome = "an error"
		}
		w.log("%s: %s, %v", p.name, outcome, failure)
		w.met("replay: " + outcome)
	}
	p.over = func() {
		if refused, is := errors.AsType[*replay.RefusedError](failure); is && refused.Reason == replay.RefusedExcluded {
			if w.state(f) != idempotency.Done && !f.withheld { // its record may be set to run again
				f.withheld = true
				w.onFix = append(w.onFix, func() { w.replayOnce(f) })
			}
			return
		}
		if w.isBroken(f) && failure != nil {
			f.broken.after = func() { w.replayOnce(f) } // once the row is repaired
			return
		}
		if failure != nil && !(w.netted(f) && w.rng.IntN(2) == 0) { // the net sends what nobody comes back to
			w.chores = append(w.chores, appointment{time.Now().Add(w.upTo(comeBack)), func() { w.replayOnce(f) }})
		}
	}
	w.spawn(p, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		got, err := r.Event(ctx, f.id)
		result, failure = got, err
	})
}
