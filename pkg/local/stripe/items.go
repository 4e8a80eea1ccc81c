package stripe

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// shownItems is how many items Stripe shows with a subscription.
const shownItems = 10

// firstItems is a subscription with its first items only, as Stripe shows it.
func firstItems(raw json.RawMessage) json.RawMessage {
	m, items, all := itemsOf(raw)
	if len(all) <= shownItems {
		return raw
	}
	items = items.replace("data", listJSON(all[:shownItems])).set("has_more", json.RawMessage("true"))
	return m.replace("items", items.json()).json()
}

// itemsOf reads a subscription, its list of items and the items.
func itemsOf(raw json.RawMessage) (m, items members, all []json.RawMessage) {
	m, _ = readMembers(raw)
	items, _ = readMembers(m.get("items"))
	if json.Unmarshal(items.get("data"), &all) != nil {
		return m, items, nil // it has none that can be served
	}
	return m, items, all
}

// listItems serves a page of a subscription's items, in the subscription's order. It refuses
// a subscription that was given with its first items only.
func (s *Fake) listItems(r *http.Request) ([]byte, *apiError) {
	v := r.URL.Query()
	id := v.Get("subscription")
	if id == "" {
		return nil, invalid(http.StatusBadRequest, "parameter_missing", "subscription", "Missing required param: subscription.")
	}
	for name := range v {
		switch {
		case name == "subscription", isExpand(name):
			v.Del(name)
		case !slices.Contains([]string{"limit", "starting_after", "ending_before"}, name):
			return nil, unknown(name)
		}
	}
	q, err := parseQuery(v)
	if err != nil {
		return nil, err
	}
	s.expected.wait(r.Context(), account(r), id)
	found, failed := s.store.object(account(r), "subscription", id)
	if failed != nil {
		return nil, broken(failed)
	}
	if found == nil {
		return nil, invalid(http.StatusBadRequest, "resource_missing", "subscription", "No such subscription: '%.255s'", id)
	}
	_, items, all := itemsOf(found.Body)
	if string(items.get("has_more")) == "true" {
		return nil, invalid(http.StatusBadRequest, "items_not_given", "subscription", "The fake Stripe was given the first items of %.255s only: put the whole subscription to /_fake/objects.", id)
	}
	page, more, err := cut(all, q, "subscription item", func(raw json.RawMessage) string {
		item, _ := readMembers(raw)
		return text(item.get("id"))
	})
	if err != nil {
		return nil, err
	}
	return listOf(page, more, "/v1/subscription_items"), nil
}

// isExpand reports whether a parameter names what is to be expanded.
func isExpand(name string) bool { return name == "expand" || strings.HasPrefix(name, "expand[") }
