package cases

import (
	"fmt"

	"tollgate/pkg/ledger"
)

// delayedMethod: a checkout completes unpaid, and a delayed method pays later, or fails.
func (b builder) delayedMethod() (all []Case) {
	for _, tt := range []struct{ status, event string }{
		{"paid", "checkout.session.async_payment_succeeded"}, {"unpaid", "checkout.session.async_payment_failed"},
	} {
		what := "later" + tt.status
		before := Object{
			"id": b.id("cs_test", what), "object": "checkout.session", "customer": b.id("cus", what), "mode": "payment", "status": "complete",
			"payment_status": "unpaid", "amount_total": b.Amount, "currency": b.Currency, "created": b.Now - day, "payment_intent": b.id("pi", what),
			"subscription": nil, "invoice": nil, "livemode": false, "client_reference_id": nil,
		}
		after := set(before, "payment_status", tt.status)
		all = append(all, Case{
			Name: "05 checkout later " + tt.status, Customer: b.id("cus", what),
			Steps: []Step{
				put(before, b.event(what+"a", "checkout.session.completed", before)),
				put(after, b.event(what+"b", tt.event, after)),
			},
			Check: func(l ledger.Ledger, _ bool) []string {
				var p problems
				c := only(&p, "checkouts", l.Checkouts)
				equal(&p, "payment_status", c.PaymentStatus, tt.status)
				equal(&p, "amount_total", c.Amount, b.Amount)
				return p
			},
		})
	}
	return all
}

// endedInvoices: an invoice's payment fails, then the invoice is voided or marked uncollectible.
func (b builder) endedInvoices() (all []Case) {
	for _, tt := range []struct{ status, event string }{{"void", "invoice.voided"}, {"uncollectible", "invoice.marked_uncollectible"}} {
		what := "end" + tt.status
		next := b.Now + 3*day
		before := set(b.openInvoice(what), "next_payment_attempt", next)
		after := set(b.openInvoice(what), "status", tt.status)
		all = append(all, Case{
			Name: "07 failed, then " + tt.status, Customer: b.id("cus", what),
			Steps: []Step{
				put(before, b.event(what+"a", "invoice.payment_failed", before)),
				put(after, b.event(what+"b", tt.event, after), b.updated(what+"c", "invoice.updated", after, Object{"status": "open"})),
			},
			Check: func(l ledger.Ledger, late bool) []string {
				var p problems
				in := only(&p, "invoices", l.Invoices)
				equal(&p, "status", in.Status, tt.status)
				equal(&p, "next attempt", in.NextPaymentAttempt, 0)
				equal(&p, "facts", len(l.Payments), 0)
				if !late {
					m := only(&p, "failures told", messages(l, "payment_failed"))
					equal(&p, "next attempt told", m.NextPaymentAttempt, next)
				}
				return p
			},
		})
	}
	return all
}

// oneReceipt: a payment that names no invoice, and the invoice that names the payment.
func (b builder) oneReceipt() (all []Case) {
	for _, swapped := range []bool{false, true} {
		what := fmt.Sprint("receipt", swapped)
		pi, in := b.payment(what), b.paidInvoice(what, b.id("pi", what), b.id("ch", what))
		steps := []Step{
			put(pi, b.event(what+"a", "payment_intent.succeeded", pi)),
			put(in, b.event(what+"b", "invoice.paid", in)),
		}
		if swapped {
			steps[0], steps[1] = steps[1], steps[0]
		}
		all = append(all, Case{
			Name: fmt.Sprint("11 one receipt, invoice first ", swapped), Customer: b.id("cus", what), Steps: steps,
			Check: func(l ledger.Ledger, _ bool) []string {
				var p problems
				equal(&p, "amount of the receipt", only(&p, "receipts", messages(l, "receipt")).Amount, b.Amount)
				only(&p, "payments", facts(l, "payment"))
				equal(&p, "the invoice's payment", only(&p, "paid invoices", facts(l, "invoice_paid")).PaymentIntent, b.id("pi", what))
				return p
			},
		})
	}
	// An invoice without a payment has a receipt of its own, which tells how it was paid.
	out := set(b.paidInvoice("cash", "", ""), "paid_out_of_band", true)
	return append(all, Case{
		Name: "11 paid out of band", Customer: b.id("cus", "cash"),
		Steps: []Step{put(out, b.event("cash", "invoice.paid", out))},
		Check: func(l ledger.Ledger, _ bool) []string {
			var p problems
			equal(&p, "out of band", only(&p, "receipts", messages(l, "receipt")).PaidOutOfBand, true)
			equal(&p, "the row's out of band", only(&p, "invoices", l.Invoices).PaidOutOfBand, true)
			return p
		},
	})
}

