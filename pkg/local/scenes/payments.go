package scenes

import "maps"

func (w *account) newCustomer() obj {
	name := w.pick("Ada Brandt", "Jonas Weber", "Mei Tanaka", "Søren Lind", "Zoë Álvarez")
	return obj{
		"id": w.customer, "object": "customer", "address": nil, "balance": 0, "created": w.now, "currency": nil,
		"default_source": nil, "delinquent": false, "description": nil, "discount": nil,
		"email": "customer-" + w.random(6) + "@example.com", "invoice_prefix": w.random(8),
		"invoice_settings": obj{"custom_fields": nil, "default_payment_method": nil, "footer": nil, "rendering_options": nil},
		"livemode":         w.o.Livemode, "metadata": obj{}, "name": name, "next_invoice_sequence": 1, "phone": nil,
		"preferred_locales": list{}, "shipping": nil, "tax_exempt": "none", "test_clock": nil,
	}
}

// payer is the customer who pays, nil for a guest.
func (w *account) payer() any {
	if w.guest {
		return nil
	}
	return w.customer
}

// openCheckout opens a checkout, for which Stripe sends no event.
func (w *account) openCheckout(mode string, amount int64) obj {
	prefix := "cs_test_a1"
	if w.o.Livemode {
		prefix = "cs_live_a1"
	}
	reference := any(nil)
	if w.guest {
		reference = w.reference
	}
	s := obj{
		"id": prefix + w.random(56), "object": "checkout.session", "amount_subtotal": amount, "amount_total": amount,
		"cancel_url": "https://shop.example.com/cart", "client_reference_id": reference, "created": w.now, "currency": w.currency,
		"customer": w.payer(), "customer_details": nil, "customer_email": nil, "expires_at": w.now + day, "invoice": nil,
		"livemode": w.o.Livemode, "metadata": obj{"order": "A-" + w.random(4)}, "mode": mode, "payment_intent": nil,
		"payment_method_types": list{"card"}, "payment_status": "unpaid", "setup_intent": nil, "status": "open",
		"subscription": nil, "success_url": "https://shop.example.com/thanks", "ui_mode": "hosted",
		"url": "https://checkout.stripe.com/c/pay/" + w.random(24),
	}
	w.set(s)
	return s
}

// completeCheckout completes a checkout with its outcome.
func (w *account) completeCheckout(s obj, paid string, with obj) {
	to := obj{"status": "complete", "payment_status": paid, "url": nil}
	maps.Copy(to, with)
	w.change(s, to)
	w.emit("checkout.session.completed", s)
}

// newPaymentIntent makes a payment intent without a payment method; invoice is nil for none.
func (w *account) newPaymentIntent(amount int64, invoice any) obj {
	id := w.id("pi_3")
	pi := obj{
		"id": id, "object": "payment_intent", "amount": amount, "amount_capturable": 0, "amount_received": 0,
		"application": nil, "canceled_at": nil, "cancellation_reason": nil, "capture_method": "automatic",
		"client_secret": id + "_secret_" + w.random(25), "confirmation_method": "automatic", "created": w.now,
		"currency": w.currency, "customer": w.payer(), "description": nil, "invoice": invoice,
		"last_payment_error": nil, "latest_charge": nil, "livemode": w.o.Livemode, "metadata": obj{}, "next_action": nil,
		"on_behalf_of": nil, "payment_method": nil, "payment_method_options": obj{}, "payment_method_types": list{"card"},
		"processing": nil, "receipt_email": nil, "review": nil, "setup_future_usage": nil, "shipping": nil,
		"statement_descriptor": nil, "status": "requires_payment_method", "transfer_data": nil, "transfer_group": nil,
	}
	w.set(pi)
	w.emit("payment_intent.created", pi)
	return pi
}

func (w *account) newCharge(pi obj, status string) obj {
	amount, captured, code, message := pi["amount"], true, any(nil), any(nil)
	if status == "failed" {
		captured, code, message = false, "card_declined", "Your card has insufficient funds."
	}
	c := obj{
		"id": w.id("ch_3"), "object": "charge", "amount": amount, "amount_captured": 0, "amount_refunded": int64(0),
		"balance_transaction": nil, "captured": captured, "created": w.now, "currency": w.currency, "customer": pi["customer"],
		"description": nil, "disputed": false, "failure_code": code, "failure_message": message, "invoice": pi["invoice"],
		"livemode": w.o.Livemode, "metadata": obj{}, "paid": captured, "payment_intent": pi["id"],
		"payment_method": w.id("pm_1"), "receipt_email": nil, "refunded": false, "status": status,
	}
	if captured {
		c["amount_captured"], c["balance_transaction"] = amount, w.id("txn_3")
	}
	w.set(c)
	return c
}

// succeed pays a payment intent.
func (w *account) succeed(pi obj) (charge obj) {
	charge = w.newCharge(pi, "succeeded")
	w.change(pi, obj{
		"status": "succeeded", "amount_received": pi["amount"], "last_payment_error": nil,
		"latest_charge": charge["id"], "payment_method": charge["payment_method"], "next_action": nil,
	})
	w.emit("charge.succeeded", charge)
	w.emit("payment_intent.succeeded", pi)
	return charge
}

// decline is a payment that the bank declines.
func (w *account) decline(pi obj) (charge obj) {
	charge = w.newCharge(pi, "failed")
	w.change(pi, obj{
		"status": "requires_payment_method", "latest_charge": charge["id"], "payment_method": nil, "next_action": nil,
		"last_payment_error": obj{
			"charge": charge["id"], "code": "card_declined", "decline_code": w.pick("insufficient_funds", "do_not_honor", "generic_decline"),
			"doc_url": "https://stripe.com/docs/error-codes/card-declined", "message": "Your card has insufficient funds.",
			"payment_method": obj{"id": charge["payment_method"], "object": "payment_method", "livemode": w.o.Livemode, "metadata": obj{}, "type": "card"},
			"type":           "card_error",
		},
	})
	w.emit("charge.failed", charge)
	w.emit("payment_intent.payment_failed", pi)
	return charge
}

// purchase is a one-off payment through a checkout, at the first or a later try.
func (w *account) purchase() (pi, charge obj) {
	amount := w.between(500, 50_000)
	w.byCaller()
	s := w.openCheckout("payment", amount)
	w.pass(w.between(20, 300))
	w.byCaller()
	pi = w.newPaymentIntent(amount, nil)
	for w.chance(30) {
		w.decline(pi)
		w.pass(w.between(0, 40))
		w.byCaller()
	}
	charge = w.succeed(pi)
	w.completeCheckout(s, "paid", obj{"payment_intent": pi["id"]})
	return pi, charge
}
