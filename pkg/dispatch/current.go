package dispatch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// Current is what a handler of OnCurrent gets: the object as Stripe has it now, and the
// row that is kept of it.
type Current[T any] struct {
	Input
	Object  T
	Deleted bool   // Deleted at Stripe; Object is the event's snapshot
	Row     Fields // the kept row, nil when there is none yet

	// Behind says that Object does not show what the event announced, though the event is
	// settled: the object has changed back. The row keeps what Stripe shows. Facts that
	// happened once, such as a payment, are in Told, the event's own snapshot; it is nil if
	// handlers cannot read its API version.
	Behind   bool
	Snapshot *T

	key, kind string
	ver       int64
	proven    bool // Object certainly shows what the event announced
}

// RowObject is the field of a kept row that says of which kind its object is, in Stripe's
// word for it. Ids that people choose may stand for a coupon and for a product: events of
// one kind do not touch the row of another.
const RowObject = "object"

// Fields of a kept row with the time of its object's fetch, in ms. FetchedAt is by the
// consumer's clock, for people; no code decides by it. FetchedAfter is by the queue's clock:
// a moment before the fetch, absent when the queue gave no time; see [Coalesce].
const (
	FetchedAt    = "fetched_at"
	FetchedAfter = "fetched_after"
)

// Bookkeeping reports whether a field of a kept row is written by every run and tells nothing
// about the object.
func Bookkeeping(field string) bool {
	return field == "ver" || field == FetchedAt || field == FetchedAfter || field == ShownCreated
}

// Keep returns the effect that makes f the object's row: every change of the row, and
// everything derived from it in the same effects, holds only if nobody changed the row
// since it was read, or the handler runs again on what Stripe says then.
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

// Beside returns the effect that writes an item which goes with the object's row and
// changes only together with it, as what a customer may use goes with a subscription.
// It takes the row's version, so it must be there from the row's first version on: a handler
// that begins to write it later is refused for every row that is there already.
func (e Current[T]) KeepWith(key string, f Fields) Effect { return Swap(key, e.ver, f) }

// OnCurrent registers h for one event type and hands it the object's present state,
// never the event's snapshot: Stripe delivers out of order, and whole seconds cannot
// order two events. It reads the object's row, then fetches the object, then runs h, whose effects
// must hold Keep or be none; a row that changed in between starts that over. So the
// row never goes back and ends as Stripe's object ends.
//
// With [Coalesce] an event that the kept row shows already ends without a fetch and
// without a run of h, as [ErrCoalesced]. With [Announces] an object that does not show yet
// what the event announced is a failure to try again, for ten minutes.
//
// A type that ends in ".deleted" brings the event's own snapshot when Stripe has the
// object no longer, if its API version can be read; any other is parked with
// ReasonObjectGone. An object without an id is a permanent failure: it has no row. It
// panics as On does, and on a Mux without Objects or Rows.
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
		panic("dispatch: Announces of " + string(typ) + " is about another Go type than its handler")
	}
	want := objectNameOf(reflect.TypeFor[T]())
	m.objects[string(typ)] = reflect.TypeFor[T]()
	register(m.handlers, string(typ), h == nil, func(ctx context.Context, in Input) (Effects, error) {
		told, err := readSnapshot(in, want)
		if err != nil {
			return nil, err
		}
		e := Current[T]{Input: in, key: ObjectKey(in.Envelope), kind: told.name}
		if err := e.readRow(ctx, m.cfg.Rows); err != nil {
			return nil, err
		}
		if kind, ok := e.Row[RowObject].(string); ok && kind != told.name {
			return nil, Park(ReasonWrongObject, fmt.Errorf("the row under the id of this %s belongs to a %s", told.name, kind))
		}
		if o.coalesce && coveredBy(in, e.Row) {
			return nil, ErrCoalesced
		}
		if err := e.readObject(ctx, m, told, shows); err != nil {
			return nil, err
		}
		effects, err := h(ctx, e)
		switch {
		case err != nil:
		case len(effects) > 0 && !e.keeps(effects):
			err = Permanent(errors.New("the handler changes things without keeping its object's row"))
		case o.coalesce && slices.ContainsFunc(effects, func(f Effect) bool { return f.Kind == KindInsert }):
			err = Permanent(errors.New("the handler inserts things, and events that coalesce would miss them"))
		}
		return effects, err
	})
}

// readRow reads the row before the object is fetched: a fetch that came first could be
// older than a row that another attempt writes in between.
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
func (e *Current[T]) readObject(ctx context.Context, m *Mux, told snapshot, shows func(*T, Input) bool) error {
	now, gone, err := m.current(ctx, e.Input, told)
	if err != nil {
		return err
	}
	e.Deleted = gone
	if err := now.decode(&e.Object); err != nil || gone {
		return err
	}
	if e.shows(shows, told, now) {
		return nil
	}
	if newest, _ := e.Row[ShownCreated].(int64); newest <= e.Created { // else it has changed back since
		if err := e.NotYet(fmt.Errorf("%s %s does not show what %s announces", told.name, e.ObjectID, e.Type)); err != nil {
			return err
		}
	}
	e.Behind = true
	if e.APIVersion != m.cfg.APIVersion {
		return nil
	}
	e.Snapshot = new(T)
	return told.decode(e.Snapshot)
}

// current returns the object as it is now, or the event's own word of one that is gone.
func (m *Mux) current(ctx context.Context, in Input, s snapshot) (now snapshot, gone bool, err error) {
	object, err := m.fetch(ctx, in, s.name)
	if err == nil {
		return snapshot{name: s.name, object: object}, false, nil
	}
	p, ok := errors.AsType[*PermanentError](err)
	tombstone := ok && p.Reason == ReasonObjectGone && strings.HasSuffix(in.Type, ".deleted") && in.APIVersion == m.cfg.APIVersion
	if !tombstone {
		return snapshot{}, false, err
	}
	return s, true, nil
}

func (e Current[T]) keeps(effects Effects) bool {
	for _, f := range effects {
		if f.Kind == KindSwap && f.Key == e.key && f.Ver == e.ver {
			return true
		}
	}
	return false
}
