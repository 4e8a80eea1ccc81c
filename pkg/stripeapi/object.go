package stripeapi

import (
	"context"
	"fmt"
	"net/url"

	"tollgate/pkg/dispatch"
)

// collections are the paths under /v1 from which an object is fetched by its id, by
// Stripe's word for its kind. Kinds that live under another object (a bank account, a
// person, a reversal), that have no id (a balance, cash balance, tax settings), or that
// cannot be fetched at all (an application, a discount) are not here.
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

// maxObjectIDBytes bounds an object's id. People choose those of coupons, plans and
// products, so they are escaped and not checked for their characters.
const maxObjectIDBytes = 4 * maxIDBytes

// FetchObject returns one object as Stripe has it now, in [APIVersion]. object is
// Stripe's word for its kind, such as "checkout.session"; account is the connected
// account to ask as, "" for the key's own. The bytes are valid JSON and nothing more is
// checked; a deleted customer or product comes as {"deleted":true, …}. A subscription
// comes with all its items: where Stripe shows only the first ones with it, their list is
// read too, and that this fails fails the fetch.
//
// The errors are those of FetchEvent; a kind that cannot be fetched by its id is a
// permanent failure with the reason no_fetch. Safe for concurrent use.
func (c *Client) FetchObject(ctx context.Context, account, object, id string) ([]byte, error) {
	path, ok := collections[object]
	if !ok {
		return nil, dispatch.Park(dispatch.ReasonNoFetch, fmt.Errorf("objects of kind %.80q cannot be fetched by an id", object))
	}
	if id == "" || len(id) > maxObjectIDBytes || id == "." || id == ".." {
		return nil, markPermanent(fmt.Errorf("fetch %s: %w: that is no id", object, ErrNotFound))
	}
	if account != "" && !isName(account, "/") {
		return nil, markPermanent(fmt.Errorf("fetch %s: %w: %.80q is no account", object, ErrNotFound, account))
	}
	body, err := c.get(ctx, request{
		path: "/v1/" + path + "/" + url.PathEscape(id), version: APIVersion,
		accountHeader: "Stripe-Account", account: account, resource: path,
	})
	if err == nil && object == "subscription" {
		body, err = c.wholeSubscription(ctx, account, id, body)
	}
	if err != nil {
		return nil, markPermanent(fmt.Errorf("fetch %s %.80q: %w", object, id, err))
	}
	return body, nil
}
