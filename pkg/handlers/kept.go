package handlers

import (
	"cmp"
	"maps"

	"tollgate/pkg/dispatch"
)

// kept is what the ledger keeps of an object as Stripe has it now.
type kept struct {
	kind     string // subscription, invoice, dispute or checkout
	customer string // "" when there is none
	created  int64  // seconds since 1970
	list     string // where it is listed, "" for its customer's ledger
	more     dispatch.Fields
}

// keep returns the effect that keeps an object's row. The row names every message that
// there ever was about the object: one that is sent is no longer listed.
func keep[T any](e dispatch.Current[T], k kept, ms messages) dispatch.Effect {
	fields := newItem(e.Input, k.kind, k.customer)
	fields["object_id"], fields["created"] = e.ObjectID, k.created
	maps.Copy(fields, k.more)
	list(fields, cmp.Or(k.list, customerList(e.Input, k.customer)), k.created)
	before, _ := e.Row["outbox"].([]any)
	ms.nameIn(fields, before)
	return e.Keep(fields)
}
