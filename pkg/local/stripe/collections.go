package stripe

import "net/http"

// collections are the paths under /v1 that serve an object by its id, by the object's kind.
var collections = map[string]string{
	"account":                       "accounts",
	"application_fee":               "application_fees",
	"billing_portal.configuration":  "billing_portal/configurations",
	"charge":                        "charges",
	"checkout.session":              "checkout/sessions",
	"climate.order":                 "climate/orders",
	"coupon":                        "coupons",
	"credit_note":                   "credit_notes",
	"customer":                      "customers",
	"dispute":                       "disputes",
	"file":                          "files",
	"financial_connections.account": "financial_connections/accounts",
	"identity.verification_session": "identity/verification_sessions",
	"invoice":                       "invoices",
	"invoiceitem":                   "invoiceitems",
	"issuing.authorization":         "issuing/authorizations",
	"issuing.card":                  "issuing/cards",
	"issuing.cardholder":            "issuing/cardholders",
	"issuing.dispute":               "issuing/disputes",
	"issuing.transaction":           "issuing/transactions",
	"mandate":                       "mandates",
	"payment_intent":                "payment_intents",
	"payment_link":                  "payment_links",
	"payment_method":                "payment_methods",
	"payout":                        "payouts",
	"plan":                          "plans",
	"price":                         "prices",
	"product":                       "products",
	"promotion_code":                "promotion_codes",
	"quote":                         "quotes",
	"radar.early_fraud_warning":     "radar/early_fraud_warnings",
	"refund":                        "refunds",
	"reporting.report_run":          "reporting/report_runs",
	"reporting.report_type":         "reporting/report_types",
	"review":                        "reviews",
	"scheduled_query_run":           "sigma/scheduled_query_runs",
	"setup_intent":                  "setup_intents",
	"source":                        "sources",
	"subscription":                  "subscriptions",
	"subscription_schedule":         "subscription_schedules",
	"tax_rate":                      "tax_rates",
	"terminal.reader":               "terminal/readers",
	"test_helpers.test_clock":       "test_helpers/test_clocks",
	"topup":                         "topups",
	"transfer":                      "transfers",
	"treasury.credit_reversal":      "treasury/credit_reversals",
	"treasury.debit_reversal":       "treasury/debit_reversals",
	"treasury.financial_account":    "treasury/financial_accounts",
	"treasury.inbound_transfer":     "treasury/inbound_transfers",
	"treasury.outbound_payment":     "treasury/outbound_payments",
	"treasury.outbound_transfer":    "treasury/outbound_transfers",
	"treasury.received_credit":      "treasury/received_credits",
	"treasury.received_debit":       "treasury/received_debits",
}

// hasDeletedForm reports whether a deleted object of a kind is still served, as
// {"deleted":true}. Others are then not found.
func hasDeletedForm(kind string) bool { return kind == "customer" || kind == "terminal.reader" }

// object serves objects of one kind. A subscription is served with its first items;
// expansions are ignored, because no object here is part of another.
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
		body := found.Body
		if kind == "subscription" {
			body = firstItems(body)
		}
		return indented(found.Body, body, ""), nil
	}
}
