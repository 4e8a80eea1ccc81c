// Package dispatch passes an event to the typed handler for its type. A handler returns
// effects, which are committed with the event's record.
//
//	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
//	dispatch.On(mux, stripe.EventTypeInvoicePaid,
//		func(ctx context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
//			return dispatch.Effects{dispatch.Insert(key, fields)}, nil
//		})
//
// A handler may run more than once for one event, also concurrently; its effects are applied
// once. It gets no database client. This package does not import stripe-go: the types in a
// handler's signature are the handler's.
//
// On passes the event's snapshot, OnCurrent the object as Stripe has it now, OnThin a
// reference. Some objects have no id: a balance, a cash balance, tax settings, and the
// invoice of invoice.upcoming. For them:
//
//   - On at the pinned API version passes the snapshot. As two events for one such object
//     cannot be recognised, the keys of a handler's effects must come from the event's id.
//   - On at any other version parks the event with ReasonAPIVersion, as nothing can be
//     fetched without an id.
//   - OnCurrent is a permanent failure with ReasonHandler, as there is no row and nothing to
//     fetch.
package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// ErrNoHandler means that no handler is registered for an event's type.
var ErrNoHandler = errors.New("no handler for this event type")

// Input is one run of a handler: the event and the claim it runs under.
type Input struct {
	event.Envelope           // with Body
	Attempt        int64     // 1 for the first attempt; 0 for a run without a claim, see [Pure]
	Generation     int64     // 1, plus one for every replay
	FirstAt        time.Time // when the event was first claimed
	Now            time.Time // when this run started, before anything was read or fetched
	SentAt         time.Time // when the event's message was sent, by the queue's clock; zero when unknown
	FirstReceived  time.Time // when the message was first received, by the queue's clock; zero when unknown

	// Settle is the age from which an event is handled even if Stripe does not show what it
	// announced. 0 means SettleAfter, a negative value no wait. See [Input.NotYet].
	Settle time.Duration
}

// keyLife is how long an idempotency key is valid, less a margin: Stripe forgets keys after 24
// hours.
const keyLife = 23 * time.Hour

// IdempotencyKey returns the key for an external call made for this event. It is the same in
// every attempt, so that repeated calls have one effect. It fails once the first attempt is
// over 23 hours old, as Stripe may have forgotten the key: look the object up by its metadata
// instead, or park the event. It also fails in a run without a claim: the handler is not [Pure],
// and the next attempt has a claim.
func (in Input) IdempotencyKey(name string) (string, error) {
	if in.Attempt == 0 {
		return "", fmt.Errorf("idempotency key %q: the run has no claim, as its handler was registered as Pure", name)
	}
	if age := in.Now.Sub(in.FirstAt); age > keyLife {
		return "", fmt.Errorf("idempotency key %q: first attempt is %v old, keys are valid for %v", name, age.Round(time.Minute), keyLife)
	}
	return in.ID + ":" + name, nil
}

// handler is a typed function with its type erased.
type handler func(context.Context, Input) (Effects, error)

// Mux finds the handler for an event type. Register everything before the first
// Dispatch; after that it is safe for concurrent use.
type Mux struct {
	cfg      Config
	hold     *holder
	handlers map[string]handler // of snapshots, by type
	thin     map[string]handler // of thin events, by type
	pure     map[string]bool    // types of snapshots whose handler is Pure
	objects  map[string]reflect.Type
	keepers  map[string]keeper // by normalized name of the object
	forward  forwarding
}

// Objects fetches the current state of objects from Stripe.
type Objects interface {
	// FetchObject returns an object as JSON in the API version of the Mux. object is Stripe's
	// word for its kind, such as "checkout.session". A failure that a retry cannot fix is a
	// [*PermanentError]: with ReasonObjectGone if the object is deleted, with ReasonNoFetch if
	// objects of its kind cannot be fetched. Safe for concurrent use.
	FetchObject(ctx context.Context, account, object, id string) ([]byte, error)
}

