package handlers

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// isComplete is what checkout.session.completed announces.
func isComplete(s *stripe.CheckoutSession, _ dispatch.Input) bool {
	return s.Status == stripe.CheckoutSessionStatusComplete
}

// checkoutCompleted keeps a completed checkout: what it led to is told by the events of
// its subscription, its invoice or its payment, and those may come before it.
func checkoutCompleted(_ context.Context, e dispatch.Current[stripe.CheckoutSession]) (dispatch.Effects, error) {
	s := &e.Object
	return dispatch.Effects{keep(e, kept{
		kind: "checkout", customer: customerID(s.Customer), created: s.Created,
		more: dispatch.Fields{
			"status": string(s.Status), "payment_status": string(s.PaymentStatus), "mode_of": string(s.Mode),
			"amount_total": s.AmountTotal, "currency": string(s.Currency), "subscription": subscriptionID(s.Subscription),
			"payment_intent": paymentIntentID(s.PaymentIntent), "invoice": invoiceID(s.Invoice),
		},
	}, nil)}, nil
}
