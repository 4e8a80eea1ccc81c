// Package ledgertest computes the ledger that a customer must have from the final states
// of the customer's objects at Stripe. It knows the rules from what Stripe's objects mean
// and shares no code with the handlers, so tests compare the two.
package ledgertest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tollgate/pkg/ledger"
)

// Truth returns the ledger that one customer must have once every event was handled. objects
// are the final states of all objects of that customer, and of the disputes of its payments,
// which name no customer. Account is "", the platform's own; set it for another account. Keys
// of messages, events and send times are empty: compare with [Settled].
//
// The ledger has every subscription, completed checkout, dispute, payment and failed payment,
// and the invoices that were paid or whose payment failed. Refunds change nothing in it. Truth
// panics on anything but a JSON object with an id.
func Truth(objects []json.RawMessage) ledger.Ledger {
	t := truth{payments: map[string]facts{}}
	var failed []facts
	for _, raw := range objects {
		o := read(raw)
		if c := o.text("customer"); c != "" {
			t.l.Customer = c
			t.l.Mode = map[bool]string{true: "live", false: "test"}[o.yes("livemode")]
		}
		switch o.text("object") {
		case "subscription":
			t.subscription(o)
		case "invoice":
			t.invoice(o)
		case "checkout.session":
			t.checkout(o)
		case "dispute":
			t.dispute(o)
		case "payment_intent":
			t.payments[o.text("id")] = o
		case "charge":
			failed = append(failed, o)
		}
	}
	for _, charge := range failed {
		t.charge(charge)
	}
	t.l.Sort()
	return t.l
}

type truth struct {
	l        ledger.Ledger
	payments map[string]facts // payment intents by id
}

// subscription adds the subscription and its entitlement, which is active while it is paid, in
// trial, or past due.
func (t *truth) subscription(o facts) {
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
	}
	slices.Sort(products)
	t.l.Subscriptions = append(t.l.Subscriptions, s)
	t.l.Entitlements = append(t.l.Entitlements, ledger.Entitlement{
		Subscription: s.ID, Status: s.Status, Products: slices.Compact(products),
		Active: slices.Contains([]string{"active", "trialing", "past_due"}, s.Status),
		Until:  cmp.Or(s.EndedAt, s.CancelAt, s.CurrentPeriodEnd),
	})
	t.message("welcome", s.ID, 0, 0, s.Currency, s.Created)
}

// invoice adds an invoice that was paid or whose payment failed, and the fact that it was paid.
func (t *truth) invoice(o facts) {
	paid, attempts := o.text("status") == "paid", o.whole("attempt_count")
	if !paid && attempts == 0 {
		return
	}
	i := ledger.Invoice{
		ID: o.text("id"), Number: o.text("number"), Status: o.text("status"), Currency: o.text("currency"),
		Total: o.whole("total"), AmountDue: o.whole("amount_due"), AmountPaid: o.whole("amount_paid"), AmountRemaining: o.whole("amount_remaining"),
		Subscription: o.text("subscription"), PaymentIntent: o.text("payment_intent"),
		AttemptCount: attempts, NextPaymentAttempt: o.whole("next_payment_attempt"), Created: o.whole("created"),
	}
	t.l.Invoices = append(t.l.Invoices, i)
	if !paid {
		t.message("payment_failed", i.ID, attempts, i.AmountDue, i.Currency, 0)
		return
	}
	at := o.object("status_transitions").whole("paid_at")
	t.l.Payments = append(t.l.Payments, ledger.Payment{
		Kind: "invoice_paid", ObjectID: i.ID, Fact: "paid", Amount: i.AmountPaid, Currency: i.Currency, Occurred: at,
		PaymentIntent: i.PaymentIntent, Charge: o.text("charge"),
	})
	if i.AmountPaid > 0 {
		t.message("receipt", i.ID, 0, i.AmountPaid, i.Currency, at)
	}
}

