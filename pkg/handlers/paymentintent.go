package handlers

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// paymentIntentSucceeded notes that a payment came in: amount is what was received,
// which is less than what was asked for after a partial capture. invoice names the
// invoice that it paid, "" for none, so that a ledger counts the money once.
func paymentIntentSucceeded(_ context.Context, e dispatch.Event[stripe.PaymentIntent]) (dispatch.Effects, error) {
	pi := e.Object
	if pi.Status != stripe.PaymentIntentStatusSucceeded {
		return nil, contradiction("payment_intent", pi.ID, string(pi.Status))
	}
	invoice := ""
	if pi.Invoice != nil {
		invoice = pi.Invoice.ID
	}
	return fact{
		object: "payment_intent", id: pi.ID, name: "succeeded",
		amount: pi.AmountReceived, currency: pi.Currency, customer: pi.Customer, occurred: e.Created,
		more: dispatch.Fields{"charge": chargeID(pi.LatestCharge), "invoice": invoice},
	}.insert(e.Input)
}
