package handlers

import (
	"context"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// isCustomerDeleted is what customer.deleted announces.
func isCustomerDeleted(c *stripe.Customer, _ dispatch.Input) bool { return c.Deleted }

// keepCustomer keeps that a customer was deleted, in the customer's list at the time of the
// deletion. It ends no entitlement: Stripe cancels a deleted customer's subscriptions, and
// each has its own customer.subscription.deleted.
func keepCustomer(_ context.Context, e dispatch.Current[stripe.Customer]) (dispatch.Effects, error) {
	if !e.Deleted {
		return nil, dispatch.Permanent(mismatch("customer", e.ObjectID, "not deleted", e.Type))
	}
	return dispatch.Effects{effect.KeepRow(e, effect.Row{
		Kind: "customer", Customer: e.ObjectID, Created: e.Created, Extra: dispatch.Fields{"deleted": true},
	})}, nil
}
