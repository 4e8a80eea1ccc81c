package scenes

import "maps"

// pauseAndResume pauses the collection of payments, or a trial without a payment method.
func pauseAndResume(w *account) {
	if w.chance(50) {
		w.unpaidTrial()
		return
	}
	sub := w.subscribe(0)
	w.pass(w.between(minute, day))
	w.byCaller()
	w.pauseCollection(sub, w.pick("keep_as_draft", "mark_uncollectible", "void"))
	if w.chance(40) {
		w.pass(w.between(0, hour))
		w.byCaller()
		w.pauseCollection(sub, w.pick("keep_as_draft", "mark_uncollectible", "void"))
	}
	w.end()
	w.now = sub["current_period_end"].(int64)
	inv := w.uncollected(sub)
	if w.chance(25) {
		return // still paused
	}
	w.pass(w.between(minute, 2*day))
	w.byCaller()
	w.update("customer.subscription.updated", sub, obj{"pause_collection": nil})
	if inv["status"] == "draft" {
		w.pass(w.between(0, minute))
		w.payInvoice(inv, w.finalize(inv, sub))
	}
	w.end()
	w.now = sub["current_period_end"].(int64)
	inv, pi := w.renew(sub, nil)
	w.collect(sub, inv, pi, int(w.between(0, 1)))
}

// pauseCollection pauses with a behaviour, for a time or with an open end.
func (w *account) pauseCollection(sub obj, behavior string) {
	pause := obj{"behavior": behavior, "resumes_at": nil}
	if w.chance(50) {
		pause["resumes_at"] = w.now + w.between(10, 20)*day
	}
	w.update("customer.subscription.updated", sub, obj{"pause_collection": pause})
}

// uncollected is the invoice of a renewal while collection is paused.
func (w *account) uncollected(sub obj) (inv obj) {
	start := sub["current_period_end"].(int64)
	w.update("customer.subscription.updated", sub, obj{"current_period_start": start, "current_period_end": start + week})
	inv = w.draftInvoice(sub, total(sub), "subscription_cycle")
	w.change(inv, obj{"auto_advance": false})
	w.pass(hour)
	switch sub["pause_collection"].(obj)["behavior"] {
	case "void":
		w.cancelPayment(w.finalize(inv, sub))
		w.pass(0)
		w.void(inv)
	case "mark_uncollectible":
		w.finalize(inv, sub)
		w.pass(0)
		w.writeOff(inv)
	}
	return inv
}

// unpaidTrial is a trial whose subscription is paused at its end, as there is no payment method;
// then the customer gives one, leaves, or does nothing.
func (w *account) unpaidTrial() {
	sub := w.subscribe(week)
	w.update("customer.subscription.updated", sub, obj{
		"default_payment_method": nil, "trial_settings": obj{"end_behavior": obj{"missing_payment_method": "pause"}},
	})
	w.pass(4 * day)
	w.emit("customer.subscription.trial_will_end", sub)
	if w.chance(20) {
		return // the trial goes on
	}
	w.end()
	w.now = sub["trial_end"].(int64)
	previous := w.change(sub, obj{"status": "paused"})
	w.emit("customer.subscription.paused", sub)
	w.emitUpdate("customer.subscription.updated", sub, previous)
	w.pass(w.between(minute, 3*day))
	w.byCaller()
	switch {
	case w.chance(20):
		w.cancelNow(sub)
	case w.chance(80):
		previous = w.change(sub, obj{
			"status": "active", "default_payment_method": w.id("pm_1"), "current_period_start": w.now, "current_period_end": w.now + week,
		})
		w.emitUpdate("customer.subscription.updated", sub, previous)
		w.emit("customer.subscription.resumed", sub)
		inv := w.draftInvoice(sub, total(sub), "subscription_update")
		w.payInvoice(inv, w.finalize(inv, sub))
	}
}

// voidAndUncollectible has renewals whose invoices end in each way but a plain payment, or a
// subscription whose first one is never paid.
func voidAndUncollectible(w *account) {
	if w.chance(20) {
		w.neverPaid()
		return
	}
	sub := w.subscribe(0)
	for range w.between(1, 2) {
		w.end()
		w.now = sub["current_period_end"].(int64)
		inv, pi := w.renew(sub, nil)
		if w.chance(40) {
			w.needAction(inv, pi)
			w.pass(w.between(minute, day))
		}
		for range w.between(0, 2) {
			w.failInvoice(inv, pi)
			w.pass(w.between(hour, day))
		}
		w.setStatus(sub, "past_due")
		w.pass(w.between(0, hour))
		w.byCaller()
		w.close(inv, pi)
		if w.chance(80) {
			w.setStatus(sub, "active")
		}
		w.pass(minute)
	}
}

// neverPaid is a subscription that expires as its first payment fails.
func (w *account) neverPaid() {
	sub := w.newSubscription(0)
	w.emit("customer.subscription.created", sub)
	inv := w.draftInvoice(sub, total(sub), "subscription_create")
	pi := w.finalize(inv, sub)
	for range w.between(0, 2) {
		w.pass(w.between(0, minute))
		w.failInvoice(inv, pi)
	}
	w.pass(23 * hour)
	w.cancelPayment(pi)
	w.void(inv)
	w.update("customer.subscription.updated", sub, obj{"status": "incomplete_expired", "canceled_at": w.now, "ended_at": w.now})
}

