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
	"cmp"
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

// Scene is what happens to one customer or, in an organisation, to one customer in each of two
// accounts, who has the same id in both.
type Scene struct {
	Name      string
	Customer  string
	Accounts  []string // "" is the platform's
	Reference string   // client_reference_id of the guest's checkouts, "" without a guest
	Livemode  bool
	Steps     []Step // in chronological order
}

// Step is one change of one or several objects of one account.
type Step struct {
	Account string
	Objects []json.RawMessage // the changed ones, as they are after the step
	Gone    []string          // ids of deleted objects
	Events  []json.RawMessage // in order of creation, not of delivery
	At      int64             // seconds since 1970
}

// script generates a scene in an account, or in each account of an organisation.
type script struct {
	about        string
	days         int // upper bound
	play         func(*account)
	organisation bool
}

func scripts() map[string]script {
	return map[string]script{
		"subscription-life": {about: "checkout, first payment, changes, a failed renewal, recovery, cancellation", days: 27, play: subscriptionLife},
		"trial-to-paid":     {about: "a trial that becomes a paid subscription, at the first or a later payment", days: 20, play: trialToPaid},
		"pause-and-resume":  {about: "payments are not collected for a while, or a trial ends without a payment method", days: 29, play: pauseAndResume},
		"void-and-uncollectible": {about: "renewals that are never paid, paid after they were uncollectible, or need the customer", days: 29,
			play: voidAndUncollectible},
		"reopened-invoice": {about: "a paid invoice whose payment is detached, and that is paid again", days: 20, play: reopenedInvoice},
		"async-checkout":   {about: "payments that succeed or fail days later, expired checkouts, guests", days: 29, play: asyncCheckout},
		"refund":           {about: "partial refunds of a payment; some are pending, some fail, one after it succeeded", days: 15, play: refund},
		"dispute":          {about: "an early fraud warning; a chargeback that is won or lost, an inquiry that closes or escalates", days: 29, play: dispute},
		"organisation":     {about: "one customer id in two accounts; events name the account by context only", days: 29, play: organisation, organisation: true},
		"out-of-order":     {about: "changes of one subscription within the same second, a cancellation and its return among them", days: 1, play: outOfOrder},
		"many-items":       {about: "a subscription that grows and shrinks, to more items than Stripe shows with it", days: 1, play: manyItems},
		"storm":            {about: "dozens of changes of one subscription within a few seconds", days: 1, play: storm},
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
	w := newAccount(name, o, s.days)
	scene := Scene{Name: name, Livemode: o.Livemode}
	accounts := []*account{w}
	if s.organisation {
		accounts = append(accounts, w.organise(newAccount(name+" 2", o, s.days)))
	}
	for _, w := range accounts {
		w.begin()
		s.play(w)
		w.end()
		scene.Accounts = append(scene.Accounts, w.o.Account)
		scene.Steps = append(scene.Steps, w.steps...)
	}
	slices.SortStableFunc(scene.Steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	scene.Customer, scene.Reference = w.customer, w.reference
	return scene, nil
}

// newAccount makes the account of a scene that begins days before it ends.
func newAccount(name string, o Options, days int) *account {
	salt := fnv.New64a()
	salt.Write([]byte(name))
	w := &account{
		o: o, rng: rand.New(rand.NewPCG(o.Seed, salt.Sum64())),
		// One id with two times would be two different events with one id.
		names: rand.New(rand.NewPCG(o.Seed, salt.Sum64()^uint64(o.Now.Unix()))),
		now:   o.Now.Unix() - int64(days)*day,
	}
	w.customer = "cus_" + w.random(14)
	return w
}

// shapeVersion is the API version of the objects' shape.
const shapeVersion = "2023-10-16"
