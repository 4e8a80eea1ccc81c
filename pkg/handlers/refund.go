package handlers

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// refundChanged keeps a refund. One that failed or was canceled is no longer part of its
// charge's amount_refunded, and Stripe sends no event of the charge: its row is refreshed.
func refundChanged(ctx context.Context, e dispatch.Current[stripe.Refund]) (dispatch.Effects, error) {
	effects, err := keepRefund(ctx, e)
	charge := effect.ID(e.Object.Charge)
	if err != nil || charge == "" || !isReversed(&e.Object) {
		return effects, err
	}
	rows, err := e.RefreshOther(ctx, charge)
	if err != nil {
		return nil, err
	}
	return append(effects, rows...), nil
}

// isReversed reports whether the money of a refund stays with the business.
func isReversed(r *stripe.Refund) bool {
	return r.Status == stripe.RefundStatusFailed || r.Status == stripe.RefundStatusCanceled
}

// keepRefund keeps a refund and writes its facts.
func keepRefund(_ context.Context, e dispatch.Current[stripe.Refund]) (dispatch.Effects, error) {
	r := &e.Object
	about := aboutCharge(e.Raw, r.Charge, r.PaymentIntent)
	facts, err := refundFacts(e.Input, r, about)
	if err != nil {
		return nil, err
	}
	fields := about.fields()
	fields["status"], fields["amount"], fields["currency"] = string(r.Status), r.Amount, string(r.Currency)
	fields["reason"], fields["failure_reason"] = string(r.Reason), string(r.FailureReason)
	row := effect.KeepRow(e, effect.Row{
		Kind: "refund", Customer: about.customer, Created: r.Created, List: about.list(e.Input), Extra: fields,
	})
	return append(dispatch.Effects{row}, facts...), nil
}

// refundFacts are the fact that a refund was made, whatever its status is by now, and if it
// failed or was canceled a second fact that reverses the first. So both are there also if the
// refund is first seen when it has failed. A failure, which may come weeks later, has the
// time of its balance transaction; a refund canceled before money moved has none, and the
// time of the refund.
func refundFacts(in dispatch.Input, r *stripe.Refund, about charged) (dispatch.Effects, error) {
	if r.Amount <= 0 { // an absent field decodes as zero and must not become a fact
		return nil, dispatch.Permanent(fmt.Errorf("refund %s is of %d", r.ID, r.Amount))
	}
	extra := about.fields()
	extra["invoice"], extra["reason"] = about.invoice, string(r.Reason)
	facts := []effect.Fact{{
		Kind: "refund", Object: "refund", ID: r.ID, Name: "refunded", Amount: r.Amount, Currency: string(r.Currency),
		Customer: about.customer, Occurred: r.Created, List: about.list(in), Extra: extra,
	}}
	if isReversed(r) {
		failed := facts[0]
		failed.Kind, failed.Name = "refund_failed", "failed"
		if b := r.FailureBalanceTransaction; b != nil && b.Created > 0 {
			failed.Occurred = b.Created
		}
		facts = append(facts, failed)
	}
	var effects dispatch.Effects
	for _, fact := range facts {
		insert, err := fact.Insert(in)
		if err != nil {
			return nil, err
		}
		effects = append(effects, insert)
	}
	return effects, nil
}

// charged is what is kept of the charge that a refund, a dispute or a fraud warning is about.
type charged struct{ charge, paymentIntent, invoice, customer string }

// aboutCharge reads the charge that an object names. Its customer and invoice are known only
// if it is expanded. paymentIntent is the object's own.
func aboutCharge(object json.RawMessage, charge *stripe.Charge, paymentIntent *stripe.PaymentIntent) charged {
	about := charged{charge: effect.ID(charge), paymentIntent: effect.ID(paymentIntent)}
	if charge == nil {
		return about
	}
	if about.paymentIntent == "" {
		about.paymentIntent = effect.ID(charge.PaymentIntent)
	}
	var with struct{ Charge json.RawMessage }
	_ = json.Unmarshal(object, &with) // no customer if it is not expanded
	about.invoice, about.customer = effect.ID(charge.Invoice), effect.CustomerOf(with.Charge)
	return about
}

func (a charged) list(in dispatch.Input) string {
	return effect.ListOf(in.Envelope, a.customer, a.paymentIntent)
}

// fields returns the references that every row, fact and message about the charge has.
func (a charged) fields() dispatch.Fields {
	return dispatch.Fields{"charge": a.charge, "payment_intent": a.paymentIntent}
}
