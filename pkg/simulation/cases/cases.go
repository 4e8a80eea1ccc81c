package cases

import (
	"encoding/json"
	"fmt"
	"maps"

	"tollgate/pkg/ledger"
)

// Object is a Stripe object or event as JSON.
type Object = map[string]any

// Step puts objects at the fake Stripe, under an account if one is named, and then sends events.
type Step struct {
	Account string
	Objects []Object
	Events  []Object
}

// Case is an input and what is right for it.
type Case struct {
	Name     string
	Customer string // whose ledger is checked, "" for none
	Account  string
	Ends     map[string]string // events that are not applied: outcome, or reason of a dead letter, by id
	Steps    []Step
	// Check returns what is wrong with the ledger. late means that every object had its final state
	// before the first event was handled, so states in between were never seen.
	Check func(l ledger.Ledger, late bool) []string
}

// Vary are the parts of a case that must not matter.
type Vary struct {
	Tag      string // part of every id
	Amount   int64
	Currency string
	Now      int64 // seconds since 1970
}

const (
	day   = 86_400
	month = 30 * day
	// pinned is the version that events have by default.
	pinned = "2023-10-16"
)

// All returns the cases.
func All(v Vary) []Case {
	b := builder{v}
	var all []Case
	for _, list := range [][]Case{
		b.paused(), b.neverPaid(), b.disputes(), b.delayedMethod(), b.endedInvoices(), b.periodEnds(), b.oneReceipt(),
		b.twoSubscriptions(), b.legacyCharge(), b.onSession(), b.thin(), b.newerPayment(), b.organisation(), b.reopened(),
	} {
		all = append(all, list...)
	}
	return all
}

// builder makes objects and events of one variation.
type builder struct{ Vary }

// id returns an id of this variation; what tells the objects of a kind apart.
func (b builder) id(prefix, what string) string { return prefix + "_" + b.Tag + what }

// set returns a copy of an object with members set: name, value, …
func set(o Object, members ...any) Object {
	o = maps.Clone(o)
	for i := 0; i < len(members); i += 2 {
		o[members[i].(string)] = members[i+1]
	}
	return o
}

func (b builder) subscription(what, status string) Object {
	id, created := b.id("sub", what), b.Now-9*day
	item := Object{
		"id": b.id("si", what), "object": "subscription_item", "quantity": 1, "subscription": id,
		"price": Object{
			"id": b.id("price", ""), "object": "price", "product": b.id("prod", ""), "currency": b.Currency, "unit_amount": b.Amount,
			"recurring": Object{"interval": "month", "usage_type": "licensed"},
		},
	}
	return Object{
		"id": id, "object": "subscription", "customer": b.id("cus", what), "status": status, "currency": b.Currency, "created": created,
		"current_period_start": created, "current_period_end": created + month, "cancel_at": nil, "cancel_at_period_end": false,
		"canceled_at": nil, "ended_at": nil, "trial_end": nil, "pause_collection": nil, "livemode": false, "metadata": Object{},
		"items": Object{"object": "list", "has_more": false, "total_count": 1, "url": "/v1/subscription_items?subscription=" + id, "data": []any{item}},
	}
}

// ended is a subscription with a final status.
func (b builder) ended(what, status string) Object {
	return set(b.subscription(what, status), "canceled_at", b.Now-8*day, "ended_at", b.Now-8*day)
}

func (b builder) payment(what string) Object {
	return Object{
		"id": b.id("pi", what), "object": "payment_intent", "amount": b.Amount, "amount_received": b.Amount, "currency": b.Currency,
		"customer": b.id("cus", what), "status": "succeeded", "invoice": nil, "latest_charge": b.id("ch", what), "created": b.Now - 60,
		"livemode": false, "last_payment_error": nil,
	}
}

func (b builder) openInvoice(what string) Object {
	created := b.Now - 9*day
	return Object{
		"id": b.id("in", what), "object": "invoice", "customer": b.id("cus", what), "status": "open", "currency": b.Currency, "created": created,
		"amount_due": b.Amount, "amount_paid": 0, "amount_remaining": b.Amount, "total": b.Amount, "tax": nil, "number": "A-1",
		"attempt_count": 1, "next_payment_attempt": nil, "paid": false, "paid_out_of_band": false, "charge": nil, "payment_intent": nil,
		"subscription": nil, "billing_reason": "subscription_cycle", "livemode": false,
		"status_transitions": Object{"finalized_at": created, "paid_at": nil, "marked_uncollectible_at": nil, "voided_at": nil},
	}
}

func (b builder) paidInvoice(what, payment, charge string) Object {
	return set(b.openInvoice(what), "status", "paid", "paid", true, "amount_paid", b.Amount, "amount_remaining", 0,
		"payment_intent", orNull(payment), "charge", orNull(charge),
		"status_transitions", Object{"finalized_at": b.Now - 9*day, "paid_at": b.Now - 60, "marked_uncollectible_at": nil, "voided_at": nil})
}

func (b builder) dispute(what, status string) Object {
	return Object{
		"id": b.id("dp", what), "object": "dispute", "amount": b.Amount, "currency": b.Currency, "charge": b.id("ch", what),
		"payment_intent": b.id("pi", what), "status": status, "reason": "fraudulent", "created": b.Now - 60, "livemode": false,
		"is_charge_refundable": false, "balance_transactions": []any{},
		"evidence_details": Object{"due_by": nil, "has_evidence": false, "past_due": false, "submission_count": 0},
	}
}

func (b builder) charge(what string) Object {
	return Object{
		"id": b.id("ch", what), "object": "charge", "customer": b.id("cus", what), "amount": b.Amount, "amount_refunded": 0, "refunded": false,
		"currency": b.Currency, "payment_intent": nil, "status": "succeeded", "created": b.Now - 60, "livemode": false,
	}
}

func orNull(id string) any {
	if id == "" {
		return nil
	}
	return id
}

// event returns an event with an object's snapshot; members are set in the event.
func (b builder) event(what, typ string, object Object, members ...any) Object {
	return set(Object{
		"id": b.id("evt", what), "object": "event", "type": typ, "api_version": pinned, "created": b.Now, "livemode": false,
		"data": Object{"object": object}, "pending_webhooks": 1, "request": Object{"id": nil, "idempotency_key": nil},
	}, members...)
}

// updated returns an event of an update with what the changed members were before.
func (b builder) updated(what, typ string, object, previous Object) Object {
	return b.event(what, typ, object, "data", Object{"object": object, "previous_attributes": previous})
}

// put is a step that puts one object and sends events.
func put(object Object, events ...Object) Step {
	return Step{Objects: []Object{object}, Events: events}
}

// problems collects what is wrong.
type problems []string

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

// equal checks a value.
func equal[T comparable](p *problems, what string, got, want T) {
	p.check(got == want, "%s is %v, want %v", what, got, want)
}

// only returns the one element of a list, the zero value unless there is one.
func only[T any](p *problems, what string, list []T) (v T) {
	p.check(len(list) == 1, "%d %s, want 1: %s", len(list), what, text(list))
	if len(list) == 1 {
		v = list[0]
	}
	return v
}

// messages returns the messages with a name.
func messages(l ledger.Ledger, name string) (out []ledger.Message) {
	for _, m := range l.Outbox {
		if m.Name == name {
			out = append(out, m)
		}
	}
	return out
}

// facts returns the facts of a kind.
func facts(l ledger.Ledger, kind string) (out []ledger.Payment) {
	for _, f := range l.Payments {
		if f.Kind == kind {
			out = append(out, f)
		}
	}
	return out
}

func text(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(raw)
}
