package scenes

// asyncCheckout pays by a delayed method, as a guest and as a customer. A checkout that expires or
// fails is tried again.
func asyncCheckout(w *account) {
	w.reference = "order-" + w.random(8)
	for _, w.guest = range []bool{true, false} {
		for tries := 0; tries < 3 && !w.delayedPurchase(); tries++ {
			w.pass(w.between(minute, hour))
		}
		w.pass(w.between(minute, day))
	}
}

// delayedPurchase reports whether the payment succeeded, at once or later.
func (w *account) delayedPurchase() bool {
	amount := w.between(500, 50_000)
	w.byCaller()
	s := w.openCheckout("payment", amount)
	if w.chance(20) {
		w.pass(day)
		w.change(s, obj{"status": "expired", "url": nil})
		w.emit("checkout.session.expired", s)
		return false
	}
	w.pass(w.between(20, 300))
	w.byCaller()
	pi := w.newPaymentIntent(amount, nil)
	w.change(pi, obj{"payment_method_types": list{"card", "sepa_debit"}})
	if w.chance(30) {
		w.succeed(pi)
		w.completeCheckout(s, "paid", obj{"payment_intent": pi["id"]})
		return true
	}
	w.change(pi, obj{"status": "processing", "payment_method": w.id("pm_1")})
	w.emit("payment_intent.processing", pi)
	w.completeCheckout(s, "unpaid", obj{"payment_intent": pi["id"]})
	w.pass(w.between(minute, 4*day))
	if w.chance(40) {
		w.decline(pi)
		w.emit("checkout.session.async_payment_failed", s)
		return false
	}
	w.succeed(pi)
	w.change(s, obj{"payment_status": "paid"})
	w.emit("checkout.session.async_payment_succeeded", s)
	return true
}
