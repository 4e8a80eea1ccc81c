package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

// paymentSucceeded is the name of the fact that a payment came in.
const paymentSucceeded = "succeeded"

// paymentIntentSucceeded writes the fact that a payment came in. Its amount is what was
// received, which is less than what was asked for after a partial capture. Its invoice is the
// one that was paid, "" for none, so that a ledger counts the money once. A payment that names
// its invoice leaves the receipt to it; if only the invoice names the payment, both request the
// same receipt.
func paymentIntentSucceeded(_ context.Context, e dispatch.Event[stripe.PaymentIntent]) (dispatch.Effects, error) {
	pi := &e.Object
	if pi.Status != stripe.PaymentIntentStatusSucceeded {
		err := mismatch("payment_intent", pi.ID, string(pi.Status), e.Type)
		if fetched(e.Input) {
			if retry := e.NotYet(err); retry != nil {
				return nil, retry
			}
		}
		return nil, dispatch.Permanent(err)
	}
	if pi.AmountReceived <= 0 { // an absent field decodes as zero and must not become a fact
		return nil, dispatch.Permanent(fmt.Errorf("payment_intent %s has succeeded and received %d", pi.ID, pi.AmountReceived))
	}
	fact := paymentFact(e, "payment", paymentSucceeded, pi.AmountReceived)
	fact.Extra = dispatch.Fields{"charge": effect.ID(pi.LatestCharge), "invoice": effect.ID(pi.Invoice)}
	var ms []effect.Message
	if pi.Invoice == nil {
		ms = effect.ToCustomer(fact.Message(e.Input, receipt))
	}
	return fact.Effects(e.Input, ms...)
}

// paymentIntentFailed writes the fact that an attempt to pay failed. A payment may fail many
// times before it succeeds. A failure is identified by its charge or, where there was none, as
// after a failed authentication, by the payment method and the event's second.
func paymentIntentFailed(ctx context.Context, e dispatch.Event[stripe.PaymentIntent]) (dispatch.Effects, error) {
	pi := &e.Object
	if pi.Status == stripe.PaymentIntentStatusSucceeded && !fetched(e.Input) {
		return nil, dispatch.Permanent(mismatch("payment_intent", pi.ID, string(pi.Status), e.Type))
	}
	why, err := readFailure(e.Body)
	if err != nil {
		return nil, err
	}
	fact := paymentFact(e, "payment_failure", "failed#"+why.name(e.Created), pi.Amount)
	fact.Extra = dispatch.Fields{
		"charge": why.Charge, "payment_method": why.PaymentMethod.ID, "code": why.Code, "decline_code": why.DeclineCode,
		"invoice": effect.ID(pi.Invoice),
	}
	due, err := failureMessageDue(ctx, e)
	if err != nil {
		return nil, err
	}
	var ms []effect.Message
	if due {
		m := fact.Message(e.Input, paymentFailed)
		m.Subject = effect.FactKey(e.Envelope, pi.ID, "failed") // one message, however many cards are declined
		m.Extra = dispatch.Fields{"code": why.Code, "decline_code": why.DeclineCode}
		ms = effect.ToCustomer(m)
	}
	return fact.Effects(e.Input, ms...)
}

// failureMessageDue reports whether to request a message about a failed payment: it has
// neither succeeded nor been canceled since, as far as Stripe and the table show. For a payment
// of an invoice, the invoice's own event requests the message.
func failureMessageDue(ctx context.Context, e dispatch.Event[stripe.PaymentIntent]) (bool, error) {
	pi := &e.Object
	if pi.Invoice != nil || pi.Status == stripe.PaymentIntentStatusSucceeded || pi.Status == stripe.PaymentIntentStatusCanceled {
		return false, nil
	}
	_, succeeded, err := e.Item(ctx, effect.FactKey(e.Envelope, pi.ID, paymentSucceeded))
	return !succeeded, err
}

// paymentFact is a fact about a payment. Without a customer it is in the payment's own list.
func paymentFact(e dispatch.Event[stripe.PaymentIntent], kind, name string, amount int64) effect.Fact {
	pi, customer := &e.Object, effect.CustomerOf(e.Raw)
	return effect.Fact{
		Kind: kind, Object: "payment_intent", ID: pi.ID, Name: name, Amount: amount, Currency: string(pi.Currency),
		Customer: customer, Occurred: e.Created, List: effect.ListOf(e.Envelope, customer, pi.ID),
	}
}

// fetched reports whether the object was fetched from Stripe, because the event has another
// API version. It is then newer than the event or, as Stripe may lag, a little older.
func fetched(in dispatch.Input) bool { return in.APIVersion != stripe.APIVersion }

// failure is the event's description of a failed attempt to pay.
type failure struct {
	Charge        string              `json:"charge"`
	Code          string              `json:"code"`
	DeclineCode   string              `json:"decline_code"`
	PaymentMethod struct{ ID string } `json:"payment_method"`
}

// readFailure reads the failure from the event itself, as the current payment may have a
// later failure or none. The field names are the same in every API version. Without an error
// in the event the failure is zero.
func readFailure(body []byte) (failure, error) {
	object, _, err := event.Data(body)
	if err != nil {
		return failure{}, dispatch.Permanent(fmt.Errorf("read event data: %w", err))
	}
	var pi struct {
		LastPaymentError failure `json:"last_payment_error"`
	}
	if err := json.Unmarshal(object, &pi); err != nil {
		return failure{}, dispatch.Permanent(errors.New("last_payment_error cannot be read"))
	}
	return pi.LastPaymentError, nil
}

// name identifies the failure among those of its payment.
func (f failure) name(created int64) string {
	if f.Charge != "" {
		return f.Charge
	}
	return fmt.Sprintf("%s#%d", cmp.Or(f.PaymentMethod.ID, "-"), created)
}
