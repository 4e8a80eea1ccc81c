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

// isPaid is what invoice.paid announces.
func isPaid(in *stripe.Invoice, _ dispatch.Input) bool { return in.Status == stripe.InvoiceStatusPaid }

// invoicePaid keeps the invoice and writes the fact that it was paid. The amount is 0 for an
// invoice over nothing, as in a trial; paid_out_of_band means that the money did not come
// through Stripe. An invoice may be open again, for example after a bank debit that fails
// late: then the fact comes from the event's snapshot, and there is no receipt.
func invoicePaid(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	in := &e.Object
	if e.Behind {
		if e.Snapshot == nil || !isPaid(e.Snapshot, e.Input) {
			return nil, dispatch.Permanent(mismatch("invoice", in.ID, string(in.Status), e.Type))
		}
		in = e.Snapshot
	}
	fact := paidFact(e.Input, in)
	var ms []effect.Message
	if in.AmountPaid > 0 && !e.Behind { // no receipt for nothing, nor for an invoice that is open again
		ms = effect.ToCustomer(invoiceMessage(e, receipt, fact.Name, in.AmountPaid, fact.Occurred))
	}
	paid, err := fact.Insert(e.Input, ms...)
	if err != nil {
		return nil, err
	}
	return effect.WithMessages(e.Input, ms, keepInvoice(e, ms), paid), nil
}

// paidFact is the fact that an invoice was paid.
func paidFact(e dispatch.Input, in *stripe.Invoice) effect.Fact {
	occurred := e.Created
	if in.StatusTransitions != nil {
		occurred = cmp.Or(in.StatusTransitions.PaidAt, e.Created)
	}
	return effect.Fact{
		Kind: "invoice_paid", Object: "invoice", ID: in.ID, Name: "paid",
		Amount: in.AmountPaid, Currency: string(in.Currency), Customer: effect.ID(in.Customer), Occurred: occurred,
		Extra: dispatch.Fields{
			"number": in.Number, "total": in.Total, "tax": in.Tax, "paid_out_of_band": in.PaidOutOfBand,
			"charge": effect.ID(in.Charge), "payment_intent": effect.ID(in.PaymentIntent), "subscription": effect.ID(in.Subscription),
		},
	}
}

// hasAttempt is what invoice.payment_failed announces: the attempt that failed. It accepts
// an event whose attempt cannot be read, as the handler rejects it.
func hasAttempt(in *stripe.Invoice, e dispatch.Input) bool {
	announced, err := attemptOf(e.Body)
	return err != nil || in.AttemptCount >= announced
}

// invoicePaymentFailed keeps the invoice. While it is unpaid, its customer gets one message
// per attempt of Stripe's retry schedule. Only the attempt's own event requests it, as only
// that event has the time of the attempt. A paid or void invoice needs no message.
func invoicePaymentFailed(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	in := &e.Object
	unpaid := in.Status == stripe.InvoiceStatusOpen || in.Status == stripe.InvoiceStatusUncollectible
	announced, err := attemptOf(e.Body)
	if err != nil {
		return nil, err
	}
	var ms []effect.Message
	if unpaid && announced >= in.AttemptCount {
		failed := fmt.Sprintf("%s#%d", paymentFailed, in.AttemptCount)
		ms = effect.ToCustomer(invoiceMessage(e, paymentFailed, failed, in.AmountDue, e.Created))
	}
	return effect.WithMessages(e.Input, ms, keepInvoice(e, ms)), nil
}

// attemptOf reads the announced attempt from the event, as the current invoice may have had
// another one since.
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
func keepInvoice(e dispatch.Current[stripe.Invoice], ms []effect.Message) dispatch.Effect {
	in := &e.Object
	return effect.KeepRow(e, effect.Row{
		Kind: "invoice", Customer: effect.ID(in.Customer), Created: in.Created,
		Extra: dispatch.Fields{
			"status": string(in.Status), "amount_due": in.AmountDue, "amount_paid": in.AmountPaid, "amount_remaining": in.AmountRemaining,
			"total": in.Total, "currency": string(in.Currency), "number": in.Number,
			"subscription": effect.ID(in.Subscription), "payment_intent": effect.ID(in.PaymentIntent),
			"attempt_count": in.AttemptCount, "next_payment_attempt": in.NextPaymentAttempt,
		},
	}, ms...)
}

// invoiceMessage is a message about something that happened to an invoice.
func invoiceMessage(e dispatch.Current[stripe.Invoice], name, happened string, amount, since int64) effect.Message {
	in := &e.Object
	return effect.Message{
		Subject: effect.FactKey(e.Envelope, in.ID, happened), Name: name, To: effect.ID(in.Customer), Object: "invoice", ID: in.ID,
		Amount: amount, Currency: string(in.Currency), Since: since,
		Extra: dispatch.Fields{"number": in.Number, "subscription": effect.ID(in.Subscription)},
	}
}
