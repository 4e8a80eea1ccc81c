package ledger

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

// Erasable are the items about a customer that are not erased yet, as they are now: in groups, in
// each the items before the one that leads to them. Whoever erases keeps to that order, so that
// what an interrupted run left is found again.
type Erasable [][]map[string]any

// FindErasable reads a customer's list, what its items name, and items of other keys that name the
// customer. Entitlements come with their subscription's row, as both have one version. Keys of
// another mode or account are left out: a customer's id may be there too.
func FindErasable(ctx context.Context, items Items, who Who, others []string) (all Erasable, err error) {
	if who.Mode != "live" && who.Mode != "test" || who.Customer == "" {
		return nil, fmt.Errorf("find customer: want the mode live or test, and a customer")
	}
	owner := event.Envelope{Livemode: who.Mode == "live", Account: who.Account}
	e := eraser{items: items, seen: map[string]bool{}}
	add := func(key string) error {
		group, err := e.group(ctx, owner, key)
		if len(group) > 0 {
			all = append(all, group)
		}
		return err
	}
	err = eachListed(ctx, items, effect.CustomerList(owner, who.Customer), func(a attributes) error { return add(a.text("pk")) })
	place := dispatch.Key("", owner, "") // #live#acct_1#
	for _, key := range others {
		if err == nil && strings.Contains(key, place) {
			err = add(key)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("find customer: %w", err)
	}
	return all, nil
}

type eraser struct {
	items Items
	seen  map[string]bool
}

// group returns the item of a key with all that it names, those first; nothing of what is erased
// or in another group.
func (e *eraser) group(ctx context.Context, owner event.Envelope, key string) (group []map[string]any, err error) {
	if e.seen[key] {
		return nil, nil
	}
	e.seen[key] = true
	item, found, err := e.items.Item(ctx, key)
	if err != nil || !found {
		return nil, err
	}
	a := attributes(item)
	named := a.texts(effect.MessageKeys)
	if key == dispatch.Key("OBJ", owner, a.id()) {
		named = append(slices.Clone(named), dispatch.Key("ENT", owner, a.id()))
	}
	for _, other := range named {
		more, err := e.group(ctx, owner, other)
		if err != nil {
			return nil, err
		}
		group = append(group, more...)
	}
	if a[dispatch.Erased] == true {
		return group, nil
	}
	return append(group, item), nil
}

// Unfinished returns why a customer cannot be erased yet: it is still entitled to something, or a
// message to it is about to be sent. It is "" if nothing speaks against it.
func (all Erasable) Unfinished() (why string) {
	for _, item := range slices.Concat(all...) {
		a := attributes(item)
		list := a.text(dispatch.ListName)
		if a.text("kind") == "entitlement" && a["active"] == true {
			return "subscription " + a.text("subscription") + " still entitles the customer: end it at Stripe first"
		}
		if dispatch.IsMessageKey(a.text("pk")) && a["sent_at"] == nil && list != "" && !dispatch.IsHeldList(list) {
			why = "message " + a.text("pk") + " waits to be sent: try again in some minutes"
		}
	}
	return why
}
