package handlers

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// disputeCreated keeps the dispute and tells the business, which must send its evidence
// in time. A dispute names no customer: it is listed under the payment that it disputes
// unless the customer is known.
func disputeCreated(_ context.Context, e dispatch.Current[stripe.Dispute]) (dispatch.Effects, error) {
	d := &e.Object
	customer, due := "", int64(0)
	if d.Charge != nil {
		customer = customerID(d.Charge.Customer)
	}
	if d.EvidenceDetails != nil {
		due = d.EvidenceDetails.DueBy
	}
	where := customerList(e.Input, customer)
	if where == "" {
		where = paymentList(e.Input, paymentIntentID(d.PaymentIntent))
	}
	ms := messages{{
		about: dispatch.ObjectKey(e.Envelope), name: disputeOpened, to: customer, object: "dispute", id: d.ID,
		amount: d.Amount, currency: d.Currency, since: d.Created,
		more: dispatch.Fields{"charge": chargeID(d.Charge), "payment_intent": paymentIntentID(d.PaymentIntent), "evidence_due_by": due},
	}}
	row := keep(e, kept{
		kind: "dispute", customer: customer, created: d.Created, list: where,
		more: dispatch.Fields{
			"status": string(d.Status), "reason": string(d.Reason), "amount": d.Amount, "currency": string(d.Currency),
			"charge": chargeID(d.Charge), "payment_intent": paymentIntentID(d.PaymentIntent), "evidence_due_by": due,
		},
	}, ms)
	return ms.with(e.Input, row), nil
}
