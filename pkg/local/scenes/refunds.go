package scenes

import "slices"

// refund gives a payment back in parts. A part may be pending at first; one that succeeded may
// still come back from the bank. What came back is refunded again, or not.
func refund(w *account) {
	_, charge := w.purchase()
	var open, all []obj
	for n := w.between(1, 4); n > 0; n-- {
		w.pass(w.between(minute, day))
		left := charge["amount"].(int64) - charge["amount_refunded"].(int64)
		if left > 1 {
			r := w.giveBack(charge, w.between(1, left-1), w.pick("succeeded", "succeeded", "pending"))
			all = append(all, r)
		}
		open = slices.DeleteFunc(slices.Clone(all), func(r obj) bool { return r["status"] == "failed" || r["status"] == "canceled" })
		if len(open) > 0 && w.chance(50) {
			w.pass(w.between(0, day))
			w.settle(charge, open[w.rng.IntN(len(open))])
		}
	}
	w.pass(w.between(0, day))
	if left := charge["amount"].(int64) - charge["amount_refunded"].(int64); w.chance(60) {
		w.giveBack(charge, left, "succeeded")
	}
}

// giveBack refunds a part of a charge.
func (w *account) giveBack(charge obj, amount int64, status string) obj {
	w.byCaller()
	r := obj{
		"id": w.id("re_3"), "object": "refund", "amount": amount, "balance_transaction": w.id("txn_3"), "charge": charge["id"],
		"created": w.now, "currency": w.currency, "metadata": obj{}, "payment_intent": charge["payment_intent"],
		"reason": w.pick("requested_by_customer", "duplicate", "fraudulent"), "receipt_number": nil, "source_transfer_reversal": nil,
		"status": status, "transfer_reversal": nil,
	}
	w.set(r)
	w.refunded(charge, amount)
	w.emit("refund.created", r)
	return r
}

// refunded adds an amount to what a charge has refunded.
func (w *account) refunded(charge obj, amount int64) {
	back := charge["amount_refunded"].(int64) + amount
	w.update("charge.refunded", charge, obj{"amount_refunded": back, "refunded": back == charge["amount"].(int64)})
}

// settle ends a pending refund, or makes one that succeeded fail.
func (w *account) settle(charge, r obj) {
	to := obj{"status": "succeeded"}
	switch {
	case r["status"] == "succeeded" || w.chance(40):
		back := w.moved(r["id"], "refund_failure", r["amount"].(int64), 0)
		w.set(back)
		to = obj{
			"status": "failed", "failure_reason": w.pick("lost_or_stolen_card", "expired_or_canceled_card", "unknown"),
			"failure_balance_transaction": back["id"],
		}
	case w.chance(20):
		w.byCaller()
		to = obj{"status": "canceled"}
	}
	previous := w.change(r, to)
	w.emitUpdate("charge.refund.updated", r, previous)
	w.emitUpdate("refund.updated", r, previous)
	if to["status"] != "succeeded" {
		back := charge["amount_refunded"].(int64) - r["amount"].(int64)
		w.update("charge.updated", charge, obj{"amount_refunded": back, "refunded": false})
	}
}