func (t *truth) checkout(o facts) {
	if o.text("status") != "complete" {
		return
	}
	t.l.Checkouts = append(t.l.Checkouts, ledger.Checkout{
		ID: o.text("id"), Status: o.text("status"), PaymentStatus: o.text("payment_status"), Mode: o.text("mode"),
		Amount: o.whole("amount_total"), Currency: o.text("currency"), Subscription: o.text("subscription"),
		PaymentIntent: o.text("payment_intent"), Invoice: o.text("invoice"), Created: o.whole("created"),
	})
}

func (t *truth) dispute(o facts) {
	d := ledger.Dispute{
		ID: o.text("id"), Status: o.text("status"), Reason: o.text("reason"), Amount: o.whole("amount"), Currency: o.text("currency"),
		Charge: o.text("charge"), PaymentIntent: o.text("payment_intent"),
		EvidenceDueBy: o.object("evidence_details").whole("due_by"), Created: o.whole("created"),
	}
	t.l.Disputes = append(t.l.Disputes, d)
	t.message("dispute_opened", d.ID, 0, d.Amount, d.Currency, d.Created)
	t.l.Outbox[len(t.l.Outbox)-1].EvidenceDueBy = d.EvidenceDueBy
}

// charge adds an attempt to pay: a payment, or a failure of one. The messages about a payment
// of an invoice are the invoice's.
func (t *truth) charge(o facts) {
	pi := t.payments[o.text("payment_intent")]
	p := ledger.Payment{
		ObjectID: pi.text("id"), Currency: o.text("currency"), Occurred: o.whole("created"), Invoice: pi.text("invoice"), Charge: o.text("id"),
	}
	standalone := pi.text("invoice") == ""
	if o.text("status") == "succeeded" {
		p.Kind, p.Fact, p.Amount = "payment", "succeeded", pi.whole("amount_received")
		if standalone {
			t.message("receipt", p.ObjectID, 0, p.Amount, p.Currency, p.Occurred)
		}
	} else {
		p.Kind, p.Fact, p.Amount = "payment_failure", "failed#"+o.text("id"), pi.whole("amount")
		if standalone {
			t.message("payment_failed", p.ObjectID, 0, p.Amount, p.Currency, p.Occurred)
		}
	}
	t.l.Payments = append(t.l.Payments, p)
}

func (t *truth) message(name, object string, attempt, amount int64, currency string, at int64) {
	m := ledger.Message{Name: name, ObjectID: object, Attempt: attempt, Amount: amount, Currency: currency}
	if at != 0 {
		m.At = time.Unix(at, 0).UTC().Format(time.RFC3339)
	}
	t.l.Outbox = append(t.l.Outbox, m)
}

// Settled returns the part of a ledger that does not depend on the order of deliveries, nor on
// which of two events for one change was first. Compare the Settled of a ledger with the
// Settled of its Truth. It leaves out the ids of events, the times of messages, and the message
// about a failed attempt to pay an invoice that had another attempt since, as a late event of
// that failure finds the later attempt.
func Settled(l ledger.Ledger) ledger.Ledger {
	l.Payments = slices.Clone(l.Payments)
	for i := range l.Payments {
		l.Payments[i].Event = ""
	}
	unpaid := map[string]int64{} // attempts of the unpaid invoices
	for _, i := range l.Invoices {
		if i.Status != "paid" {
			unpaid[i.ID] = i.AttemptCount
		}
	}
	messages := []ledger.Message{}
	for _, m := range l.Outbox {
		if m.Attempt > 0 && unpaid[m.ObjectID] != m.Attempt {
			continue
		}
		m.Key, m.Event, m.To, m.At, m.SentAt, m.Held = "", "", "", "", 0, false
		messages = append(messages, m)
	}
	slices.SortFunc(messages, func(a, b ledger.Message) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ObjectID, b.ObjectID), cmp.Compare(a.Attempt, b.Attempt), cmp.Compare(a.Amount, b.Amount))
	})
	l.Outbox = messages
	return l
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
