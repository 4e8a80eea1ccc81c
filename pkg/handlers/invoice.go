package handlers

import (
	"cmp"
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// invoicePaid notes that an invoice was paid. The amount is 0 for an invoice that asked
// for nothing, as in a trial; paid_out_of_band says that the money did not come through
// Stripe.
func invoicePaid(_ context.Context, e dispatch.Event[stripe.Invoice]) (dispatch.Effects, error) {
	in := e.Object
	if in.Status != stripe.InvoiceStatusPaid {
		return nil, contradiction("invoice", in.ID, string(in.Status))
	}
	more := dispatch.Fields{
		"number": in.Number, "total": in.Total, "tax": in.Tax, "paid_out_of_band": in.PaidOutOfBand,
		"charge": chargeID(in.Charge), "payment_intent": "", "subscription": "",
	}
	if in.PaymentIntent != nil {
		more["payment_intent"] = in.PaymentIntent.ID
	}
	if in.Subscription != nil {
		more["subscription"] = in.Subscription.ID
	}
	occurred := e.Created
	if in.StatusTransitions != nil {
		occurred = cmp.Or(in.StatusTransitions.PaidAt, e.Created)
	}
	return fact{
		object: "invoice", id: in.ID, name: "paid",
		amount: in.AmountPaid, currency: in.Currency, customer: in.Customer, occurred: occurred, more: more,
	}.insert(e.Input)
}
