// Package handlers has the business logic: what happens when an event arrives. It keeps the
// ledger of a subscription business and requests the messages to its customers. It has one
// file per kind of Stripe object. All event types of a kind share the function that keeps its
// row, the kind's keeper.
//
// A handler reads a typed object and returns effects, which package effect builds. It writes
// nothing itself and keeps no state, so it may run more than once and concurrently. The items:
//
//   - FACT#… is something about money that happened, written once per object and fact. Facts
//     are the same in any order of events, and two events for one change write one.
//   - OBJ#… keeps an object as Stripe has it now, never an old event's snapshot.
//   - ENT#… is what a customer may use because of a subscription. It changes only together
//     with the subscription's row.
//   - OUT#… requests a message to be sent once.
//
// Amounts are integers in the currency's smallest unit, as at Stripe. Text that is null at
// Stripe is "", a time that is null is 0. Metadata, addresses and what a customer typed are
// not stored.
//
// An object may not show yet what its event announced, for example an invoice.paid whose
// invoice is open. The attempt is retried until the event is ten minutes old. Then the row
// keeps what Stripe shows, and a fact about money comes from the event's own snapshot. If the
// snapshot cannot be read or contradicts its type, the event is a permanent failure. What a
// type announces is declared at its registration. Every type also announces that the object
// exists and that it differs from data.previous_attributes; payment_intent.succeeded, whose
// object is fetched only for another API version, waits in its handler.
//
//	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: client, Rows: table})
//	handlers.Register(mux)
//
// To add an event type, follow README.md. A failing test names anything that the type lacks.
package handlers

import (
	"fmt"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// Names of the messages that handlers request.
const (
	receipt               = "receipt"                 // to the customer: money came in
	welcome               = "welcome"                 // to the customer: a subscription became active or trialing
	trialWillEnd          = "trial_will_end"          // to the customer: a trial ends soon
	paymentFailed         = "payment_failed"          // to the customer: money did not come in
	disputeOpened         = "dispute_opened"          // to the business: evidence is due
	paymentActionRequired = "payment_action_required" // to the customer: a payment waits for authentication
	fraudWarning          = "early_fraud_warning"     // to the business: a refund may avoid a dispute
)

// Messages returns the names of all messages that handlers request.
func Messages() []string {
	return []string{receipt, welcome, trialWillEnd, paymentFailed, disputeOpened, paymentActionRequired, fraudWarning}
}

// Register registers every handler with the mux. It panics if one of the types has a handler
// already, and on a mux without Objects or Rows. Each of them is Pure: it returns effects only.
func Register(mux *dispatch.Mux) {
	dispatch.On(mux, stripe.EventTypePaymentIntentSucceeded, paymentIntentSucceeded, dispatch.Pure)
	dispatch.On(mux, stripe.EventTypePaymentIntentPaymentFailed, paymentIntentFailed, dispatch.Pure)

	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionCreated, keepSubscription, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionUpdated, keepSubscription, dispatch.Coalesce, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionDeleted, keepSubscription, dispatch.Announces(isOver), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionPaused, keepSubscription, dispatch.Announces(isPaused), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionResumed, keepSubscription, dispatch.Announces(isResumed), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionTrialWillEnd, subscriptionTrialEnds, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeInvoicePaid, invoicePaid, dispatch.Announces(isPaid), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeInvoicePaymentFailed, invoicePaymentFailed, dispatch.Announces(hasAttempt), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeInvoicePaymentActionRequired, invoiceActionRequired, dispatch.Announces(hasAttempt), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeInvoiceMarkedUncollectible, keepInvoice, dispatch.Announces(wasUncollectible), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeInvoiceVoided, keepInvoice, dispatch.Announces(isVoid), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeInvoiceUpdated, keepInvoice, dispatch.OnlyKept, dispatch.Coalesce, dispatch.Pure)

	registerCharges(mux)
	registerCheckouts(mux)
	registerKeepers(mux)
}

// registerCharges registers the handlers of what happens to charges: disputes, refunds and
// early fraud warnings.
func registerCharges(mux *dispatch.Mux) {
	dispatch.OnCurrent(mux, stripe.EventTypeChargeDisputeCreated, keepDispute, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeChargeDisputeUpdated, keepDispute, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeChargeDisputeClosed, keepDispute, dispatch.Announces(isClosed), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeChargeDisputeFundsWithdrawn, keepDispute, dispatch.Announces(isWithdrawn), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeChargeDisputeFundsReinstated, keepDispute, dispatch.Announces(isReinstated), dispatch.Pure)

	dispatch.OnCurrent(mux, stripe.EventTypeChargeRefunded, keepCharge, dispatch.Announces(isRefunded), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeRefundCreated, refundChanged, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeRefundUpdated, refundChanged, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeChargeRefundUpdated, refundChanged, dispatch.Pure)

	dispatch.OnCurrent(mux, stripe.EventTypeRadarEarlyFraudWarningCreated, keepFraudWarning, dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeRadarEarlyFraudWarningUpdated, keepFraudWarning, dispatch.Pure)
}

// registerCheckouts registers the handlers of checkouts and of deleted customers.
func registerCheckouts(mux *dispatch.Mux) {
	dispatch.OnCurrent(mux, stripe.EventTypeCheckoutSessionCompleted, keepCheckout, dispatch.Announces(isComplete), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCheckoutSessionAsyncPaymentSucceeded, keepCheckout, dispatch.Announces(isCheckoutPaid), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCheckoutSessionAsyncPaymentFailed, keepCheckout, dispatch.Announces(isComplete), dispatch.Pure)
	dispatch.OnCurrent(mux, stripe.EventTypeCheckoutSessionExpired, keepCheckout, dispatch.Announces(isExpired), dispatch.Pure)

	dispatch.OnCurrent(mux, stripe.EventTypeCustomerDeleted, keepCustomer, dispatch.Announces(isCustomerDeleted), dispatch.Pure)
}

// registerKeepers registers the keeper of each kind of object, so that its rows can be compared
// with Stripe.
func registerKeepers(mux *dispatch.Mux) {
	dispatch.Refreshes(mux, keepCheckout)
	dispatch.Refreshes(mux, keepDispute)
	dispatch.Refreshes(mux, keepRefund)
	dispatch.Refreshes(mux, keepCharge)
	dispatch.Refreshes(mux, keepFraudWarning)
	dispatch.Refreshes(mux, keepCustomer)
	dispatch.Refreshes(mux, keepSubscription)
	dispatch.Refreshes(mux, keepInvoice)
}

// Types returns the event types that Register handles, sorted. It is for callers that need no
// mux, which would need a table.
func Types() []string {
	unread := struct {
		dispatch.Objects
		dispatch.Rows
	}{}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: unread, Rows: unread})
	Register(mux)
	return mux.Types()
}

// mismatch is the error of an object that does not show what its event announced.
func mismatch(object, id, status, typ string) error {
	return fmt.Errorf("%s %s has status %s under an event %s", object, id, status, typ)
}
