package scenes

import (
	"fmt"
	"maps"
)

// week is the length of a billing period in every scene.
const week = 7 * day

func (w *account) price() obj {
	amount := w.between(300, 9000)
	return obj{
		"id": w.id("price_1"), "object": "price", "active": true, "billing_scheme": "per_unit", "created": w.now,
		"currency": w.currency, "livemode": w.o.Livemode, "lookup_key": nil, "metadata": obj{}, "nickname": nil,
		"product": "prod_" + w.random(14),
		"recurring": obj{
			"aggregate_usage": nil, "interval": "week", "interval_count": 1, "meter": nil, "trial_period_days": nil, "usage_type": "licensed",
		},
		"tax_behavior": "exclusive", "tiers_mode": nil, "transform_quantity": nil, "type": "recurring",
		"unit_amount": amount, "unit_amount_decimal": fmt.Sprint(amount),
	}
}

func (w *account) newItem(sub string, price obj, quantity int64) obj {
	return obj{
		"id": "si_" + w.random(14), "object": "subscription_item", "billing_thresholds": nil, "created": w.now,
		"metadata": obj{}, "price": price, "quantity": quantity, "subscription": sub, "tax_rates": list{},
	}
}

func itemList(sub string, items ...any) obj {
	return obj{
		"object": "list", "data": items, "has_more": false, "total_count": len(items),
		"url": "/v1/subscription_items?subscription=" + sub,
	}
}

// newSubscription makes a subscription to one or two prices; trial is in seconds.
func (w *account) newSubscription(trial int64) obj {
	id := w.id("sub_1")
	items := list{w.newItem(id, w.prices[0], 1)}
	if w.chance(40) {
		items = append(items, w.newItem(id, w.prices[1], w.between(1, 9)))
	}
	status, trialStart, trialEnd, period := "incomplete", any(nil), any(nil), week
	if trial > 0 {
		status, trialStart, trialEnd, period = "trialing", w.now, w.now+trial, trial
	}
	s := obj{
		"id": id, "object": "subscription", "application": nil, "automatic_tax": obj{"enabled": false, "liability": nil},
		"billing_cycle_anchor": w.now + trial, "cancel_at": nil, "cancel_at_period_end": false, "canceled_at": nil,
		"cancellation_details": obj{"comment": nil, "feedback": nil, "reason": nil}, "collection_method": "charge_automatically",
		"created": w.now, "currency": w.currency, "current_period_end": w.now + period, "current_period_start": w.now,
		"customer": w.customer, "days_until_due": nil, "default_payment_method": nil, "default_source": nil,
		"default_tax_rates": list{}, "description": nil, "discount": nil, "ended_at": nil, "items": itemList(id, items...),
		"latest_invoice": nil, "livemode": w.o.Livemode, "metadata": obj{}, "pause_collection": nil, "pending_setup_intent": nil,
		"pending_update": nil, "schedule": nil, "start_date": w.now, "status": status, "test_clock": nil,
		"trial_end": trialEnd, "trial_start": trialStart,
	}
	w.set(s)
	return s
}

// shownItems is how many items Stripe shows with a subscription and in its events.
const shownItems = 10

// shown is an object, or its previous state, as an event shows it.
func shown(o obj) obj {
	items, _ := o["items"].(obj)
	data, _ := items["data"].(list)
	if len(data) <= shownItems {
		return o
	}
	first := maps.Clone(items)
	first["data"] = data[:shownItems]
	if _, whole := items["has_more"]; whole {
		first["has_more"] = true
	}
	o = maps.Clone(o)
	o["items"] = first
	return o
}

// resize gives a subscription n items. The first one's quantity rises with each change, so
// that no two states are equal.
func (w *account) resize(sub obj, n int64) {
	id := sub["id"].(string)
	old := sub["items"].(obj)["data"].(list)
	first := maps.Clone(old[0].(obj))
	first["quantity"] = first["quantity"].(int64) + 1
	items := append(list{first}, old[1:min(int(n), len(old))]...)
	for len(items) < int(n) {
		items = append(items, w.newItem(id, w.price(), w.between(1, 9)))
	}
	w.update("customer.subscription.updated", sub, obj{"items": itemList(id, items...)})
}

// setItem changes the subscription's first item.
func (w *account) setItem(sub, price obj, quantity int64) {
	old := sub["items"].(obj)["data"].(list)
	first := w.newItem(sub["id"].(string), price, quantity)
	first["id"], first["created"] = old[0].(obj)["id"], old[0].(obj)["created"]
	items := append(list{first}, old[1:]...)
	w.update("customer.subscription.updated", sub, obj{"items": itemList(sub["id"].(string), items...)})
}

func firstItem(sub obj) (price obj, quantity int64) {
	item := sub["items"].(obj)["data"].(list)[0].(obj)
	return item["price"].(obj), item["quantity"].(int64)
}

func total(sub obj) (sum int64) {
	for _, item := range sub["items"].(obj)["data"].(list) {
		i := item.(obj)
		sum += i["price"].(obj)["unit_amount"].(int64) * i["quantity"].(int64)
	}
	return sum
}

