package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// paymentIntentSucceeded notes that a payment came in: amount is what was received,
// which is less than what was asked for after a partial capture. invoice names the
// invoice that it paid, "" for none, so that a ledger counts the money once; the receipt
// of such a payment is the invoice's.
func paymentIntentSucceeded(_ context.Context, e dispatch.Event[stripe.PaymentIntent]) (dispatch.Effects, error) {
	pi := &e.Object
	if pi.Status != stripe.PaymentIntentStatusSucceeded {
		if fetched(e.Input) {
			if err := e.NotYet(unlike("payment_intent", pi.ID, string(pi.Status), e.Type)); err != nil {
				return nil, err
			}
		}
		return nil, contradiction("payment_intent", pi.ID, string(pi.Status), e.Type)
	}
	if pi.AmountReceived <= 0 { // a field that is not there reads as zero, and no such fact may stand
		return nil, dispatch.Permanent(fmt.Errorf("payment_intent %s has succeeded and received %d", pi.ID, pi.AmountReceived))
	}
	f := fact{
		kind: "payment", object: "payment_intent", id: pi.ID, name: "succeeded",
		amount: pi.AmountReceived, currency: pi.Currency, customer: customerID(pi.Customer), occurred: e.Created,
		more: dispatch.Fields{"charge": chargeID(pi.LatestCharge), "invoice": invoiceID(pi.Invoice)},
	}
	var ms messages
	if pi.Invoice == nil {
		ms = toCustomer(f.message(e.Input, receipt))
	}
	item, err := f.insert(e.Input, ms)
	if err != nil {
		return nil, err
	}
	return ms.with(e.Input, item), nil
}

// paymentIntentFailed notes that an attempt to pay failed. A payment may fail many times
// before it succeeds: the charge tells the failures apart or, where there was none, as
// after a failed authentication, the payment method and the event's second. A failure to
// pay an invoice gets no message of its own; the invoice's event does.
func paymentIntentFailed(_ context.Context, e dispatch.Event[stripe.PaymentIntent]) (dispatch.Effects, error) {
	pi := &e.Object
	succeeded := pi.Status == stripe.PaymentIntentStatusSucceeded
	if succeeded && !fetched(e.Input) {
		return nil, contradiction("payment_intent", pi.ID, string(pi.Status), e.Type)
	}
	why, err := readFailure(e.Body)
	if err != nil {
		return nil, err
	}
	f := fact{
		kind: "payment_failure", object: "payment_intent", id: pi.ID, name: "failed#" + why.name(e.Created),
		amount: pi.Amount, currency: pi.Currency, customer: customerID(pi.Customer), occurred: e.Created,
		more: dispatch.Fields{
			"charge": why.Charge, "payment_method": why.PaymentMethod.ID, "code": why.Code, "decline_code": why.DeclineCode,
			"invoice": invoiceID(pi.Invoice),
		},
	}
	var ms messages
	if pi.Invoice == nil && !succeeded { // it would no longer be true
		ms = toCustomer(f.message(e.Input, paymentFailed))
	}
	item, err := f.insert(e.Input, ms)
	if err != nil {
		return nil, err
	}
	return ms.with(e.Input, item), nil
}

// fetched reports whether an event's object is the present one and not the event's own:
// it is then of another moment, later or, as Stripe may lag, a little earlier.
func fetched(in dispatch.Input) bool { return in.APIVersion != stripe.APIVersion }

// failure is what an event says of the attempt to pay that failed.
type failure struct {
	Charge        string              `json:"charge"`
	Code          string              `json:"code"`
	DeclineCode   string              `json:"decline_code"`
	PaymentMethod struct{ ID string } `json:"payment_method"`
}

// readFailure reads the failure from the event itself, in every API version: the names
// are the same in all of them, and the payment as it is now may have a later failure or
// none. Without an error in the event the failure is zero.
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

// name tells a failure from the others of its payment.
func (f failure) name(created int64) string {
	if f.Charge != "" {
		return f.Charge
	}
	return fmt.Sprintf("%s#%d", cmp.Or(f.PaymentMethod.ID, "-"), created)
}
