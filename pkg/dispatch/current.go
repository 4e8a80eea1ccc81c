package dispatch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Current is the input of a handler of OnCurrent: the object as Stripe has it now, and the row
// that is kept of it.
type Current[T any] struct {
	Input
	Object  T
	Raw     json.RawMessage // Object as JSON, for members that T lacks; not to be changed
	Deleted bool            // Deleted at Stripe; Object is the event's snapshot, or only has its id
	Row     Fields          // the kept row, nil if there is none yet

	// Snapshot is the event's own object, from which to take facts that happened once, such as a
	// payment. It is nil where handlers cannot read it, as in another API version.
	Snapshot *T
	// Behind means that the event is settled and Object does not show what it announced: the
	// object has changed back. The row keeps what Stripe shows.
	Behind bool

	mux       *Mux
	key, kind string
	ver       int64
	proven    bool // Object certainly shows what the event announced
}

// RowObject is the field of a kept row with Stripe's name of the object's kind. A
// user-chosen id may be that of both a coupon and a product: events of one kind do not
// change the row of another.
const RowObject = "object"

// Fields of a kept row with the time of its object's fetch, in ms. FetchedAt is by the
// consumer's clock and only for people. FetchedAfter is a time before the fetch by the
// queue's clock, absent if the queue gave none; see [Coalesce].
const (
	FetchedAt    = "fetched_at"
	FetchedAfter = "fetched_after"
)

// Bookkeeping reports whether a field of a kept row is rewritten by every run and does not belong to
// the object.
func Bookkeeping(field string) bool {
	return field == "ver" || field == FetchedAt || field == FetchedAfter || field == ShownCreated
}

// KeepRow returns the effect that replaces the object's row with f. It and all other effects
// of the handler are committed only if the row has not changed since it was read; otherwise
// the object is fetched again and the handler runs again.
func (e Current[T]) KeepRow(f Fields) Effect {
	row := maps.Clone(f)
	if row == nil {
		row = Fields{}
	}
	row[FetchedAt], row[RowObject] = e.Now.UnixMilli(), e.kind
	if at := e.fetchedAfter(); !at.IsZero() {
		row[FetchedAfter] = at.UnixMilli()
	}
	shown, known := e.Row[ShownCreated].(int64)
	if e.proven && (!known || e.Created > shown) {
		shown, known = e.Created, true
	}
	if known {
		row[ShownCreated] = shown
	}
	return Swap(e.key, e.ver, row)
}

// KeepWith returns the effect that writes an item which changes only together with the
// object's row, as an entitlement does with its subscription. It has the row's version, so it
// must exist from the row's first version on: a handler that starts to write it later is
// refused for every row that exists already.
func (e Current[T]) KeepWith(key string, f Fields) Effect { return Swap(key, e.ver, f) }

// OnCurrent registers h for one event type and passes it the object's current state instead
// of the event's snapshot: Stripe delivers out of order, and created, in whole seconds,
// cannot order two events. It reads the object's row, fetches the object, then runs h,
// whose effects must be empty or include KeepRow. If the row changed in between, all of
// that is repeated. So the row never returns to an older state, and its final state is that
// of the object at Stripe.
//
// With [Coalesce] an event that the kept row shows already ends as [ErrCoalesced], without a
// fetch or a run of h; with [OnlyKept] so does one without a kept row. With [Announces] the
// attempt is retried for ten minutes while the object does not show what the event announced.
//
// If the object is deleted at Stripe, the event of a type that ends in ".deleted" is
// handled with its own snapshot or, in an API version that handlers cannot read, with the id
// that Stripe still has of a deleted object such as a customer; any other event is parked with
// ReasonObjectGone. An object without an id is a permanent failure, as it has no row.
// OnCurrent panics as On does, and on a Mux without Objects or Rows.
func OnCurrent[T any, S ~string](m *Mux, typ S, h func(context.Context, Current[T]) (Effects, error), options ...CurrentOption) {
	if m.cfg.Objects == nil || m.cfg.Rows == nil {
		panic("dispatch: OnCurrent needs a Mux with Objects and Rows")
	}
	var o currentOptions
	for _, option := range options {
		option(&o)
	}
	shows, fits := o.shows.(func(*T, Input) bool)
	if o.shows != nil && !fits {
		panic("dispatch: Announces of " + string(typ) + " has another Go type than its handler")
	}
	want := objectNameOf(reflect.TypeFor[T]())
	m.objects[string(typ)], m.pure[string(typ)] = reflect.TypeFor[T](), o.pure
	register(m.handlers, string(typ), h == nil, func(ctx context.Context, in Input) (Effects, error) {
		snap, err := readSnapshot(in, want)
		if err != nil {
			return nil, err
		}
		e := Current[T]{Input: in, mux: m, key: ObjectKey(in.Envelope), kind: snap.name}
		if err := e.readRow(ctx, m.cfg.Rows); err != nil {
			return nil, err
		}
		if kind, ok := e.Row[RowObject].(string); ok && kind != snap.name {
			return nil, Park(ReasonWrongObject, fmt.Errorf("the row under the id of this %s is that of a %s", snap.name, kind))
		}
		if o.skips(in, e.Row) {
			return nil, ErrCoalesced
		}
		if err := e.readObject(ctx, m, snap, shows); err != nil {
			return nil, err
		}
		effects, err := h(ctx, e)
		switch {
		case err != nil:
			err = by(h, err)
		case len(effects) > 0 && !e.keeps(effects):
			err = Permanent(errors.New("the handler has effects without KeepRow"))
		case o.coalesce && slices.ContainsFunc(effects, e.onlyOfEvent):
			err = Permanent(errors.New("the handler inserts items that are not keyed by the object's row, which coalesced events would miss"))
		}
		return anonymous(e.Row, effects), err
	})
}

