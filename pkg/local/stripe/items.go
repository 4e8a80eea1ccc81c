package stripe

import (
	"encoding/json"
	"net/http"

	"tollgate/pkg/local/aws/jsonscan"
)

// shownItems is how many items Stripe shows with a subscription.
const shownItems = 10

// firstItems is a subscription with its first items only, as Stripe shows it.
func firstItems(raw json.RawMessage) json.RawMessage {
	items, all := itemsOf(raw)
	if len(all) <= shownItems {
		return raw
	}
	first := listJSON(all[:shownItems])
	if jsonscan.Get(items, "has_more") == nil {
		first = append(first, `,"has_more":true`...)
	}
	items = splice(items, "data", func(json.RawMessage) json.RawMessage { return first })
	items = splice(items, "has_more", func(json.RawMessage) json.RawMessage { return json.RawMessage("true") })
	return indented(splice(raw, "items", func(json.RawMessage) json.RawMessage { return items }))
}

// itemsOf reads a subscription's list of items and the items.
func itemsOf(raw json.RawMessage) (items json.RawMessage, all []json.RawMessage) {
	items = jsonscan.Get(raw, "items")
	if json.Unmarshal(jsonscan.Get(items, "data"), &all) != nil {
		return items, nil // it has none that can be served
	}
	return items, all
}

// listItems serves a page of a subscription's items, in the subscription's order. It refuses
// a subscription that was given with its first items only.
func (s *Fake) listItems(r *http.Request) ([]byte, *apiError) {
	q, id, err := listQuery(r, "subscription")
	if err != nil {
		return nil, err
	}
	if id == "" {
		return nil, invalid(http.StatusBadRequest, "parameter_missing", "subscription", "Missing required param: subscription.")
	}
	s.expected.wait(r.Context(), account(r), id)
	found, failed := s.store.object(account(r), "subscription", id)
	if failed != nil {
		return nil, broken(failed)
	}
	if found == nil {
		return nil, invalid(http.StatusBadRequest, "resource_missing", "subscription", "No such subscription: '%.255s'", id)
	}
	items, all := itemsOf(found.Body)
	if string(jsonscan.Get(items, "has_more")) == "true" {
		return nil, invalid(http.StatusBadRequest, "items_not_given", "subscription", "The fake Stripe was given the first items of %.255s only: put the whole subscription to /_fake/objects.", id)
	}
	page, more, err := cut(all, q, "subscription item", func(item json.RawMessage) string { return text(jsonscan.Get(item, "id")) })
	if err != nil {
		return nil, err
	}
	return listOf(page, more, "/v1/subscription_items"), nil
}
