package ledgertest_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/ledger"
	"tollgate/pkg/ledger/ledgertest"
)

func differs(truth ledgertest.Truth, got ledger.Ledger) string {
	want, settled, messages := truth.Settle(got)
	return cmp.Diff(want, settled) + messages
}

// kept makes what Stripe has from a line for each object or event. A line "type {…}" is an event of
// the type with the object; customer cus_1 and live mode are filled in.
func kept(lines string) (k ledgertest.Kept) {
	for line := range strings.Lines(lines) {
		typ, object, _ := strings.Cut(strings.TrimSpace(line), "{")
		if object == "" {
			continue
		}
		if !strings.Contains(object, `"customer"`) && !strings.Contains(object, `"charge":"`) {
			object = `"customer":"cus_1",` + object
		}
		raw := `{"livemode":true,` + object
		if typ = strings.TrimSpace(typ); typ == "" {
			k.Objects = append(k.Objects, json.RawMessage(raw))
		} else {
			k.Events = append(k.Events, json.RawMessage(`{"id":"evt","type":"`+typ+`","data":{"object":`+raw+`}}`))
		}
	}
	return k
}

const story = `
{"id":"sub_1","object":"subscription","status":"past_due","currency":"eur","created":10,"current_period_end":99,"cancel_at":90,"pause_collection":{"behavior":"void","resumes_at":70},"items":{"object":"list","data":[{"quantity":2,"price":{"id":"price_b","product":"prod_b"}},{"quantity":1,"price":{"id":"price_a","product":"prod_a"}}]}}
{"id":"sub_2","object":"subscription","status":"canceled","currency":"eur","created":11,"current_period_end":99,"ended_at":50}
{"id":"sub_3","object":"subscription","status":"active","currency":"eur","created":12,"cancel_at":500,"items":{"data":[{"current_period_end":200,"price":{}},{"current_period_end":300,"price":{}}]}}
customer.subscription.created {"id":"sub_1","status":"active"}
{"id":"in_1","object":"invoice","status":"paid","currency":"eur","total":500,"amount_due":500,"amount_paid":500,"attempt_count":3,"created":20,"payment_intent":"pi_2","billing_reason":"manual","status_transitions":{"paid_at":40}}
invoice.payment_failed {"id":"in_1","status":"open","attempt_count":1,"currency":"eur","amount_due":500,"payment_intent":"pi_1","billing_reason":"manual","next_payment_attempt":30}
invoice.paid {"id":"in_1","status":"paid","attempt_count":2,"currency":"eur","amount_paid":500,"payment_intent":"pi_1","charge":"ch_2","status_transitions":{"paid_at":25}}
invoice.updated {"id":"in_1","status":"open","attempt_count":2}
invoice.paid {"id":"in_1","status":"paid","attempt_count":3,"currency":"eur","amount_paid":500,"payment_intent":"pi_2","status_transitions":{"paid_at":40}}
{"id":"in_2","object":"invoice","status":"open","currency":"eur","amount_due":500,"created":21}
{"id":"in_3","object":"invoice","status":"open","currency":"eur","total":700,"amount_due":700,"amount_remaining":700,"attempt_count":3,"next_payment_attempt":60,"created":22,"payment_intent":"pi_3"}
invoice.payment_failed {"id":"in_3","status":"open","attempt_count":3,"currency":"eur","amount_due":700,"next_payment_attempt":60,"payment_intent":"pi_3"}
{"id":"in_4","object":"invoice","status":"void","currency":"eur","created":23}
{"id":"pi_1","object":"payment_intent","status":"succeeded","amount":500,"amount_received":500,"invoice":"in_1","last_payment_error":{"decline_code":"lost_card"}}
{"id":"pi_3","object":"payment_intent","status":"requires_payment_method","amount":700,"invoice":"in_3","last_payment_error":{"decline_code":"do_not_honor"}}
{"id":"pi_5","object":"payment_intent","status":"requires_payment_method","amount":50,"currency":"eur","last_payment_error":{"decline_code":"do_not_honor"}}
payment_intent.payment_failed {"id":"pi_5","last_payment_error":{"decline_code":"lost_card"}}
{"id":"ch_1","object":"charge","status":"failed","payment_intent":"pi_1","currency":"eur","created":23}
{"id":"ch_2","object":"charge","status":"succeeded","payment_intent":"pi_1","currency":"eur","created":25,"amount":500,"amount_refunded":0}
charge.refunded {"id":"ch_2","object":"charge","status":"succeeded","payment_intent":"pi_1","currency":"eur","created":25,"amount":500,"amount_refunded":100}
{"id":"re_1","object":"refund","status":"failed","charge":"ch_2","payment_intent":"pi_1","amount":100,"currency":"eur","created":44,"failure_balance_transaction":"txn_9"}
{"id":"txn_9","object":"balance_transaction","created":46}
{"id":"dp_1","object":"dispute","status":"needs_response","charge":"ch_2","amount":500,"currency":"eur","created":50,"evidence_details":{"due_by":55},"balance_transactions":[{"id":"txn_1","amount":-500,"fee":15,"currency":"eur","created":51}]}
charge.dispute.created {"id":"dp_1","status":"warning_needs_response","charge":"ch_2","amount":500,"currency":"eur","evidence_details":{"due_by":52}}
{"id":"issfr_1","object":"radar.early_fraud_warning","actionable":false,"charge":"ch_2","fraud_type":"misc","created":48}
{"id":"cs_1","object":"checkout.session","status":"open"}
{"id":"cs_2","object":"checkout.session","status":"expired","created":5,"client_reference_id":"order-1"}
{"id":"cs_3","object":"checkout.session","status":"complete","customer":null,"client_reference_id":"order-2","payment_intent":"pi_6"}
{"id":"pi_6","object":"payment_intent","customer":null,"status":"succeeded","amount_received":9}
{"id":"ch_6","object":"charge","customer":null,"status":"succeeded","payment_intent":"pi_6","currency":"eur","created":6}
{"id":"sub_9","object":"subscription","customer":"cus_2","status":"active"}
`

