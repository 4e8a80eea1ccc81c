package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

// Who is a customer of one mode and account.
type Who struct {
	Mode     string // live or test
	Account  string // the connected account; "" for the platform's own
	Customer string // the customer's id, cus_…, or acct_… where the customer is an account
}

// RenewalGrace is how long [Entitled] grants a subscription that renews after the end of its
// period. Stripe may take an hour to renew a subscription, and delivers an event for up to three
// days. Without it a customer who pays would be refused meanwhile.
const RenewalGrace = 72 * time.Hour

// Entitled reports whether a customer may use a product (prod_…) now, and returns the
// entitlements that grant it, one for each subscription. An application calls it with a
// [tollgate/pkg/dynamostore.Reader] of the stack's table. Its role needs dynamodb:Query on the
// index list and dynamodb:GetItem on the table.
//
// It queries the customer's list, an index that lags a moment behind the table, and reads each
// entitlement that grants the product again, with strong consistency. So a new entitlement may
// be missed for a moment, mostly under a second, but one that has ended in the table is never
// granted. The table in turn lags behind Stripe until an event is handled. An error means that
// nothing is known: it is neither a yes nor a no.
//
// An entitlement grants while its subscription is active, trialing or past due, and until
// Entitlement.Until:
//
//   - A past due subscription has begun its next period and Stripe retries the payment. It
//     grants until Stripe cancels it or marks it unpaid, as the account's settings say. An
//     application that wants to be stricter looks at Entitlement.Status.
//   - A subscription with a planned end grants nothing from that end on, even if the event
//     that it has ended is late.
//   - Any other is expected to renew. After the end of its period it grants for RenewalGrace,
//     in which the event of the renewal arrives; a failed renewal arrives as past_due,
//     canceled or unpaid. An application that wants to be stricter compares Until with now.
//
// A pause of the collection of payments (Entitlement.PauseCollection) leaves the subscription
// active, so Entitled grants, and the application decides. Stripe still makes invoices for the
// periods in the pause. With void and mark_uncollectible it does not collect them: the service
// is free meanwhile or, if the pause means that there is none, to be refused. With keep_as_draft
// they wait to be collected later: the customer is to be served. A pause whose ResumesAt has
// passed is over, even if its event is late.
//
// The query reads everything that the customer's list has: half a read request unit for each
// 4 KB, some eight items. Each entitlement that grants costs one unit more. A customer with two
// years of monthly invoices, some 50 items, costs about 4.5 units: $0.56 for a million calls in
// us-east-1, where a million units cost $0.125. An application that asks in each of its
// requests should keep the answer for some seconds.
//
// Entitled is safe for concurrent use if items is.
func Entitled(ctx context.Context, items Items, who Who, product string, now time.Time) (bool, []Entitlement, error) {
	if who.Mode != "live" && who.Mode != "test" || who.Customer == "" || product == "" {
		return false, nil, errors.New("read entitlements: want the mode live or test, a customer and a product")
	}
	list := effect.CustomerList(event.Envelope{Livemode: who.Mode == "live", Account: who.Account}, who.Customer)
	grants := func(a attributes) bool { return a.text(dispatch.ListName) == list && a.grants(product, now) }
	var hits []string
	err := eachListed(ctx, items, list, func(a attributes) error {
		if key := a.text("pk"); grants(a) && !slices.Contains(hits, key) {
			hits = append(hits, key)
		}
		return nil
	})
	if err != nil {
		return false, nil, fmt.Errorf("read entitlements: %w", err)
	}
	var granted []Entitlement
	for _, key := range hits {
		item, found, err := items.Item(ctx, key)
		if err != nil {
			return false, nil, fmt.Errorf("read entitlements: %w", err)
		}
		if a := attributes(item); found && grants(a) {
			granted = append(granted, a.entitlement())
		}
	}
	return len(granted) > 0, granted, nil
}

// grants reports whether an item is an entitlement that grants a product now.
func (a attributes) grants(product string, now time.Time) bool {
	e := a.entitlement()
	if a.text("kind") != "entitlement" || !e.Active || !slices.Contains(e.Products, product) {
		return false
	}
	until := time.Unix(e.Until, 0)
	if a["ends"] != true {
		until = until.Add(RenewalGrace)
	}
	return now.Before(until)
}
