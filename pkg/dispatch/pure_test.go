package dispatch_test

import (
	"context"
	"testing"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// TestPure: On and OnCurrent take Pure with other options, only for snapshots, and a run
// without a claim gets no idempotency key.
func TestPure(t *testing.T) {
	unread := struct {
		dispatch.Objects
		dispatch.Rows
	}{}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: "v", Objects: unread, Rows: unread})
	type thing struct{ ID string }
	snapshot := func(context.Context, dispatch.Event[thing]) (dispatch.Effects, error) { return nil, nil }
	current := func(context.Context, dispatch.Current[thing]) (dispatch.Effects, error) { return nil, nil }
	dispatch.On(mux, "a", snapshot)
	dispatch.On(mux, "b", snapshot, dispatch.Pure)
	dispatch.OnCurrent(mux, "c", current, dispatch.Coalesce)
	dispatch.OnCurrent(mux, "d", current, dispatch.Coalesce, dispatch.Pure)
	for typ, want := range map[string]bool{"a": false, "b": true, "c": false, "d": true, "none": false} {
		if got := mux.Pure(event.Envelope{Object: event.ObjectSnapshot, Type: typ}); got != want {
			t.Errorf("Pure of %s is %v", typ, got)
		}
		if mux.Pure(event.Envelope{Object: event.ObjectThin, Type: typ}) {
			t.Errorf("a thin event of type %s is pure", typ)
		}
	}
	in := dispatch.Input{Envelope: event.Envelope{ID: "evt_1"}, Now: time.Unix(1, 0), FirstAt: time.Unix(1, 0)}
	if key, err := in.IdempotencyKey("book"); err == nil || key != "" {
		t.Errorf("a run without a claim has the key %q", key)
	}
	in.Attempt = 1
	if key, err := in.IdempotencyKey("book"); err != nil || key != "evt_1:book" {
		t.Errorf("key %q, %v", key, err)
	}
}
