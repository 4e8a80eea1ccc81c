package scenes

// subscribe subscribes a customer by a checkout, with a trial of so many seconds or paid at
// once.
func (w *account) subscribe(trial int64) (sub obj) {
	w.byCaller()
	session := w.openCheckout("subscription", 0)
	w.pass(w.between(20, 300))
	w.byCaller()
	sub = w.newSubscription(trial)
	amount := total(sub)
	paid := "paid"
	if trial > 0 {
		amount, paid = 0, "no_payment_required"
	}
	w.change(session, obj{"amount_subtotal": amount, "amount_total": amount})
	w.emit("customer.subscription.created", sub)
	inv := w.draftInvoice(sub, amount, "subscription_create")
	pi := w.finalize(inv, sub)
	if pi != nil && w.chance(50) { // the bank asks the customer first
		w.pass(w.between(0, 60))
		w.byCaller()
	}
	w.payInvoice(inv, pi)
	if trial == 0 {
		w.update("customer.subscription.updated", sub, obj{"status": "active", "default_payment_method": w.id("pm_1")})
	}
	w.completeCheckout(session, paid, obj{"subscription": sub["id"], "invoice": inv["id"]})
	return sub
}

// collect collects the payment of a renewal, after a number of failures.
func (w *account) collect(sub, inv, pi obj, failures int) {
	for n := range failures {
		w.failInvoice(inv, pi)
		if n == 0 {
			w.setStatus(sub, "past_due")
		}
		w.pass(w.between(hour, day))
	}
	if failures > 0 {
		w.byCaller() // the customer gives another card
	}
	w.payInvoice(inv, pi)
	if failures > 0 {
		w.setStatus(sub, "active")
	}
}

func subscriptionLife(w *account) {
	trial := int64(0)
	if w.chance(40) {
		trial = 3 * day
	}
	sub := w.subscribe(trial)
	w.pass(w.between(minute, day))
	if trial > 0 {
		w.now = sub["trial_end"].(int64)
		inv, pi := w.renew(sub, obj{"status": "active"})
		w.collect(sub, inv, pi, 0)
		w.pass(w.between(minute, day))
	}
	w.byCaller()
	w.setItem(sub, w.prices[0], w.between(2, 20))
	w.pass(w.between(0, hour))
	w.byCaller()
	w.setItem(sub, w.prices[2], w.between(1, 5))
	w.mistake(sub)
	w.pass(w.between(0, minute))

	w.now = sub["current_period_end"].(int64)
	inv, pi := w.renew(sub, nil)
	w.collect(sub, inv, pi, int(w.between(1, 3)))
	w.pass(w.between(minute, day))

	w.byCaller()
	w.cancelLater(sub)
	w.end()
	w.now = sub["current_period_end"].(int64)
	w.change(sub, obj{"status": "canceled", "ended_at": w.now})
	w.emit("customer.subscription.deleted", sub)
}

// mistake is a draft invoice that is deleted at once: it does not exist any more when its
// events arrive.
func (w *account) mistake(sub obj) {
	w.pass(w.between(0, minute))
	w.byCaller()
	inv := w.draftInvoice(sub, w.between(100, 999), "manual")
	w.pass(w.between(0, minute))
	w.byCaller()
	w.remove(inv)
	w.emit("invoice.deleted", inv)
}

func trialToPaid(w *account) {
	sub := w.subscribe(week)
	w.pass(4 * day)
	w.emit("customer.subscription.trial_will_end", sub)
	if w.chance(50) {
		w.pass(w.between(0, hour))
		w.byCaller()
		w.setItem(sub, w.prices[0], w.between(2, 9))
	}
	w.end()
	w.now = sub["trial_end"].(int64)
	inv, pi := w.renew(sub, obj{"status": "active"})
	w.collect(sub, inv, pi, int(w.between(0, 2)))
}

// edit is one of several quick changes. Quantities only rise, so that no two states of the
// subscription are equal, except those before a cancellation and after its reversal.
func (w *account) edit(sub obj) {
	w.byCaller()
	price, quantity := firstItem(sub)
	switch {
	case w.chance(15) && sub["cancel_at_period_end"] == false:
		w.cancelLater(sub)
		if w.chance(60) { // and reverts it at once: the state is the same as before
			w.end()
			w.byCaller()
			w.comeBack(sub)
		}
	case w.chance(40) && sub["cancel_at_period_end"] == true:
		w.comeBack(sub)
	case w.chance(20):
		w.setItem(sub, w.prices[w.rng.IntN(len(w.prices))], quantity+1)
	default:
		w.setItem(sub, price, quantity+w.between(1, 3))
	}
	w.end()
}

func outOfOrder(w *account) {
	sub := w.subscribe(0)
	w.pass(w.between(minute, hour))
	for range w.between(2, 3) {
		for range w.between(3, 6) { // all within this second
			w.edit(sub)
		}
		w.pass(w.between(1, 3))
	}
	if w.chance(50) {
		w.byCaller()
		w.cancelNow(sub)
	}
}

func storm(w *account) {
	sub := w.subscribe(0)
	w.pass(w.between(minute, hour))
	for range w.between(24, 32) {
		w.edit(sub)
		if w.chance(12) {
			w.pass(1)
		}
	}
}

// manyItems ends with more items than Stripe shows with a subscription.
func manyItems(w *account) {
	sub := w.subscribe(0)
	w.pass(w.between(minute, hour))
	for range w.between(3, 6) {
		w.byCaller()
		w.resize(sub, w.between(1, 20))
		w.pass(w.between(0, 2))
	}
	w.byCaller()
	w.resize(sub, w.between(11, 20))
	if w.chance(25) {
		w.pass(w.between(0, 2))
		w.byCaller()
		w.cancelNow(sub)
	}
}
