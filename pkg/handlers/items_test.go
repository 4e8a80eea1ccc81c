package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/stripeapi"
)

// withItems returns an event of a subscription with n items, each of a product of its own.
// It shows them all: the event of one with many is cut by the fake Stripe's answer alone.
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

// wantItems are the items and products of such a subscription as they are kept.
func wantItems(n int) (items, products []any) {
	for i := range n {
		product := fmt.Sprintf("prod_%03d", i)
		items = append(items, dispatch.Fields{"price": fmt.Sprintf("price_%03d", i), "product": product, "quantity": int64(i + 1)})
		products = append(products, product)
	}
	return items, products
}

// overHTTP is a world whose objects come from a server through the product's client.
func overHTTP(t *testing.T, server http.Handler) *world {
	t.Helper()
	srv := httptest.NewServer(server)
	t.Cleanup(srv.Close)
	client, err := stripeapi.New(stripeapi.Options{
		URL: srv.URL, Tries: 1, Key: func(context.Context) (string, error) { return "sk_test_1", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{Memory: idempotencytest.NewMemory(nil)}
	w.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: client, Rows: w})
	handlers.Register(w.mux)
	return w
}

// A subscription is kept with all its items and entitles to all its products, however
// many of them Stripe shows with it.
func TestAllItemsAreKept(t *testing.T) {
	for _, n := range []int{1, 10, 11, 20, 205} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			stripe, _ := localtest.Stripe(t)
			var asked []string
			w := overHTTP(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.Path)
				stripe.ServeHTTP(rw, r)
			}))
			body := withItems(t, updated, n)
			if err := stripe.Remember(body); err != nil {
				t.Fatal(err)
			}
			w.handle(t, body)
			items, products := wantItems(n)
			if diff := gocmp.Diff([]any{items, products}, []any{w.item(t, subRow)["items"], w.item(t, entKey)["products"]}); diff != "" {
				t.Error(diff)
			}
			pages := 0
			if n > 10 {
				pages = (n + 99) / 100
			}
			if want := append([]string{"/v1/subscriptions/" + subID}, slices.Repeat([]string{"/v1/subscription_items"}, pages)...); !slices.Equal(asked, want) {
				t.Errorf("asked %v, want %v", asked, want)
			}
		})
	}
}

// A list of items that fails, at its start or further on, writes nothing: the attempt
// fails as it does when the subscription itself cannot be fetched.
func TestItemsThatFailWriteNothing(t *testing.T) {
	for _, c := range []struct {
		status int
		reason string // of a permanent failure
	}{
		{http.StatusTooManyRequests, ""}, {http.StatusInternalServerError, ""}, {http.StatusServiceUnavailable, ""},
		{http.StatusUnauthorized, ""}, {http.StatusForbidden, ""}, {http.StatusBadRequest, ""}, {http.StatusNotFound, dispatch.ReasonObjectGone},
	} {
		for _, at := range []string{"/v1/subscriptions/", "/v1/subscription_items", "starting_after="} {
			t.Run(fmt.Sprint(c.status, " at ", at), func(t *testing.T) {
				stripe, _ := localtest.Stripe(t)
				broken := true
				w := overHTTP(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
					if broken && strings.Contains(r.URL.RequestURI(), at) {
						rw.WriteHeader(c.status)
						io.WriteString(rw, `{"error":{}}`)
						return
					}
					stripe.ServeHTTP(rw, r)
				}))
				body := withItems(t, created, 105)
				if err := stripe.Remember(body); err != nil {
					t.Fatal(err)
				}
				effects, err := w.run(t, body)
				if err == nil || errors.Is(err, dispatch.ErrCoalesced) || permanent(err) != c.reason || len(effects) != 0 || len(w.Keys()) != 0 {
					t.Fatalf("%d effects, items %v, error %v, want reason %q", len(effects), w.Keys(), err, c.reason)
				}
				broken = false
				w.handle(t, body)
				if _, products := wantItems(105); !gocmp.Equal(any(products), w.item(t, entKey)["products"]) {
					t.Errorf("it is not mended: %v", w.item(t, entKey)["products"])
				}
			})
		}
	}
}

// An item that is added between the two requests is kept at once; what else changes in
// between is mended by the event that Stripe sends of it.
func TestItemsChangeBetweenTheRequests(t *testing.T) {
	stripe, _ := localtest.Stripe(t)
	later := withItems(t, updated, 12)
	later = []byte(strings.NewReplacer("evt_1Tollgate", "evt_2Tollgate", `"created":1795046464`, `"created":1795046465`, `"status":"active"`, `"status":"past_due"`).Replace(string(later)))
	changes := true
	w := overHTTP(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if changes && r.URL.Path == "/v1/subscription_items" {
			if err := stripe.Remember(later); err != nil {
				t.Error(err)
			}
			changes = false
		}
		stripe.ServeHTTP(rw, r)
	}))
	body := withItems(t, updated, 11)
	if err := stripe.Remember(body); err != nil {
		t.Fatal(err)
	}
	w.handle(t, body)
	if row := w.item(t, subRow); len(row["items"].([]any)) != 12 || row["status"] != "active" {
		t.Errorf("first the row has %d items and status %v", len(row["items"].([]any)), row["status"])
	}
	w.handle(t, later)
	if row := w.item(t, subRow); len(row["items"].([]any)) != 12 || row["status"] != "past_due" {
		t.Errorf("then the row has %d items and status %v", len(row["items"].([]any)), row["status"])
	}
}

// cut makes an event or its object one that shows the first ten items only.
func cut(t *testing.T, typ string) []byte {
	t.Helper()
	return []byte(strings.Replace(string(withItems(t, typ, 10)), `"has_more":false`, `"has_more":true`, 1))
}

// Whoever shows a part of a subscription that goes on, no part of it is kept.
func TestSomeItemsAreNotKept(t *testing.T) {
	for _, typ := range []string{created, updated} {
		effects, err := once(t, cut(t, typ))
		if err == nil || permanent(err) != "" || len(effects) != 0 {
			t.Errorf("%s: %v, %v", typ, effects, err)
		}
	}
}

// A subscription that has ended, or that is gone, may show its first items only: it ends, and
// those that were kept stay. Of one that was never kept there is no more than is shown.
func TestItemsOfOneThatHasEnded(t *testing.T) {
	for _, gone := range []bool{false, true} {
		for _, kept := range []int{0, 12} {
			w := newWorld()
			if kept > 0 {
				body := withItems(t, created, kept)
				w.shows(t, body)
				w.handle(t, body)
				clear(w.says)
			}
			last := cut(t, deleted)
			if !gone {
				w.shows(t, last)
			}
			w.handle(t, last)
			items, products := wantItems(max(kept, 10))
			row, ent := w.item(t, subRow), w.item(t, entKey)
			if diff := gocmp.Diff([]any{items, products, "canceled", false}, []any{row["items"], ent["products"], row["status"], ent["active"]}); diff != "" {
				t.Errorf("gone %v, %d kept: %s", gone, kept, diff)
			}
		}
	}
}
