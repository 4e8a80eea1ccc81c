package scenes

import (
	"encoding/json"
	"math/rand/v2"
)

// Action is one action of a scene: a step at Stripe, or one delivery of an event.
type Action struct {
	Step  *Step           // nil for a delivery
	Event json.RawMessage // nil for a step
}

// InOrder plays the scene as it happened: each step, then its events, each dup times.
func (s Scene) InOrder(dup int) []Action {
	var out []Action
	for i := range s.Steps {
		out = append(out, Action{Step: &s.Steps[i]})
		for _, e := range s.Steps[i].Events {
			for range dup {
				out = append(out, Action{Event: e})
			}
		}
	}
	return out
}

// Shuffled plays the steps in order, but delays and reorders the deliveries by seed, each
// event dup times. No event is delivered before its step, and all are delivered at the end.
func (s Scene) Shuffled(seed uint64, dup int) []Action {
	rng := rand.New(rand.NewPCG(seed, seed+1))
	patience := 1 + rng.IntN(4) // the delay differs between seeds
	var out []Action
	var held []json.RawMessage
	release := func() {
		i := rng.IntN(len(held))
		out = append(out, Action{Event: held[i]})
		held[i] = held[len(held)-1]
		held = held[:len(held)-1]
	}
	for i := range s.Steps {
		out = append(out, Action{Step: &s.Steps[i]})
		for _, e := range s.Steps[i].Events {
			for range dup {
				held = append(held, e)
			}
		}
		for len(held) > 0 && rng.IntN(patience+1) == 0 {
			release()
		}
	}
	for len(held) > 0 {
		release()
	}
	return out
}
