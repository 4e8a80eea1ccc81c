// Package scenes makes up what Stripe would do with one customer: objects, how they
// change step by step, and the events that say so, shaped as at API version 2023-10-16.
//
//	scene, err := scenes.Make("subscription-life", scenes.Options{Seed: 7, Now: time.Now()})
//	for _, step := range scene.Steps {
//		// set step.Objects at the fake Stripe, then deliver step.Events in any order
//	}
//
// It is pure: no clock, no sockets, and equal options make equal scenes; at another time
// the same seed makes the same story with other ids. No id is anybody's. Events that no handler takes are among the
// others, as Stripe sends them too, and now and then one change has two events.
package scenes

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Options shape a scene.
type Options struct {
	Seed       uint64    // everything that differs between two scenes of one name
	Now        time.Time // required; the scene is over a little before it, at most 29 days long
	APIVersion string    // that events say they are rendered in, default 2023-10-16; objects keep their shape
	Account    string    // connected account, "" for the platform's own
	Livemode   bool
}

// Scene is what happens to one customer.
type Scene struct {
	Name     string
	Customer string
	Account  string
	Livemode bool
	Steps    []Step // in true order
}

// Step is one change of one or several objects.
type Step struct {
	Objects []json.RawMessage // those that changed, as they are after the step
	Gone    []string          // ids of objects that Stripe has no longer
	Events  []json.RawMessage // in the order in which they came about, which is not that of their delivery
}

// script plays a scene in a world.
type script struct {
	about string
	days  int // no longer than this
	play  func(*world)
}

func scripts() map[string]script {
	return map[string]script{
		"subscription-life": {"checkout, first payment, changes, a failed renewal, recovery, cancellation", 27, subscriptionLife},
		"trial-to-paid":     {"a trial that becomes a paid subscription, at the first or a later payment", 20, trialToPaid},
		"refund":            {"a payment that is given back in two parts; the ledger keeps the payment as it was received", 4, refund},
		"dispute":           {"a payment that the cardholder disputes", 12, dispute},
		"out-of-order":      {"changes of one subscription within the same second, a cancellation and its return among them", 1, outOfOrder},
		"many-items":        {"a subscription that grows and shrinks, to more items than Stripe shows with it", 1, manyItems},
		"storm":             {"dozens of changes of one subscription within a few seconds", 1, storm},
	}
}

// Names are the scenes there are, sorted.
func Names() []string { return slices.Sorted(maps.Keys(scripts())) }

// About says in a few words what happens in a scene, "" when there is none of that name.
func About(name string) string { return scripts()[name].about }

// Make makes a scene. An unknown name is an error that lists the names.
func Make(name string, o Options) (Scene, error) {
	s, ok := scripts()[name]
	if !ok {
		return Scene{}, fmt.Errorf("no scene %q; there are: %s", name, strings.Join(Names(), ", "))
	}
	if o.Now.IsZero() {
		return Scene{}, fmt.Errorf("make scene %s: no time to end at", name)
	}
	if o.APIVersion == "" {
		o.APIVersion = shapeVersion
	}
	salt := fnv.New64a()
	salt.Write([]byte(name))
	w := &world{
		o: o, rng: rand.New(rand.NewPCG(o.Seed, salt.Sum64())),
		// One id with two times would be two events that claim to be one.
		names: rand.New(rand.NewPCG(o.Seed, salt.Sum64()^uint64(o.Now.Unix()))),
		now:   o.Now.Unix() - int64(s.days)*day,
	}
	w.begin()
	s.play(w)
	w.end()
	return Scene{Name: name, Customer: w.customer, Account: o.Account, Livemode: o.Livemode, Steps: w.steps}, nil
}

// shapeVersion is the API version that the objects are shaped in.
const shapeVersion = "2023-10-16"
