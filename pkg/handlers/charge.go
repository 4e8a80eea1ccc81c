package handlers

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// maxChargeRefunds bounds the refunds whose facts one event of a charge writes: a transaction
// has dispatch.MaxEffects effects, and a refund may have two facts. Stripe lists the newest
// first; older ones have their facts from their own events.
const maxChargeRefunds = (dispatch.MaxEffects - 1) / 2

// isRefunded is what charge.refunded announces. A refund that failed since is still listed.
func isRefunded(c *stripe.Charge, _ dispatch.Input) bool {
	return c.AmountRefunded > 0 || c.Refunds != nil && len(c.Refunds.Data) > 0
}

// keepCharge keeps a refunded charge and writes the facts of its refunds, the same as the
// refunds' own events write.
func keepCharge(_ context.Context, e dispatch.Current[stripe.Charge]) (dispatch.Effects, error) {
	c := &e.Object
	about := charged{charge: c.ID, paymentIntent: effect.ID(c.PaymentIntent), invoice: effect.ID(c.Invoice), customer: effect.CustomerOf(e.Raw)}
	effects := dispatch.Effects{effect.KeepRow(e, effect.Row{
		Kind: "charge", Customer: about.customer, Created: c.Created, List: about.list(e.Input),
		Extra: dispatch.Fields{
			"status": string(c.Status), "amount": c.Amount, "amount_refunded": c.AmountRefunded, "refunded": c.Refunded,
			"currency": string(c.Currency), "payment_intent": about.paymentIntent, "invoice": about.invoice,
		},
	})}
	if c.Refunds == nil {
		return effects, nil
	}
	for i, r := range c.Refunds.Data {
		if r == nil || i >= maxChargeRefunds {
			continue
		}
		facts, err := refundFacts(e.Input, r, about)
		if err != nil {
			return nil, err
		}
		effects = append(effects, facts...)
	}
	return effects, nil
}
