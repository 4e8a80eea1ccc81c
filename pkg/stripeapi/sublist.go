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
	sublistLimit = 100 // the most that Stripe puts on a page
	// maxSublistPages bounds a list; a subscription has up to 20 items.
	maxSublistPages = 10
)

// sublist is a list within an object, of which Stripe shows the first elements only. All are
// in a list of their own.
type sublist struct {
	member string // of the object
	path   string // of the whole list, under /v1
	parent string // the list's parameter and each element's member that name the object
	expand string // a member of the elements that is fetched expanded, "" for none
}

// sublistOf returns the sublist that objects of a kind have, false if they have none.
func sublistOf(kind string) (sublist, bool) {
	switch kind {
	case "subscription":
		return sublist{member: "items", path: "subscription_items", parent: "subscription"}, true
	case "charge":
		return sublist{member: "refunds", path: "refunds", parent: "charge", expand: refundFailure}, true
	}
	return sublist{}, false
}

// whole returns an object with all elements of its sublist. A change between the two requests
// arrives with the next event, as Stripe sends one for each change of an item or a refund. An
// object without such a list is returned as it is, and so is one that has ended and of which
// Stripe lists no elements any more.
func (c *Client) whole(ctx context.Context, account, id string, l sublist, body []byte) ([]byte, error) {
	var object, list map[string]json.RawMessage
	var more bool
	if json.Unmarshal(body, &object) != nil || json.Unmarshal(object[l.member], &list) != nil ||
		json.Unmarshal(list["has_more"], &more) != nil || !more {
		return body, nil
	}
	all, err := c.listAll(ctx, account, id, l)
	if errors.Is(err, errNoElements) && hasEnded(object) {
		return body, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list its %s: %w", l.member, err)
	}
	if list["data"], err = json.Marshal(all); err != nil {
		return nil, fmt.Errorf("list its %s: %w", l.member, err)
	}
	list["has_more"] = json.RawMessage("false")
	if object[l.member], err = json.Marshal(list); err != nil {
		return nil, fmt.Errorf("list its %s: %w", l.member, err)
	}
	return json.Marshal(object)
}

// hasEnded reports whether an object is a subscription in a state that it never leaves.
func hasEnded(object map[string]json.RawMessage) bool {
	switch string(object["status"]) {
	case `"canceled"`, `"incomplete_expired"`:
		return true
	}
	return false
}

// errNoElements says that a list has no elements at all.
var errNoElements = errors.New("its first page is empty")

// listAll returns all elements of an object's sublist, in Stripe's order and each once. It
// reads the list from its start, so that the elements of one page are of one moment.
func (c *Client) listAll(ctx context.Context, account, object string, l sublist) ([]json.RawMessage, error) {
	var all []json.RawMessage
	seen := map[string]bool{}
	after := ""
	for range maxSublistPages {
		page, more, err := c.sublistPage(ctx, account, object, after, l)
		if err != nil {
			return nil, err
		}
		if len(page) == 0 && after == "" && !more {
			return nil, errNoElements
		}
		if len(page) == 0 {
			return nil, errors.New("a page is empty, and there were to be more elements")
		}
		for _, raw := range page {
			var element map[string]json.RawMessage
			_ = json.Unmarshal(raw, &element) // what is not an object has no id
			id, parent := textOf(element["id"]), textOf(element[l.parent])
			if id == "" {
				return nil, errors.New("there is one without an id")
			}
			if seen[id] {
				return nil, fmt.Errorf("%.80q is there twice", id)
			}
			if parent != "" && parent != object {
				return nil, fmt.Errorf("%.80q is of another %s", id, l.parent)
			}
			seen[id] = true
			after = id
		}
		all = append(all, page...)
		if !more {
			return all, nil
		}
	}
	return nil, fmt.Errorf("the list does not end after %d pages", maxSublistPages)
}

// textOf returns a JSON string's value, and "" for anything else.
func textOf(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

func (c *Client) sublistPage(ctx context.Context, account, object, after string, l sublist) (page []json.RawMessage, more bool, err error) {
	query := url.Values{l.parent: {object}, "limit": {strconv.Itoa(sublistLimit)}}
	if after != "" {
		query.Set("starting_after", after)
	}
	if l.expand != "" {
		query.Set("expand[]", "data."+l.expand)
	}
	body, err := c.get(ctx, request{
		path: "/v1/" + l.path + "?" + query.Encode(), version: APIVersion,
		accountHeader: "Stripe-Account", account: account, resource: l.path,
	})
	if refused, ok := errors.AsType[*RefusedError](err); ok && refused.Code == "resource_missing" && after == "" {
		// Stripe answers 400 for a parameter that names an unknown object.
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