func storyLedger() ledger.Ledger {
	pause := &ledger.Pause{Behavior: "void", ResumesAt: 70}
	l := ledger.Ledger{
		Customer: "cus_1", Mode: "live", Account: "acct_1",
		Subscriptions: []ledger.Subscription{
			{ID: "sub_1", Status: "past_due", Currency: "eur", Created: 10, CurrentPeriodEnd: 99, CancelAt: 90, PauseCollection: pause,
				Items: []ledger.Item{{Price: "price_b", Product: "prod_b", Quantity: 2}, {Price: "price_a", Product: "prod_a", Quantity: 1}}},
			{ID: "sub_2", Status: "canceled", Currency: "eur", Created: 11, CurrentPeriodEnd: 99, EndedAt: 50, Items: []ledger.Item{}},
			{ID: "sub_3", Status: "active", Currency: "eur", Created: 12, CurrentPeriodEnd: 300, CancelAt: 500, Items: []ledger.Item{{}, {}}},
		},
		Entitlements: []ledger.Entitlement{
			{Subscription: "sub_1", Status: "past_due", Active: true, Products: []string{"prod_a", "prod_b"}, Until: 90, PauseCollection: pause},
			{Subscription: "sub_2", Status: "canceled", Products: []string{}, Until: 50},
			{Subscription: "sub_3", Status: "active", Active: true, Products: []string{""}, Until: 300},
		},
		Invoices: []ledger.Invoice{
			{ID: "in_1", Status: "paid", Currency: "eur", Total: 500, AmountDue: 500, AmountPaid: 500, AttemptCount: 3, PaymentIntent: "pi_2", BillingReason: "manual", Created: 20},
			{ID: "in_3", Status: "open", Currency: "eur", Total: 700, AmountDue: 700, AmountRemaining: 700, AttemptCount: 3, NextPaymentAttempt: 60, PaymentIntent: "pi_3", Created: 22},
			{ID: "in_4", Status: "void", Currency: "eur", Created: 23},
		},
		Payments: []ledger.Payment{
			{Kind: "payment_failure", ObjectID: "pi_1", Fact: "failed#ch_1", Amount: 500, Currency: "eur", Invoice: "in_1", Charge: "ch_1", Occurred: 23},
			{Kind: "invoice_paid", ObjectID: "in_1", Fact: "paid#pi_1", Amount: 500, Currency: "eur", PaymentIntent: "pi_1", Charge: "ch_2", Occurred: 25},
			{Kind: "payment", ObjectID: "pi_1", Fact: "succeeded", Amount: 500, Currency: "eur", Invoice: "in_1", Charge: "ch_2", Occurred: 25, Event: "evt_3"},
			{Kind: "invoice_paid", ObjectID: "in_1", Fact: "paid#pi_2", Amount: 500, Currency: "eur", PaymentIntent: "pi_2", Occurred: 40},
			{Kind: "refund", ObjectID: "re_1", Fact: "refunded", Amount: 100, Currency: "eur", PaymentIntent: "pi_1", Charge: "ch_2", Occurred: 44},
			{Kind: "refund_failed", ObjectID: "re_1", Fact: "failed", Amount: 100, Currency: "eur", PaymentIntent: "pi_1", Charge: "ch_2", Occurred: 46},
			{Kind: "dispute_funds_withdrawn", ObjectID: "dp_1", Fact: "txn_1", Amount: 500, Currency: "eur", Charge: "ch_2", Fee: 15, Occurred: 51},
		},
		Refunds:       []ledger.Refund{{ID: "re_1", Status: "failed", Amount: 100, Currency: "eur", Charge: "ch_2", PaymentIntent: "pi_1", Created: 44}},
		Charges:       []ledger.Charge{{ID: "ch_2", Status: "succeeded", Amount: 500, Currency: "eur", PaymentIntent: "pi_1", Created: 25}},
		Disputes:      []ledger.Dispute{{ID: "dp_1", Status: "needs_response", Amount: 500, Currency: "eur", Charge: "ch_2", EvidenceDueBy: 55, Created: 50}},
		FraudWarnings: []ledger.FraudWarning{{ID: "issfr_1", Charge: "ch_2", FraudType: "misc", Created: 48}},
		Checkouts:     []ledger.Checkout{{ID: "cs_2", Status: "expired", ClientReferenceID: "order-1", Created: 5}},
		Outbox: []ledger.Message{ // what must be told
			{Name: "welcome", ObjectID: "sub_3", Currency: "eur", Key: "OUT#1", To: "cus_1", At: "1970-01-01T00:00:12Z", SentAt: 13, Event: "evt_1"},
			{Name: "receipt", ObjectID: "pi_2", Amount: 500, Currency: "eur"},
			{Name: "payment_failed", ObjectID: "in_3", Attempt: 3, Amount: 700, Currency: "eur", NextPaymentAttempt: 60, DeclineCode: "do_not_honor"},
			{Name: "payment_failed", ObjectID: "pi_5", Amount: 50, Currency: "eur", DeclineCode: "lost_card"},
			{Name: "dispute_opened", ObjectID: "dp_1", Amount: 500, Currency: "eur", Status: "needs_response", EvidenceDueBy: 55},
		},
	}
	l.Sort()
	return l
}

