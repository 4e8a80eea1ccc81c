package dispatch

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

var (
	// ErrNoRow means that no row is kept of an object.
	ErrNoRow = errors.New("no row is kept of this object")
	// ErrNoKeeper means that no keeper is registered for a row's kind of object.
	ErrNoKeeper = errors.New("no keeper is registered for this kind of object")
	// ErrRow means that a row cannot be read as one.
	ErrRow = errors.New("row cannot be read")
)

// Refreshed compares a kept row with its object at Stripe.
type Refreshed struct {
	// Before has the items under the keys that the keeper swaps, read with strong consistency;
	// nil for a missing item. The row was read before the object was fetched.
	Before map[string]Fields
	// Effects are what a handler of the object would write now. They are not to be committed
	// with an event: an item of Before that lacks the row's version refuses its swap.
	Effects Effects
}

// keeper is the function of Refreshes with its type erased.
type keeper func(context.Context, *Mux, Input, Fields, string) (Effects, error)

// Refreshes registers the one keeper of a kind of object: the function that all handlers of
// the kind use to keep its row and what changes with it. T is a type of stripe-go. It panics on
// any other type, on a second keeper of a kind, and on a Mux without Objects or Rows.
func Refreshes[T any](m *Mux, keep func(context.Context, Current[T]) (Effects, error)) {
	kind := objectNameOf(reflect.TypeFor[T]())
	if kind == "" || keep == nil || m.cfg.Objects == nil || m.cfg.Rows == nil {
		panic("dispatch: Refreshes needs a type of stripe-go, a keeper and a Mux with Objects and Rows")
	}
	if m.keepers[kind] != nil {
		panic("dispatch: a second keeper for " + kind)
	}
	m.keepers[kind] = func(ctx context.Context, m *Mux, in Input, row Fields, name string) (Effects, error) {
		e := Current[T]{Input: in, key: ObjectKey(in.Envelope), kind: name, Row: row}
		e.ver, _ = row["ver"].(int64)
		object, err := m.fetch(ctx, in, name)
		if err != nil {
			return nil, err
		}
		e.Raw = object
		if err := (snapshot{name: name, object: object}).decode(&e.Object); err != nil {
			return nil, err
		}
		effects, err := keep(ctx, e)
		if err == nil && !e.keeps(effects) {
			err = Permanent(errors.New("the keeper has no effect of KeepRow"))
		}
		return anonymous(e.Row, effects), err
	}
}

// Refresh reads the row of the object that in names by its mode, account and id, fetches the
// object and runs the keeper of its kind. It writes nothing. Errors wrap [ErrNoRow],
// [ErrNoKeeper] or [ErrRow], or are those of a fetch, of a keeper ([*PermanentError]) or of its
// panic ([*PanicError]); Before has the row wherever it could be read. Safe for concurrent use.
func (m *Mux) Refresh(ctx context.Context, in Input) (r Refreshed, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = panicError(v)
		}
	}()
	key := ObjectKey(in.Envelope)
	row, found, err := m.cfg.Rows.Item(ctx, key)
	if err != nil {
		return r, fmt.Errorf("read row: %w", err)
	}
	if !found {
		return r, fmt.Errorf("%w: %s", ErrNoRow, key)
	}
	r.Before = map[string]Fields{key: row}
	name, ok := row[RowObject].(string)
	if !ok || name == "" {
		return r, fmt.Errorf("%w: %s does not name its kind of object", ErrRow, key)
	}
	if ver, ok := row["ver"].(int64); !ok || ver < 1 {
		return r, fmt.Errorf("%w: %s has no version", ErrRow, key)
	}
	keep := m.keepers[normalizeName(name)]
	if keep == nil {
		return r, fmt.Errorf("%w: %s", ErrNoKeeper, name)
	}
	in.ID, _ = row["event_id"].(string) // a refresh has no event: the row's last one stays
	in.APIVersion = m.cfg.APIVersion
	if r.Effects, err = keep(ctx, m, in, row, name); err != nil {
		return r, err
	}
	return r, r.readOthers(ctx, m.cfg.Rows)
}

// RefreshOther returns the effects that keep the row of another object, of the same account, as
// Stripe has it now; none if no row is kept of it. It is for a change that Stripe reports by an
// event of this object only. If the other row changes before the commit, the handler runs
// again. Errors are those of [Mux.Refresh]. Keepers must not call it.
func (e Current[T]) RefreshOther(ctx context.Context, id string) (Effects, error) {
	in := e.Input
	in.ObjectID = id
	r, err := e.mux.Refresh(ctx, in)
	if errors.Is(err, ErrNoRow) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("refresh %s: %w", id, err)
	}
	return slices.DeleteFunc(r.Effects, func(f Effect) bool { return f.Kind != KindSwap }), nil
}

// readOthers reads the items that change with the row.
func (r Refreshed) readOthers(ctx context.Context, rows Rows) error {
	for _, e := range r.Effects {
		if _, read := r.Before[e.Key]; read || e.Kind != KindSwap {
			continue
		}
		item, _, err := rows.Item(ctx, e.Key)
		if err != nil {
			return fmt.Errorf("read item kept with the row: %w", err)
		}
		r.Before[e.Key] = item
	}
	return nil
}
