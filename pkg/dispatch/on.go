package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
)

// Event is the input of a handler of On. Object is the event's snapshot or, if the event has
// another API version, the object as Stripe has it now; Previous is nil then.
type Event[T any] struct {
	Input
	Object   T
	Raw      json.RawMessage // Object as JSON, for members that T lacks; not to be changed
	Previous json.RawMessage // data.previous_attributes of *.updated events, else nil

	rows Rows
}

// Item reads an item of the table, such as the fact of another event, false if there is none.
// It may change before the effects are committed. It fails on a Mux without Rows.
func (e Event[T]) Item(ctx context.Context, key string) (Fields, bool, error) {
	if e.rows == nil {
		return nil, false, errors.New("read item: the Mux has no Rows")
	}
	item, found, err := e.rows.Item(ctx, key)
	if err != nil {
		return nil, false, fmt.Errorf("read item: %w", err)
	}
	return item, found, nil
}

// OnOption is an option of [On]: [Pure].
type OnOption func(*onOptions)

type onOptions struct{ pure bool }

func (o *onOptions) setPure() { o.pure = true }

// Pure declares that a handler changes nothing outside its effects: it may read at Stripe and
// from the table, and sends, books and creates nothing. At a message's first receive it then
// runs without a claim, which saves a write. Two runs of one event may overlap, and a run may
// be for an event that is done; only one of them commits its effects. In such a run
// [Input.IdempotencyKey] fails. It is an option of [On] and [OnCurrent].
func Pure[O interface{ setPure() }](o O) { o.setPure() }

// On registers h for the snapshots of one event type. T is the Go type of data.object; the name
// of a stripe-go type must match the snapshot's "object". On panics if the type is empty or has
// a handler already.
func On[T any, S ~string](m *Mux, typ S, h func(context.Context, Event[T]) (Effects, error), options ...OnOption) {
	var o onOptions
	for _, option := range options {
		option(&o)
	}
	m.pure[string(typ)] = o.pure
	want := objectNameOf(reflect.TypeFor[T]())
	m.objects[string(typ)] = reflect.TypeFor[T]()
	register(m.handlers, string(typ), h == nil, func(ctx context.Context, in Input) (Effects, error) {
		s, err := readSnapshot(in, want)
		if err != nil {
			return nil, err
		}
		if in.APIVersion != m.cfg.APIVersion {
			if s, err = m.inPinnedVersion(ctx, in, s); err != nil {
				return nil, err
			}
		}
		e := Event[T]{Input: in, Raw: s.object, Previous: s.previous, rows: m.cfg.Rows}
		if err := s.decode(&e.Object); err != nil {
			return nil, err
		}
		effects, err := h(ctx, e)
		return effects, by(h, err)
	})
}
