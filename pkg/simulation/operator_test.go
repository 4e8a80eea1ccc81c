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

// operate is an operator's action: redrive, replay, purge or a fix of the handlers.
func (sc *scenario) operate() {
	switch n := sc.rng.IntN(5); {
	case n == 0:
		sc.log("the handlers are fixed")
		sc.fixed.Store(true)
	case n <= 2 && len(sc.dead.messages) > 0:
		sc.settleDeadLetters()
	case n == 3 && sc.plan.purges:
		sc.purgeByID(sc.facts[sc.rng.IntN(len(sc.facts))])
	default:
		f := sc.facts[sc.rng.IntN(len(sc.facts))]
		if (sc.state(f) == idempotency.Done || f.purgeMarked) && f.replays < 3 && sc.queueable(f) {
			sc.replay(f)
		}
	}
}

// settleDeadLetters redrives dead letters, or purges one.
func (sc *scenario) settleDeadLetters() {
	if sc.plan.purges && sc.rng.IntN(2) == 0 {
		sc.purge(sc.dead.messages[sc.rng.IntN(len(sc.dead.messages))])
	} else {
		sc.redrive(1 + sc.rng.IntN(3))
	}
}

func (sc *scenario) queueable(f *fact) bool { return f.behaviour != unhandled }

// redrive runs the command: it plans all dead letters and moves up to n.
func (sc *scenario) redrive(n int) {
	records, err := dynamostore.NewReader(sc.table, "tollgate")
	if err != nil {
		panic(err)
	}
	dead := deadLetters{sc, sc.dead}
	p := &proc{name: "redrive", seen: map[string]bool{}}
	plan := &redrive.Plan{}
	p.finish = func() { sc.checkHidden(p, plan) }
	sc.spawn(p, func(ctx context.Context) {
		released := true
		d := redrive.DLQ{Queue: dead, Mover: dead, Records: records, Limits: sc.limits, OnUnreleased: func(int) { released = false }}
		got, err := d.Plan(ctx, redrive.Selection{})
		if err != nil {
			return // the operator runs it again
		}
		plan, p.counted = got, released // else it reports so, and counts its own messages among the hidden
		_, _ = d.Redrive(ctx, plan, redrive.Options{Rate: redrive.MaxRate, Limit: n})
	})
}

// checkHidden: a redrive that ran alone reports the dead letters hidden by a killed reader.
func (sc *scenario) checkHidden(p *proc, plan *redrive.Plan) {
	if !p.counted {
		return
	}
	others := func(o *proc) bool { return o != p && !o.dead && (o.seen != nil || o.purging != nil) }
	alone := !slices.ContainsFunc(sc.procs, others) && !p.disturbed
	if sc.count(fmt.Sprintf("redrive: dead letters are hidden: %v", p.unseen > 0)); alone && p.unseen > 0 && plan.Hidden == 0 {
		sc.violate("a redrive says that it saw all dead letters, and a dead reader hides %d (certain: %v)", p.unseen, plan.Certain)
	}
}

// removedBy marks all other processes: a dead letter was removed meanwhile.
func (sc *scenario) removedBy(p *proc) {
	for _, o := range sc.procs {
		o.disturbed = o.disturbed || o != p
	}
}

// replay runs a done event again, sometimes by two operators at once.
func (sc *scenario) replay(f *fact) {
	f.replays++
	sc.replayOnce(f)
	if sc.rng.IntN(4) == 0 {
		sc.replayOnce(f)
	}
}

// comeBack is an operator's maximum wait before another try.
const comeBack = 30 * time.Minute

// replayOnce runs the command once. An operator repeats a killed, failed or refused command until
// it reports that the message was sent.
func (sc *scenario) replayOnce(f *fact) {
	records, err := dynamostore.NewReader(sc.table, "tollgate")
	if err != nil {
		panic(err)
	}
	p, policies := &proc{name: "replay of " + f.id}, sc.policies
	r, err := replay.New(replay.Config{
		Records: records, Store: sc.operator, Events: fetcher{sc}, Queue: sender{sc}, Endpoint: f.home(), Accounts: []string{f.env.Account},
		Excludes: func(e event.Envelope) bool { return sc.verdict(policies, e.Endpoint, sc.fact(e.ID)) != policy.Accept },
		By:       "op", Why: "a test", Now: func() time.Time { return sc.clock(p) }, Paused: sc.pausedFor(p),
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
		sc.log("%s: %s, %v", p.name, outcome, failure)
		sc.count("replay: " + outcome)
	}
	p.over = func() {
		if refused, is := errors.AsType[*replay.RefusedError](failure); is && refused.Reason == replay.RefusedPaused {
			sc.pausing.replays = append(sc.pausing.replays, func() { sc.replayOnce(f) })
			return
		}
		if refused, is := errors.AsType[*replay.RefusedError](failure); is && refused.Reason == replay.RefusedExcluded {
			if sc.state(f) != idempotency.Done && !f.withheld { // a killed run may have set its record to run again
				f.withheld = true
				sc.onFix = append(sc.onFix, func() { sc.replayOnce(f) })
			}
			return
		}
		if sc.isBroken(f) && failure != nil {
			f.broken.after = func() { sc.replayOnce(f) } // once the row is repaired
			return
		}
		if failure != nil && !(sc.swept(f) && sc.rng.IntN(2) == 0) { // reconcile sends what no operator repeats
			sc.background = append(sc.background, appointment{time.Now().Add(sc.upTo(comeBack)), func() { sc.replayOnce(f) }})
		}
	}
	sc.spawn(p, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		got, err := r.Event(ctx, f.id)
		result, failure = got, err
	})
}
