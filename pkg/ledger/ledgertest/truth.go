// Package ledgertest computes the ledger that a customer must have from what Stripe keeps: the
// customer's objects as they are now and the events of their changes. It knows the rules from what
// Stripe's objects mean and shares no code with the handlers, so tests compare the two.
package ledgertest

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"

	"tollgate/pkg/ledger"
)

// Kept is what Stripe has of one account.
type Kept struct {
	Objects []json.RawMessage // as they are now
	Events  []json.RawMessage // in order of creation: states that an object had in between
}

// Truth is the ledger that one customer must have once every event was handled.
type Truth struct {
	ledger.Ledger           // without an outbox
	messages      []message // by object and name
}

// message may have one of several contents, as a handler sees an object in one of several
// states. Unless it must be there, a state that requests it may have passed unseen.
type message struct {
	must bool
	one  []ledger.Message
}

// Of returns the truth of a customer. account is "" for the platform's own. It panics on anything
// but JSON objects with an id.
func Of(k Kept, account, customer string) Truth {
	return compute(k, account, customer, func(o facts) bool {
		return o.text("customer") == customer || o.text("id") == customer
	})
}

// OfGuest returns the truth of the checkouts of a guest, found by their client_reference_id. No
// message goes to a guest.
func OfGuest(k Kept, account, reference string) Truth {
	payments := map[string]bool{}
	for _, raw := range k.Objects {
		if o := read(raw); o.text("client_reference_id") == reference && o.text("customer") == "" {
			payments[o.text("payment_intent")] = true
		}
	}
	t := compute(k, account, "", func(o facts) bool {
		id := o.text("payment_intent")
		if o.text("object") == "payment_intent" {
			id = o.text("id")
		}
		return o.text("customer") == "" && (o.text("client_reference_id") == reference || id != "" && payments[id])
	})
	t.messages = slices.DeleteFunc(t.messages, func(m message) bool {
		return m.one[0].Name != "dispute_opened" && m.one[0].Name != "early_fraud_warning"
	})
	return t
}

// Row returns the ledger with the rows of an object in one state, whether or not they are kept.
func Row(state json.RawMessage) ledger.Ledger {
	t := Truth{}
	t.row(read(state))
	return t.Ledger
}

// computation is a truth in the making.
type computation struct {
	Truth
	now     map[string]facts   // objects by id
	history map[string][]event // of an object, in order
}

type event struct {
	typ    string
	object facts // as the event shows it
}

func compute(k Kept, account, customer string, owns func(facts) bool) Truth {
	c := computation{now: map[string]facts{}, history: map[string][]event{}}
	c.Account, c.Customer = account, customer
	for _, raw := range k.Objects {
		o := read(raw)
		c.now[o.text("id")] = o
	}
	for _, raw := range k.Events {
		e := read(raw)
		o := e.object("data").object("object")
		c.history[o.text("id")] = append(c.history[o.text("id")], event{e.text("type"), o})
	}
	for _, id := range slices.Sorted(maps.Keys(c.now)) {
		o := c.now[id]
		if of := c.now[o.text("charge")]; o.text("customer") == "" && slices.Contains([]string{"refund", "dispute", "radar.early_fraud_warning"}, o.text("object")) {
			if !owns(of) {
				continue
			}
		} else if !owns(o) {
			continue
		}
		if o.text("customer") != "" || o.text("object") == "checkout.session" {
			c.Mode = map[bool]string{true: "live", false: "test"}[o.yes("livemode")]
		}
		c.add(o)
	}
	c.Outbox = nil
	c.Sort()
	return c.Truth
}

// states returns every state that an object had, the current one last.
func (c *computation) states(o facts) (out []facts) {
	for _, e := range c.history[o.text("id")] {
		out = append(out, e.object)
	}
	return append(out, o)
}

// add adds an object's rows, facts and messages.
func (c *computation) add(o facts) {
	switch o.text("object") {
	case "customer":
		c.Deleted = o.yes("deleted")
	case "subscription":
		c.row(o)
		c.subscription(o)
	case "invoice":
		c.invoice(o)
	case "checkout.session":
		if s := o.text("status"); s == "complete" || s == "expired" {
			c.row(o)
		}
	case "dispute":
		c.row(o)
		c.dispute(o)
	case "refund":
		c.row(o)
		c.refund(o)
	case "radar.early_fraud_warning":
		c.row(o)
		c.warning(o)
	case "charge":
		c.charge(o)
	case "payment_intent":
		c.payment(o)
	}
}

