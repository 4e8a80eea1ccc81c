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

// isPaid is what invoice.paid announces.
func isPaid(in *stripe.Invoice, _ dispatch.Input) bool { return in.Status == stripe.InvoiceStatusPaid }

// invoicePaid keeps the invoice and inserts the fact that it was paid. The amount is 0 for an
// invoice that asked for nothing, as in a trial; paid_out_of_band says that the money did not
// come through Stripe. An invoice may be open again, as after a bank debit that fails late:
// then the fact comes from the event, and there is no receipt.
func invoicePaid(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	in := &e.Object
	if e.Behind {
		if e.Told == nil || !isPaid(e.Told, e.Input) {
			return nil, contradiction("invoice", in.ID, string(in.Status), e.Type)
		}
		in = e.Told
	}
	f := invoiceFact(e.Input, in)
	var ms messages
	if in.AmountPaid > 0 && !e.Behind { // no receipt for nothing, or for what is owed again
		ms = toCustomer(invoiceMessage(e, receipt, f.name, in.AmountPaid, f.occurred))
	}
	paid, err := f.insert(e.Input, ms)
	if err != nil {
		return nil, err
	}
	return ms.with(e.Input, keepInvoice(e, ms), paid), nil
}

// invoiceFact is the fact that an invoice was paid.
func invoiceFact(e dispatch.Input, in *stripe.Invoice) fact {
	occurred := e.Created
	if in.StatusTransitions != nil {
		occurred = cmp.Or(in.StatusTransitions.PaidAt, e.Created)
	}
	return fact{
		kind: "invoice_paid", object: "invoice", id: in.ID, name: "paid",
		amount: in.AmountPaid, currency: in.Currency, customer: customerID(in.Customer), occurred: occurred,
		more: dispatch.Fields{
			"number": in.Number, "total": in.Total, "tax": in.Tax, "paid_out_of_band": in.PaidOutOfBand,
			"charge": chargeID(in.Charge), "payment_intent": paymentIntentID(in.PaymentIntent), "subscription": subscriptionID(in.Subscription),
		},
	}
}

// hasAttempt is what invoice.payment_failed announces: the attempt that failed. It lets an
// event pass whose attempt cannot be read: the handler fails it.
func hasAttempt(in *stripe.Invoice, e dispatch.Input) bool {
	announced, err := attemptOf(e.Body)
	return err != nil || in.AttemptCount >= announced
}

// invoicePaymentFailed keeps the invoice. While it is unpaid, its customer gets one message
// for each attempt of Stripe's schedule, from that attempt's own event, which alone knows
// when the state began. An invoice that is paid or void by now needs no message.
func invoicePaymentFailed(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	in := &e.Object
	unpaid := in.Status == stripe.InvoiceStatusOpen || in.Status == stripe.InvoiceStatusUncollectible
	announced, err := attemptOf(e.Body)
	if err != nil {
		return nil, err
	}
	var ms messages
	if unpaid && announced >= in.AttemptCount {
		about := fmt.Sprintf("%s#%d", paymentFailed, in.AttemptCount)
		ms = toCustomer(invoiceMessage(e, paymentFailed, about, in.AmountDue, e.Created))
	}
	return ms.with(e.Input, keepInvoice(e, ms)), nil
}

// attemptOf reads which attempt an event announces: the current invoice may have had another
// since.
func attemptOf(body []byte) (int64, error) {
	object, _, err := event.Data(body)
	if err != nil {
		return 0, dispatch.Permanent(fmt.Errorf("read event data: %w", err))
	}
	var in struct {
		AttemptCount int64 `json:"attempt_count"`
	}
	if err := json.Unmarshal(object, &in); err != nil {
		return 0, dispatch.Permanent(errors.New("attempt_count cannot be read"))
	}
	return in.AttemptCount, nil
}

// keepInvoice keeps an invoice's row.
func keepInvoice(e dispatch.Current[stripe.Invoice], ms messages) dispatch.Effect {
	in := &e.Object
	return keep(e, kept{
		kind: "invoice", customer: customerID(in.Customer), created: in.Created,
		more: dispatch.Fields{
			"status": string(in.Status), "amount_due": in.AmountDue, "amount_paid": in.AmountPaid, "amount_remaining": in.AmountRemaining,
			"total": in.Total, "currency": string(in.Currency), "number": in.Number,
			"subscription": subscriptionID(in.Subscription), "payment_intent": paymentIntentID(in.PaymentIntent),
			"attempt_count": in.AttemptCount, "next_payment_attempt": in.NextPaymentAttempt,
		},
	}, ms)
}

// invoiceMessage is a message about something that happened to an invoice.
func invoiceMessage(e dispatch.Current[stripe.Invoice], name, happened string, amount, since int64) message {
	in := &e.Object
	return message{
		about: factKey(e.Input, in.ID, happened), name: name, to: customerID(in.Customer), object: "invoice", id: in.ID,
		amount: amount, currency: in.Currency, since: since,
		more: dispatch.Fields{"number": in.Number, "subscription": subscriptionID(in.Subscription)},
	}
}
