// Command shopconsumer is the consumer function of a shop: the product's handlers, and three of
// its own that fail for some events, as after a bad deploy. The console's pictures and the
// measurement with a full table show it.
package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
	"tollgate/pkg/run"
)

func main() {
	run.Consumer(func(mux *dispatch.Mux) {
		handlers.Register(mux)
		dispatch.On(mux, stripe.EventTypeInvoiceFinalized, bookRevenue)
		dispatch.On(mux, stripe.EventTypeChargeSucceeded, countFees)
		dispatch.On(mux, stripe.EventTypeCustomerCreated, welcome)
	})
}

// bookRevenue fails with an error that a fix or a new row of another system repairs.
func bookRevenue(_ context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
	if e.Object.Currency == stripe.CurrencyEUR {
		return nil, fmt.Errorf("book revenue of %s: %w", e.Object.ID, errors.New("no account for currency eur"))
	}
	return nil, nil
}

// countFees panics: a charge has no application.
func countFees(_ context.Context, e dispatch.Event[stripe.Charge]) (dispatch.Effects, error) {
	if e.Object.Currency == stripe.CurrencyJPY {
		return nil, errors.New(e.Object.Application.Name)
	}
	return nil, nil
}

// welcome refuses some customers at once: no later attempt would help.
func welcome(_ context.Context, e dispatch.Event[stripe.Customer]) (dispatch.Effects, error) {
	if e.Object.ID[len(e.Object.ID)-1] < 'K' {
		return nil, dispatch.Permanent(errors.New("no template of the welcome mail for locale nb-NO"))
	}
	return nil, nil
}