// subscription welcomes the customer once it was active or in trial, and announces the end of a
// trial that is not over yet.
func (c *computation) subscription(o facts) {
	began := func(s facts) bool { return s.text("status") == "active" || s.text("status") == "trialing" }
	m := ledger.Message{Name: "welcome", ObjectID: o.text("id"), Currency: o.text("currency")}
	if slices.ContainsFunc(c.states(o), began) {
		c.tell(began(o), m)
	}
	for _, e := range c.history[o.text("id")] {
		if m.Name = "trial_will_end"; e.typ == "customer.subscription.trial_will_end" {
			c.tell(o.text("status") == "trialing" && o.whole("trial_end") == e.object.whole("trial_end"), m)
		}
	}
}

// invoice has a fact and, if money came, a receipt for each payment that ever paid it, and a message
// for each attempt to pay that failed or needs the customer.
func (c *computation) invoice(o facts) {
	kept := false
	for _, s := range c.states(o) {
		kept = kept || slices.Contains([]string{"paid", "void", "uncollectible"}, s.text("status")) || s.whole("attempt_count") > 0
	}
	for _, e := range c.history[o.text("id")] {
		attempt := e.object.whole("attempt_count")
		due := slices.Contains([]string{"open", "uncollectible"}, o.text("status")) && o.whole("attempt_count") == attempt
		switch e.typ {
		case "invoice.paid":
			c.paid(o, e.object)
		case "invoice.payment_failed":
			c.tell(due, c.failures(o, attempt)...)
		case "invoice.payment_action_required":
			kept = true
			m := invoiceMessage("payment_action_required", o)
			c.tell(due && o.text("status") == "open", m)
		}
	}
	if kept {
		c.row(o)
	}
}

// paid adds the fact that an invoice was paid, as it was when it was paid.
func (c *computation) paid(now, then facts) {
	p, r := paidFact(then), invoiceMessage("receipt", then)
	if slices.Contains(c.Payments, p) {
		return
	}
	c.Payments = append(c.Payments, p)
	r.ObjectID, r.Amount, r.BillingReason = cmp.Or(p.PaymentIntent, p.ObjectID), p.Amount, ""
	r.PaidOutOfBand = then.yes("paid_out_of_band")
	if p.Amount > 0 {
		c.tell(now.text("status") == "paid" && paidFact(now).Fact == p.Fact, r)
	}
}

func paidFact(o facts) ledger.Payment {
	p := ledger.Payment{
		Kind: "invoice_paid", ObjectID: o.text("id"), Amount: o.whole("amount_paid"), Currency: o.text("currency"),
		PaymentIntent: o.text("payment_intent"), Charge: o.text("charge"), Occurred: o.object("status_transitions").whole("paid_at"),
	}
	switch {
	case o.yes("paid_out_of_band"): // what was tried to pay it did not, and Stripe may show nothing as paid
		p.Amount = cmp.Or(p.Amount, o.whole("amount_due"))
		p.Fact, p.PaymentIntent, p.Charge = "paid#out_of_band", "", ""
	case p.PaymentIntent != "":
		p.Fact = "paid#" + p.PaymentIntent
	case p.Charge != "":
		p.Fact = "paid#charge:" + p.Charge
	default:
		p.Fact = "paid#none"
	}
	return p
}

func invoiceMessage(name string, o facts) ledger.Message {
	return ledger.Message{
		Name: name, ObjectID: o.text("id"), Amount: o.whole("amount_due"), Currency: o.text("currency"), BillingReason: o.text("billing_reason"),
	}
}

// failures are the contents that the message about an invoice's failed attempt may have: the
// invoice may be uncollectible, or its payment declined again, when it was written.
func (c *computation) failures(o facts, attempt int64) (one []ledger.Message) {
	for _, s := range c.states(o) {
		if s.whole("attempt_count") != attempt || s.text("status") != "open" && s.text("status") != "uncollectible" {
			continue
		}
		for _, code := range c.declines(c.now[cmp.Or(s.text("payment_intent"), o.text("payment_intent"))]) {
			m := invoiceMessage("payment_failed", s)
			m.Attempt, m.NextPaymentAttempt, m.DeclineCode = attempt, s.whole("next_payment_attempt"), code
			one = append(one, m)
		}
	}
	return one
}

// declines are the reasons for which attempts of a payment failed.
func (c *computation) declines(pi facts) (codes []string) {
	for _, s := range c.states(pi) {
		if e := s.object("last_payment_error"); e != nil {
			codes = append(codes, e.text("decline_code"))
		}
	}
	return codes
}