// TestTruth compares the truth of a story with ledgers written by hand.
func TestTruth(t *testing.T) {
	truth := ledgertest.Of(kept(story), "acct_1", "cus_1")
	if diff := differs(truth, storyLedger()); diff != "" {
		t.Fatal(diff)
	}
	may := storyLedger() // what may have passed unseen
	may.Outbox = append(may.Outbox,
		ledger.Message{Name: "welcome", ObjectID: "sub_1", Currency: "eur"},
		ledger.Message{Name: "receipt", ObjectID: "pi_1", Amount: 500, Currency: "eur"},
		ledger.Message{Name: "payment_failed", ObjectID: "in_1", Attempt: 1, Amount: 500, Currency: "eur", NextPaymentAttempt: 30, BillingReason: "manual", DeclineCode: "lost_card"},
		ledger.Message{Name: "dispute_opened", ObjectID: "dp_1", Amount: 500, Currency: "eur", Status: "warning_needs_response", EvidenceDueBy: 52, Inquiry: true})
	if diff := differs(truth, may); diff != "" {
		t.Error(diff)
	}
	for name, c := range map[string]struct {
		change func(*ledger.Ledger)
		says   string
	}{
		"a row":                {func(l *ledger.Ledger) { l.Invoices[1].Status = "paid" }, "in_3"},
		"a fact":               {func(l *ledger.Ledger) { l.Payments = l.Payments[1:] }, "failed#ch_1"},
		"a refunded charge":    {func(l *ledger.Ledger) { l.Charges[0].AmountRefunded = 99 }, "99"},
		"a missing message":    {func(l *ledger.Ledger) { l.Outbox = l.Outbox[1:] }, "is missing"},
		"a message of two":     {func(l *ledger.Ledger) { l.Outbox = append(l.Outbox, l.Outbox[0]) }, "twice"},
		"an unknown message":   {func(l *ledger.Ledger) { l.Outbox[0].Name = "goodbye" }, "too many"},
		"another decline code": {func(l *ledger.Ledger) { l.Outbox[slices.IndexFunc(l.Outbox, isFailure)].DeclineCode = "x" }, "another content"},
		"a welcome that never was": {func(l *ledger.Ledger) {
			l.Outbox = append(l.Outbox, ledger.Message{Name: "welcome", ObjectID: "sub_2"})
		}, "too many"},
	} {
		wrong := storyLedger()
		c.change(&wrong)
		if diff := differs(truth, wrong); !strings.Contains(diff, c.says) {
			t.Errorf("%s: difference %q, want %q in it", name, diff, c.says)
		}
	}
}

func isFailure(m ledger.Message) bool { return m.Name == "payment_failed" }

// A guest's ledger has the checkouts of one reference and their payments, and no mail.
func TestTruthOfAGuest(t *testing.T) {
	truth := ledgertest.OfGuest(kept(story), "", "order-2")
	want := ledger.Ledger{
		Mode:      "live",
		Checkouts: []ledger.Checkout{{ID: "cs_3", Status: "complete", ClientReferenceID: "order-2", PaymentIntent: "pi_6"}},
		Payments:  []ledger.Payment{{Kind: "payment", ObjectID: "pi_6", Fact: "succeeded", Amount: 9, Currency: "eur", Charge: "ch_6", Occurred: 6}},
	}
	if diff := differs(truth, want); diff != "" {
		t.Error(diff)
	}
}

func TestRow(t *testing.T) {
	got := ledgertest.Row(json.RawMessage(`{"id":"in_1","object":"invoice","status":"draft"}`))
	if diff := cmp.Diff([]ledger.Invoice{{ID: "in_1", Status: "draft"}}, got.Invoices); diff != "" {
		t.Error(diff)
	}
}