// Rows reads the table's items with strong consistency.
type Rows interface {
	// Item returns the attributes of the item under a key, false if there is none.
	// Safe for concurrent use.
	Item(ctx context.Context, key string) (map[string]any, bool, error)
}

// Config is the configuration of a Mux.
type Config struct {
	// APIVersion is the version of the handlers' Go types. Snapshots of other versions are
	// never decoded, as that would leave fields zero without an error.
	APIVersion string
	// Objects fetches objects from Stripe. Without it events of other versions are parked,
	// and OnCurrent panics.
	Objects Objects
	// Rows reads kept rows. Without it OnCurrent panics.
	Rows Rows
	// Hold decides which messages are held. Default: those about states that were older than
	// limits.HoldAfter when their event was received.
	Hold Hold
}

// NewMux returns a Mux without handlers.
func NewMux(c Config) *Mux {
	c.Hold.After = cmp.Or(c.Hold.After, limits.HoldAfter)
	return &Mux{cfg: c, hold: &holder{Hold: c.Hold}, handlers: map[string]handler{}, thin: map[string]handler{}, pure: map[string]bool{}, objects: map[string]reflect.Type{}, keepers: map[string]keeper{}}
}

// register panics on a programmer's error.
func register(handlers map[string]handler, eventType string, missing bool, h handler) {
	if eventType == "" || missing {
		panic("dispatch: empty event type or nil handler")
	}
	if _, twice := handlers[eventType]; twice {
		panic("dispatch: a second handler for " + eventType)
	}
	handlers[eventType] = h
}

// Types returns the types of snapshots that have a handler or are forwarded, sorted. Endpoints
// subscribe to these, and filters select them.
func (m *Mux) Types() []string {
	return m.forward.typesWith(slices.Collect(maps.Keys(m.handlers)), false)
}

// ObjectType returns the Go type that the handler of a type's snapshots takes, nil without a
// handler.
func (m *Mux) ObjectType(eventType string) reflect.Type { return m.objects[eventType] }

// ThinTypes returns the types of thin events that have a handler or are forwarded, sorted.
func (m *Mux) ThinTypes() []string {
	return m.forward.typesWith(slices.Collect(maps.Keys(m.thin)), true)
}

// Handles reports whether an event has a handler or is forwarded. A handler of snapshots does
// not take thin events of its type, nor the reverse.
func (m *Mux) Handles(e event.Envelope) bool { return m.handlerOf(e) != nil || m.forwards(e) }

// Pure reports whether the event's handler is registered with [Pure], or there is none and the
// event is only forwarded.
func (m *Mux) Pure(e event.Envelope) bool {
	if m.handlerOf(e) == nil {
		return m.forwards(e)
	}
	return !e.Thin() && m.pure[e.Type]
}

func (m *Mux) handlerOf(e event.Envelope) handler {
	if e.Thin() {
		return m.thin[e.Type]
	}
	return m.handlers[e.Type]
}

// Dispatch runs the event's handler once. Its errors include [ErrNoHandler], a [*PanicError]
// for a panic, a [*PermanentError] for effects that cannot be committed, and [ErrCoalesced] if
// the handler has nothing to do; the effects are valid with it, as the event may be forwarded.
// Messages among the effects get their list: see [Message].
func (m *Mux) Dispatch(ctx context.Context, in Input) (effects Effects, err error) {
	h, forward := m.handlerOf(in.Envelope), m.forwards(in.Envelope)
	if h == nil && !forward {
		return nil, ErrNoHandler
	}
	defer func() {
		if v := recover(); v != nil {
			effects, err = nil, panicError(v)
		}
	}()
	var coalesced error
	if h != nil {
		effects, err = h(ctx, in)
	}
	if errors.Is(err, ErrCoalesced) {
		effects, coalesced, err = nil, err, nil
	}
	if err != nil {
		return nil, err
	}
	if forward {
		effects = append(slices.Clip(effects), forwarded(in))
	}
	if effects, err = m.hold.enlist(ctx, in, effects); err != nil {
		return nil, err
	}
	if err := effects.Validate(); err != nil {
		return nil, Park(ReasonRejected, err)
	}
	return effects, coalesced
}
