package handlers_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
)

// coalesces reports whether a type's handler leaves an event to a later fetch of the object.
func coalesces(t *testing.T, typ string) bool {
	t.Helper()
	f, body := newFixture(), golden(t, typ)
	fetched := time.Unix(parse(t, body).Created, 0)
	f.rows = oneRow{dispatch.FetchedAfter: fetched.UnixMilli(), "ver": int64(1)}
	f.sentAt = fetched.Add(-dispatch.CoalesceAfter)
	f.register(dispatch.Hold{})
	_, err := f.run(t, body)
	return errors.Is(err, dispatch.ErrCoalesced)
}

// oneRow is a table with the same item under every key.
type oneRow dispatch.Fields

func (r oneRow) Item(context.Context, string) (map[string]any, bool, error) { return r, true, nil }

// of returns an event of one type with the object of another type's golden event.
func of(t *testing.T, typ, other string) []byte {
	t.Helper()
	var object struct {
		Data struct {
			Object map[string]any `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(golden(t, other), &object); err != nil {
		t.Fatal(err)
	}
	return with(t, golden(t, typ), object.Data.Object)
}

// aboutTheRow returns what a handler inserts under keys of the object's row, without the fields
// that depend on the event; false if the event is not handled.
func aboutTheRow(t *testing.T, typ, other string, row dispatch.Rows) (map[string]dispatch.Fields, bool) {
	t.Helper()
	f, body := newFixture(), of(t, typ, other)
	f.shows(t, body)
	if row != nil {
		f.rows = row
		f.register(dispatch.Hold{})
	}
	f.age = 10 * time.Minute // an object that does not show the event is kept as it is
	effects, err := f.run(t, body)
	if err != nil || len(effects) == 0 {
		return nil, false
	}
	prefix := dispatch.MessageKey(dispatch.ObjectKey(parse(t, body)), "")
	found := map[string]dispatch.Fields{}
	for _, e := range effects {
		if e.Kind != dispatch.KindInsert || !strings.HasPrefix(e.Key, prefix) {
			continue
		}
		for _, name := range []string{"event_id", dispatch.ListOrder, dispatch.MessageQueued} {
			delete(e.Fields, name)
		}
		found[e.Key] = e.Fields
	}
	return found, true
}

// A coalesced event is left to whichever handler fetched the object later: what a coalescing
// handler inserts for an object, every handler of that kind of object inserts for it.
func TestEveryHandlerInsertsWhatCoalescedEventsWould(t *testing.T) {
	mux, kinds := newFixture().mux, map[reflect.Type][]string{}
	for _, typ := range handlers.Types() {
		kinds[mux.ObjectType(typ)] = append(kinds[mux.ObjectType(typ)], typ)
	}
	inserts := map[string]int{} // by coalescing type
	for _, types := range kinds {
		for _, coalescing := range slices.DeleteFunc(slices.Clone(types), func(typ string) bool { return !coalesces(t, typ) }) {
			for _, object := range types {
				for _, row := range []dispatch.Rows{nil, oneRow{"ver": int64(1)}} {
					inserts[coalescing] += compareInserts(t, coalescing, types, object, row)
				}
			}
		}
	}
	if inserts[updated] < 6 { // for the objects that are active or trialing, with and without a row
		t.Errorf("inserts of coalescing types %v; the test compares too few", inserts)
	}
}

// compareInserts compares the handler of a coalescing type with those of other types, and
// returns the number of its inserts.
func compareInserts(t *testing.T, coalescing string, types []string, object string, row dispatch.Rows) int {
	t.Helper()
	want, handled := aboutTheRow(t, coalescing, object, row)
	if !handled {
		return 0
	}
	for _, typ := range types {
		got, handled := aboutTheRow(t, typ, object, row)
		if !handled {
			continue // it keeps no row that could cover another event
		}
		for key, fields := range want {
			if diff := gocmp.Diff(fields, got[key]); diff != "" {
				t.Errorf("%s with the object of %s: insert %s differs from that of %s, which coalesces (-want +got):\n%s", typ, object, key, coalescing, diff)
			}
		}
	}
	return len(want)
}
