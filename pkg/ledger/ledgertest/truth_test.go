package ledgertest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/ledger"
	"tollgate/pkg/ledger/ledgertest"
)

// TestTruth compares the truth of a few objects with a ledger written by hand.
func TestTruth(t *testing.T) {
	got := ledgertest.Truth([]json.RawMessage{
		json.RawMessage(`{"id":"cus_1","object":"customer","livemode":true}`),
		json.RawMessage(`{"id":"sub_1","object":"subscription","customer":"cus_1","livemode":true,"status":"past_due","currency":"eur","created":10,"current_period_end":99,"cancel_at":90,"items":{"object":"list","data":[{"quantity":2,"price":{"id":"price_b","product":"prod_b"}},{"quantity":1,"price":{"id":"price_a","product":"prod_a"}}]}}`),
		json.RawMessage(`{"id":"sub_2","object":"subscription","customer":"cus_1","livemode":true,"status":"canceled","currency":"eur","created":11,"current_period_end":99,"ended_at":50}`),
		json.RawMessage(`{"id":"in_1","object":"invoice","customer":"cus_1","livemode":true,"status":"paid","currency":"eur","total":500,"amount_due":500,"amount_paid":500,"attempt_count":2,"created":20,"payment_intent":"pi_1","status_transitions":{"paid_at":25}}`),
		json.RawMessage(`{"id":"in_2","object":"invoice","customer":"cus_1","livemode":true,"status":"open","currency":"eur","total":500,"amount_due":500,"attempt_count":0,"created":21}`),
		json.RawMessage(`{"id":"in_3","object":"invoice","customer":"cus_1","livemode":true,"status":"open","currency":"eur","total":700,"amount_due":700,"amount_remaining":700,"attempt_count":3,"created":22}`),
		json.RawMessage(`{"id":"pi_1","object":"payment_intent","customer":"cus_1","livemode":true,"amount":500,"amount_received":500,"invoice":"in_1"}`),
		json.RawMessage(`{"id":"ch_1","object":"charge","customer":"cus_1","livemode":true,"status":"failed","payment_intent":"pi_1","currency":"eur","created":23}`),
		json.RawMessage(`{"id":"ch_2","object":"charge","customer":"cus_1","livemode":true,"status":"succeeded","payment_intent":"pi_1","currency":"eur","created":25}`),
		json.RawMessage(`{"id":"cs_1","object":"checkout.session","customer":"cus_1","livemode":true,"status":"open"}`),
	})
	want := ledger.Ledger{
		Customer: "cus_1", Mode: "live",
		Subscriptions: []ledger.Subscription{
			{ID: "sub_1", Status: "past_due", Currency: "eur", Created: 10, CurrentPeriodEnd: 99, CancelAt: 90, Items: []ledger.Item{{Price: "price_b", Product: "prod_b", Quantity: 2}, {Price: "price_a", Product: "prod_a", Quantity: 1}}},
			{ID: "sub_2", Status: "canceled", Currency: "eur", Created: 11, CurrentPeriodEnd: 99, EndedAt: 50, Items: []ledger.Item{}},
		},
		Entitlements: []ledger.Entitlement{
			{Subscription: "sub_1", Status: "past_due", Active: true, Products: []string{"prod_a", "prod_b"}, Until: 90},
			{Subscription: "sub_2", Status: "canceled", Products: []string{}, Until: 50},
		},
		Invoices: []ledger.Invoice{
			{ID: "in_1", Status: "paid", Currency: "eur", Total: 500, AmountDue: 500, AmountPaid: 500, AttemptCount: 2, PaymentIntent: "pi_1", Created: 20},
			{ID: "in_3", Status: "open", Currency: "eur", Total: 700, AmountDue: 700, AmountRemaining: 700, AttemptCount: 3, Created: 22},
		},
		Payments: []ledger.Payment{
			{Kind: "payment_failure", ObjectID: "pi_1", Fact: "failed#ch_1", Amount: 500, Currency: "eur", Invoice: "in_1", Charge: "ch_1", Occurred: 23},
			{Kind: "invoice_paid", ObjectID: "in_1", Fact: "paid", Amount: 500, Currency: "eur", PaymentIntent: "pi_1", Occurred: 25},
			{Kind: "payment", ObjectID: "pi_1", Fact: "succeeded", Amount: 500, Currency: "eur", Invoice: "in_1", Charge: "ch_2", Occurred: 25},
		},
		Refunds: []ledger.Refund{}, Charges: []ledger.Charge{}, FraudWarnings: []ledger.FraudWarning{},
		Disputes: []ledger.Dispute{}, Checkouts: []ledger.Checkout{},
		Outbox: []ledger.Message{
			{Name: "payment_failed", ObjectID: "in_3", Attempt: 3, Amount: 700, Currency: "eur"},
			{Name: "receipt", ObjectID: "in_1", Amount: 500, Currency: "eur"},
			{Name: "welcome", ObjectID: "sub_1", Currency: "eur"},
			{Name: "welcome", ObjectID: "sub_2", Currency: "eur"},
		},
	}
	if diff := cmp.Diff(want, ledgertest.Settled(got)); diff != "" {
		t.Error(diff)
	}
}
