package handlers

import (
	"cmp"
	"time"

	"tollgate/pkg/dispatch"
)

// place is the part of every key that says whose an item is: "test#-#", "live#acct_…#".
func place(in dispatch.Input) string {
	return in.Mode() + "#" + cmp.Or(in.Account, "-") + "#"
}

// newItem returns the fields that every item of the ledger has. kind is the ledger's
// word for what the item is.
func newItem(in dispatch.Input, kind, customer string) dispatch.Fields {
	return dispatch.Fields{"kind": kind, "mode": in.Mode(), "account": in.Account, "customer": customer, "event_id": in.ID}
}

// list makes an item one of a named list, in the order of at, seconds since 1970. An
// index takes no empty names, so an item without a list has neither attribute.
func list(f dispatch.Fields, name string, at int64) {
	if name == "" {
		return
	}
	f["lst"], f["at"] = name, time.Unix(at, 0).UTC().Format(time.RFC3339)
}

// customerList names the list of a customer's ledger, "" without a customer.
func customerList(in dispatch.Input, customer string) string {
	if customer == "" {
		return ""
	}
	return "CUS#" + place(in) + customer
}

// paymentList names the list of what happened to a payment, "" without one.
func paymentList(in dispatch.Input, paymentIntent string) string {
	if paymentIntent == "" {
		return ""
	}
	return "PAY#" + place(in) + paymentIntent
}
