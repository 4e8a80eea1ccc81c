// Package stripe is a fake of Stripe's API for a system that runs on one machine.
//
// It stores the events, objects and webhook endpoints that it is given, serves them as
// Stripe does, and delivers events to the endpoints, signed and retried as Stripe does. It
// creates and changes no object on its own. It answers unknown requests and parameters with
// an error in Stripe's form, because a silent difference would be worse than a missing
// feature. It serves loopback and delivers to loopback only.
//
//	s, err := stripe.Open(stripe.Options{Path: "data/stripe.db"})
//	err = s.Remember(body)             // an event, as Stripe signed it
//	http.Serve(listener, s)            // GET /v1/events/{id}, …
//	err = s.Close()                    // ends deliveries
//
// # What it serves
//
//	GET  /v1/events/{id}        one snapshot event
//	GET  /v1/events             a page of them, newest first: limit, starting_after,
//	                            ending_before, created, created[gt|gte|lt|lte], type, types[]
//	GET  /v2/core/events/{id}   one thin event; needs a Stripe-Version header
//	GET  /v1/<collection>/{id}  an object as it is now, such as /v1/customers/cus_…; a
//	                            subscription shows its first ten items. expand[] shows a
//	                            charge's first ten refunds, and the object for an id in a
//	                            member with the name of a kind, such as charge, if it is
//	                            known; other expansions are ignored
//	GET  /v1/subscription_items the items of ?subscription=sub_…: limit, starting_after,
//	                            ending_before
//	GET  /v1/refunds            all, or those of ?charge=ch_…: limit, starting_after,
//	                            ending_before
//	GET  /v1/account            the id of the account that is asked as
//	POST, GET, DELETE /v1/webhook_endpoints[/{id}]
//	                            the secret is only in the answer that creates an endpoint
//
// A repeated POST with the same Idempotency-Key gets the same answer.
//
// Events and objects are served in the shape in which they were given. A delivery names its
// endpoint's version, so versions from 2025-03-31.basil on, which moved fields, are refused.
//
// # Paths that Stripe does not have
//
//	POST   /_fake/events          stores the event in the body and answers
//	                                 {"id":"evt_…","remembered":true}; with ?deliver=true
//	                                 it is also delivered, again if it was known
//	PUT    /_fake/objects         [{"object":…,"id":…,…}]: sets the states of objects,
//	                                 which then override those of events
//	GET    /_fake/objects         {"data":[…]}: all of them, or ?customer=cus_…
//	DELETE /_fake/objects/{id}    the object is not found any more
//	POST   /_fake/faults          {"status":429,"times":2,"retry_after_s":1}, or
//	                                 {"delay_visibility_ms":60000}, or
//	                                 {"withhold_percent":5,"late_percent":5,"late_ms":1000,"seed":1}, or
//	                                 {"rate_per_s":25}, for each resource of each account, or
//	                                 {"break_item":"evt_…"}
//	GET    /_fake/deliveries      {"data":[{"event","endpoint","status","at"}]}, the
//	                                 attempts so far; ?event=, ?endpoint=
//	POST   /_fake/webhook_endpoints
//	                                 as Stripe's own, also with secret=whsec_…; form or JSON
//	POST   /_fake/webhook_endpoints/{id}/roll
//	                                 {"expire_s":3600}: a new secret, in the answer; the
//	                                 old one also signs for that time
//
// Every request needs a test key (sk_test_… or rk_test_…, any will do), as a bearer
// token or as the user of basic authentication. The key also keeps web pages out: a
// browser does not send it across origins. Stripe-Account or Stripe-Context picks a
// connected account's events, objects and endpoints; without one the platform's
// are served. Live keys are refused, so objects and events of both modes are served to
// a test key, and endpoints get the events of both.
//
// # What a restart loses
//
// Events, objects and endpoints are kept in the file, not in memory. Pending deliveries, the
// list of attempts, idempotency keys and faults are lost: an event that was not delivered
// stays undelivered until it is given again.
package stripe

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// Defaults and bounds.
const (
	DefaultMaxEvents = 1_000_000
	DefaultMaxBytes  = 256 << 20
	// MaxEventBytes bounds one event.
	MaxEventBytes = 8 << 20
)

