package dispatch_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// forwarding returns a mux that forwards invoice events, and has handlers of three types.
func forwarding(types ...string) *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	pays := func(context.Context, dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
		return dispatch.Effects{dispatch.Insert("FACT#1", nil)}, nil
	}
	dispatch.On(mux, "invoice.paid", pays)
	dispatch.On(mux, "invoice.voided", pays, dispatch.Pure)
	dispatch.On(mux, "invoice.updated", func(context.Context, dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
		return dispatch.Effects{dispatch.Insert("FACT#2", nil)}, dispatch.ErrCoalesced
	})
	dispatch.On(mux, "invoice.failed", func(context.Context, dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
		return nil, errors.New("boom")
	})
	dispatch.On(mux, "charge.refunded", none[stripe.Charge])
	mux.Forward(func(e event.Envelope) bool { return event.MatchType("invoice.*", e.Type) || e.Thin() }, types...)
	return mux
}

func TestForward(t *testing.T) {
	const invoice = `{"id":"in_1","object":"invoice","secret":"payload"}`
	mux := forwarding()
	for _, c := range []struct {
		typ, version string
		want         []string // keys of the effects
		err          error
	}{
		{typ: "invoice.paid", want: []string{"FACT#1", "OUT#EVENT#test#-#evt_1#stripe.invoice.paid"}},
		{typ: "invoice.updated", want: []string{"OUT#EVENT#test#-#evt_1#stripe.invoice.updated"}, err: dispatch.ErrCoalesced},
		{typ: "invoice.finalized", want: []string{"OUT#EVENT#test#-#evt_1#stripe.invoice.finalized"}},
		{typ: "invoice.sent", version: "2026-08-26.dahlia", want: []string{"OUT#EVENT#test#-#evt_1#stripe.invoice.sent"}},
		{typ: "customer.created", err: dispatch.ErrNoHandler},
	} {
		version := c.version
		if version == "" {
			version = stripe.APIVersion
		}
		effects, err := mux.Dispatch(t.Context(), input(c.typ, version, invoice))
		var keys []string
		for _, e := range effects {
			keys = append(keys, e.Key)
		}
		if !errors.Is(err, c.err) || !slices.Equal(keys, c.want) {
			t.Errorf("%s: effects %v, error %v; want %v, %v", c.typ, keys, err, c.want, c.err)
		}
	}
	if effects, err := mux.Dispatch(t.Context(), input("invoice.failed", stripe.APIVersion, invoice)); err == nil || effects != nil {
		t.Errorf("a failed event: effects %v, error %v", effects, err)
	}
	if effects, err := forwardingNothing().Dispatch(t.Context(), input("invoice.updated", stripe.APIVersion, invoice)); !errors.Is(err, dispatch.ErrCoalesced) || effects != nil {
		t.Errorf("coalesced and not forwarded: effects %v, error %v", effects, err)
	}
}

func forwardingNothing() *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
	dispatch.On(mux, "invoice.updated", func(context.Context, dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
		return dispatch.Effects{dispatch.Insert("FACT#2", nil)}, dispatch.ErrCoalesced
	})
	return mux
}

// TestForwardedMessage has references and no payload, and is held by the age of its event.
func TestForwardedMessage(t *testing.T) {
	created := time.Unix(1, 0).UTC()
	for name, c := range map[string]struct {
		received time.Time
		thin     bool
		want     dispatch.Fields
	}{
		"new":  {created.Add(time.Second), false, dispatch.Fields{"lst": "OUT#4"}},
		"old":  {created.Add(25 * time.Hour), false, dispatch.Fields{"lst": "HELD#4", "held": dispatch.HeldOld}},
		"thin": {created.Add(time.Second), true, dispatch.Fields{"lst": "OUT#4"}},
	} {
		in := input("invoice.finalized", stripe.APIVersion, `{"id":"in_1","object":"invoice","secret":"payload"}`)
		in.ReceivedAt, in.Now = c.received, c.received
		if c.thin {
			in.Object = event.ObjectThin
		}
		effects, err := forwarding().Dispatch(t.Context(), in)
		if err != nil || len(effects) != 1 {
			t.Fatalf("%s: %v, %v", name, effects, err)
		}
		want := dispatch.Fields{
			"kind": "outbox", "name": "stripe.invoice.finalized", "mode": "test", "account": "", "event": "evt_1", "type": "invoice.finalized",
			"object": "in_1", "thin": c.thin, "at": "1970-01-01T00:00:01Z", "queued_at": c.received.UnixMilli(),
		}
		for field, value := range c.want {
			want[field] = value
		}
		if diff := cmp.Diff(want, effects[0].Fields); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if effects[0].ToSend() != (name != "old") {
			t.Errorf("%s: to be sent now: %v", name, effects[0].ToSend())
		}
	}
}

// TestForwardedTypes: endpoints subscribe to the types named exactly, and an event that is only
// forwarded is pure.
func TestForwardedTypes(t *testing.T) {
	mux := forwarding("invoice.paid", "invoice.sent", "v2.core.account.updated", "v1.billing.meter.no_meter_found")
	want := []string{"charge.refunded", "invoice.failed", "invoice.paid", "invoice.sent", "invoice.updated", "invoice.voided"}
	if diff := cmp.Diff(want, mux.Types()); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"v1.billing.meter.no_meter_found", "v2.core.account.updated"}, mux.ThinTypes()); diff != "" {
		t.Errorf("thin types (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		typ           string
		thin          bool
		handles, pure bool
	}{
		{"invoice.paid", false, true, false},
		{"invoice.voided", false, true, true},
		{"invoice.sent", false, true, true},
		{"charge.refunded", false, true, false},
		{"charge.failed", false, false, false},
		{"v2.core.account.updated", true, true, true},
	} {
		e := event.Envelope{Object: event.ObjectSnapshot, Type: c.typ}
		if c.thin {
			e.Object = event.ObjectThin
		}
		if mux.Handles(e) != c.handles || mux.Pure(e) != c.pure {
			t.Errorf("%s: handles %v, pure %v", c.typ, mux.Handles(e), mux.Pure(e))
		}
	}
	for name, call := range map[string]func(){
		"twice":    func() { mux.Forward(func(event.Envelope) bool { return true }) },
		"no match": func() { dispatch.NewMux(dispatch.Config{}).Forward(nil) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			call()
		}()
	}
}
