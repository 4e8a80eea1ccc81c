// Package stripe is a stand-in for Stripe's API, for a system that runs on one machine.
//
// It is stateful: it remembers every event that it is given, and serves it the way
// Stripe does. It knows no objects and no deliveries, invents nothing, and answers a
// request or a parameter that it does not know with an error in Stripe's form: a
// silent difference would be worse than a missing feature. It is meant for loopback.
//
//	s, err := stripe.Open(stripe.Options{Path: "data/stripe-events.jsonl"})
//	err = s.Remember(body)             // an event, as Stripe signed it
//	http.Serve(listener, s)            // GET /v1/events/{id}, …
//
// # What it serves
//
//	GET  /v1/events/{id}        one snapshot event
//	GET  /v1/events             a page of them, newest first: limit, starting_after,
//	                            ending_before, created, created[gt|gte|lt|lte], type, types[]
//	GET  /v2/core/events/{id}   one thin event; needs a Stripe-Version header
//	POST /_standin/events       not Stripe's: remembers the event in the body and
//	                            answers {"id":"evt_…","remembered":true}
//
// Every request needs a test key (sk_test_… or rk_test_…, any will do), as a bearer
// token or as the user of basic authentication. The key also keeps web pages out: a
// browser sends none across origins. Stripe-Account or Stripe-Context picks a
// connected account's events; without one the platform's own are served.
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
	DefaultMaxEvents = 100_000
	DefaultMaxBytes  = 256 << 20
	// MaxEventBytes bounds one event.
	MaxEventBytes = 8 << 20
)

// ErrNotEvent says that bytes are no Stripe event.
var ErrNotEvent = errors.New("not a Stripe event")

// Options configure a [StandIn]. The zero value keeps events in memory only.
type Options struct {
	// Path is a file that keeps the events over a restart, one line of JSON each; it is
	// made if absent. What the last moments before a crash wrote may be missing.
	// Default: "", no file.
	Path string
	// APIVersion is written into the events it serves, as Stripe renders them in the
	// account's version and not in the endpoint's. Their data stays as it is. Default:
	// "", each event keeps its own.
	APIVersion string
	// MaxEvents and MaxBytes (of bodies) bound what is kept; what was given first goes
	// first. Defaults: [DefaultMaxEvents], [DefaultMaxBytes].
	MaxEvents int
	MaxBytes  int64
	// Now is the clock. Default: [time.Now].
	Now func() time.Time
}

// StandIn is the stand-in; it is an [http.Handler]. It is safe for concurrent use.
type StandIn struct {
	now        func() time.Time
	apiVersion string
	mux        *http.ServeMux
	faults     faults

	mu      sync.Mutex
	store   store
	journal *journal // nil without a file
}

// Open makes a stand-in and reads the events of its file. A half-written last line of
// the file is dropped; any other broken line is an error that names it.
func Open(o Options) (*StandIn, error) {
	if o.MaxEvents < 0 || o.MaxBytes < 0 {
		return nil, errors.New("open Stripe stand-in: a bound is negative")
	}
	s := &StandIn{now: o.Now, apiVersion: o.APIVersion, store: store{
		maxEvents: cmp.Or(o.MaxEvents, DefaultMaxEvents),
		maxBytes:  cmp.Or(o.MaxBytes, DefaultMaxBytes),
	}}
	if s.now == nil {
		s.now = time.Now
	}
	s.routes()
	if o.Path == "" {
		return s, nil
	}
	j, bodies, err := openJournal(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open Stripe stand-in: %w", err)
	}
	for _, body := range bodies {
		e, err := parse(body)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open Stripe stand-in: %s: %w", o.Path, err), j.close())
		}
		s.store.add(e)
	}
	s.journal = j
	return s, s.shrink()
}

// Remember keeps a copy of one event. An event whose id it knows already is left as
// it was: at Stripe an event never changes. Errors wrap [ErrNotEvent], or say that
// the file could not be written; the event is then served all the same.
func (s *StandIn) Remember(body []byte) error {
	_, err := s.remember(body)
	return err
}

// remember also tells the event's id and whether it is new.
func (s *StandIn) remember(body []byte) (known, error) {
	e, err := parse(body)
	if err != nil {
		return known{}, err
	}
	e.visible = s.faults.visibleAt(s.now())
	s.mu.Lock()
	defer s.mu.Unlock()
	k := known{ID: e.id, Remembered: s.store.add(e)}
	if s.journal == nil || !k.Remembered {
		return k, nil
	}
	if err := s.journal.append(e.body); err != nil {
		return k, fmt.Errorf("keep event %s: %w", e.id, err)
	}
	return k, s.shrink()
}

// shrink rewrites the file once most of it is events that are no longer kept.
func (s *StandIn) shrink() error {
	if s.journal.lines <= 2*len(s.store.arrived)+16 {
		return nil
	}
	if err := s.journal.rewrite(s.store.arrived); err != nil {
		return fmt.Errorf("shrink Stripe stand-in's file: %w", err)
	}
	return nil
}

// known is the answer to an event that was given.
type known struct {
	ID         string `json:"id"`
	Remembered bool   `json:"remembered"` // false: it was known already
}

// Close closes the file. Events given later are kept in memory only.
func (s *StandIn) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.journal == nil {
		return nil
	}
	err := s.journal.close()
	s.journal = nil
	return err
}
