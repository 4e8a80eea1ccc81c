package simulation

import (
	"context"
	"errors"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
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
		w.redrive(1 + w.rng.IntN(3))
	case n == 3 && w.plan.purges && len(w.dead.messages) > 0:
		w.purge(w.dead.messages[w.rng.IntN(len(w.dead.messages))])
	case n == 3 && w.plan.purges:
		w.purgeByID(w.facts[w.rng.IntN(len(w.facts))])
	default:
		f := w.facts[w.rng.IntN(len(w.facts))]
		if (w.state(f) == idempotency.Done || f.givenUp) && f.replays < 3 && w.queueable(f) {
			w.replay(f)
		}
	}
}

func (w *world) queueable(f *fact) bool { return f.behaviour != unhandled }

// redrive is one run of the command: a survey of the dead letters, then a move of up to n.
func (w *world) redrive(n int) {
	records, err := dynamostore.NewReader(w.table, "tollgate")
	if err != nil {
		panic(err)
	}
	dead := deadLetters{w}
	w.spawn(&proc{name: "redrive"}, func(ctx context.Context) {
		plan, _, err := redrive.Survey(ctx, dead, records, redrive.Selection{}, redrive.Options{})
		if err != nil {
			return // the operator runs it again
		}
		_, _ = redrive.Move{Queue: dead, Mover: dead, Rate: redrive.MaxRate, Limit: n}.Run(ctx, plan, redrive.Options{})
	})
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
	p := &proc{name: "replay of " + f.id}
	r, err := replay.New(replay.Config{
		Records: records, Store: w.store, Events: fetcher{w}, Queue: sender{w}, Endpoint: f.home(), Accounts: []string{f.env.Account},
		By: "op", Why: "a drill", Now: func() time.Time { return w.clock(p) },
	})
	if err != nil {
		panic(err)
	}
	result, failure := replay.Result{}, errors.New("it died")
	p.finish = func() {
		outcome := string(result.Action)
		if refused, is := errors.AsType[*replay.RefusedError](failure); is {
			outcome = "refused, " + refused.Why
		} else if failure != nil {
			outcome = "an error"
		}
		w.log("%s: %s, %v", p.name, outcome, failure)
		w.met("replay: " + outcome)
	}
	p.over = func() {
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
