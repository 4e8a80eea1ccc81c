// Package handlers is what the business does about Stripe's events: one file for each
// kind of object, one function for each event type.
//
// A handler reads the typed snapshot and returns effects; it writes nothing itself and
// keeps no state, so it may run twice or beside itself. Money facts, such as "this
// invoice was paid", are insert-once items keyed by object and fact, not by event: they
// come out the same whatever the order of events, and two events for one fact make one
// item. Amounts stay in the currency's smallest unit, as Stripe gives them.
//
//	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion})
//	handlers.Register(mux, handlers.Deps{})
//
// To add one: write the function, register it below, put a golden event of its type
// into testdata/events and the type into TestHandledTypes.
package handlers

import (
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// Deps are what handlers need besides the event. The present ones need nothing.
type Deps struct{}

// Register puts every handler on the mux. It panics if one of the types has a handler
// already.
func Register(mux *dispatch.Mux, _ Deps) {
	dispatch.On(mux, stripe.EventTypePaymentIntentSucceeded, paymentIntentSucceeded)
	dispatch.On(mux, stripe.EventTypeInvoicePaid, invoicePaid)
}
