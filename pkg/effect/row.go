package effect

import (
	"cmp"
	"maps"

	"tollgate/pkg/dispatch"
)

// Row is what is kept of an object as Stripe has it now.
type Row struct {
	Kind     string          // the ledger's word for it, such as "invoice"
	Customer string          // "" for none
	Created  int64           // seconds since 1970; the row's place in its list
	List     string          // the list that it is in; default its customer's
	Led      bool            // an item of its first commit leads to it from that list: see Lead
	Extra    dispatch.Fields // what only this kind of row has
}

// KeepRow returns the effect that keeps the row of the event's object. The row names every
// message that was ever requested about the object, as a sent message is in no list. A row that
// is led to from its first commit on is in no list either, which saves a write of the index at
// each change. One that began in a list stays there.
func KeepRow[T any](e dispatch.Current[T], r Row, ms ...Message) dispatch.Effect {
	fields := Item(e.Input, r.Kind, r.Customer)
	fields["object_id"], fields["created"] = e.ObjectID, r.Created
	maps.Copy(fields, r.Extra)
	list := cmp.Or(r.List, CustomerList(e.Envelope, r.Customer))
	if e.Row[ledTo] == true || e.Row == nil && r.Led && list != "" {
		fields[ledTo] = true
	} else {
		List(fields, list, r.Created)
	}
	before, _ := e.Row[MessageKeys].([]any)
	nameMessages(fields, before, ms)
	return e.KeepRow(fields)
}

// ledTo is the field of a row that is found by another item.
const ledTo = "led"
