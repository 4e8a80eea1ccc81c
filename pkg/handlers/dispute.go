package handlers

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// isClosed is what charge.dispute.closed announces: a status other than those that wait for
// the business or the bank.
func isClosed(d *stripe.Dispute, _ dispatch.Input) bool {
	switch d.Status {
	case stripe.DisputeStatusNeedsResponse, stripe.DisputeStatusUnderReview,
		stripe.DisputeStatusWarningNeedsResponse, stripe.DisputeStatusWarningUnderReview:
		return false
	}
	return true
}

// isWithdrawn is what charge.dispute.funds_withdrawn announces.
func isWithdrawn(d *stripe.Dispute, _ dispatch.Input) bool {
	return slices.ContainsFunc(d.BalanceTransactions, func(b *stripe.BalanceTransaction) bool { return b != nil && b.Amount < 0 })
}

// isReinstated is what charge.dispute.funds_reinstated announces.
func isReinstated(d *stripe.Dispute, _ dispatch.Input) bool {
	return slices.ContainsFunc(d.BalanceTransactions, func(b *stripe.BalanceTransaction) bool { return b != nil && b.Amount > 0 })
}

// withdrawnAt returns when funds were withdrawn first, 0 if they were not.
func withdrawnAt(d *stripe.Dispute) int64 {
	at := int64(0)
	for _, b := range d.BalanceTransactions {
		if b != nil && b.Amount < 0 && (at == 0 || b.Created < at) {
			at = b.Created
		}
	}
	return at
}

// keepDispute keeps a dispute and writes a fact for each balance transaction that withdrew or
// reinstated its funds. While evidence can be given it requests a message to the business.
// Only the expanded charge names the customer.
func keepDispute(_ context.Context, e dispatch.Current[stripe.Dispute]) (dispatch.Effects, error) {
	d := &e.Object
	about, due := aboutCharge(e.Raw, d.Charge, d.PaymentIntent), int64(0)
	if d.EvidenceDetails != nil {
		due = d.EvidenceDetails.DueBy
	}
	ms := openedMessage(e, about, due)
	fields := about.fields()
	fields["status"], fields["reason"], fields["evidence_due_by"] = string(d.Status), string(d.Reason), due
	fields["amount"], fields["currency"] = d.Amount, string(d.Currency)
	effects := dispatch.Effects{effect.KeepRow(e, effect.Row{
		Kind: "dispute", Customer: about.customer, Created: d.Created, List: about.list(e.Input), Extra: fields,
	}, ms...)}
	for _, b := range d.BalanceTransactions {
		if b == nil || b.Amount == 0 { // no money moved
			continue
		}
		fact, err := fundsFact(e.Input, d.ID, b, about).Insert(e.Input)
		if err != nil {
			return nil, err
		}
		effects = append(effects, fact)
	}
	return effect.WithMessages(e.Input, ms, effects...), nil
}

// fundsFact is the fact that funds of a dispute moved. A balance transaction has the currency
// of the balance, which may differ from the dispute's.
func fundsFact(in dispatch.Input, id string, b *stripe.BalanceTransaction, about charged) effect.Fact {
	kind, amount := "dispute_funds_reinstated", b.Amount
	if amount < 0 {
		kind, amount = "dispute_funds_withdrawn", -amount
	}
	fields := about.fields()
	fields["fee"] = b.Fee
	return effect.Fact{
		Kind: kind, Object: "dispute", ID: id, Name: b.ID, Amount: amount, Currency: string(b.Currency),
		Customer: about.customer, Occurred: b.Created, List: about.list(in), Extra: fields,
	}
}

// isInquiry reports whether a dispute's status is that of an inquiry, which may become a
// chargeback: no funds are withdrawn yet.
func isInquiry(status string) bool { return strings.HasPrefix(status, "warning_") }

// openedMessage is the message that evidence is due, if it can be given. An inquiry has a
// message of its own, so that one that becomes a chargeback is reported again.
func openedMessage(e dispatch.Current[stripe.Dispute], about charged, due int64) []effect.Message {
	d := &e.Object
	m := effect.Message{
		Subject: dispatch.ObjectKey(e.Envelope), Name: disputeOpened, To: about.customer, Object: "dispute", ID: d.ID,
		Amount: d.Amount, Currency: string(d.Currency), Since: d.Created, Extra: about.fields(),
	}
	m.Extra["status"], m.Extra["reason"], m.Extra["evidence_due_by"] = string(d.Status), string(d.Reason), due
	m.Extra["inquiry"] = isInquiry(string(d.Status))
	switch before, _ := e.Row["status"].(string); {
	case d.Status == stripe.DisputeStatusWarningNeedsResponse:
		m.Subject += "#inquiry"
	case d.Status != stripe.DisputeStatusNeedsResponse:
		return nil
	case isInquiry(before): // the event may be an older one that comes late
		m.Since = max(e.Created, withdrawnAt(d))
	default: // an inquiry without a row became a chargeback when its funds were withdrawn
		m.Since = cmp.Or(withdrawnAt(d), d.Created)
	}
	return []effect.Message{m}
}
