package ledger

import (
	"cmp"
	"context"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// ReadObject returns what the ledger has of one object: its row and entitlement, and the facts,
// rows and messages that name it. It errors as [Read] does. Customer is "" if no item names one;
// then only the lists of the payment or reference were read.
//
// Every object with a row is found, and every payment that succeeded, is a guest's or has a
// message about its failure. Other failed payments and charges without a row are not found, nor
// is a guest's checkout by its payment if the checkout has a reference.
func ReadObject(ctx context.Context, items Items, mode, account, id string) (Ledger, error) {
	return build(items, mode, account, id, func(r *reader) error {
		r.about = id
		return r.object(ctx, id)
	})
}

// ReadReference returns the guest checkouts with an application's reference, and what happened
// to their payments. It errors as [Read] does. Checkouts of a customer are in its ledger.
func ReadReference(ctx context.Context, items Items, mode, account, reference string) (Ledger, error) {
	return build(items, mode, account, reference, func(r *reader) error {
		if err := r.list(ctx, effect.ReferenceList(r.owner, reference)); err != nil {
			return err
		}
		for _, c := range r.l.Checkouts {
			if err := r.list(ctx, effect.PaymentList(r.owner, c.PaymentIntent)); err != nil {
				return err
			}
		}
		return nil
	})
}

// object adds the items of an object whose keys follow from its id, then those of the lists that
// they lead to.
func (r *reader) object(ctx context.Context, id string) error {
	found := place{payments: []string{id}}
	for _, key := range r.keysOf(id) {
		a, err := r.item(ctx, key)
		if err != nil {
			return err
		}
		found.add(a)
	}
	if len(found.payments) > 1 && found.customer == "" {
		a, err := r.item(ctx, effect.FactKey(r.owner, found.payments[1], "succeeded"))
		if err != nil {
			return err
		}
		found.add(a)
	}
	for _, payment := range found.payments {
		found.lists = append(found.lists, effect.PaymentList(r.owner, payment))
	}
	r.l.Customer = found.customer
	for _, list := range append(found.lists, effect.CustomerList(r.owner, found.customer)) {
		if err := r.list(ctx, list); err != nil {
			return err
		}
	}
	return nil
}

// keysOf returns the keys of the items that an object may have: its row, its entitlement, the
// fact of a payment and the message of a failed one.
func (r *reader) keysOf(id string) []string {
	return []string{
		dispatch.Key("OBJ", r.owner, id), dispatch.Key("ENT", r.owner, id), effect.FactKey(r.owner, id, "succeeded"),
		dispatch.MessageKey(effect.FactKey(r.owner, id, "failed"), "payment_failed"),
	}
}

// item adds the item under a key, which it reads consistently, and returns it, nil for none.
func (r *reader) item(ctx context.Context, key string) (attributes, error) {
	item, found, err := r.items.Item(ctx, key)
	if err != nil || !found {
		return nil, err
	}
	return item, r.take(ctx, item)
}

// place is where more about an object is listed.
type place struct {
	customer string
	payments []string // payment intents; the object's own id comes first
	lists    []string
}

func (p *place) add(a attributes) {
	p.customer = cmp.Or(p.customer, a.text("customer"), a.text("to"))
	if payment := a.text("payment_intent"); payment != "" {
		p.payments = append(p.payments, payment)
	}
	if list := a.text(dispatch.ListName); list != "" && a.text("kind") != "outbox" {
		p.lists = append(p.lists, list)
	}
}
