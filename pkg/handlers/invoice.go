package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

// isPaid is what invoice.paid announces. A paid invoice is open again once its payment is
// detached from it.
func isPaid(in *stripe.Invoice, _ dispatch.Input) bool { return in.Status == stripe.InvoiceStatusPaid }

// isVoid is what invoice.voided announces. A void invoice stays void.
func isVoid(in *stripe.Invoice, _ dispatch.Input) bool { return in.Status == stripe.InvoiceStatusVoid }

// wasUncollectible is what invoice.marked_uncollectible announces. Such an invoice may have
// been paid or voided since.
func wasUncollectible(in *stripe.Invoice, _ dispatch.Input) bool {
	marked := in.StatusTransitions != nil && in.StatusTransitions.MarkedUncollectibleAt > 0
	return marked || in.Status == stripe.InvoiceStatusUncollectible || in.Status == stripe.InvoiceStatusVoid
}

// keepInvoice keeps the invoice's row.
func keepInvoice(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	return dispatch.Effects{invoiceRow(e, false)}, nil
}

// invoicePaid keeps the invoice and writes the fact that it was paid. The amount is 0 for an
// invoice over nothing, as in a trial. There is no receipt for nothing, nor for an invoice that
// is open again.
func invoicePaid(ctx context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	in := paidInvoice(e)
	if in == nil {
		return nil, dispatch.Permanent(mismatch("invoice", e.Object.ID, string(e.Object.Status), e.Type))
	}
	if paidBefore(e, in) {
		return keepInvoice(ctx, e)
	}
	fact := paidFact(e, in)
	var ms []effect.Message
	if fact.Amount > 0 && !e.Behind {
		ms = effect.ToCustomer(invoiceReceipt(e, in, fact))
	}
	paid, err := fact.Insert(e.Input, ms...)
	if err != nil {
		return nil, err
	}
	return effect.WithMessages(e.Input, ms, invoiceRow(e, true, ms...), paid), nil
}

// paidInvoice returns the invoice as its event shows it paid: it may have been opened again
// since, and paid by another payment. It is the current one if the event cannot be read, nil if
// neither is paid.
func paidInvoice(e dispatch.Current[stripe.Invoice]) *stripe.Invoice {
	for _, in := range []*stripe.Invoice{e.Snapshot, &e.Object} {
		if in != nil && isPaid(in, e.Input) {
			return in
		}
	}
	return nil
}

// paidBefore reports whether an earlier release wrote the fact of this payment, under a name
// without the payment. The row names the receipt that was requested with it.
func paidBefore(e dispatch.Current[stripe.Invoice], in *stripe.Invoice) bool {
	keys, _ := e.Row["outbox"].([]any)
	old := dispatch.MessageKey(effect.FactKey(e.Envelope, in.ID, "paid"), receipt)
	return slices.Contains(keys, any(old)) && e.Row["payment_intent"] == effect.ID(in.PaymentIntent)
}

// paidFact is the fact that an invoice was paid. Its name and ids are of what paid it, so that
// a second payment of an invoice that was opened again is a second fact. A payment outside of
// Stripe leaves the invoice with the payment intent that it made unnecessary.
func paidFact(e dispatch.Current[stripe.Invoice], in *stripe.Invoice) effect.Fact {
	occurred, pi, ch := e.Created, effect.ID(in.PaymentIntent), effect.ID(in.Charge)
	if in.StatusTransitions != nil {
		occurred = cmp.Or(in.StatusTransitions.PaidAt, e.Created)
	}
	by := "none" // nothing was due
	switch {
	case in.PaidOutOfBand:
		by, pi, ch = "out_of_band", "", ""
	case pi != "":
		by = pi
	case ch != "":
		by = "charge:" + ch
	}
	return effect.Fact{
		Kind: "invoice_paid", Object: "invoice", ID: in.ID, Name: "paid#" + by,
		Amount: amountPaid(in), Currency: string(in.Currency), Customer: effect.CustomerOf(e.Raw), Occurred: occurred,
		Row: dispatch.ObjectKey(e.Envelope),
		Extra: dispatch.Fields{
			"number": in.Number, "total": in.Total, "tax": in.Tax, "paid_out_of_band": in.PaidOutOfBand,
			"charge": ch, "payment_intent": pi, "subscription": effect.ID(in.Subscription),
		},
	}
}

// amountPaid returns what was paid of an invoice. Where Stripe has collected nothing itself, it
// may show no amount_paid for a payment outside of it: then the amount due was paid.
func amountPaid(in *stripe.Invoice) int64 {
	if in.PaidOutOfBand {
		return cmp.Or(in.AmountPaid, in.AmountDue)
	}
	return in.AmountPaid
}

