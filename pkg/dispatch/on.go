package dispatch

import (
	"context"
	"encoding/json"
	"reflect"
)

// Event is what a handler of On gets: the header, the claim and the typed snapshot. An
// event of another API version brings the object as Stripe has it now, without Previous.
type Event[T any] struct {
	Input
	Object   T
	Previous json.RawMessage // data.previous_attributes of *.updated events, else nil
}

// On registers h for the snapshots of one event type. T is the Go type of data.object;
// for a type of stripe-go its name must fit the snapshot's own "object". It panics
// when the type has a handler already or is empty.
func On[T any, S ~string](m *Mux, typ S, h func(context.Context, Event[T]) (Effects, error)) {
	want := objectNameOf(reflect.TypeFor[T]())
	m.objects[string(typ)] = reflect.TypeFor[T]()
	register(m.handlers, string(typ), h == nil, func(ctx context.Context, in Input) (Effects, error) {
		s, err := readSnapshot(in, want)
		if err != nil {
			return nil, err
		}
		if in.APIVersion != m.cfg.APIVersion {
			if s, err = m.normalise(ctx, in, s); err != nil {
				return nil, err
			}
		}
		e := Event[T]{Input: in, Previous: s.previous}
		if err := s.decode(&e.Object); err != nil {
			return nil, err
		}
		return h(ctx, e)
	})
}