// readRow reads the row. It comes before the fetch: otherwise the fetched object could be older
// than a row that another attempt writes in between.
func (e *Current[T]) readRow(ctx context.Context, rows Rows) error {
	if e.ObjectID == "" {
		return Permanent(errors.New("the event's object has no id"))
	}
	row, found, err := rows.Item(ctx, e.key)
	if err != nil {
		return fmt.Errorf("read row: %w", err)
	}
	if !found {
		return nil
	}
	ver, ok := row["ver"].(int64)
	if !ok || ver < 1 {
		return Permanent(fmt.Errorf("row %s has no version", e.key))
	}
	e.Row, e.ver = row, ver
	return nil
}

// readObject reads the object as it is now and compares it with what the event announced.
func (e *Current[T]) readObject(ctx context.Context, m *Mux, snap snapshot, shows func(*T, Input) bool) error {
	now, deleted, err := m.current(ctx, e.Input, snap)
	if err != nil {
		return err
	}
	e.Raw, e.Deleted = now.object, deleted
	if err := now.decode(&e.Object); err != nil {
		return err
	}
	if own := new(T); e.APIVersion == m.cfg.APIVersion && snap.decode(own) == nil {
		e.Snapshot = own
	}
	if deleted {
		return nil
	}
	if e.shows(shows, snap, now) {
		return nil
	}
	if newest, _ := e.Row[ShownCreated].(int64); newest <= e.Created { // else it has changed back since
		if err := e.NotYet(fmt.Errorf("%s %s does not show what %s announces", snap.name, e.ObjectID, e.Type)); err != nil {
			return err
		}
	}
	e.Behind = true
	return nil
}

// current returns the object as it is now, or the state of a deleted one: the event's snapshot
// or, if handlers cannot read that, what Stripe still has of it.
func (m *Mux) current(ctx context.Context, in Input, s snapshot) (now snapshot, deleted bool, err error) {
	object, err := m.fetch(ctx, in, s.name)
	if err == nil {
		return snapshot{name: s.name, object: object}, false, nil
	}
	p, ok := errors.AsType[*PermanentError](err)
	switch gone := ok && p.Reason == ReasonObjectGone && strings.HasSuffix(in.Type, ".deleted"); {
	case gone && in.APIVersion == m.cfg.APIVersion:
		return s, true, nil
	case gone && object != nil:
		return snapshot{name: s.name, object: object}, true, nil
	}
	return snapshot{}, false, err
}

func (e Current[T]) keeps(effects Effects) bool {
	return slices.ContainsFunc(effects, func(f Effect) bool { return f.Kind == KindSwap && f.Key == e.key && f.Ver == e.ver })
}

// onlyOfEvent reports whether f inserts an item that another event of the object, with its own
// handler, cannot be relied on to insert.
func (e Current[T]) onlyOfEvent(f Effect) bool {
	return f.Kind == KindInsert && !strings.HasPrefix(f.Key, MessageKey(e.key, ""))
}
