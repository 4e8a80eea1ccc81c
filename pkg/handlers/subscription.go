package handlers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// subscriptionCreated keeps a new subscription and welcomes its customer, whatever has
// become of the subscription by now: an update that comes first does not, so that there
// is one welcome in any order of events.
func subscriptionCreated(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	s := &e.Object
	ms := toCustomer(message{
		about: dispatch.ObjectKey(e.Envelope), name: welcome, to: customerID(s.Customer), object: "subscription", id: s.ID,
		currency: s.Currency, since: cmp.Or(s.StartDate, s.Created),
	})
	effects, err := keepSubscription(e, ms)
	if err != nil {
		return nil, err
	}
	return ms.with(e.Input, effects...), nil
}

// subscriptionUpdated keeps a subscription and what its customer may use because of it.
func subscriptionUpdated(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	return keepSubscription(e, nil)
}

// isOver is what customer.subscription.deleted announces: an ended subscription stays ended.
func isOver(s *stripe.Subscription, _ dispatch.Input) bool { return hasEnded(s) }

// subscriptionDeleted ends a subscription. Stripe keeps showing it as canceled; if it is gone
// all the same, the event's snapshot is the final state.
func subscriptionDeleted(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	s := &e.Object
	if e.Gone {
		s.Status, s.EndedAt = stripe.SubscriptionStatusCanceled, cmp.Or(s.EndedAt, e.Created)
	}
	return keepSubscription(e, nil)
}

// keepSubscription keeps a subscription's row and its entitlement. One that is shown with
// some of its items only is tried again, unless it has ended: a customer would lack what was
// paid for.
func keepSubscription(e dispatch.Current[stripe.Subscription], ms messages) (dispatch.Effects, error) {
	s := &e.Object
	if !hasEnded(s) && s.Items != nil && s.Items.HasMore {
		return nil, fmt.Errorf("subscription %s has more items than the %d that are shown", s.ID, len(s.Items.Data))
	}
	items := itemsOf(e)
	row := keep(e, kept{
		kind: "subscription", customer: customerID(s.Customer), created: s.Created,
		more: dispatch.Fields{
			"status": string(s.Status), "items": items, "currency": string(s.Currency),
			"current_period_end": s.CurrentPeriodEnd, "cancel_at": s.CancelAt, "cancel_at_period_end": s.CancelAtPeriodEnd,
			"canceled_at": s.CanceledAt, "ended_at": s.EndedAt, "trial_end": s.TrialEnd,
		},
	}, ms)
	return dispatch.Effects{row, entitlement(e, productsOf(items))}, nil
}

// entitlement says what a customer may use because of a subscription, and until when if
// nothing more is heard. A payment that is past due ends nothing yet: Stripe tries again,
// and ends the subscription or calls it unpaid as the account's settings say.
func entitlement(e dispatch.Current[stripe.Subscription], products []any) dispatch.Effect {
	s := &e.Object
	active := s.Status == stripe.SubscriptionStatusActive || s.Status == stripe.SubscriptionStatusTrialing ||
		s.Status == stripe.SubscriptionStatusPastDue
	customer := customerID(s.Customer)
	fields := newItem(e.Input, "entitlement", customer)
	fields["subscription"], fields["status"], fields["active"] = s.ID, string(s.Status), active
	fields["products"], fields["until"] = products, cmp.Or(s.EndedAt, s.CancelAt, s.CurrentPeriodEnd)
	list(fields, customerList(e.Input, customer), s.Created)
	return e.Beside("ENT#"+place(e.Input)+s.ID, fields)
}

// hasEnded reports whether a subscription is of a state that it never leaves.
func hasEnded(s *stripe.Subscription) bool {
	return s.Status == stripe.SubscriptionStatusCanceled || s.Status == stripe.SubscriptionStatusIncompleteExpired
}

// itemsOf returns what a subscription is for, in its own order. One that has ended may show
// its first items only: then those that were kept stay, if there are any.
func itemsOf(e dispatch.Current[stripe.Subscription]) []any {
	items := []any{}
	shown := e.Object.Items
	if shown == nil {
		return items
	}
	if before, ok := e.Row["items"].([]any); ok && shown.HasMore {
		return before
	}
	for _, item := range shown.Data {
		if item == nil {
			continue
		}
		price, product := priceOf(item)
		items = append(items, dispatch.Fields{"price": price, "product": product, "quantity": item.Quantity})
	}
	return items
}

// productsOf returns the products of items, sorted and each once.
func productsOf(items []any) []any {
	var names []string
	for _, item := range items {
		fields, _ := item.(dispatch.Fields)
		if product, _ := fields["product"].(string); product != "" {
			names = append(names, product)
		}
	}
	slices.Sort(names)
	products := []any{}
	for _, name := range slices.Compact(names) {
		products = append(products, name)
	}
	return products
}

// priceOf returns the ids of an item's price and product, "" where Stripe gives none.
func priceOf(item *stripe.SubscriptionItem) (price, product string) {
	if item.Price == nil {
		return "", ""
	}
	if item.Price.Product != nil {
		product = item.Price.Product.ID
	}
	return item.Price.ID, product
}
