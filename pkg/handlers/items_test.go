package handlers_test

import (
	"fmt"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

// withItems returns an event of a subscription with n items, each of a different product.
func withItems(t *testing.T, typ string, n int) []byte {
	t.Helper()
	data := []any{}
	for i := range n {
		data = append(data, map[string]any{
			"id": fmt.Sprintf("si_%03d", i), "object": "subscription_item", "quantity": i + 1, "subscription": subID,
			"price": map[string]any{"id": fmt.Sprintf("price_%03d", i), "object": "price", "product": fmt.Sprintf("prod_%03d", i)},
		})
	}
	return with(t, golden(t, typ), map[string]any{"items": map[string]any{
		"object": "list", "data": data, "has_more": false, "url": "/v1/subscription_items?subscription=" + subID,
	}})
}

// wantItems returns the kept items and products of such a subscription.
func wantItems(n int) (items, products []any) {
	for i := range n {
		product := fmt.Sprintf("prod_%03d", i)
		items = append(items, dispatch.Fields{"price": fmt.Sprintf("price_%03d", i), "product": product, "quantity": int64(i + 1)})
		products = append(products, product)
	}
	return items, products
}

// cut returns an event that shows only the first ten items.
func cut(t *testing.T, typ string) []byte {
	t.Helper()
	return []byte(strings.Replace(string(withItems(t, typ, 10)), `"has_more":false`, `"has_more":true`, 1))
}

// A part of the items of a subscription that has not ended is not kept.
func TestSomeItemsAreNotKept(t *testing.T) {
	for _, typ := range []string{created, updated} {
		effects, err := once(t, cut(t, typ))
		if err == nil || permanent(err) != "" || len(effects) != 0 {
			t.Errorf("%s: %v, %v", typ, effects, err)
		}
	}
}

// An ended or deleted subscription may show only its first items: the items of the kept row stay,
// if there is one.
func TestItemsOfAnEndedSubscription(t *testing.T) {
	for _, gone := range []bool{false, true} {
		for _, kept := range []int{0, 12} {
			f := newFixture()
			if kept > 0 {
				body := withItems(t, created, kept)
				f.shows(t, body)
				f.handle(t, body)
				clear(f.objects)
			}
			last := cut(t, deleted)
			if !gone {
				f.shows(t, last)
			}
			f.handle(t, last)
			items, products := wantItems(max(kept, 10))
			row, ent := f.item(t, subRow), f.item(t, entKey)
			if diff := gocmp.Diff([]any{items, products, "canceled", false}, []any{row["items"], ent["products"], row["status"], ent["active"]}); diff != "" {
				t.Errorf("gone %v, %d kept: %s", gone, kept, diff)
			}
		}
	}
}
