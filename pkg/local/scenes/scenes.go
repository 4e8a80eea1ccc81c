// Package scenes generates what Stripe would do with one customer: objects, their changes step
// by step, and the events of these changes, in the shape of API version 2023-10-16.
//
//	scene, err := scenes.Make("subscription-life", scenes.Options{Seed: 7, Now: time.Now()})
//	for _, step := range scene.Steps {
//		// set step.Objects at the fake Stripe, then deliver step.Events in any order
//	}
//
// It uses no clock and no sockets: equal options make equal scenes; at another time the same
// seed makes the same changes with other ids. All ids are invented. As at Stripe, some events
// have types without a handler, and some changes have two events.
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
	Seed       uint64    // determines everything that differs between two scenes of one name
	Now        time.Time // required; the scene ends shortly before it and is at most 29 days long
	APIVersion string    // of events, default 2023-10-16; objects keep their shape
	Account    string    // connected account, "" for the platform's
	Livemode   bool
}

// Scene is what happens to one customer.
type Scene struct {
	Name     string
	Customer string
	Account  string
	Livemode bool
	Steps    []Step // in chronological order
}

// Step is one change of one or several objects.
type Step struct {
	Objects []json.RawMessage // the changed ones, as they are after the step
	Gone    []string          // ids of deleted objects
	Events  []json.RawMessage // in order of creation, not of delivery
}

// script generates a scene in an account.
type script struct {
	about string
	days  int // upper bound
	play  func(*account)
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

// Names are the names of all scenes, sorted.
func Names() []string { return slices.Sorted(maps.Keys(scripts())) }

// About describes a scene in a few words, "" if there is none of that name.
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
	w := &account{
		o: o, rng: rand.New(rand.NewPCG(o.Seed, salt.Sum64())),
		// One id with two times would be two different events with one id.
		names: rand.New(rand.NewPCG(o.Seed, salt.Sum64()^uint64(o.Now.Unix()))),
		now:   o.Now.Unix() - int64(s.days)*day,
	}
	w.begin()
	s.play(w)
	w.end()
	return Scene{Name: name, Customer: w.customer, Account: o.Account, Livemode: o.Livemode, Steps: w.steps}, nil
}

// shapeVersion is the API version of the objects' shape.
const shapeVersion = "2023-10-16"
