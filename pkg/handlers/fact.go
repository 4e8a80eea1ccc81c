package handlers

import (
	"fmt"
	"maps"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// fact is something about money that happened once to one object.
type fact struct {
	kind     string // payment, payment_failure or invoice_paid
	object   string // Stripe's word for the object's kind
	id       string // the object's id
	name     string // what happened to it, and what tells it from the object's other facts
	amount   int64  // in the currency's smallest unit
	currency stripe.Currency
	customer string          // "" when there is none
	occurred int64           // seconds since 1970
	more     dispatch.Fields // what only this kind of fact has
}

// insert returns the fact's item, which names the messages about it. It is written once
// under a key that no second event for the same fact can miss. A fact without id or
// currency is a permanent failure: no attempt will find them.
func (f fact) insert(in dispatch.Input, ms messages) (dispatch.Effect, error) {
	switch {
	case f.id == "":
		return dispatch.Effect{}, dispatch.Permanent(fmt.Errorf("%s has no id", f.object))
	case f.currency == "":
		return dispatch.Effect{}, dispatch.Permanent(fmt.Errorf("%s %s has no currency", f.object, f.id))
	}
	fields := newItem(in, f.kind, f.customer)
	maps.Copy(fields, dispatch.Fields{
		"fact": f.name, "object": f.object, "object_id": f.id,
		"amount": f.amount, "currency": string(f.currency), "occurred": f.occurred,
	})
	maps.Copy(fields, f.more)
	list(fields, customerList(in, f.customer), f.occurred)
	ms.nameIn(fields, nil)
	return dispatch.Insert(factKey(in, f.id, f.name), fields), nil
}

// message is a message about the fact.
func (f fact) message(in dispatch.Input, name string) message {
	return message{
		about: factKey(in, f.id, f.name), name: name, to: f.customer, object: f.object, id: f.id,
		amount: f.amount, currency: f.currency, since: f.occurred,
	}
}

// factKey is the key of a fact.
func factKey(in dispatch.Input, id, name string) string {
	return "FACT#" + place(in) + id + "#" + name
}

// contradiction is the permanent failure of an object that does not say what its
// event's type says, and never will.
func contradiction(object, id, status, typ string) error {
	return dispatch.Permanent(unlike(object, id, status, typ))
}

// unlike says that Stripe's answer does not show what its event announced. By itself it
// is an error to try again: the answer may be a moment older than the event.
func unlike(object, id, status, typ string) error {
	return fmt.Errorf("%s %s has status %s under an event %s", object, id, status, typ)
}
