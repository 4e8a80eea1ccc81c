package dispatch_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// keepBoth keeps an invoice's row and an item that changes with it.
func keepBoth(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	if e.Object.Number == "panic" {
		panic("boom")
	}
	if e.Object.Number == "nothing" {
		return nil, nil
	}
	f := dispatch.Fields{"amount": e.Object.AmountPaid, "event_id": e.ID}
	return dispatch.Effects{e.KeepRow(f), e.KeepWith("ENT#test#-#"+e.ObjectID, dispatch.Fields{"amount": e.Object.AmountPaid})}, nil
}

func TestRefresh(t *testing.T) {
	const key, entKey = "OBJ#test#-#in_1", "ENT#test#-#in_1"
	row := dispatch.Fields{"pk": key, "ver": int64(3), "object": "invoice", "amount": int64(1), "event_id": "evt_9"}
	ent := dispatch.Fields{"pk": entKey, "ver": int64(3), "amount": int64(1)}
	without := func(field string) dispatch.Fields {
		f := dispatch.Fields{"pk": key, "ver": int64(3), "object": "invoice"}
		delete(f, field)
		return f
	}
	down := errors.New("503")
	at := func(body string) dispatch.Objects { return objects{"in_1": body} }
	for _, c := range []struct {
		name    string
		rows    rows
		objects dispatch.Objects
		err     error
		reason  string
		before  map[string]dispatch.Fields
	}{
		{name: "row and item", rows: rows{key: row, entKey: ent}, objects: at(`{"id":"in_1","object":"invoice","amount_paid":7}`), before: map[string]dispatch.Fields{key: row, entKey: ent}},
		{name: "a missing item", rows: rows{key: row}, objects: at(`{"id":"in_1","object":"invoice","amount_paid":7}`), before: map[string]dispatch.Fields{key: row, entKey: nil}},
		{name: "no row", rows: rows{}, objects: at(`{}`), err: dispatch.ErrNoRow},
		{name: "a row without a kind", rows: rows{key: without("object")}, objects: at(`{}`), err: dispatch.ErrRow},
		{name: "a row without a version", rows: rows{key: without("ver")}, objects: at(`{}`), err: dispatch.ErrRow},
		{name: "another kind", rows: rows{key: {"ver": int64(1), "object": "charge"}}, objects: at(`{}`), err: dispatch.ErrNoKeeper},
		{name: "gone", rows: rows{key: row}, objects: objects{}, reason: dispatch.ReasonObjectGone, before: map[string]dispatch.Fields{key: row}},
		{name: "deleted", rows: rows{key: row}, objects: at(`{"id":"in_1","object":"invoice","deleted":true}`), reason: dispatch.ReasonObjectGone},
		{name: "Stripe is down", rows: rows{key: row}, objects: failing{down}, err: down},
		{name: "a keeper without a row", rows: rows{key: row}, objects: at(`{"id":"in_1","object":"invoice","number":"nothing"}`), reason: dispatch.ReasonHandler},
		{name: "an object of another shape", rows: rows{key: row}, objects: at(`{"id":"in_1","object":"invoice","amount_paid":"x"}`), reason: dispatch.ReasonHandler},
	} {
		t.Run(c.name, func(t *testing.T) {
			mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: c.objects, Rows: c.rows})
			dispatch.Refreshes(mux, keepBoth)
			got, err := mux.Refresh(t.Context(), dispatch.Input{Envelope: event.Envelope{ObjectID: "in_1"}, Now: time.UnixMilli(5)})
			p, _ := errors.AsType[*dispatch.PermanentError](err)
			if c.err != nil && !errors.Is(err, c.err) || (err != nil) != (c.err != nil || c.reason != "") || (p != nil) != (c.reason != "") || p != nil && p.Reason != c.reason {
				t.Fatalf("error %v, want %v, reason %q", err, c.err, c.reason)
			}
			if diff := cmp.Diff(c.before, got.Before); c.before != nil && diff != "" {
				t.Errorf("before: %s", diff)
			}
			if err != nil {
				return
			}
			want := dispatch.Effects{
				dispatch.Swap(key, 3, dispatch.Fields{"amount": int64(7), "event_id": "evt_9", "fetched_at": int64(5), "object": "invoice"}),
				dispatch.Swap(entKey, 3, dispatch.Fields{"amount": int64(7)}),
			}
			if diff := cmp.Diff(want, got.Effects); diff != "" {
				t.Errorf("effects: %s", diff)
			}
		})
	}
}

func TestRefreshRecoversPanics(t *testing.T) {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: version, Objects: objects{"in_1": `{"id":"in_1","object":"invoice","number":"panic"}`},
		Rows: rows{"OBJ#test#-#in_1": {"ver": int64(1), "object": "invoice"}}})
	dispatch.Refreshes(mux, keepBoth)
	_, err := mux.Refresh(t.Context(), dispatch.Input{Envelope: event.Envelope{ObjectID: "in_1"}})
	if _, ok := errors.AsType[*dispatch.PanicError](err); !ok {
		t.Errorf("error %v, want a panic's", err)
	}
}

func TestRefreshesPanics(t *testing.T) {
	full := dispatch.Config{APIVersion: version, Objects: objects{}, Rows: rows{}}
	for _, c := range []struct {
		name string
		cfg  dispatch.Config
		do   func(*dispatch.Mux)
	}{
		{"without Rows", dispatch.Config{Objects: objects{}}, func(m *dispatch.Mux) { dispatch.Refreshes(m, keepBoth) }},
		{"a second keeper", full, func(m *dispatch.Mux) { dispatch.Refreshes(m, keepBoth); dispatch.Refreshes(m, keepBoth) }},
		{"a type of our own", full, func(m *dispatch.Mux) {
			dispatch.Refreshes(m, func(context.Context, dispatch.Current[struct{}]) (dispatch.Effects, error) { return nil, nil })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			c.do(dispatch.NewMux(c.cfg))
		})
	}
}
