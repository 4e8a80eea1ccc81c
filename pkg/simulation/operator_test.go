package simulation

import (
	"context"
	"errors"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/redrive"
)

// operate is what operators do at any time: redrive, replay, fix the handlers.
func (w *world) operate() {
	switch w.rng.IntN(5) {
	case 0:
		w.log("the handlers are fixed")
		w.fixed.Store(true)
	case 1, 2:
		w.redrive(1 + w.rng.IntN(3))
	default:
		f := w.facts[w.rng.IntN(len(w.facts))]
		if w.state(f) == idempotency.Done && f.replays < 3 && w.queueable(f) {
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

// replay runs a done event again.
func (w *world) replay(f *fact) {
	f.replays++
	env := f.env
	env.Source = event.Replay
	w.replayOnce(f, env, num(w.table.items[recordPrefix+f.id], "gen"))
}

// replayOnce is one run of the command: the write first, then the message. An operator
// whose command died or failed runs it again; it sends when the record is no longer done.
func (w *world) replayOnce(f *fact, env event.Envelope, gen int64) {
	sent := false
	p := &proc{name: "replay of " + f.id}
	p.over = func() {
		if !sent && !(w.netted(f) && w.rng.IntN(2) == 0) { // the net sends what nobody comes back to
			w.chores = append(w.chores, func() { w.replayOnce(f, env, gen) })
		}
	}
	w.spawn(p, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		err := w.store.Replay(ctx, idempotency.ReplayRequest{EventID: f.id, Generation: gen, Now: time.Now(), By: "op", Why: "a drill"})
		if err == nil || errors.Is(err, idempotency.ErrNoLongerDone) {
			err = sender{w}.Send(ctx, env, "")
		}
		sent = err == nil
	})
}
