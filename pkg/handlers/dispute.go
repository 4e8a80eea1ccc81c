package handlers

import (
	"cmp"
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// disputeCreated keeps the dispute and requests a message to the business, which must submit
// its evidence in time. Stripe names no customer: the dispute is listed under its payment
// unless the charge is expanded and has the customer.
func disputeCreated(_ context.Context, e dispatch.Current[stripe.Dispute]) (dispatch.Effects, error) {
	d := &e.Object
	customer, due := "", int64(0)
	if d.Charge != nil {
		customer = effect.ID(d.Charge.Customer)
	}
	if d.EvidenceDetails != nil {
		due = d.EvidenceDetails.DueBy
	}
	message := effect.Message{
		Subject: dispatch.ObjectKey(e.Envelope), Name: disputeOpened, To: customer, Object: "dispute", ID: d.ID,
		Amount: d.Amount, Currency: string(d.Currency), Since: d.Created,
		Extra: dispatch.Fields{"charge": effect.ID(d.Charge), "payment_intent": effect.ID(d.PaymentIntent), "evidence_due_by": due},
	}
	row := effect.KeepRow(e, effect.Row{
		Kind: "dispute", Customer: customer, Created: d.Created,
		List: cmp.Or(effect.CustomerList(e.Envelope, customer), effect.PaymentList(e.Envelope, effect.ID(d.PaymentIntent))),
		Extra: dispatch.Fields{
			"status": string(d.Status), "reason": string(d.Reason), "amount": d.Amount, "currency": string(d.Currency),
			"charge": effect.ID(d.Charge), "payment_intent": effect.ID(d.PaymentIntent), "evidence_due_by": due,
		},
	}, message)
	return effect.WithMessages(e.Input, []effect.Message{message}, row), nil
}