// ErrNotEvent means that bytes are not a Stripe event.
var ErrNotEvent = errors.New("not a Stripe event")

// Options configure a [Fake]. The zero value keeps nothing over a restart.
type Options struct {
	// Path is a file that keeps the events over a restart; it is created if absent. It
	// survives a killed process, but a crash of the machine may damage it. Default: "", a
	// temporary file that ends with the process.
	Path string
	// MaxEvents and MaxBytes (of compressed bodies) bound the events that are kept, and also
	// the objects; the oldest are dropped first. Defaults: [DefaultMaxEvents],
	// [DefaultMaxBytes].
	MaxEvents int
	MaxBytes  int64
	// Deliver configures the deliveries to webhook endpoints.
	Deliver DeliverOptions
	// DeliveryScale divides the waits between the attempts of a delivery. Default: 1.
	DeliveryScale int
	// Now is the clock. Default: [time.Now].
	Now func() time.Time
}

// Fake is the fake Stripe; it is an [http.Handler]. It is safe for concurrent use.
type Fake struct {
	now        func() time.Time
	mux        *http.ServeMux
	faults     faults
	deliveries *deliverer
	replays    replays
	store      *store
	expected   expected

	mu        sync.Mutex
	endpoints []*endpoint // oldest first
}

// Open makes a fake Stripe and opens its file. A damaged file is an error that names it.
func Open(o Options) (*Fake, error) {
	s := &Fake{now: o.Now, deliveries: newDeliverer(o.Deliver, o.DeliveryScale)}
	if s.now == nil {
		s.now = time.Now
	}
	s.routes()
	var err error
	if s.store, err = openStore(o.Path, cmp.Or(o.MaxEvents, DefaultMaxEvents), cmp.Or(o.MaxBytes, DefaultMaxBytes)); err != nil {
		return nil, fmt.Errorf("open the fake Stripe: %w", err)
	}
	if err := s.store.view(func(x *tx) error { return x.load(keyEndpoints, &s.endpoints) }); err != nil {
		return nil, fmt.Errorf("open the fake Stripe: %w", errors.Join(err, s.store.close()))
	}
	return s, nil
}

// Remember stores a copy of one event, and the state of its object unless a newer one is
// known. An event with a known id is not changed: at Stripe an event never changes. Errors
// wrap [ErrNotEvent], or are those of the file.
func (s *Fake) Remember(body []byte) error {
	_, err := s.remember(body, false)
	return err
}

// remember also returns the event's id and whether it is new, and delivers the stored event
// if asked.
func (s *Fake) remember(body []byte, deliver bool) (known, error) {
	e, err := parse(body)
	if err != nil {
		return known{}, err
	}
	e.Visible = s.faults.visibleAt(s.now())
	write := s.store.share
	if deliver {
		s.mu.Lock() // no endpoint changes between the event's arrival and its deliveries
		defer s.mu.Unlock()
		write = s.store.update
	}
	k := known{ID: e.ID}
	var to []delivery
	err = write(func(x *tx) (err error) {
		if k.Remembered, err = x.add(e); err != nil {
			return err
		}
		if !k.Remembered {
			if e, err = x.event(e.ID); err != nil {
				return err
			}
		}
		if !deliver {
			return nil
		}
		to = s.deliveriesOf(e)
		return x.setPending(e, e.pending()+int64(len(to)))
	})
	if err != nil {
		return k, fmt.Errorf("keep event %s: %w", k.ID, err)
	}
	if deliver {
		n := len(to)
		k.Deliveries = &n
		s.deliver(to)
	}
	return k, nil
}

// known is the answer to an event that was given.
type known struct {
	ID         string `json:"id"`
	Remembered bool   `json:"remembered"`           // false: it was known already
	Deliveries *int   `json:"deliveries,omitempty"` // how many endpoints want it
}

// Close cancels all deliveries, including running ones, and closes the file. No other method
// may be called afterwards.
func (s *Fake) Close() error {
	s.deliveries.close()
	return s.store.close()
}
