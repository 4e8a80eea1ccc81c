package handlers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

func TestCheckoutCompleted(t *testing.T) {
	got, err := once(t, golden(t, "checkout.session.completed"))
	if err != nil {
		t.Fatal(err)
	}
	const id = "cs_test_a1TollgateK5LhiH1AgtaVqs80d3IHsO7qN6yqdGZ4KqtcFz3gar3J4U9L"
	want := dispatch.Effects{dispatch.Swap("OBJ#test#-#"+id, 0, dispatch.Fields{
		"kind": "checkout", "object": "checkout.session", "object_id": id, "mode": "test", "account": "", "customer": customer,
		"event_id": "evt_1TollgateHedt38mLj6ipBdn", "status": "complete", "payment_status": "paid", "mode_of": "payment",
		"amount_total": int64(4900), "currency": "eur", "subscription": "", "payment_intent": "pi_3TollgatefEZrEHFEikFfLQt", "invoice": "",
		"client_reference_id": "A-1043", "created": int64(1795053590), "lst": listed, "at": "2026-11-19T01:59:50Z",
		"fetched_at": int64(1795053665000), "shown_created": int64(1795053665),
	})}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A checkout is listed under its customer, a guest's under the application's reference or,
// without one, under the payment.
func TestListOfACheckout(t *testing.T) {
	for _, c := range []struct {
		name    string
		members map[string]any
		list    any
	}{
		{"customer", map[string]any{}, listed},
		{"expanded customer", map[string]any{"customer": map[string]any{"id": "cus_2", "object": "customer"}}, "CUS#test#-#cus_2"},
		{"guest", map[string]any{"customer": nil}, "REF#test#-#A-1043"},
		{"guest without reference", map[string]any{"customer": nil, "client_reference_id": nil}, "PAY#test#-#pi_3TollgatefEZrEHFEikFfLQt"},
		{"guest with nothing", map[string]any{"customer": nil, "client_reference_id": nil, "payment_intent": nil}, nil},
	} {
		got, err := once(t, with(t, golden(t, "checkout.session.completed"), c.members))
		if err != nil || len(got) != 1 || got[0].Fields["lst"] != c.list {
			t.Errorf("%s: %v, %v; want list %v", c.name, got, err, c.list)
		}
	}
}

// A checkout that completes unpaid ends paid or unpaid, in either order of the events.
func TestDelayedPaymentOfACheckout(t *testing.T) {
	const paid = "checkout.session.async_payment_succeeded"
	id := parse(t, golden(t, paid)).ObjectID
	completed := golden(t, "checkout.session.completed", "cs_test_a1TollgateK5LhiH1AgtaVqs80d3IHsO7qN6yqdGZ4KqtcFz3gar3J4U9L", id,
		`"payment_status": "paid"`, `"payment_status": "unpaid"`, `"pi_3TollgatefEZrEHFEikFfLQt"`, `"pi_3TollgateSepaPaidWqRtYuIo"`)
	status := func(f *fixture) any { return f.item(t, "OBJ#test#-#"+id)["payment_status"] }
	f := newFixture()
	f.shows(t, completed)
	f.handle(t, completed)
	if got := status(f); got != "unpaid" {
		t.Errorf("completed: payment_status %v", got)
	}
	f.shows(t, golden(t, paid))
	f.handle(t, golden(t, paid))
	if got := status(f); got != "paid" {
		t.Errorf("paid later: payment_status %v", got)
	}
	f = newFixture()
	f.shows(t, golden(t, paid))
	f.handle(t, golden(t, paid))
	f.handle(t, completed)
	if got := status(f); got != "paid" {
		t.Errorf("completed comes last: payment_status %v", got)
	}
}
