package handlers

import (
	"cmp"
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// isComplete is what checkout.session.completed announces. A checkout whose delayed payment
// failed is complete too, and unpaid.
func isComplete(s *stripe.CheckoutSession, _ dispatch.Input) bool {
	return s.Status == stripe.CheckoutSessionStatusComplete
}

// isCheckoutPaid is what checkout.session.async_payment_succeeded announces.
func isCheckoutPaid(s *stripe.CheckoutSession, _ dispatch.Input) bool {
	return s.PaymentStatus == stripe.CheckoutSessionPaymentStatusPaid
}

// isExpired is what checkout.session.expired announces.
func isExpired(s *stripe.CheckoutSession, _ dispatch.Input) bool {
	return s.Status == stripe.CheckoutSessionStatusExpired
}

// keepCheckout keeps a checkout. Its consequences arrive with the events of its subscription,
// invoice or payment, perhaps earlier. A guest's is listed under the application's reference,
// else under its payment.
func keepCheckout(_ context.Context, e dispatch.Current[stripe.CheckoutSession]) (dispatch.Effects, error) {
	s := &e.Object
	customer, paymentIntent := effect.CustomerOf(e.Raw), effect.ID(s.PaymentIntent)
	return dispatch.Effects{effect.KeepRow(e, effect.Row{
		Kind: "checkout", Customer: customer, Created: s.Created,
		List: cmp.Or(
			effect.CustomerList(e.Envelope, customer),
			effect.ReferenceList(e.Envelope, s.ClientReferenceID),
			effect.PaymentList(e.Envelope, paymentIntent),
		),
		Extra: dispatch.Fields{
			"status": string(s.Status), "payment_status": string(s.PaymentStatus), "mode_of": string(s.Mode),
			"amount_total": s.AmountTotal, "currency": string(s.Currency), "subscription": effect.ID(s.Subscription),
			"payment_intent": paymentIntent, "invoice": effect.ID(s.Invoice), "client_reference_id": s.ClientReferenceID,
		},
	})}, nil
}
