package scenes

import "maps"

// dispute is the life of a dispute, often after an early fraud warning.
func dispute(w *account) {
	_, charge := w.purchase()
	var warning obj
	if w.chance(50) {
		w.pass(w.between(hour, 2*day))
		warning = w.warn(charge)
	}
	w.pass(w.between(day, 5*day))
	d := w.newDispute(charge, w.pick("needs_response", "needs_response", "warning_needs_response", "warning_needs_response", "lost"))
	if warning != nil {
		w.update("radar.early_fraud_warning.updated", warning, obj{"actionable": false})
	}
	switch d["status"] {
	case "lost": // a bank debit's: there is no evidence to give
		w.withdraw(d)
		return
	case "warning_needs_response":
		if !w.inquiry(d) {
			return
		}
	default:
		w.withdraw(d)
	}
	w.chargeback(d)
}

// warn is an early fraud warning by the card's issuer.
func (w *account) warn(charge obj) obj {
	warning := obj{
		"id": w.id("issfr_1"), "object": "radar.early_fraud_warning", "actionable": true, "charge": charge["id"], "created": w.now,
		"fraud_type": w.pick("misc", "made_with_stolen_card", "unauthorized_use_of_card"), "livemode": w.o.Livemode,
		"payment_intent": charge["payment_intent"],
	}
	w.set(warning)
	w.emit("radar.early_fraud_warning.created", warning)
	return warning
}

func (w *account) newDispute(charge obj, status string) obj {
	due := any(w.now + week)
	if status == "lost" {
		due = nil
	}
	d := obj{
		"id": w.id("dp_1"), "object": "dispute", "amount": charge["amount"], "balance_transactions": list{}, "charge": charge["id"],
		"created": w.now, "currency": w.currency, "evidence": obj{},
		"evidence_details":     obj{"due_by": due, "has_evidence": false, "past_due": false, "submission_count": 0},
		"is_charge_refundable": status == "warning_needs_response", "livemode": w.o.Livemode, "metadata": obj{},
		"payment_intent": charge["payment_intent"], "reason": w.pick("fraudulent", "product_not_received", "duplicate"), "status": status,
	}
	if w.chance(20) { // of a part of the payment
		d["amount"] = w.between(1, charge["amount"].(int64))
	}
	w.set(d)
	w.change(charge, obj{"disputed": true})
	w.emit("charge.dispute.created", d)
	return d
}

// withdraw takes the disputed amount and a fee; reinstate gives the amount back.
func (w *account) withdraw(d obj) {
	w.move(d, "charge.dispute.funds_withdrawn", -d["amount"].(int64), 1500)
}
func (w *account) reinstate(d obj) {
	w.move(d, "charge.dispute.funds_reinstated", d["amount"].(int64), 0)
}

// move adds a balance transaction to a dispute.
func (w *account) move(d obj, typ string, amount, fee int64) {
	before := d["balance_transactions"].(list)
	w.change(d, obj{"balance_transactions": append(before[:len(before):len(before)], w.moved(d["id"], "dispute", amount, fee))})
	w.emit(typ, d)
}

// moved is a balance transaction.
func (w *account) moved(source any, why string, amount, fee int64) obj {
	return obj{
		"id": w.id("txn_1"), "object": "balance_transaction", "amount": amount, "available_on": w.now + 2*day, "created": w.now,
		"currency": w.currency, "description": nil, "exchange_rate": nil, "fee": fee, "fee_details": list{}, "net": amount - fee,
		"reporting_category": why, "source": source, "status": "pending", "type": "adjustment",
	}
}

// inquiry ends without a chargeback, or escalates to one.
func (w *account) inquiry(d obj) (escalated bool) {
	w.pass(w.between(hour, 3*day))
	if w.chance(40) {
		w.byCaller()
		w.update("charge.dispute.updated", d, obj{"status": "warning_under_review", "evidence_details": w.submitted(d)})
		w.pass(w.between(hour, 3*day))
	}
	if w.chance(50) {
		w.update("charge.dispute.closed", d, obj{"status": "warning_closed"})
		return false
	}
	details := maps.Clone(d["evidence_details"].(obj))
	details["due_by"] = w.now + week
	w.update("charge.dispute.updated", d, obj{"status": "needs_response", "evidence_details": details, "is_charge_refundable": false})
	w.withdraw(d)
	return true
}

func (w *account) submitted(d obj) obj {
	details := maps.Clone(d["evidence_details"].(obj))
	details["has_evidence"], details["submission_count"] = true, 1
	return details
}

// chargeback is answered or not, then won, lost, or still open.
func (w *account) chargeback(d obj) {
	w.pass(w.between(hour, 3*day))
	if w.chance(70) {
		w.byCaller()
		w.update("charge.dispute.updated", d, obj{"status": "under_review", "evidence_details": w.submitted(d)})
		w.pass(w.between(0, 5*day))
	}
	switch {
	case d["status"] == "under_review" && w.chance(50):
		w.update("charge.dispute.closed", d, obj{"status": "won"})
		w.reinstate(d)
	case w.chance(60):
		w.update("charge.dispute.closed", d, obj{"status": "lost"})
	}
}
