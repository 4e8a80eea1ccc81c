// Package dispatch brings an event to the typed handler for its type, and says what
// a handler may do: return effects, which are committed with the event's record.
//
//	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
//	dispatch.On(mux, stripe.EventTypeInvoicePaid,
//		func(ctx context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
//			return dispatch.Effects{dispatch.Insert(key, fields)}, nil
//		})
//
// A handler may run more than once for one event, and concurrently with itself; its
// effects are applied once. It gets no database client for writes. It knows nothing
// of Stripe's Go library: the types in a handler's signature are its caller's.
//
// On hands over the event's snapshot, OnCurrent the object as Stripe has it now, and
// OnThin a reference. Some objects have no id: a balance, a cash balance, tax settings,
// and the invoice of invoice.upcoming. For these holds:
//
//   - On at the pinned API version hands the snapshot over. Two events for one such
//     object cannot be told to be about the same thing, so the keys of a handler's
//     effects must come from the event's id.
//   - On at any other version parks the event with ReasonAPIVersion: without an id
//     nothing can be fetched in the version that handlers read.
//   - OnCurrent is a permanent failure with ReasonHandler, whatever the version: there
//     is no row to keep and nothing to fetch.
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
)

// ErrNoHandler says that no handler is registered for an event's type.
var ErrNoHandler = errors.New("no handler for this event type")

// Input is one run of a handler: the event and the claim it runs under.
type Input struct {
	event.Envelope           // Body must be there
	Attempt        int64     // number of this attempt, 1 for the first
	Generation     int64     // 1, and one more with every replay
	FirstAt        time.Time // when the event was first claimed
	Now            time.Time // when this run started: before anything is read or fetched for it
	SentAt         time.Time // when the event's message was sent, by the queue's clock; zero when unknown
	FirstReceived  time.Time // when the message was first received, by the queue's clock; zero when unknown

	// Settle is the age from which an event is handled even if Stripe does not show what it
	// announced; 0 is SettleAfter, a negative one does not wait. See [Input.NotYet].
	Settle time.Duration
}

// keyLife is how long an idempotency key surely holds at Stripe, which forgets keys
// after 24 hours.
const keyLife = 23 * time.Hour

// IdempotencyKey returns the key for an external call made for this event, the same
// in every attempt so that a late attempt and its successor collapse into one call.
// It fails once the first attempt is over 23 hours old: Stripe may have forgotten the
// key, so look the object up by its metadata instead, or park the event.
func (in Input) IdempotencyKey(name string) (string, error) {
	if age := in.Now.Sub(in.FirstAt); age > keyLife {
		return "", fmt.Errorf("idempotency key %q: first attempt is %v old, keys hold for %v", name, age.Round(time.Minute), keyLife)
	}
	return in.ID + ":" + name, nil
}

// handler is the one plain type inside: the typed function is closed over.
type handler func(context.Context, Input) (Effects, error)

// Mux finds the handler for an event type. Register everything before the first
// Dispatch; after that it is safe for concurrent use.
type Mux struct {
	cfg      Config
	hold     *holder
	handlers map[string]handler // of snapshots, by type
	thin     map[string]handler // of thin events, by type
	objects  map[string]reflect.Type
}

// Objects gets the present state of objects from Stripe.
type Objects interface {
	// FetchObject returns one object as JSON, rendered in the API version of the Mux.
	// object is Stripe's word for its kind, such as "checkout.session". Errors are read
	// as a handler's: what no attempt can cure is a [*PermanentError], with
	// ReasonObjectGone when Stripe has the object no longer and ReasonNoFetch when
	// objects of its kind cannot be fetched. Safe for concurrent use.
	FetchObject(ctx context.Context, account, object, id string) ([]byte, error)
}

// Rows reads the table's items, consistently.
type Rows interface {
	// Item returns the attributes of the item under a key, false when there is none.
	// Safe for concurrent use.
	Item(ctx context.Context, key string) (map[string]any, bool, error)
}

// Config is what a Mux's handlers read besides the event.
type Config struct {
	// APIVersion is the version that the handlers' Go types were made for: other
	// versions decode without an error into zeros, so they are never decoded.
	APIVersion string
	// Objects is where the state of objects comes from. Without it events of other
	// versions are parked, and OnCurrent panics.
	Objects Objects
	// Rows is where kept objects are read from. Without it OnCurrent panics.
	Rows Rows
	// Hold says which messages are held back. Default: those about states that were over
	// DefaultHoldAfter old when their event was received.
	Hold Hold
}

// NewMux returns a Mux without handlers.
func NewMux(c Config) *Mux {
	c.Hold.After = cmp.Or(c.Hold.After, DefaultHoldAfter)
	return &Mux{cfg: c, hold: &holder{Hold: c.Hold}, handlers: map[string]handler{}, thin: map[string]handler{}, objects: map[string]reflect.Type{}}
}

// register panics on what can only be a programmer's mistake.
func register(handlers map[string]handler, eventType string, missing bool, h handler) {
	if eventType == "" || missing {
		panic("dispatch: empty event type or nil handler")
	}
	if _, twice := handlers[eventType]; twice {
		panic("dispatch: a second handler for " + eventType)
	}
	handlers[eventType] = h
}

// Types returns the types of snapshots that have a handler, sorted: the one list that
// subscriptions, filters and documents are made from.
func (m *Mux) Types() []string { return slices.Sorted(maps.Keys(m.handlers)) }

// ObjectType returns the Go type that the handler of a type's snapshots takes, nil without a
// handler.
func (m *Mux) ObjectType(eventType string) reflect.Type { return m.objects[eventType] }

// ThinTypes returns the types of thin events that have a handler, sorted.
func (m *Mux) ThinTypes() []string { return slices.Sorted(maps.Keys(m.thin)) }

// Handles reports whether an event has a handler. Snapshots and thin events of one type
// have handlers of their own.
func (m *Mux) Handles(e event.Envelope) bool { return m.handlerOf(e) != nil }

func (m *Mux) handlerOf(e event.Envelope) handler {
	if e.Thin() {
		return m.thin[e.Type]
	}
	return m.handlers[e.Type]
}

// Dispatch runs the handler once. A panic comes back as a [*PanicError]; effects that
// cannot be committed come back as a [*PermanentError]; [ErrCoalesced] says that there
// is nothing to do. Messages among the effects are listed to be sent, or held: see [Message].
func (m *Mux) Dispatch(ctx context.Context, in Input) (effects Effects, err error) {
	h := m.handlerOf(in.Envelope)
	if h == nil {
		return nil, ErrNoHandler
	}
	defer func() {
		if v := recover(); v != nil {
			effects, err = nil, panicError(v)
		}
	}()
	effects, err = h(ctx, in)
	if err != nil {
		return nil, err
	}
	if effects, err = m.hold.address(ctx, in, effects); err != nil {
		return nil, err
	}
	if err := effects.Validate(); err != nil {
		return nil, Park(ReasonRejected, err)
	}
	return effects, nil
}
