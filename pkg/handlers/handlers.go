// Package handlers is what the business does about Stripe's events: it keeps the ledger
// of a subscription business and the messages that its customers are owed. One file for
// each kind of Stripe object, one function for each event type.
//
// A handler reads a typed object and returns effects; it writes nothing itself and keeps
// no state, so it may run twice or beside itself. It makes four kinds of items, each
// with mode and account in its key, so that a test event never touches a live item:
//
//   - FACT#… notes money that moved, once, keyed by object and fact, not by event: facts
//     come out the same whatever the order of events, and two events make one.
//   - OBJ#… keeps an object as Stripe has it now, never as a late event's snapshot says.
//   - ENT#… says what a customer may use because of a subscription, and changes only
//     together with the subscription's row.
//   - OUT#… asks for a message to be sent, once, keyed by what it is about.
//
// Amounts stay in the currency's smallest unit, as Stripe gives them. Text that Stripe
// leaves null is "" and a time that it leaves null is 0; metadata, addresses and what a
// customer typed are not stored.
//
// An event and its object may contradict each other, for example an invoice.paid whose
// invoice is open. Stripe may only be slow to show what it announced, so the attempt is
// repeated until the event is ten minutes old. Then the row keeps what Stripe shows, and a
// fact about money comes from the event's own snapshot. If the snapshot cannot be read, or
// does not show it either, the event is a permanent failure. Each type declares what it
// announces in its registration. For a change that is the difference from before, for a new
// object its existence:
//
//	checkout.session.completed     status complete
//	customer.subscription.created  that it is there
//	customer.subscription.updated  not as data.previous_attributes say
//	customer.subscription.deleted  ended, or gone
//	invoice.paid                   status paid
//	invoice.payment_failed         attempt_count of the event, or more
//	charge.dispute.created         that it is there
//	payment_intent.succeeded       status succeeded (fetched for another API version only)
//
//	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: client, Rows: table})
//	handlers.Register(mux)
//
// To add one: write the function, register it below, put a golden event of its type
// into pkg/handlers/golden, the type into TestHandledTypes and its golden event's number of
// messages into TestMessagesAreNamedAndListed.
package handlers

import (
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// Register puts every handler on the mux. It panics if one of the types has a handler
// already, and on a mux without Objects or Rows.
func Register(mux *dispatch.Mux) {
	dispatch.On(mux, stripe.EventTypePaymentIntentSucceeded, paymentIntentSucceeded)
	dispatch.On(mux, stripe.EventTypePaymentIntentPaymentFailed, paymentIntentFailed)

	dispatch.OnCurrent(mux, stripe.EventTypeCheckoutSessionCompleted, checkoutCompleted, dispatch.Announces(isComplete))
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionCreated, subscriptionCreated)
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionUpdated, subscriptionUpdated, dispatch.Coalesce)
	dispatch.OnCurrent(mux, stripe.EventTypeCustomerSubscriptionDeleted, subscriptionDeleted, dispatch.Announces(isOver))
	dispatch.OnCurrent(mux, stripe.EventTypeInvoicePaid, invoicePaid, dispatch.Announces(isPaid))
	dispatch.OnCurrent(mux, stripe.EventTypeInvoicePaymentFailed, invoicePaymentFailed, dispatch.Announces(hasAttempt))
	dispatch.OnCurrent(mux, stripe.EventTypeChargeDisputeCreated, disputeCreated)
}

// Types returns the event types that Register handles, sorted, for those who only ask
// Stripe for them: a mux of their own would need a table.
func Types() []string {
	unread := struct {
		dispatch.Objects
		dispatch.Rows
	}{}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: unread, Rows: unread})
	Register(mux)
	return mux.Types()
}
