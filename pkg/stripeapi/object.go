package stripeapi

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"tollgate/pkg/dispatch"
)

// fetchable are the kinds of object that can be fetched by id, in Stripe's words. Kinds that live
// under another object (a bank account, a person, a reversal), that have no id (a balance, cash
// balance, tax settings) or that cannot be fetched at all (an application, a discount) are missing.
var fetchable = []string{
	"account", "application_fee", "billing_portal.configuration", "charge", "checkout.session", "climate.order",
	"coupon", "credit_note", "customer", "dispute", "file", "financial_connections.account",
	"identity.verification_session", "invoice", "invoiceitem", "issuing.authorization", "issuing.card",
	"issuing.cardholder", "issuing.dispute", "issuing.transaction", "mandate", "payment_intent", "payment_link",
	"payment_method", "payout", "plan", "price", "product", "promotion_code", "quote",
	"radar.early_fraud_warning", "refund", "reporting.report_run", "reporting.report_type", "review",
	"scheduled_query_run", "setup_intent", "source", "subscription", "subscription_schedule", "tax_rate",
	"terminal.reader", "test_helpers.test_clock", "topup", "transfer", "treasury.credit_reversal",
	"treasury.debit_reversal", "treasury.financial_account", "treasury.inbound_transfer",
	"treasury.outbound_payment", "treasury.outbound_transfer", "treasury.received_credit",
	"treasury.received_debit",
}

// collection returns the path under /v1 that has the objects of a kind.
func collection(kind string) string {
	if kind == "scheduled_query_run" {
		return "sigma/scheduled_query_runs"
	}
	return strings.ReplaceAll(kind, ".", "/") + "s"
}

// refundFailure is the member of a refund that tells when it failed.
const refundFailure = "failure_balance_transaction"

// expanded returns the members with which objects of a kind are fetched expanded: the charge
// names the customer, the payment intent has the decline code, and a charge has no refunds
// unless they are expanded.
func expanded(kind string) []string {
	switch kind {
	case "dispute", "radar.early_fraud_warning":
		return []string{"charge"}
	case "refund":
		return []string{"charge", refundFailure}
	case "charge":
		return []string{"refunds", "refunds.data." + refundFailure}
	case "invoice":
		return []string{"payment_intent"}
	}
	return nil
}

// maxObjectIDBytes bounds an object's id. People choose those of coupons, plans and
// products, so they are escaped and not checked for their characters.
const maxObjectIDBytes = 4 * maxIDBytes

// FetchObject returns one object as Stripe has it now, in [APIVersion]. object is
// Stripe's word for its kind, such as "checkout.session"; account is the connected
// account to ask as, "" for the key's own. The bytes are valid JSON and nothing more is
// checked; a deleted customer or product comes as {"deleted":true, …}. A subscription
// comes with all its items and a charge with all its refunds: where Stripe shows only the
// first ones with it, their list is read too; if that fails, so does the fetch. A dispute,
// refund or early fraud warning comes with its charge, an invoice with its payment intent
// and a refund with the balance transaction of its failure, each expanded.
//
// The errors are those of FetchEvent; a kind that cannot be fetched by its id is a
// permanent failure with the reason no_fetch. Safe for concurrent use.
func (c *Client) FetchObject(ctx context.Context, account, object, id string) ([]byte, error) {
	if !slices.Contains(fetchable, object) {
		return nil, dispatch.Park(dispatch.ReasonNoFetch, fmt.Errorf("objects of kind %.80q cannot be fetched by an id", object))
	}
	if id == "" || len(id) > maxObjectIDBytes || id == "." || id == ".." {
		return nil, mark(fmt.Errorf("fetch %s: %w: not an id", object, ErrNotFound))
	}
	if account != "" && !isName(account, "/") {
		return nil, mark(fmt.Errorf("fetch %s: %w: %.80q is not an account", object, ErrNotFound, account))
	}
	path := collection(object)
	address := "/v1/" + path + "/" + url.PathEscape(id)
	if members := expanded(object); members != nil {
		address += "?" + url.Values{"expand[]": members}.Encode()
	}
	body, err := c.get(ctx, request{
		path: address, version: APIVersion,
		accountHeader: "Stripe-Account", account: account, resource: path,
	})
	if l, ok := sublistOf(object); ok && err == nil {
		body, err = c.whole(ctx, account, id, l, body)
	}
	if err != nil {
		return nil, mark(fmt.Errorf("fetch %s %.80q: %w", object, id, err))
	}
	return body, nil
}
