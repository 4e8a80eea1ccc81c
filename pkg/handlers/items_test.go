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

// withItems returns an event of a subscription with n items, each of a different product. Its
// snapshot shows all of them; the fake Stripe shows the first ten.
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

// overHTTP is a fixture that fetches objects from a server with the Stripe client.
func overHTTP(t *testing.T, server http.Handler) *fixture {
	t.Helper()
	srv := httptest.NewServer(server)
	t.Cleanup(srv.Close)
	client, err := stripeapi.New(stripeapi.Options{
		URL: srv.URL, Tries: 1, Key: func(context.Context) (string, error) { return "sk_test_1", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Memory: idempotencytest.NewMemory(nil)}
	f.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: client, Rows: f})
	handlers.Register(f.mux)
	return f
}

// A subscription is kept with all its items and entitles to all its products, whatever the
// number of items on the first page.
func TestAllItemsAreKept(t *testing.T) {
	for _, n := range []int{1, 10, 11, 20, 205} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			stripe, _ := localtest.Stripe(t)
			var asked []string
			f := overHTTP(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.Path)
				stripe.ServeHTTP(rw, r)
			}))
			body := withItems(t, updated, n)
			if err := stripe.Remember(body); err != nil {
				t.Fatal(err)
			}
			f.handle(t, body)
			items, products := wantItems(n)
			if diff := gocmp.Diff([]any{items, products}, []any{f.item(t, subRow)["items"], f.item(t, entKey)["products"]}); diff != "" {
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

// If a page of items cannot be fetched, nothing is written: the attempt fails as if the
// subscription itself could not be fetched.
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
				f := overHTTP(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
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
				effects, err := f.run(t, body)
				if err == nil || errors.Is(err, dispatch.ErrCoalesced) || permanent(err) != c.reason || len(effects) != 0 || len(f.Keys()) != 0 {
					t.Fatalf("%d effects, items %v, error %v, want reason %q", len(effects), f.Keys(), err, c.reason)
				}
				broken = false
				f.handle(t, body)
				if _, products := wantItems(105); !gocmp.Equal(any(products), f.item(t, entKey)["products"]) {
					t.Errorf("after the failure: %v", f.item(t, entKey)["products"])
				}
			})
		}
	}
}

// An item that is added between the two requests is kept at once; other changes in between
// are kept with their own event.
func TestItemsChangeBetweenTheRequests(t *testing.T) {
	stripe, _ := localtest.Stripe(t)
	later := withItems(t, updated, 12)
	later = []byte(strings.NewReplacer("evt_1Tollgate", "evt_2Tollgate", `"created":1795046464`, `"created":1795046465`, `"status":"active"`, `"status":"past_due"`).Replace(string(later)))
	changes := true
	f := overHTTP(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
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
	f.handle(t, body)
	if row := f.item(t, subRow); len(row["items"].([]any)) != 12 || row["status"] != "active" {
		t.Errorf("first the row has %d items and status %v", len(row["items"].([]any)), row["status"])
	}
	f.handle(t, later)
	if row := f.item(t, subRow); len(row["items"].([]any)) != 12 || row["status"] != "past_due" {
		t.Errorf("then the row has %d items and status %v", len(row["items"].([]any)), row["status"])
	}
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
