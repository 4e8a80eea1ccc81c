package handlers

import (
	"cmp"
	"errors"
	"fmt"
	"maps"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// fact is something about money that happened once to one object.
type fact struct {
	object   string // Stripe's word for the object's kind
	id       string // the object's id
	name     string // what happened to it
	amount   int64  // in the currency's smallest unit
	currency stripe.Currency
	customer *stripe.Customer // nil when there is none
	occurred int64            // seconds since 1970
	more     dispatch.Fields  // what only this kind of fact has
}

// insert returns the fact's item, written once under a key that no second event for
// the same fact can miss. A fact without id or currency is a permanent failure: a
// snapshot that lacks them cannot be read, and no attempt will find them.
func (f fact) insert(in dispatch.Input) (dispatch.Effects, error) {
	switch {
	case f.id == "":
		return nil, dispatch.Permanent(fmt.Errorf("%s has no id", f.object))
	case f.currency == "":
		return nil, dispatch.Permanent(fmt.Errorf("%s %s has no currency", f.object, f.id))
	}
	fields := dispatch.Fields{
		"fact":      f.name,
		"object":    f.object,
		"object_id": f.id,
		"mode":      in.Mode(),
		"account":   in.Account,
		"amount":    f.amount,
		"currency":  string(f.currency),
		"customer":  customerID(f.customer),
		"event_id":  in.ID,
		"occurred":  f.occurred,
	}
	maps.Copy(fields, f.more)
	return dispatch.Effects{dispatch.Insert(factKey(in, f.id, f.name), fields)}, nil
}

// factKey is the key of a fact: mode and account are part of it, so a test event never
// touches a live item, nor one account's another's.
func factKey(in dispatch.Input, id, name string) string {
	return "FACT#" + in.Mode() + "#" + cmp.Or(in.Account, "-") + "#" + id + "#" + name
}

// contradiction is the permanent failure of a snapshot that does not say what its
// event's type says: it must not become a fact about money.
func contradiction(object, id, status string) error {
	return dispatch.Permanent(errors.New(object + " " + id + " has status " + status))
}

func customerID(c *stripe.Customer) string {
	if c == nil {
		return ""
	}
	return c.ID
}

func chargeID(c *stripe.Charge) string {
	if c == nil {
		return ""
	}
	return c.ID
}
