package handlers_test

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const (
	subID   = "sub_1TollgatenEWkc4VcXFgEE3H"
	subRow  = "OBJ#test#-#" + subID
	entKey  = "ENT#test#-#" + subID
	welcome = "OUT#" + subRow + "#welcome"
	created = "customer.subscription.created"
	updated = "customer.subscription.updated"
	deleted = "customer.subscription.deleted"
)

// wantSubscription returns the row and entitlement of the golden subscription with some fields
// of each changed.
func wantSubscription(row, entitlement dispatch.Fields) dispatch.Effects {
	base := dispatch.Fields{
		"kind": "subscription", "object": "subscription", "object_id": subID, "mode": "test", "account": "", "customer": customer,
		"items": []any{
			dispatch.Fields{"price": "price_1Tollgate8MHpMcJfNw4cEW1", "product": "prod_TollgateLZjFSb", "quantity": int64(1)},
			dispatch.Fields{"price": "price_1TollgatelKXT0Fh2zaZqS6H", "product": "prod_TollgateMxgfs3", "quantity": int64(3)},
		},
		"currency": "eur", "current_period_end": int64(1797638460), "cancel_at": int64(0), "cancel_at_period_end": false,
		"canceled_at": int64(0), "ended_at": int64(0), "trial_end": int64(0), "pause_collection": nil, "created": int64(1795046460),
		"led": true,
	}
	ent := dispatch.Fields{
		"kind": "entitlement", "mode": "test", "account": "", "customer": customer, "subscription": subID,
		"products": []any{"prod_TollgateLZjFSb", "prod_TollgateMxgfs3"}, "until": int64(1797638460), "ends": false, "pause_collection": nil, "lst": listed, "at": "2026-11-19T00:01:00Z",
		"outbox": []any{subRow},
	}
	maps.Copy(base, row)
	maps.Copy(ent, entitlement)
	return dispatch.Effects{dispatch.Swap(subRow, 0, base), dispatch.Swap(entKey, 0, ent)}
}