// invoiceReceipt is the receipt of the payment that paid an invoice: the one that the payment's
// own event requests if it names no invoice. Without a payment at Stripe it is the invoice's.
func invoiceReceipt(e dispatch.Current[stripe.Invoice], in *stripe.Invoice, paid effect.Fact) effect.Message {
	m := paid.Message(e.Input, receipt)
	m.Extra = dispatch.Fields{
		"invoice": in.ID, "number": in.Number, "subscription": effect.ID(in.Subscription), "paid_out_of_band": in.PaidOutOfBand,
	}
	if pi, _ := paid.Extra["payment_intent"].(string); pi != "" {
		m.Subject, m.Object, m.ID = effect.FactKey(e.Envelope, pi, paymentSucceeded), "payment_intent", pi
	}
	return m
}

// hasAttempt is what the events of an attempt to pay announce: that attempt. It accepts an
// event whose attempt cannot be read, as the handler rejects it.
func hasAttempt(in *stripe.Invoice, e dispatch.Input) bool {
	announced, err := attemptOf(e.Body)
	return err != nil || in.AttemptCount >= announced
}

// invoicePaymentFailed keeps the invoice and, while it is unpaid, requests a message to its
// customer. A paid or void invoice needs none.
func invoicePaymentFailed(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	in, why := &e.Object, stripe.Error{}
	if in.PaymentIntent != nil && in.PaymentIntent.LastPaymentError != nil {
		why = *in.PaymentIntent.LastPaymentError
	}
	unpaid := in.Status == stripe.InvoiceStatusOpen || in.Status == stripe.InvoiceStatusUncollectible
	return attemptEffects(e, paymentFailed, unpaid, dispatch.Fields{
		"next_payment_attempt": in.NextPaymentAttempt, "code": string(why.Code), "decline_code": string(why.DeclineCode),
	})
}

// invoiceActionRequired keeps the invoice and asks its customer, while it is open, to
// authenticate the payment.
func invoiceActionRequired(_ context.Context, e dispatch.Current[stripe.Invoice]) (dispatch.Effects, error) {
	return attemptEffects(e, paymentActionRequired, e.Object.Status == stripe.InvoiceStatusOpen, nil)
}

// attemptEffects keeps the invoice and, if due, requests one message per attempt of Stripe's
// retry schedule. Only the attempt's own event requests it: no other has the attempt's time.
func attemptEffects(e dispatch.Current[stripe.Invoice], name string, due bool, extra dispatch.Fields) (dispatch.Effects, error) {
	in := &e.Object
	announced, err := attemptOf(e.Body)
	if err != nil {
		return nil, err
	}
	var ms []effect.Message
	if due && announced >= in.AttemptCount {
		m := effect.Message{
			Subject: effect.FactKey(e.Envelope, in.ID, fmt.Sprintf("%s#%d", name, in.AttemptCount)), Name: name,
			To: effect.CustomerOf(e.Raw), Object: "invoice", ID: in.ID, Amount: in.AmountDue, Currency: string(in.Currency), Since: e.Created,
			Extra: dispatch.Fields{"number": in.Number, "subscription": effect.ID(in.Subscription), "billing_reason": string(in.BillingReason)},
		}
		maps.Copy(m.Extra, extra)
		ms = effect.ToCustomer(m)
	}
	return effect.WithMessages(e.Input, ms, invoiceRow(e, false, ms...)), nil
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

// invoiceRow is the invoice's row, which names the messages about it. A fact of its payment, in
// the same commit, leads to it.
func invoiceRow(e dispatch.Current[stripe.Invoice], paid bool, ms ...effect.Message) dispatch.Effect {
	in := &e.Object
	return effect.KeepRow(e, effect.Row{
		Kind: "invoice", Customer: effect.CustomerOf(e.Raw), Created: in.Created, Led: paid,
		Extra: dispatch.Fields{
			"status": string(in.Status), "amount_due": in.AmountDue, "amount_paid": in.AmountPaid, "amount_remaining": in.AmountRemaining,
			"total": in.Total, "currency": string(in.Currency), "number": in.Number, "billing_reason": string(in.BillingReason),
			"subscription": effect.ID(in.Subscription), "payment_intent": effect.ID(in.PaymentIntent), "paid_out_of_band": in.PaidOutOfBand,
			"attempt_count": in.AttemptCount, "next_payment_attempt": in.NextPaymentAttempt,
		},
	}, ms...)
}
