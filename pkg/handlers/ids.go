package handlers

import "github.com/stripe/stripe-go/v76"

// Stripe sends a reference as an id, as the object itself where it was expanded, or as
// null; each of these is its id, "" for null.

func chargeID(c *stripe.Charge) string {
	if c == nil {
		return ""
	}
	return c.ID
}

func customerID(c *stripe.Customer) string {
	if c == nil {
		return ""
	}
	return c.ID
}

func invoiceID(in *stripe.Invoice) string {
	if in == nil {
		return ""
	}
	return in.ID
}

func paymentIntentID(pi *stripe.PaymentIntent) string {
	if pi == nil {
		return ""
	}
	return pi.ID
}

func subscriptionID(s *stripe.Subscription) string {
	if s == nil {
		return ""
	}
	return s.ID
}