func TestSubscriptionCreated(t *testing.T) {
	got, err := once(t, golden(t, created))
	if err != nil {
		t.Fatal(err)
	}
	const eventID = "evt_1Tollgatei2lZdJOUZPBvIm7"
	want := wantSubscription(
		dispatch.Fields{"status": "incomplete", "event_id": eventID, "fetched_at": int64(1795046461000)},
		dispatch.Fields{"status": "incomplete", "active": false, "event_id": eventID})
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSubscriptionUpdated(t *testing.T) {
	got, err := once(t, golden(t, updated))
	if err != nil {
		t.Fatal(err)
	}
	const eventID = "evt_1TollgateiLF8Xut7bHcCkye"
	want := append(wantSubscription(
		dispatch.Fields{"status": "active", "event_id": eventID, "fetched_at": int64(1795046464000), "shown_created": int64(1795046464), "outbox": []any{welcome}},
		dispatch.Fields{"status": "active", "active": true, "event_id": eventID}),
		dispatch.Insert(welcome, dispatch.Fields{
			"kind": "outbox", "name": "welcome", "to": customer, "object": "subscription", "object_id": subID, "mode": "test", "account": "",
			"amount": int64(0), "currency": "eur", "event_id": eventID, "lst": "OUT#3", "at": "2026-11-19T00:01:04Z", "queued_at": int64(1795046464000),
		}))
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A deleted subscription ends the entitlement, whether Stripe still shows it or not.
func TestSubscriptionDeleted(t *testing.T) {
	const eventID = "evt_1Tollgate3VT10klzoAGTgDT"
	for _, c := range []struct {
		name    string
		gone    bool
		members map[string]any
		ended   int64
	}{
		{"shown as canceled", false, nil, 1798243260},
		{"gone", true, nil, 1798243260},
		{"gone, its snapshot has no end", true, map[string]any{"ended_at": nil, "status": "active"}, 1798243261},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, body := newFixture(), with(t, golden(t, deleted), c.members)
			if !c.gone {
				f.shows(t, body)
			}
			got, err := f.run(t, body)
			if err != nil {
				t.Fatal(err)
			}
			row := dispatch.Fields{"status": "canceled", "canceled_at": int64(1798243260), "ended_at": c.ended, "current_period_end": int64(1800230460), "event_id": eventID, "fetched_at": int64(1798243261000)}
			if !c.gone {
				row["shown_created"] = int64(1798243261)
			}
			want := wantSubscription(row,
				dispatch.Fields{"status": "canceled", "active": false, "until": c.ended, "ends": true, "event_id": eventID})
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A subscription whose first payment never succeeded has ended, too.
func TestExpiredSubscriptionHasEnded(t *testing.T) {
	got, err := once(t, with(t, golden(t, deleted), map[string]any{"status": "incomplete_expired"}))
	if err != nil || len(got) != 2 || got[0].Fields["status"] != "incomplete_expired" || got[1].Fields["active"] != false {
		t.Errorf("%v, %v", got, err)
	}
}

func TestSubscriptionItems(t *testing.T) {
	item := func(price any, quantity any) map[string]any {
		return map[string]any{"price": price, "quantity": quantity}
	}
	list := func(data ...any) map[string]any {
		return map[string]any{"object": "list", "data": data, "has_more": false}
	}
	expanded := map[string]any{"id": "price_2", "object": "price", "product": map[string]any{"id": "prod_2", "object": "product", "name": "Pro"}}
	plain := map[string]any{"id": "price_1", "object": "price", "product": "prod_1"}
	row := func(price, product string, quantity int64) dispatch.Fields {
		return dispatch.Fields{"price": price, "product": product, "quantity": quantity}
	}
	for _, c := range []struct {
		name     string
		items    any
		want     []any
		products []any
	}{
		{"none", list(), []any{}, []any{}},
		{"product expanded", list(item(expanded, 1)), []any{row("price_2", "prod_2", 1)}, []any{"prod_2"}},
		{"price as an id", list(item("price_3", 2)), []any{row("price_3", "", 2)}, []any{}},
		{"without price and quantity", list(item(nil, nil), nil), []any{row("", "", 0)}, []any{}},
		{"products once, sorted", list(item(expanded, 1), item(plain, 2), item(plain, 3)),
			[]any{row("price_2", "prod_2", 1), row("price_1", "prod_1", 2), row("price_1", "prod_1", 3)}, []any{"prod_1", "prod_2"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := once(t, with(t, golden(t, updated), map[string]any{"items": c.items}))
			if err != nil {
				t.Fatal(err)
			}
			f, ent := got[0].Fields, got[1].Fields
			if diff := gocmp.Diff([]any{c.want, c.products}, []any{f["items"], ent["products"]}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The events of an ended subscription make one row and one entitlement in any order, and one
// welcome if any of them showed the subscription as active.
func TestSubscriptionEndsInAnyOrder(t *testing.T) {
	bodies := map[string][]byte{created: golden(t, created), updated: golden(t, updated), deleted: golden(t, deleted)}
	for _, order := range [][]string{
		{created, updated, deleted}, {created, deleted, updated}, {updated, created, deleted},
		{updated, deleted, created}, {deleted, created, updated}, {deleted, updated, created},
	} {
		for ends := range 3 { // before which of the events it ends
			f := newFixture()
			f.shows(t, bodies[updated])
			f.age = 10 * time.Minute
			welcomed := ends > 0
			for i, typ := range order {
				if i == ends {
					f.shows(t, bodies[deleted])
				}
				f.handle(t, bodies[typ])
			}
			row, ent := f.item(t, subRow), f.item(t, entKey)
			if row["status"] != "canceled" || ent["active"] != false || ent["until"] != int64(1798243260) || row["ver"] != ent["ver"] {
				t.Errorf("%v, ends before %d: row %v, entitlement %v", order, ends, row, ent)
			}
			keys, named := []string{entKey, subRow}, any(nil)
			if welcomed {
				keys, named = append(keys, welcome), []any{welcome}
			}
			if diff := gocmp.Diff([]any{keys, named}, []any{f.Keys(), row["outbox"]}); diff != "" {
				t.Errorf("%v, ends before %d: items and the row's messages (-want +got):\n%s", order, ends, diff)
			}
		}
	}
}

// A cancellation between an attempt's fetch and its completion is not undone by that attempt,
// and the welcome that the attempt was about to request is not due any more.
func TestSubscriptionCanceledDuringAnAttempt(t *testing.T) {
	f := newFixture()
	f.shows(t, golden(t, updated))
	f.handle(t, golden(t, created), func() {
		f.shows(t, golden(t, deleted))
		f.handle(t, golden(t, deleted))
	})
	row, ent := f.item(t, subRow), f.item(t, entKey)
	if row["status"] != "canceled" || ent["active"] != false || row["ver"] != int64(2) {
		t.Errorf("row %v, entitlement %v", row, ent)
	}
	if diff := gocmp.Diff([]string{entKey, subRow}, f.Keys()); diff != "" {
		t.Error(diff)
	}
}

func sortedList(v any) []any {
	list, _ := v.([]any)
	return append([]any{}, slices.SortedFunc(slices.Values(list), func(a, b any) int { return cmp.Compare(a.(string), b.(string)) })...)
}

// An update that a later fetch shows already needs no fetch.
func TestOnlyUpdatesCoalesce(t *testing.T) {
	f := newFixture()
	f.shows(t, golden(t, updated))
	env := parse(t, golden(t, updated))
	fetched := time.Unix(env.Created, 0)
	f.sentAt = fetched
	f.handle(t, golden(t, updated))
	for _, typ := range []string{updated, created} {
		in := dispatch.Input{Envelope: parse(t, golden(t, typ)), Attempt: 1, Generation: 1, Now: fetched.Add(time.Minute), SentAt: fetched.Add(-dispatch.CoalesceAfter)}
		_, err := f.mux.Dispatch(t.Context(), in)
		if errors.Is(err, dispatch.ErrCoalesced) != (typ == updated) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
