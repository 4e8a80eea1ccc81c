package stripe

import (
	"net/http"
	"strings"
)

// kinds are the objects that are served by their id.
const kinds = `
	account application_fee billing_portal.configuration charge checkout.session climate.order coupon credit_note
	customer dispute file financial_connections.account identity.verification_session invoice invoiceitem
	issuing.authorization issuing.card issuing.cardholder issuing.dispute issuing.transaction mandate
	payment_intent payment_link payment_method payout plan price product promotion_code quote
	radar.early_fraud_warning refund reporting.report_run reporting.report_type review scheduled_query_run
	setup_intent source subscription subscription_schedule tax_rate terminal.reader test_helpers.test_clock topup
	transfer treasury.credit_reversal treasury.debit_reversal treasury.financial_account treasury.inbound_transfer
	treasury.outbound_payment treasury.outbound_transfer treasury.received_credit treasury.received_debit
`

// collection is the path under /v1 that serves objects of a kind.
func collection(kind string) string {
	if kind == "scheduled_query_run" {
		kind = "sigma." + kind
	}
	return strings.ReplaceAll(kind, ".", "/") + "s"
}

// hasDeletedForm reports whether a deleted object of a kind is still served, as
// {"deleted":true}. Others are then not found.
func hasDeletedForm(kind string) bool { return kind == "customer" || kind == "terminal.reader" }

// object serves objects of one kind. A subscription is served with its first items.
func (s *Fake) object(kind string) apiFunc {
	return func(r *http.Request) ([]byte, *apiError) {
		for name := range r.URL.Query() {
			if !isExpand(name) {
				return nil, unknown(name)
			}
		}
		id := r.PathValue("id")
		s.expected.wait(r.Context(), account(r), id)
		found, err := s.store.object(account(r), kind, id)
		if err != nil {
			return nil, broken(err)
		}
		if found == nil {
			return nil, invalid(http.StatusNotFound, "resource_missing", "id", "No such %s: '%.255s'", kind, id)
		}
		if kind == "subscription" {
			return firstItems(found.Body), nil
		}
		body, err := s.expand(r, found)
		if err != nil {
			return nil, broken(err)
		}
		return body, nil
	}
}
