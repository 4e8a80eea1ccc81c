package stripeapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

const (
	itemsPath  = "/v1/subscription_items"
	itemsLimit = 100 // the most that Stripe puts on a page
	// maxItemPages bounds a list; a subscription has up to 20 items.
	maxItemPages = 10
)

// wholeSubscription returns a subscription with all its items: Stripe shows the first of
// them with it, and all in a list of their own. What changes between the two requests is
// mended by the next event, as Stripe sends customer.subscription.updated for each change
// of an item. What cannot be read as a subscription is returned as it is, and so is one
// that has ended and of which no items are listed any more: that it ended is what counts.
func (c *Client) wholeSubscription(ctx context.Context, account, id string, body []byte) ([]byte, error) {
	var subscription, items map[string]json.RawMessage
	var more bool
	if json.Unmarshal(body, &subscription) != nil || json.Unmarshal(subscription["items"], &items) != nil ||
		json.Unmarshal(items["has_more"], &more) != nil || !more {
		return body, nil
	}
	all, err := c.listItems(ctx, account, id)
	if errors.Is(err, errNoItems) && hasEnded(subscription) {
		return body, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list its items: %w", err)
	}
	if items["data"], err = json.Marshal(all); err != nil {
		return nil, fmt.Errorf("list its items: %w", err)
	}
	items["has_more"] = json.RawMessage("false")
	if subscription["items"], err = json.Marshal(items); err != nil {
		return nil, fmt.Errorf("list its items: %w", err)
	}
	return json.Marshal(subscription)
}

// hasEnded reports whether a subscription is of a state that it never leaves.
func hasEnded(subscription map[string]json.RawMessage) bool {
	switch string(subscription["status"]) {
	case `"canceled"`, `"incomplete_expired"`:
		return true
	}
	return false
}

// errNoItems says that a list has no items at all.
var errNoItems = errors.New("its first page is empty")

// listItems returns all items of a subscription, in Stripe's order and each once. It
// reads the list from its start, so that the items of one page are of one moment.
func (c *Client) listItems(ctx context.Context, account, subscription string) ([]json.RawMessage, error) {
	var all []json.RawMessage
	seen := map[string]bool{}
	after := ""
	for range maxItemPages {
		page, more, err := c.itemsPage(ctx, account, subscription, after)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 && after == "" && !more {
			return nil, errNoItems
		}
		if len(page) == 0 {
			return nil, errors.New("a page is empty, and there were to be more items")
		}
		for _, raw := range page {
			var item struct {
				ID           string `json:"id"`
				Subscription string `json:"subscription"`
			}
			if err := json.Unmarshal(raw, &item); err != nil || item.ID == "" {
				return nil, errors.New("there is one without an id")
			}
			if seen[item.ID] {
				return nil, fmt.Errorf("%.80q is there twice", item.ID)
			}
			if item.Subscription != "" && item.Subscription != subscription {
				return nil, fmt.Errorf("%.80q is of another subscription", item.ID)
			}
			seen[item.ID] = true
			after = item.ID
		}
		all = append(all, page...)
		if !more {
			return all, nil
		}
	}
	return nil, fmt.Errorf("the list does not end after %d pages", maxItemPages)
}

func (c *Client) itemsPage(ctx context.Context, account, subscription, after string) (page []json.RawMessage, more bool, err error) {
	query := url.Values{"subscription": {subscription}, "limit": {strconv.Itoa(itemsLimit)}}
	if after != "" {
		query.Set("starting_after", after)
	}
	body, err := c.get(ctx, request{
		path: itemsPath + "?" + query.Encode(), version: APIVersion,
		accountHeader: "Stripe-Account", account: account, resource: "subscription_items",
	})
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Code == "resource_missing" && after == "" {
		// What a parameter names and is not there is a 400; here that is the subscription.
		return nil, false, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	if err != nil {
		return nil, false, err
	}
	var list struct {
		Data []json.RawMessage `json:"data"`
		More *bool             `json:"has_more"`
	}
	if err := json.Unmarshal(body, &list); err != nil || list.More == nil {
		return nil, false, errors.New("answer is not a list")
	}
	return list.Data, *list.More, nil
}
