// Package dispatch brings an event to the typed handler for its type, and says what
// a handler may do: return effects, which are committed with the event's record.
//
//	mux := dispatch.NewMux(stripe.APIVersion)
//	dispatch.On(mux, stripe.EventTypeInvoicePaid,
//		func(ctx context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
//			return dispatch.Effects{dispatch.Insert(key, fields)}, nil
//		})
//
// A handler may run more than once for one event, and concurrently with itself; its
// effects are applied once. It gets no database client for writes. It knows nothing
// of Stripe's Go library: the types in a handler's signature are its caller's.
package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
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
	Now            time.Time // when this run started
}

// Event is what a handler gets: the header, the claim and the typed snapshot.
type Event[T any] struct {
	Input
	Object   T
	Previous json.RawMessage // data.previous_attributes of *.updated events, else nil
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
	version  string
	handlers map[string]handler
}

// NewMux returns a Mux whose handlers read snapshots of one API version, the one that
// their Go types were made for: other versions decode without an error into zeros.
func NewMux(apiVersion string) *Mux {
	return &Mux{version: apiVersion, handlers: map[string]handler{}}
}

// On registers h for the snapshots of one event type. T is the Go type of data.object;
// for a type of stripe-go its name must fit the snapshot's own "object". It panics
// when the type has a handler already or is empty.
func On[T any, S ~string](m *Mux, typ S, h func(context.Context, Event[T]) (Effects, error)) {
	name := string(typ)
	if name == "" || h == nil {
		panic("dispatch: empty event type or nil handler")
	}
	if _, twice := m.handlers[name]; twice {
		panic("dispatch: a second handler for " + name)
	}
	want := objectNameOf(reflect.TypeFor[T]())
	m.handlers[name] = func(ctx context.Context, in Input) (Effects, error) {
		e, err := decode[T](in, m.version, want)
		if err != nil {
			return nil, err
		}
		return h(ctx, e)
	}
}

// Types returns the types that have a handler, sorted: the one list that
// subscriptions, filters and documents are made from.
func (m *Mux) Types() []string { return slices.Sorted(maps.Keys(m.handlers)) }

// Handles reports whether an event has a handler. Thin events have none of the
// snapshot handlers, whatever their type says.
func (m *Mux) Handles(e event.Envelope) bool {
	return !e.Thin() && m.handlers[e.Type] != nil
}

// Dispatch runs the handler once. A panic comes back as a [*PanicError]; effects that
// cannot be committed come back as a [*PermanentError].
func (m *Mux) Dispatch(ctx context.Context, in Input) (effects Effects, err error) {
	if !m.Handles(in.Envelope) {
		return nil, ErrNoHandler
	}
	defer func() {
		if v := recover(); v != nil {
			effects, err = nil, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	effects, err = m.handlers[in.Type](ctx, in)
	if err != nil {
		return nil, err
	}
	if err := effects.Validate(); err != nil {
		return nil, Park(ReasonRejected, err)
	}
	return effects, nil
}

func decode[T any](in Input, version, want string) (Event[T], error) {
	e := Event[T]{Input: in}
	if in.APIVersion != version {
		return e, Park(ReasonAPIVersion, fmt.Errorf("event is rendered in API version %q, handlers read %q", in.APIVersion, version))
	}
	object, previous, err := event.Data(in.Body)
	if err != nil {
		return e, Permanent(fmt.Errorf("read event data: %w", err))
	}
	name, err := event.ObjectName(object)
	if err != nil {
		return e, Permanent(fmt.Errorf("read data.object: %w", err))
	}
	if want != "" && squash(name) != want {
		return e, Park(ReasonWrongObject, fmt.Errorf("data.object is a %q, the handler takes a %T", name, e.Object))
	}
	if err := json.Unmarshal(object, &e.Object); err != nil {
		return e, Permanent(fmt.Errorf("decode data.object as %T: %s", e.Object, shape(err)))
	}
	e.Previous = previous
	return e, nil
}

// shape says where and of what kind a value was that did not fit, never the value.
func shape(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %s does not fit Go type %s", t.Field, t.Type)
	}
	return fmt.Sprintf("%T", err)
}

// objectNameOf returns the squashed "object" that snapshots for a Go type of
// stripe-go have, "" when nothing is known about the type.
func objectNameOf(t reflect.Type) string {
	if !strings.Contains(t.PkgPath(), "/stripe-go/") {
		return ""
	}
	if t.Name() == "SigmaScheduledQueryRun" { // the one whose object has no prefix
		return "scheduledqueryrun"
	}
	return squash(t.Name())
}

// squash drops case and separators: "checkout.session" and CheckoutSession are one name.
func squash(name string) string {
	return strings.NewReplacer("_", "", ".", "").Replace(strings.ToLower(name))
}
