package drift

import (
	"maps"
	"reflect"
	"slices"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// compareAll returns how the kept items differ from what the keeper would write, in the order
// of the keeper's effects.
func compareAll(rowKey string, r dispatch.Refreshed) (all []Difference) {
	for _, e := range r.Effects {
		if e.Kind != dispatch.KindSwap {
			continue
		}
		kept := r.Before[e.Key]
		if kept == nil {
			all = append(all, Difference{Item: e.Key, Field: Missing})
			continue
		}
		all = append(all, compareItem(e.Key, kept, e.Fields)...)
		// A handler swaps both under the row's version: one that differs is never written again.
		if want := r.Before[rowKey]["ver"]; kept["ver"] != want {
			all = append(all, Difference{Item: e.Key, Field: "ver", Kept: kept["ver"], Stripe: want})
		}
	}
	return all
}

// compareItem compares the fields that the keeper writes, and the list that the item is in. An
// absent field equals its zero value, as items may be older than a field. Other fields that
// only the kept item has are those of another release.
func compareItem(key string, kept, now dispatch.Fields) (all []Difference) {
	names := slices.Collect(maps.Keys(now))
	names = append(names, dispatch.ListName, dispatch.ListOrder)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if bookkeeping(name) {
			continue
		}
		if was, is := plain(kept[name]), plain(now[name]); !reflect.DeepEqual(was, is) {
			all = append(all, Difference{Item: key, Field: name, Kept: was, Stripe: is})
		}
	}
	return all
}

// bookkeeping reports whether a field says nothing about the object: the versions and times of
// the row, the event that wrote it and the messages about it.
func bookkeeping(name string) bool {
	return dispatch.Bookkeeping(name) || name == "event_id" || name == effect.MessageKeys
}

// plain returns a value in the form in which it can be compared: integers as int64, and nil for
// zero values, also as members.
func plain(v any) any {
	switch v := v.(type) {
	case int:
		return plain(int64(v))
	case map[string]any:
		m := map[string]any{}
		for name, member := range v {
			if p := plain(member); p != nil {
				m[name] = p
			}
		}
		if len(m) == 0 {
			return nil
		}
		return m
	case []any:
		if len(v) == 0 {
			return nil
		}
		l := make([]any, len(v))
		for i := range v {
			l[i] = plain(v[i])
		}
		return l
	case nil:
		return nil
	default:
		if reflect.ValueOf(v).IsZero() {
			return nil
		}
		return v
	}
}
