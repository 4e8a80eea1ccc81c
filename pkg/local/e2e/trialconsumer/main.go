// Command trialconsumer is the consumer function with handlers that misbehave in known ways, for
// tests of the whole system. All other code is that of the product.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/failpoint"
	"tollgate/pkg/run"
)

func main() { run.Consumer(register) }

// object is what the handlers read; its type exists only in tests.
type object struct {
	ID string `json:"id"`
}

type handler = func(context.Context, dispatch.Event[object]) (dispatch.Effects, error)

func register(mux *dispatch.Mux) {
	for name, h := range map[string]handler{
		"works":          func(_ context.Context, e dispatch.Event[object]) (dispatch.Effects, error) { return fact(e), nil },
		"writes_nothing": func(context.Context, dispatch.Event[object]) (dispatch.Effects, error) { return nil, nil },
		"takes_time": func(ctx context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(20 * time.Millisecond):
				return fact(e), nil
			}
		},
		"fails_twice": func(_ context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			if e.Attempt <= 2 {
				return nil, fmt.Errorf("attempt %d is too early", e.Attempt)
			}
			return fact(e), nil
		},
		"fails": func(context.Context, dispatch.Event[object]) (dispatch.Effects, error) {
			return nil, errors.New("the ledger says no")
		},
		"refuses": func(context.Context, dispatch.Event[object]) (dispatch.Effects, error) {
			return nil, dispatch.Permanent(errors.New("this invoice is in no currency"))
		},
		"refuses_first": func(_ context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			if e.Attempt == 1 {
				return nil, dispatch.Permanent(errors.New("this invoice is too early"))
			}
			return fact(e), nil
		},
		"panics": func(context.Context, dispatch.Event[object]) (dispatch.Effects, error) { panic("out of cheese") },
		"exits":  func(context.Context, dispatch.Event[object]) (dispatch.Effects, error) { os.Exit(7); return nil, nil },
		"hangs":  func(context.Context, dispatch.Event[object]) (dispatch.Effects, error) { select {} },
		"sleeps": func(_ context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			if e.Attempt == 1 {
				sleep()
			}
			return fact(e), nil
		},
		"sleeps_long": func(ctx context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
			if e.Attempt == 1 {
				sleep()
				return fact(e), nil
			}
			fmt.Fprintln(os.Stderr, "took over")
			select {
			case <-ctx.Done():
			case <-time.After(600 * time.Millisecond):
			}
			return fact(e), nil
		},
	} {
		dispatch.On(mux, "trial."+name, between(h))
	}
	for name, h := range pure() {
		dispatch.On(mux, "trial."+name, between(h), dispatch.Pure)
	}
	for name, h := range repairable() {
		dispatch.On(mux, "trial."+name, h)
	}
}

// between puts a handler between two failpoints.
func between(h handler) handler {
	return func(ctx context.Context, e dispatch.Event[object]) (dispatch.Effects, error) {
		failpoint.At("consumer.handler.before")
		effects, err := h(ctx, e)
		failpoint.At("consumer.handler.after")
		return effects, err
	}
}

// fact has the attempt in its key, unlike the product's facts: if an event's effects were
// applied twice, there would be two. A run without a claim is attempt 0.
func fact(e dispatch.Event[object]) dispatch.Effects {
	return dispatch.Effects{dispatch.Insert(fmt.Sprintf("FACT#test#-#%s#trial#%d", e.Object.ID, e.Attempt), nil)}
}

// sleep returns when the process was stopped for a second or more and continued. Like a stopped
// process, it ignores the context.
func sleep() {
	fmt.Fprintln(os.Stderr, "asleep")
	for before := time.Now(); ; before = time.Now() {
		time.Sleep(5 * time.Millisecond)
		if time.Since(before) > time.Second {
			return
		}
	}
}
