package ledgertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"tollgate/pkg/ledger"
)

// row adds an object's row, and a subscription's entitlement.
func (t *Truth) row(o facts) {
	switch o.text("object") {
	case "subscription":
		t.subscription(o)
	case "invoice":
		t.Invoices = append(t.Invoices, ledger.Invoice{
			ID: o.text("id"), Number: o.text("number"), Status: o.text("status"), Currency: o.text("currency"),
			Total: o.whole("total"), AmountDue: o.whole("amount_due"), AmountPaid: o.whole("amount_paid"), AmountRemaining: o.whole("amount_remaining"),
			Subscription: o.text("subscription"), PaymentIntent: o.text("payment_intent"),
			AttemptCount: o.whole("attempt_count"), NextPaymentAttempt: o.whole("next_payment_attempt"),
			BillingReason: o.text("billing_reason"), PaidOutOfBand: o.yes("paid_out_of_band"), Created: o.whole("created"),
		})
	case "checkout.session":
		t.Checkouts = append(t.Checkouts, ledger.Checkout{
			ID: o.text("id"), Status: o.text("status"), PaymentStatus: o.text("payment_status"), Mode: o.text("mode"),
			Amount: o.whole("amount_total"), Currency: o.text("currency"), Subscription: o.text("subscription"), PaymentIntent: o.text("payment_intent"),
			Invoice: o.text("invoice"), ClientReferenceID: o.text("client_reference_id"), Created: o.whole("created"),
		})
	case "dispute":
		t.Disputes = append(t.Disputes, ledger.Dispute{
			ID: o.text("id"), Status: o.text("status"), Reason: o.text("reason"), Amount: o.whole("amount"), Currency: o.text("currency"),
			Charge: o.text("charge"), PaymentIntent: o.text("payment_intent"),
			EvidenceDueBy: o.object("evidence_details").whole("due_by"), Created: o.whole("created"),
		})
	case "refund":
		t.Refunds = append(t.Refunds, ledger.Refund{
			ID: o.text("id"), Status: o.text("status"), Amount: o.whole("amount"), Currency: o.text("currency"), Charge: o.text("charge"),
			PaymentIntent: o.text("payment_intent"), Reason: o.text("reason"), FailureReason: o.text("failure_reason"), Created: o.whole("created"),
		})
	case "radar.early_fraud_warning":
		t.FraudWarnings = append(t.FraudWarnings, ledger.FraudWarning{
			ID: o.text("id"), Charge: o.text("charge"), PaymentIntent: o.text("payment_intent"), FraudType: o.text("fraud_type"),
			Actionable: o.yes("actionable"), Created: o.whole("created"),
		})
	case "charge":
		t.Charges = append(t.Charges, chargeRow(o))
	}
}

func chargeRow(o facts) ledger.Charge {
	return ledger.Charge{
		ID: o.text("id"), Status: o.text("status"), Amount: o.whole("amount"), AmountRefunded: o.whole("amount_refunded"), Refunded: o.yes("refunded"),
		Currency: o.text("currency"), PaymentIntent: o.text("payment_intent"), Invoice: o.text("invoice"), Created: o.whole("created"),
	}
}

// subscription adds a subscription and its entitlement, which is active while it is paid, in trial,
// or past due, and ends with the subscription, or else at the earlier of its cancellation and the
// end of its period.
func (t *Truth) subscription(o facts) {
	s := ledger.Subscription{
		ID: o.text("id"), Status: o.text("status"), Currency: o.text("currency"), Items: []ledger.Item{},
		CurrentPeriodEnd: o.whole("current_period_end"), CancelAtPeriodEnd: o.yes("cancel_at_period_end"),
		CancelAt: o.whole("cancel_at"), CanceledAt: o.whole("canceled_at"), EndedAt: o.whole("ended_at"),
		TrialEnd: o.whole("trial_end"), Created: o.whole("created"),
	}
	products := []string{}
	for _, item := range o.object("items").objects("data") {
		i := ledger.Item{Price: item.object("price").text("id"), Product: item.object("price").text("product"), Quantity: item.whole("quantity")}
		s.Items = append(s.Items, i)
		products = append(products, i.Product)
		if o.whole("current_period_end") == 0 {
			s.CurrentPeriodEnd = max(s.CurrentPeriodEnd, item.whole("current_period_end"))
		}
	}
	if p := o.object("pause_collection"); p != nil {
		s.PauseCollection = &ledger.Pause{Behavior: p.text("behavior"), ResumesAt: p.whole("resumes_at")}
	}
	until := s.CurrentPeriodEnd
	if s.CancelAt != 0 && (until == 0 || s.CancelAt < until) {
		until = s.CancelAt
	}
	slices.Sort(products)
	t.Subscriptions = append(t.Subscriptions, s)
	t.Entitlements = append(t.Entitlements, ledger.Entitlement{
		Subscription: s.ID, Status: s.Status, Products: slices.Compact(products), PauseCollection: s.PauseCollection,
		Active: slices.Contains([]string{"active", "trialing", "past_due"}, s.Status), Until: cmp.Or(s.EndedAt, until),
	})
}

// facts is a decoded object. A field that is absent, null or of another type reads as zero.
type facts map[string]any

func read(raw json.RawMessage) facts {
	var o map[string]any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&o); err != nil || facts(o).text("id") == "" {
		panic(fmt.Sprintf("ledgertest: an object without an id, or no object (%v)", err))
	}
	return o
}

func (f facts) text(name string) string  { s, _ := f[name].(string); return s }
func (f facts) yes(name string) bool     { b, _ := f[name].(bool); return b }
func (f facts) object(name string) facts { o, _ := f[name].(map[string]any); return o }

func (f facts) whole(name string) int64 {
	n, _ := f[name].(json.Number)
	i, _ := strconv.ParseInt(string(n), 10, 64)
	return i
}

func (f facts) objects(name string) (out []facts) {
	l, _ := f[name].([]any)
	for _, v := range l {
		o, _ := v.(map[string]any)
		out = append(out, o)
	}
	return out
}