// close ends an invoice that could not be collected.
func (w *account) close(inv, pi obj) {
	if w.chance(40) {
		w.cancelPayment(pi)
		w.void(inv)
		return
	}
	if w.chance(70) {
		w.writeOff(inv)
		w.pass(w.between(minute, day))
		w.byCaller()
	}
	switch {
	case w.chance(40):
		w.payInvoice(inv, pi)
	case w.chance(50):
		w.cancelPayment(pi)
		w.payOutOfBand(inv)
	case w.chance(30):
		w.cancelPayment(pi)
		w.void(inv)
	}
}

// needAction is a payment that waits for its customer's authentication.
func (w *account) needAction(inv, pi obj) {
	w.change(pi, obj{
		"status": "requires_action", "payment_method": w.id("pm_1"), "next_action": obj{"type": "use_stripe_sdk", "use_stripe_sdk": obj{}},
	})
	w.emit("payment_intent.requires_action", pi)
	w.change(inv, obj{"attempted": true})
	w.emit("invoice.payment_action_required", inv)
}

func (w *account) cancelPayment(pi obj) {
	w.change(pi, obj{"status": "canceled", "canceled_at": w.now, "cancellation_reason": "void_invoice", "next_action": nil})
	w.emit("payment_intent.canceled", pi)
}

// transition is an invoice's status change at its time.
func (w *account) transition(inv obj, status, at string) obj {
	times := maps.Clone(inv["status_transitions"].(obj))
	times[at] = w.now
	return obj{"status": status, "status_transitions": times, "next_payment_attempt": nil}
}

func (w *account) void(inv obj) {
	previous := w.change(inv, w.transition(inv, "void", "voided_at"))
	w.emit("invoice.voided", inv)
	w.emitUpdate("invoice.updated", inv, previous)
}

// writeOff marks an invoice as uncollectible: it may still be paid.
func (w *account) writeOff(inv obj) {
	previous := w.change(inv, w.transition(inv, "uncollectible", "marked_uncollectible_at"))
	w.emit("invoice.marked_uncollectible", inv)
	w.emitUpdate("invoice.updated", inv, previous)
}

// payOutOfBand pays an invoice with money that Stripe never had.
func (w *account) payOutOfBand(inv obj) {
	to := w.transition(inv, "paid", "paid_at")
	maps.Copy(to, obj{"paid": true, "paid_out_of_band": true, "amount_paid": inv["total"], "amount_remaining": int64(0)})
	previous := w.change(inv, to)
	w.emit("invoice.paid", inv)
	w.emitUpdate("invoice.updated", inv, previous)
}

// reopenedInvoice detaches the payment of a paid invoice, which is then open again and mostly paid
// by another.
func reopenedInvoice(w *account) {
	sub := w.subscribe(0)
	w.end()
	w.now = sub["current_period_end"].(int64)
	inv, pi := w.renew(sub, nil)
	w.collect(sub, inv, pi, int(w.between(0, 1)))
	for range w.between(1, 2) {
		w.pass(w.between(minute, day))
		w.byCaller()
		w.reopen(inv)
		w.pass(w.between(0, day))
		w.byCaller()
		switch {
		case w.chance(20):
			w.payOutOfBand(inv)
			return
		case w.chance(20):
			w.void(inv)
			return
		case w.chance(25): // it stays open
			return
		}
		pi := w.newPaymentIntent(inv["total"].(int64), inv["id"])
		w.change(inv, obj{"payment_intent": pi["id"]})
		w.payInvoice(inv, pi)
	}
}

func (w *account) reopen(inv obj) {
	payment := obj{
		"id": w.id("inpay_1"), "object": "invoice_payment", "amount_paid": inv["amount_paid"], "amount_requested": inv["total"], "created": w.now,
		"currency": w.currency, "invoice": inv["id"], "is_default": true, "livemode": w.o.Livemode, "metadata": obj{},
		"payment": obj{"payment_intent": inv["payment_intent"], "type": "payment_intent"}, "status": "canceled",
	}
	times := maps.Clone(inv["status_transitions"].(obj))
	times["paid_at"] = nil
	previous := w.change(inv, obj{
		"status": "open", "paid": false, "amount_paid": int64(0), "amount_remaining": inv["total"], "payment_intent": nil, "charge": nil, "status_transitions": times,
	})
	w.emit("invoice_payment.detached", payment)
	w.emitUpdate("invoice.updated", inv, previous)
}

// organisation is one account's part: a subscription, a refunded purchase, and perhaps the
// customer's deletion, which the other account's customer of that id survives.
func organisation(w *account) {
	sub := w.subscribe(0)
	w.pass(w.between(minute, day))
	_, charge := w.purchase()
	w.pass(w.between(minute, day))
	w.giveBack(charge, w.between(1, charge["amount"].(int64)), "succeeded")
	w.end()
	w.now = sub["current_period_end"].(int64)
	inv, pi := w.renew(sub, nil)
	w.collect(sub, inv, pi, int(w.between(0, 1)))
	if w.chance(40) {
		w.pass(w.between(minute, day))
		w.byCaller()
		w.cancelNow(sub)
		w.deleteCustomer()
	}
}

func (w *account) cancelNow(sub obj) {
	w.change(sub, obj{"status": "canceled", "canceled_at": w.now, "ended_at": w.now, "cancel_at": nil, "cancel_at_period_end": false})
	w.emit("customer.subscription.deleted", sub)
}

// deleteCustomer deletes the customer; Stripe shows a deleted one by its id alone.
func (w *account) deleteCustomer() {
	w.emit("customer.deleted", w.person)
	w.set(obj{"id": w.customer, "object": "customer", "deleted": true})
}