// dispute has a fact for each movement of its funds. While evidence can be given, there is a
// message: for an inquiry, and again for a chargeback.
func (c *computation) dispute(o facts) {
	for _, b := range o.objects("balance_transactions") {
		p := ledger.Payment{
			Kind: "dispute_funds_reinstated", ObjectID: o.text("id"), Fact: b.text("id"), Amount: b.whole("amount"), Currency: b.text("currency"),
			PaymentIntent: o.text("payment_intent"), Charge: o.text("charge"), Fee: b.whole("fee"), Occurred: b.whole("created"),
		}
		if p.Amount < 0 {
			p.Kind, p.Amount = "dispute_funds_withdrawn", -p.Amount
		}
		c.Payments = append(c.Payments, p)
	}
	for _, status := range []string{"warning_needs_response", "needs_response"} {
		var one []ledger.Message
		for _, s := range c.states(o) {
			if s.text("status") == status {
				one = append(one, ledger.Message{
					Name: "dispute_opened", ObjectID: s.text("id"), Amount: s.whole("amount"), Currency: s.text("currency"), Status: status,
					Reason: s.text("reason"), EvidenceDueBy: s.object("evidence_details").whole("due_by"), Inquiry: status != "needs_response",
				})
			}
		}
		c.tell(o.text("status") == status, one...)
	}
}

// refund has a fact, and one that reverses it if it failed or was canceled.
func (c *computation) refund(o facts) {
	p := ledger.Payment{
		Kind: "refund", ObjectID: o.text("id"), Fact: "refunded", Amount: o.whole("amount"), Currency: o.text("currency"),
		PaymentIntent: o.text("payment_intent"), Charge: o.text("charge"), Invoice: c.now[o.text("charge")].text("invoice"), Occurred: o.whole("created"),
	}
	c.Payments = append(c.Payments, p)
	if s := o.text("status"); s == "failed" || s == "canceled" {
		p.Kind, p.Fact = "refund_failed", "failed"
		p.Occurred = cmp.Or(c.now[o.text("failure_balance_transaction")].whole("created"), p.Occurred)
		c.Payments = append(c.Payments, p)
	}
}

func (c *computation) warning(o facts) {
	charge := c.now[o.text("charge")]
	for _, s := range c.states(o) {
		if s.yes("actionable") {
			c.tell(o.yes("actionable"), ledger.Message{
				Name: "early_fraud_warning", ObjectID: o.text("id"), Amount: charge.whole("amount"), Currency: charge.text("currency"),
			})
			return
		}
	}
}

// charge is an attempt to pay: a payment, or a failure of one. One that was ever refunded has a row.
func (c *computation) charge(o facts) {
	pi := c.now[o.text("payment_intent")]
	p := ledger.Payment{
		ObjectID: pi.text("id"), Currency: o.text("currency"), Occurred: o.whole("created"), Invoice: pi.text("invoice"), Charge: o.text("id"),
	}
	p.Kind, p.Fact, p.Amount = "payment_failure", "failed#"+o.text("id"), pi.whole("amount")
	if o.text("status") == "succeeded" {
		p.Kind, p.Fact, p.Amount = "payment", "succeeded", pi.whole("amount_received")
	}
	c.Payments = append(c.Payments, p)
	if slices.ContainsFunc(c.history[o.text("id")], func(e event) bool { return e.typ == "charge.refunded" }) {
		c.row(o)
	}
}

// payment has a receipt, or one message that it failed, unless an invoice tells of it.
func (c *computation) payment(o facts) {
	m := ledger.Message{ObjectID: o.text("id"), Amount: o.whole("amount"), Currency: o.text("currency")}
	if o.text("invoice") != "" {
		return
	}
	var one []ledger.Message
	for _, code := range c.declines(o) {
		m.Name, m.DeclineCode = "payment_failed", code
		one = append(one, m)
	}
	done := o.text("status") == "succeeded"
	c.tell(!done && o.text("status") != "canceled", one...)
	if done {
		c.tell(true, ledger.Message{Name: "receipt", ObjectID: m.ObjectID, Amount: o.whole("amount_received"), Currency: m.Currency})
	}
}

// tell adds a message. A second one about the same adds contents to the first.
func (c *computation) tell(must bool, one ...ledger.Message) {
	if len(one) == 0 {
		return
	}
	i := slices.IndexFunc(c.messages, func(m message) bool { return sameSubject(m.one[0], one[0]) })
	if i < 0 {
		c.messages = append(c.messages, message{must, one})
		return
	}
	c.messages[i].must = c.messages[i].must || must
	c.messages[i].one = append(c.messages[i].one, one...)
}

func sameSubject(a, b ledger.Message) bool {
	return a.Name == b.Name && a.ObjectID == b.ObjectID && a.Attempt == b.Attempt && a.Inquiry == b.Inquiry
}
