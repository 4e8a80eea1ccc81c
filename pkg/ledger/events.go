package ledger

import (
	"context"
	"errors"
	"maps"
	"slices"
)

// Events returns the ids of the events that the items about a customer or object name, sorted: a
// fact and a message name the first event with it, a row the last. An unknown id has none.
func Events(ctx context.Context, items Items, mode, account, id string) ([]string, error) {
	named := map[string]bool{}
	_, err := build(items, mode, account, id, func(r *reader) error {
		r.events = named
		if err := r.customer(ctx, id); err != nil {
			return err
		}
		r.about = id
		return r.object(ctx, id)
	})
	if errors.Is(err, ErrUnknown) {
		err = nil
	}
	return slices.Sorted(maps.Keys(named)), err
}