// onSession: a first invoice fails, and several cards are declined for one payment while the
// customer types.
func (b builder) onSession() []Case {
	in := set(b.openInvoice("typing"), "billing_reason", "subscription_create", "payment_intent", b.id("pi", "typing"), "subscription", b.id("sub", "typing"))
	first := set(b.payment("typing"), "status", "requires_payment_method", "amount_received", 0, "invoice", in["id"])
	steps := []Step{{Objects: []Object{first, in}, Events: []Object{b.event("typing", "invoice.payment_failed", in)}}}
	for i := range 3 {
		n := fmt.Sprint("card", i)
		pi := set(b.payment("other"), "customer", b.id("cus", "typing"), "status", "requires_payment_method", "amount_received", 0,
			"latest_charge", b.id("ch", n), "last_payment_error", Object{
				"type": "card_error", "code": "card_declined", "decline_code": "insufficient_funds", "charge": b.id("ch", n),
				"payment_method": Object{"id": b.id("pm", n), "object": "payment_method"},
			})
		steps = append(steps, put(pi, b.event(n, "payment_intent.payment_failed", pi)))
	}
	return []Case{{
		Name: "21 failures while the customer types", Customer: b.id("cus", "typing"), Steps: steps,
		Check: func(l ledger.Ledger, _ bool) []string {
			var p problems
			equal(&p, "failures", len(facts(l, "payment_failure")), 3)
			told := map[string][]ledger.Message{}
			for _, m := range messages(l, "payment_failed") {
				told[m.ObjectID] = append(told[m.ObjectID], m)
			}
			equal(&p, "objects with a message", len(told), 2)
			equal(&p, "decline code", only(&p, "messages about the payment", told[b.id("pi", "other")]).DeclineCode, "insufficient_funds")
			equal(&p, "billing reason", only(&p, "messages about the invoice", told[b.id("in", "typing")]).BillingReason, "subscription_create")
			return p
		},
	}}
}

// newerPayment: a payment in the shape of a version that has no invoice in it, then its invoice.
func (b builder) newerPayment() []Case {
	now := set(b.payment("newer"), "invoice", b.id("in", "newer"))
	sent := b.payment("newer")
	delete(sent, "invoice")
	in := b.paidInvoice("newer", b.id("pi", "newer"), b.id("ch", "newer"))
	return []Case{{
		Name: "28 payment of a newer version", Customer: b.id("cus", "newer"),
		Steps: []Step{
			put(now, b.event("newera", "payment_intent.succeeded", sent, "api_version", "2025-09-30.clover")),
			put(in, b.event("newerb", "invoice.paid", in)),
		},
		Check: func(l ledger.Ledger, _ bool) []string {
			var p problems
			equal(&p, "the payment's invoice", only(&p, "payments", facts(l, "payment")).Invoice, b.id("in", "newer"))
			only(&p, "receipts", messages(l, "receipt"))
			return p
		},
	}}
}

// reopened: a paid invoice's payment is detached, and the invoice is paid again by another one.
func (b builder) reopened() []Case {
	first := b.paidInvoice("again", b.id("pi", "first"), "")
	open := b.openInvoice("again")
	second := b.paidInvoice("again", b.id("pi", "second"), "")
	return []Case{{
		Name: "32 reopened and paid again", Customer: b.id("cus", "again"),
		Ends: map[string]string{b.id("evt", "againb"): "ignored"},
		Steps: []Step{
			put(first, b.event("againa", "invoice.paid", first, "created", b.Now-day)),
			put(open,
				b.event("againb", "invoice_payment.detached", Object{"id": b.id("inpay", "again"), "object": "invoice_payment", "invoice": first["id"]}),
				b.updated("againc", "invoice.updated", open, Object{"status": "paid"})),
			put(second, b.event("againd", "invoice.paid", second)),
		},
		Check: func(l ledger.Ledger, late bool) []string {
			var p problems
			in := only(&p, "invoices", l.Invoices)
			equal(&p, "status", in.Status, "paid")
			equal(&p, "the row's payment", in.PaymentIntent, b.id("pi", "second"))
			paid := map[string]int64{}
			for _, f := range facts(l, "invoice_paid") {
				paid[f.PaymentIntent] += f.Amount
			}
			equal(&p, "paid by the second payment", paid[b.id("pi", "second")], b.Amount)
			equal(&p, "paid by the first payment", paid[b.id("pi", "first")], b.Amount)
			equal(&p, "payments", len(paid), 2)
			return p
		},
	}}
}
