// Package effect builds the items that handlers return as effects. A handler makes three
// kinds of them:
//
//   - a [Fact] is something about money that happened once, under the key FACT#…
//   - a [Row] keeps an object as Stripe has it now, under the key OBJ#…
//   - a [Message] requests that something be sent once, under the key OUT#…
//
// Every key contains mode and account, so a test event never changes a live item. Keys come
// from the object and what happened to it, never from the event: two events for one change
// write one fact and one message.
//
//	func payoutPaid(_ context.Context, e dispatch.Event[stripe.Payout]) (dispatch.Effects, error) {
//		p := &e.Object
//		fact := effect.Fact{
//			Kind: "payout", Object: "payout", ID: p.ID, Name: "paid",
//			Amount: p.Amount, Currency: string(p.Currency), Occurred: p.ArrivalDate,
//			Extra: dispatch.Fields{"bank": effect.ID(p.Destination)},
//		}
//		return fact.Effects(e.Input, fact.Message(e.Input, "payout_paid"))
//	}
//
// Facts and rows with a customer are in that customer's list, in order of their time, from
// which package ledger reads, or an item in that list leads to them. Amounts are integers in the
// currency's smallest unit, times are seconds since 1970.
package effect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/members"
)

// Item returns the fields that every item has. kind is the ledger's word for what it is;
// customer is "" when there is none.
func Item(in dispatch.Input, kind, customer string) dispatch.Fields {
	return dispatch.Fields{"kind": kind, "mode": in.Mode(), "account": in.Account, "customer": customer, "event_id": in.ID}
}

// List puts an item into a list, in the order of at, seconds since 1970. With the name "" the
// item is in no list, as an index takes no empty names.
func List(f dispatch.Fields, name string, at int64) {
	if name == "" {
		return
	}
	f[dispatch.ListName], f[dispatch.ListOrder] = name, time.Unix(at, 0).UTC().Format(time.RFC3339)
}

// CustomerList returns the name of the list of a customer's facts and rows, "" without a
// customer.
func CustomerList(e event.Envelope, customer string) string { return listOf("CUS", e, customer) }

// PaymentList returns the name of the list of what happened to a payment without a customer,
// such as a guest's; "" without a payment.
func PaymentList(e event.Envelope, paymentIntent string) string {
	return listOf("PAY", e, paymentIntent)
}

// ReferenceList returns the name of the list of a guest's checkouts with an application's
// reference (client_reference_id); "" without one.
func ReferenceList(e event.Envelope, reference string) string { return listOf("REF", e, reference) }

// ListOf returns the list of a fact or row: its customer's or, without one, its payment's; ""
// without both.
func ListOf(e event.Envelope, customer, paymentIntent string) string {
	return cmp.Or(CustomerList(e, customer), PaymentList(e, paymentIntent))
}

func listOf(prefix string, e event.Envelope, id string) string {
	if id == "" {
		return ""
	}
	return dispatch.Key(prefix, e, id)
}

// CustomerOf returns the id of the customer of an object in JSON: its customer or, where the
// customer is an account, its customer_account; "" for neither and for malformed JSON.
func CustomerOf(raw json.RawMessage) string {
	of := []members.Member{{Name: "customer"}, {Name: "customer_account"}}
	if members.FindLast(raw, of) != nil {
		return ""
	}
	return cmp.Or(idIn(of[0]), idIn(of[1]))
}

// idIn returns the id of a reference in JSON, which is an id, an expanded object or null.
func idIn(reference members.Member) string {
	if id, err := reference.Text(); err == nil {
		return id
	}
	expanded := []members.Member{{Name: "id"}}
	_ = members.FindLast(reference.Raw, expanded) // no id if it is anything else
	id, _ := expanded[0].Text()
	return id
}

// ID returns the id of a reference to another object, "" for nil. Stripe sends a reference as
// an id, as the object itself where it was expanded, or as null; stripe-go decodes all three
// into a pointer to a struct with the field ID. It panics on a type without that field.
func ID[T any](reference *T) string {
	if reference == nil {
		return ""
	}
	id := reflect.ValueOf(reference).Elem().FieldByName("ID")
	if id.Kind() != reflect.String {
		panic(fmt.Sprintf("effect: %T has no field ID of type string", reference))
	}
	return id.String()
}
