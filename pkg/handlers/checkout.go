package handlers

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// isComplete is what checkout.session.completed announces.
func isComplete(s *stripe.CheckoutSession, _ dispatch.Input) bool {
	return s.Status == stripe.CheckoutSessionStatusComplete
}

// checkoutCompleted keeps a completed checkout. Its consequences arrive with the events of
// its subscription, invoice or payment, perhaps earlier.
func checkoutCompleted(_ context.Context, e dispatch.Current[stripe.CheckoutSession]) (dispatch.Effects, error) {
	s := &e.Object
	return dispatch.Effects{effect.KeepRow(e, effect.Row{
		Kind: "checkout", Customer: effect.ID(s.Customer), Created: s.Created,
		Extra: dispatch.Fields{
			"status": string(s.Status), "payment_status": string(s.PaymentStatus), "mode_of": string(s.Mode),
			"amount_total": s.AmountTotal, "currency": string(s.Currency), "subscription": effect.ID(s.Subscription),
			"payment_intent": effect.ID(s.PaymentIntent), "invoice": effect.ID(s.Invoice),
		},
	})}, nil
}
