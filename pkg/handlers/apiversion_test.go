package handlers_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
)

// object is one of Stripe's objects as JSON.
type object = map[string]any

// in returns an event in another API version with another object.
func in(t *testing.T, body []byte, version string, change func(o object)) []byte {
	t.Helper()
	var e object
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	e["api_version"] = version
	change(e["data"].(object)["object"].(object))
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func drop(o object, names ...string) {
	for _, name := range names {
		delete(o, name)
	}
}

// basilInvoice moves what basil moved in an invoice: its subscription is under parent, its
// payments are a list, and it no longer has a charge, a payment intent, paid or paid_out_of_band.
func basilInvoice(o object) {
	o["parent"] = object{
		"type": "subscription_details", "quote_details": nil,
		"subscription_details": object{"subscription": o["subscription"], "metadata": object{}},
	}
	o["payments"] = object{"object": "list", "has_more": false, "total_count": 1, "url": "/v1/invoice_payments", "data": []any{object{
		"id": "inpay_1", "object": "invoice_payment", "amount_paid": o["amount_paid"], "amount_requested": o["amount_due"], "currency": o["currency"],
		"invoice": o["id"], "is_default": true, "status": "paid", "payment": object{"type": "payment_intent", "payment_intent": o["payment_intent"]},
	}}}
	drop(o, "subscription", "subscription_details", "payment_intent", "charge", "paid", "paid_out_of_band", "quote", "tax", "total_tax_amounts", "discount")
}

// basilSubscription moves the period of a subscription to its items.
func basilSubscription(o object) {
	for _, item := range o["items"].(object)["data"].([]any) {
		item.(object)["current_period_start"], item.(object)["current_period_end"] = o["current_period_start"], o["current_period_end"]
	}
	drop(o, "current_period_start", "current_period_end", "discount")
}

// move is an event type whose data a newer version has in other places.
type move struct {
	name, typ, version string
	pinned             map[string]any // members of the object in the pinned version
	change             func(o object)
	// fields are what an item must have, which no decoded snapshot of the newer version has.
	key    func(id string) string
	fields map[string]any
	parked string // the reason if the object is gone
}

func row(id string) string         { return "OBJ#test#-#" + id }
func entitlement(id string) string { return "ENT#test#-#" + id }

// moves are the cases, one for each place that moved.
func moves() []move {
	const sub, pi, ch, end = "sub_9", "pi_9", "ch_9", int64(1_900_000_000)
	invoice := map[string]any{"subscription": sub, "payment_intent": pi, "charge": ch}
	fact := func(id string) string { return "FACT#test#-#" + id + "#paid#" + pi }
	return []move{
		{"an invoice's subscription is under parent", "invoice.paid", basil, invoice, basilInvoice, row, map[string]any{"subscription": sub}, dispatch.ReasonObjectGone},
		{"a failed invoice's subscription is under parent", "invoice.payment_failed", basil, invoice, basilInvoice, row, map[string]any{"subscription": sub}, dispatch.ReasonObjectGone},
		{"an invoice's payments are a list", "invoice.paid", basil, invoice, basilInvoice, fact, map[string]any{"payment_intent": pi, "charge": ch}, dispatch.ReasonObjectGone},
		{"an invoice has no paid_out_of_band", "invoice.paid", basil,
			map[string]any{"paid_out_of_band": true}, basilInvoice, row, map[string]any{"paid_out_of_band": true}, dispatch.ReasonObjectGone},
		{"a subscription's period is on its items", "customer.subscription.created", basil,
			map[string]any{"current_period_end": end}, basilSubscription, row, map[string]any{"current_period_end": end}, dispatch.ReasonObjectGone},
		{"the period that entitles is on the items", "customer.subscription.updated", "2025-09-30.clover",
			map[string]any{"current_period_end": end}, basilSubscription, entitlement, map[string]any{"until": end, "active": true}, dispatch.ReasonObjectGone},
		{"a payment does not name its invoice", "payment_intent.succeeded", basil,
			map[string]any{"invoice": "in_9"}, func(o object) { drop(o, "invoice") },
			func(id string) string { return "FACT#test#-#" + id + "#succeeded" }, map[string]any{"invoice": "in_9"}, dispatch.ReasonAPIVersion},
		{"a charge does not name its invoice", "charge.refunded", basil,
			map[string]any{"invoice": "in_9"}, func(o object) { drop(o, "invoice") }, row, map[string]any{"invoice": "in_9"}, dispatch.ReasonObjectGone},
	}
}

// TestMovedDataIsFetched: an event of a newer version has the effects of its object in the pinned
// version.
func TestMovedDataIsFetched(t *testing.T) {
	for _, m := range moves() {
		t.Run(m.name, func(t *testing.T) {
			f := newFixture()
			pinned := with(t, golden(t, m.typ), m.pinned)
			f.shows(t, pinned)
			f.handle(t, in(t, pinned, m.version, m.change))
			item := f.item(t, m.key(parse(t, pinned).ObjectID))
			for name, want := range m.fields {
				if item[name] != want {
					t.Errorf("%s is %v, want %v", name, item[name], want)
				}
			}
		})
	}
}

// TestMovedDataIsParked: an event whose object cannot be fetched in the pinned version has no
// effect and a reason.
func TestMovedDataIsParked(t *testing.T) {
	for _, m := range moves() {
		for _, tt := range []struct {
			name, reason string
			objects      func(f *fixture) dispatch.Objects
		}{
			{"the object is gone", m.parked, func(f *fixture) dispatch.Objects { return f }},
			{"no API key", dispatch.ReasonNoAPIKey, func(*fixture) dispatch.Objects { return noKey{} }},
		} {
			t.Run(m.name+", "+tt.name, func(t *testing.T) {
				f := newFixture()
				f.objects = map[string]string{}
				mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: tt.objects(f), Rows: f})
				handlers.Register(mux)
				body := in(t, with(t, golden(t, m.typ), m.pinned), m.version, m.change)
				effects, err := mux.Dispatch(t.Context(), dispatch.Input{Envelope: parse(t, body), Attempt: 1, Generation: 1, Settle: -1})
				if permanent(err) != tt.reason || len(effects) > 0 {
					t.Errorf("%d effects and %v, want reason %s", len(effects), err, tt.reason)
				}
			})
		}
	}
}

// noKey is a Stripe client without an API key.
type noKey struct{}

func (noKey) FetchObject(context.Context, string, string, string) ([]byte, error) {
	return nil, dispatch.Park(dispatch.ReasonNoAPIKey, nil)
}
