package effect

import (
	"cmp"
	"fmt"
	"maps"
	"strings"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// Fact is something about money that happened once to one object. It is written once, under
// a key that every event for the same fact leads to, and never changes.
type Fact struct {
	Kind     string          // the ledger's word for it, such as "payment"
	Object   string          // Stripe's word for the object's kind
	ID       string          // the object's id
	Name     string          // what happened; it must differ from the object's other facts
	Amount   int64           // in the currency's smallest unit
	Currency string          // lower case, as Stripe has it
	Customer string          // "" for none
	Occurred int64           // seconds since 1970; the fact's place in its list
	List     string          // the list that it is in; default its customer's
	Row      string          // key of the row that it leads to, "" for none: see Lead
	Extra    dispatch.Fields // what only this kind of fact has
}

// FactKey returns the key of a fact of an object.
func FactKey(e event.Envelope, id, name string) string {
	return dispatch.Key(factPrefix, e, id, name)
}

// IsFactKey reports whether a key is a fact's.
func IsFactKey(key string) bool { return strings.HasPrefix(key, factPrefix+"#") }

const factPrefix = "FACT"

// Insert returns the effect that writes the fact, which names the messages about it. A fact
// without id or currency is a permanent failure: no retry will find them.
func (f Fact) Insert(in dispatch.Input, ms ...Message) (dispatch.Effect, error) {
	switch {
	case f.ID == "":
		return dispatch.Effect{}, dispatch.Permanent(fmt.Errorf("%s has no id", f.Object))
	case f.Currency == "":
		return dispatch.Effect{}, dispatch.Permanent(fmt.Errorf("%s %s has no currency", f.Object, f.ID))
	}
	fields := Item(in, f.Kind, f.Customer)
	maps.Copy(fields, dispatch.Fields{
		"fact": f.Name, "object": f.Object, "object_id": f.ID,
		"amount": f.Amount, "currency": f.Currency, "occurred": f.Occurred,
	})
	maps.Copy(fields, f.Extra)
	List(fields, cmp.Or(f.List, CustomerList(in.Envelope, f.Customer)), f.Occurred)
	nameMessages(fields, nil, ms)
	if f.Row != "" {
		Lead(fields, f.Row)
	}
	return dispatch.Insert(FactKey(in.Envelope, f.ID, f.Name), fields), nil
}

// Effects returns the effects that write the fact and the messages about it.
func (f Fact) Effects(in dispatch.Input, ms ...Message) (dispatch.Effects, error) {
	fact, err := f.Insert(in, ms...)
	if err != nil {
		return nil, err
	}
	return WithMessages(in, ms, fact), nil
}

// Message returns the message with a name about the fact, addressed to its customer.
func (f Fact) Message(in dispatch.Input, name string) Message {
	return Message{
		Subject: FactKey(in.Envelope, f.ID, f.Name), Name: name, To: f.Customer, Object: f.Object, ID: f.ID,
		Amount: f.Amount, Currency: f.Currency, Since: f.Occurred,
	}
}
