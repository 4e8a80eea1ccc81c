package handlers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

// isOver is what customer.subscription.deleted announces: an ended subscription stays ended.
func isOver(s *stripe.Subscription, _ dispatch.Input) bool { return hasEnded(s) }

// isPaused is what customer.subscription.paused announces: the trial ended without a payment
// method. A pause of the collection of payments is another thing and changes no status.
func isPaused(s *stripe.Subscription, _ dispatch.Input) bool {
	return s.Status == stripe.SubscriptionStatusPaused
}

// isResumed is what customer.subscription.resumed announces.
func isResumed(s *stripe.Subscription, in dispatch.Input) bool { return !isPaused(s, in) }

// keepSubscription keeps a subscription's row and entitlement, and welcomes its customer. It is
// all that the events of a subscription do, so that an update may be coalesced with any other.
func keepSubscription(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	return subscriptionEffects(e, nil)
}

// subscriptionTrialEnds keeps a subscription and, unless its trial is over by now, requests a
// message to its customer that it ends soon: once for each end of a trial.
func subscriptionTrialEnds(_ context.Context, e dispatch.Current[stripe.Subscription]) (dispatch.Effects, error) {
	s := &e.Object
	if s.Status != stripe.SubscriptionStatusTrialing || s.TrialEnd == 0 {
		return subscriptionEffects(e, nil)
	}
	m := subscriptionMessage(e, trialWillEnd, e.Created)
	m.Subject += "#" + strconv.FormatInt(s.TrialEnd, 10)
	m.Extra = dispatch.Fields{"trial_end": s.TrialEnd}
	return subscriptionEffects(e, effect.ToCustomer(m))
}

// subscriptionEffects returns the row, the entitlement, the welcome when it is due, and the
// messages. If Stripe shows only some of the items, the attempt fails and is retried, unless
// the subscription has ended: with a part of the items a customer would lack what was paid for.
func subscriptionEffects(e dispatch.Current[stripe.Subscription], ms []effect.Message) (dispatch.Effects, error) {
	s := &e.Object
	if e.Deleted { // the event's snapshot is the final state
		s.Status, s.EndedAt = stripe.SubscriptionStatusCanceled, cmp.Or(s.EndedAt, e.Created)
	}
	if !hasEnded(s) && s.Items != nil && s.Items.HasMore {
		return nil, fmt.Errorf("subscription %s has more items than the %d that are shown", s.ID, len(s.Items.Data))
	}
	end := periodEnd(e)
	if isEntitled(s) && (end == 0 || s.Items == nil) { // absent fields must not refuse what was paid for
		return nil, dispatch.Permanent(fmt.Errorf("subscription %s is %s and lacks its items or the end of its period", s.ID, s.Status))
	}
	if s.Status == stripe.SubscriptionStatusActive || s.Status == stripe.SubscriptionStatusTrialing {
		ms = append(effect.ToCustomer(subscriptionMessage(e, welcome, startedAt(e))), ms...)
	}
	ms = effect.Unnamed(e.Row, ms)
	items, customer := itemsOf(e), effect.CustomerOf(e.Raw)
	row := effect.KeepRow(e, effect.Row{
		Kind: "subscription", Customer: customer, Created: s.Created, Led: true, // by its entitlement
		Extra: dispatch.Fields{
			"status": string(s.Status), "items": items, "currency": string(s.Currency),
			"current_period_end": end, "cancel_at": s.CancelAt, "cancel_at_period_end": s.CancelAtPeriodEnd,
			"canceled_at": s.CanceledAt, "ended_at": s.EndedAt, "trial_end": s.TrialEnd, "pause_collection": pauseOf(s),
		},
	}, ms...)
	return effect.WithMessages(e.Input, ms, row, entitlement(e, customer, productsOf(items), end)), nil
}

