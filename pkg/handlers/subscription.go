package handlers

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
)

// subscriptionCreated keeps a new subscription and welcomes its customer, whatever the
// subscription's status is by now. No other event requests the welcome, so there is one in
// any order of events.
func subscriptionCreated(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	s := &e.Object
	ms := effect.ToCustomer(effect.Message{
		Subject: dispatch.ObjectKey(e.Envelope), Name: welcome, To: effect.ID(s.Customer), Object: "subscription", ID: s.ID,
		Currency: string(s.Currency), Since: cmp.Or(s.StartDate, s.Created),
	})
	effects, err := keepSubscription(e, ms)
	if err != nil {
		return nil, err
	}
	return effect.WithMessages(e.Input, ms, effects...), nil
}

// subscriptionUpdated keeps a subscription and its entitlement.
func subscriptionUpdated(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	return keepSubscription(e, nil)
}

// isOver is what customer.subscription.deleted announces: an ended subscription stays ended.
func isOver(s *stripe.Subscription, _ dispatch.Input) bool { return hasEnded(s) }

// subscriptionDeleted ends a subscription. Stripe still shows it, as canceled; if it does not,
// the event's snapshot is the final state.
func subscriptionDeleted(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	s := &e.Object
	if e.Deleted {
		s.Status, s.EndedAt = stripe.SubscriptionStatusCanceled, cmp.Or(s.EndedAt, e.Created)
	}
	return keepSubscription(e, nil)
}

// keepSubscription keeps a subscription's row and its entitlement. If Stripe shows only some
// of the items, the attempt fails and is retried, unless the subscription has ended: with a
// part of the items a customer would lack what was paid for.
func keepSubscription(e dispatch.Current[stripe.Subscription], ms []effect.Message) (dispatch.Effects, error) {
	s := &e.Object
	if !hasEnded(s) && s.Items != nil && s.Items.HasMore {
		return nil, fmt.Errorf("subscription %s has more items than the %d that are shown", s.ID, len(s.Items.Data))
	}
	items := itemsOf(e)
	row := effect.KeepRow(e, effect.Row{
		Kind: "subscription", Customer: effect.ID(s.Customer), Created: s.Created,
		Extra: dispatch.Fields{
			"status": string(s.Status), "items": items, "currency": string(s.Currency),
			"current_period_end": s.CurrentPeriodEnd, "cancel_at": s.CancelAt, "cancel_at_period_end": s.CancelAtPeriodEnd,
			"canceled_at": s.CanceledAt, "ended_at": s.EndedAt, "trial_end": s.TrialEnd,
		},
	}, ms...)
	return dispatch.Effects{row, entitlement(e, productsOf(items))}, nil
}

// entitlement is what a customer may use because of a subscription, and until when if no
// further event arrives. A past due payment ends nothing yet: Stripe retries it, then cancels
// the subscription or marks it unpaid, as the account's settings say.
func entitlement(e dispatch.Current[stripe.Subscription], products []any) dispatch.Effect {
	s := &e.Object
	active := s.Status == stripe.SubscriptionStatusActive || s.Status == stripe.SubscriptionStatusTrialing ||
		s.Status == stripe.SubscriptionStatusPastDue
	customer := effect.ID(s.Customer)
	fields := effect.Item(e.Input, "entitlement", customer)
	fields["subscription"], fields["status"], fields["active"] = s.ID, string(s.Status), active
	fields["products"], fields["until"] = products, cmp.Or(s.EndedAt, s.CancelAt, s.CurrentPeriodEnd)
	effect.List(fields, effect.CustomerList(e.Envelope, customer), s.Created)
	return e.KeepWith(dispatch.Key("ENT", e.Envelope, s.ID), fields)
}

// hasEnded reports whether a subscription has a final status.
func hasEnded(s *stripe.Subscription) bool {
	return s.Status == stripe.SubscriptionStatusCanceled || s.Status == stripe.SubscriptionStatusIncompleteExpired
}

// itemsOf returns the subscription's items in its own order. A subscription that has ended
// may show only its first items: then the items of the kept row stay, if it has any.
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

// productsOf returns the products of items, sorted and without duplicates.
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
	return item.Price.ID, effect.ID(item.Price.Product)
}
