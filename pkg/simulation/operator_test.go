package simulation

import (
	"context"
	"errors"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
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

// redrive sends up to n dead letters to the queue again: send, then delete.
func (w *world) redrive(n int) {
	w.dead.expire()
	var letters []message
	for _, i := range w.rng.Perm(len(w.dead.messages)) {
		if len(letters) < n {
			letters = append(letters, *w.dead.messages[i])
		}
	}
	w.spawn(&proc{name: "redrive"}, func(ctx context.Context) {
		for _, m := range letters {
			try, cancel := context.WithTimeout(ctx, 10*time.Second)
			err := sender{w}.body(try, m.body, m.event)
			if err == nil {
				err = do(w, try, opDelete, m.id, func() error { w.dead.remove(m.id); return nil })
			}
			cancel()
			if err != nil {
				return // the operator will run it again
			}
		}
	})
}

// replay runs a done event again.
func (w *world) replay(f *fact) {
	f.replays++
	env, err := event.Parse(f.body)
	if err != nil {
		panic(err)
	}
	env.Body, env.Source = f.body, event.Replay
	w.replayOnce(f, env, num(w.table.items[recordPrefix+f.id], "gen"))
}

// replayOnce is one run of the command: the write first, then the message. An operator
// whose command died or failed runs it again; it sends when the record is no longer done.
func (w *world) replayOnce(f *fact, env event.Envelope, gen int64) {
	sent := false
	p := &proc{name: "replay of " + f.id}
	p.over = func() {
		if !sent {
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