func subscriptionMessage(e dispatch.Current[stripe.Subscription], name string, since int64) effect.Message {
	return effect.Message{
		Subject: dispatch.ObjectKey(e.Envelope), Name: name, To: effect.CustomerOf(e.Raw), Object: "subscription", ID: e.ObjectID,
		Currency: string(e.Object.Currency), Since: since,
	}
}

// incompleteFor is how long Stripe waits for the first payment of an incomplete subscription.
const incompleteFor = 23 * 60 * 60

// startedAt returns when a subscription became active or trialing, in seconds since 1970:
// mostly at its start. An incomplete one did when its first payment succeeded, which the event
// shows. That is at most 23 hours after the start, however late the event is.
func startedAt(e dispatch.Current[stripe.Subscription]) int64 {
	s := &e.Object
	if statusBefore(e) == string(stripe.SubscriptionStatusIncomplete) {
		return min(e.Created, s.Created+incompleteFor)
	}
	return cmp.Or(s.StartDate, s.Created)
}

// statusBefore returns the status in the kept row or, without a row, the one that the event
// says was before it; "" if neither is known.
func statusBefore(e dispatch.Current[stripe.Subscription]) string {
	if e.Row != nil {
		status, _ := e.Row["status"].(string)
		return status
	}
	var before struct {
		Status string `json:"status"`
	}
	if _, previous, err := event.Data(e.Body); err == nil {
		_ = json.Unmarshal(previous, &before) // no status if there is none
	}
	return before.Status
}

// pauseOf returns the pause of the collection of payments, nil while they are collected.
func pauseOf(s *stripe.Subscription) any {
	if s.PauseCollection == nil {
		return nil
	}
	return dispatch.Fields{"behavior": string(s.PauseCollection.Behavior), "resumes_at": s.PauseCollection.ResumesAt}
}

// periodEnd returns the end of a subscription's paid period, 0 if it has none. Newer API
// versions have it in the items; the latest counts.
func periodEnd(e dispatch.Current[stripe.Subscription]) int64 {
	var shown struct {
		Items struct {
			Data []struct {
				CurrentPeriodEnd int64 `json:"current_period_end"`
			} `json:"data"`
		} `json:"items"`
	}
	end := e.Object.CurrentPeriodEnd
	if end != 0 || json.Unmarshal(e.Raw, &shown) != nil {
		return end
	}
	for _, item := range shown.Items.Data {
		end = max(end, item.CurrentPeriodEnd)
	}
	return end
}

// entitlement is what a customer may use because of a subscription, and until when if no
// further event arrives: the end of the subscription or, before it has ended, the earlier of
// its planned end and that of the paid period. It ends then, or else is expected to renew.
func entitlement(e dispatch.Current[stripe.Subscription], customer string, products []any, end int64) dispatch.Effect {
	s := &e.Object
	until, ends := end, s.CancelAtPeriodEnd || hasEnded(s)
	if s.CancelAt != 0 && (end == 0 || s.CancelAt <= end) {
		until, ends = s.CancelAt, true
	}
	fields := effect.Item(e.Input, "entitlement", customer)
	fields["subscription"], fields["status"], fields["active"] = s.ID, string(s.Status), isEntitled(s)
	fields["products"], fields["until"], fields["ends"] = products, cmp.Or(s.EndedAt, until), ends
	fields["pause_collection"] = pauseOf(s)
	effect.List(fields, effect.CustomerList(e.Envelope, customer), s.Created)
	effect.Lead(fields, dispatch.ObjectKey(e.Envelope))
	return e.KeepWith(dispatch.Key("ENT", e.Envelope, s.ID), fields)
}

// isEntitled reports whether the customer may use the products. A past due payment ends
// nothing yet: Stripe retries it, then cancels the subscription or marks it unpaid, as the
// account's settings say.
func isEntitled(s *stripe.Subscription) bool {
	return s.Status == stripe.SubscriptionStatusActive || s.Status == stripe.SubscriptionStatusTrialing ||
		s.Status == stripe.SubscriptionStatusPastDue
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