// draftInvoice makes a draft invoice.
func (w *account) draftInvoice(sub obj, amount int64, reason string) obj {
	id := w.id("in_1")
	line := obj{
		"id": w.id("il_1"), "object": "line_item", "amount": amount, "currency": w.currency, "description": nil,
		"invoice": id, "livemode": w.o.Livemode, "metadata": obj{}, "period": obj{"start": w.now, "end": w.now + week},
		"proration": false, "quantity": 1, "subscription": sub["id"], "type": "subscription",
	}
	i := obj{
		"id": id, "object": "invoice", "amount_due": amount, "amount_paid": int64(0), "amount_remaining": amount, "attempt_count": 0,
		"attempted": false, "auto_advance": true, "billing_reason": reason, "charge": nil, "collection_method": "charge_automatically",
		"created": w.now, "currency": w.currency, "customer": w.customer, "customer_email": nil, "due_date": nil,
		"lines":    obj{"object": "list", "data": list{line}, "has_more": false, "total_count": 1, "url": "/v1/invoices/" + id + "/lines"},
		"livemode": w.o.Livemode, "metadata": obj{}, "next_payment_attempt": nil, "number": nil, "paid": false,
		"paid_out_of_band": false, "payment_intent": nil, "period_end": w.now, "period_start": w.now, "status": "draft",
		"status_transitions": obj{"finalized_at": nil, "marked_uncollectible_at": nil, "paid_at": nil, "voided_at": nil},
		"subscription":       sub["id"], "subtotal": amount, "tax": nil, "test_clock": nil, "total": amount,
	}
	w.set(i)
	w.emit("invoice.created", i)
	return i
}

// finalize finalizes an invoice and makes its payment intent, nil if the amount is 0.
func (w *account) finalize(inv, sub obj) (pi obj) {
	w.invoices++
	to := obj{
		"status": "open", "number": fmt.Sprintf("%s-%04d", w.customer[4:12], w.invoices),
		"status_transitions": obj{"finalized_at": w.now, "marked_uncollectible_at": nil, "paid_at": nil, "voided_at": nil},
	}
	w.change(sub, obj{"latest_invoice": inv["id"]})
	if inv["total"].(int64) > 0 {
		pi = w.newPaymentIntent(inv["total"].(int64), inv["id"])
		to["payment_intent"] = pi["id"]
	}
	w.change(inv, to)
	w.emit("invoice.finalized", inv)
	return pi
}

// payInvoice pays an open invoice; without a payment intent the amount is 0.
func (w *account) payInvoice(inv, pi obj) {
	w.end()
	to := obj{"status": "paid", "paid": true, "attempted": true, "amount_paid": inv["total"], "amount_remaining": int64(0), "next_payment_attempt": nil}
	transitions := maps.Clone(inv["status_transitions"].(obj))
	transitions["paid_at"] = w.now
	to["status_transitions"] = transitions
	if pi != nil {
		to["charge"] = w.succeed(pi)["id"]
		to["attempt_count"] = inv["attempt_count"].(int) + 1
	}
	previous := w.change(inv, to)
	w.emit("invoice.paid", inv)
	w.emit("invoice.payment_succeeded", inv)
	w.emitUpdate("invoice.updated", inv, previous)
}

// failInvoice is a failed attempt to pay an invoice.
func (w *account) failInvoice(inv, pi obj) {
	w.end()
	charge := w.decline(pi)
	previous := w.change(inv, obj{
		"attempted": true, "attempt_count": inv["attempt_count"].(int) + 1,
		"charge": charge["id"], "next_payment_attempt": w.now + 3*day,
	})
	w.emit("invoice.payment_failed", inv)
	w.emitUpdate("invoice.updated", inv, previous)
}

// setStatus changes the subscription's status alone.
func (w *account) setStatus(sub obj, status string) {
	w.update("customer.subscription.updated", sub, obj{"status": status})
}

// cancelLater cancels at the end of the period; comeBack reverts that.
func (w *account) cancelLater(sub obj) {
	w.update("customer.subscription.updated", sub, obj{
		"cancel_at_period_end": true, "cancel_at": sub["current_period_end"], "canceled_at": w.now,
		"cancellation_details": obj{"comment": nil, "feedback": nil, "reason": "cancellation_requested"},
	})
}

func (w *account) comeBack(sub obj) {
	w.update("customer.subscription.updated", sub, obj{
		"cancel_at_period_end": false, "cancel_at": nil, "canceled_at": nil,
		"cancellation_details": obj{"comment": nil, "feedback": nil, "reason": nil},
	})
}

// renew begins the subscription's next period with an open invoice for it.
func (w *account) renew(sub obj, more obj) (inv, pi obj) {
	start := sub["current_period_end"].(int64)
	to := obj{"current_period_start": start, "current_period_end": start + week}
	maps.Copy(to, more)
	w.update("customer.subscription.updated", sub, to)
	inv = w.draftInvoice(sub, total(sub), "subscription_cycle")
	w.pass(hour)
	return inv, w.finalize(inv, sub)
}
