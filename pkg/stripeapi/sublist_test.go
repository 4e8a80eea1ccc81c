package stripeapi_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/stripeapi"
)

// anItem is a subscription item with a number that no float holds.
func anItem(n int) string {
	return fmt.Sprintf(`{"id":"si_%d","object":"subscription_item","quantity":9007199254740993,"subscription":"sub_1"}`, n)
}

// shownWith is a subscription as Stripe shows it, with an item and whether there are more.
func shownWith(more bool) string {
	return fmt.Sprintf(`{"id":"sub_1","object":"subscription","created":9007199254740993,"items":{"object":"list","data":[%s],"has_more":%v,"url":"/v1/subscription_items?subscription=sub_1"},"status":"active"}`, anItem(1), more)
}

// aPage is a page of the items from one number to another.
func aPage(from, to int, more bool) string {
	var items []string
	for n := from; n <= to; n++ {
		items = append(items, anItem(n))
	}
	return fmt.Sprintf(`{"object":"list","data":[%s],"has_more":%v,"url":"/v1/subscription_items"}`, strings.Join(items, ","), more)
}

// scripted answers for the subscription, then for the pages of its items in turn; the last stays.
func scripted(t *testing.T, subscription string, pages ...string) (address string, asked *[]string) {
	t.Helper()
	asked = &[]string{}
	turned := 0
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*asked = append(*asked, strings.Join([]string{r.Method, r.URL.RequestURI(), r.Header.Get("Stripe-Version"), r.Header.Get("Stripe-Account")}, " "))
		if r.URL.Path == "/v1/subscriptions/sub_1" {
			io.WriteString(w, subscription)
			return
		}
		turned++
		io.WriteString(w, pages[min(turned, len(pages))-1])
	})), asked
}

func TestSubscriptionComesWithAllItems(t *testing.T) {
	const (
		subscription = "GET /v1/subscriptions/sub_1 2023-10-16 acct_1"
		list         = "GET /v1/subscription_items?limit=100&subscription=sub_1 2023-10-16 acct_1"
		second       = "GET /v1/subscription_items?limit=100&starting_after=si_100&subscription=sub_1 2023-10-16 acct_1"
	)
	for _, c := range []struct {
		name  string
		more  bool
		pages []string
		items int
		asked []string
	}{
		{"one, shown", false, nil, 1, []string{subscription}},
		{"eleven", true, []string{aPage(1, 11, false)}, 11, []string{subscription, list}},
		{"two pages", true, []string{aPage(1, 100, true), aPage(101, 105, false)}, 105, []string{subscription, list, second}},
		{"fewer than shown: some were deleted in between", true, []string{aPage(4, 5, false)}, 2, []string{subscription, list}},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, asked := scripted(t, shownWith(c.more), c.pages...)
			body, err := newClient(t, stripeapi.Options{URL: address}).FetchObject(t.Context(), "acct_1", "subscription", "sub_1")
			if err != nil {
				t.Fatal(err)
			}
			var got stripe.Subscription
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Items.Data) != c.items || got.Items.HasMore || got.ID != "sub_1" || got.Status != "active" || got.Created != 9007199254740993 || got.Items.URL == "" {
				t.Errorf("%d items, more %v, in %.300s", len(got.Items.Data), got.Items.HasMore, body)
			}
			for _, item := range got.Items.Data {
				if item.Quantity != 9007199254740993 {
					t.Errorf("%s has quantity %d", item.ID, item.Quantity)
				}
			}
			if diff := cmp.Diff(c.asked, *asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestItemsThatCannotBeListed: a subscription is whole or it is not fetched at all, and
// another attempt may cure it.
func TestItemsThatCannotBeListed(t *testing.T) {
	var endless []string
	for n := range 30 {
		endless = append(endless, aPage(n, n, true))
	}
	for _, c := range []struct {
		name  string
		pages []string
		asked int
		says  string
	}{
		{"no end", endless, 11, "does not end after 10 pages"},
		{"a page again and again", []string{aPage(1, 3, true)}, 3, `"si_1" is there twice`},
		{"an item twice on a page", []string{`{"data":[` + anItem(1) + `,` + anItem(1) + `],"has_more":false}`}, 2, "is there twice"},
		{"none at all", []string{aPage(1, 0, false)}, 2, "empty"},
		{"an empty page that says there are more", []string{aPage(1, 0, true)}, 2, "empty"},
		{"an empty page after the first", []string{aPage(1, 2, true), aPage(1, 0, false)}, 3, "empty"},
		{"an item without an id", []string{`{"data":[{"object":"subscription_item"}],"has_more":false}`}, 2, "without an id"},
		{"an item of another subscription", []string{`{"data":[{"id":"si_1","subscription":"sub_2"}],"has_more":false}`}, 2, "of another subscription"},
		{"an item that is none", []string{`{"data":[` + anItem(1) + `,null],"has_more":false}`}, 2, "without an id"},
		{"no list", []string{`{"id":"sub_1"}`}, 2, "not a list"},
		{"a text", []string{`"x"`}, 2, "not a list"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, asked := scripted(t, shownWith(true), c.pages...)
			body, err := newClient(t, stripeapi.Options{URL: address}).FetchObject(t.Context(), "", "subscription", "sub_1")
			if err == nil || !strings.Contains(err.Error(), c.says) || body != nil || len(*asked) != c.asked {
				t.Errorf("%d requests, %q, error %v, want %q", len(*asked), body, err, c.says)
			}
			if _, permanent := errors.AsType[*dispatch.PermanentError](err); permanent {
				t.Errorf("it failed for good: %v", err)
			}
		})
	}
}

// TestEndedWithoutItems: one that has ended is fetched although no items of it are listed,
// and only then.
func TestEndedWithoutItems(t *testing.T) {
	for _, c := range []struct {
		name, status string
		pages        []string
		fetched      bool
	}{
		{"canceled", "canceled", []string{aPage(1, 0, false)}, true},
		{"never begun", "incomplete_expired", []string{aPage(1, 0, false)}, true},
		{"unpaid continues", "unpaid", []string{aPage(1, 0, false)}, false},
		{"an empty page that says there are more", "canceled", []string{aPage(1, 0, true)}, false},
		{"an empty page after the first", "canceled", []string{aPage(1, 2, true), aPage(1, 0, false)}, false},
		{"a wrong list", "canceled", []string{aPage(1, 3, true)}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			shown := strings.Replace(shownWith(true), `"active"`, `"`+c.status+`"`, 1)
			address, _ := scripted(t, shown, c.pages...)
			body, err := newClient(t, stripeapi.Options{URL: address}).FetchObject(t.Context(), "", "subscription", "sub_1")
			if c.fetched && (err != nil || string(body) != shown) || !c.fetched && (err == nil || body != nil) {
				t.Errorf("%q, error %v", body, err)
			}
		})
	}
}

// verdict classifies an error: the reason that parks it and what callers branch on.
type verdict struct {
	Reason           string
	Gone, Key, Later bool
}

func classify(err error) verdict {
	var v verdict
	if p, ok := errors.AsType[*dispatch.PermanentError](err); ok {
		v.Reason = p.Reason
	}
	_, v.Later = errors.AsType[*stripeapi.UnavailableError](err)
	v.Gone, v.Key = errors.Is(err, stripeapi.ErrNotFound), errors.Is(err, stripeapi.ErrUnauthorized)
	return v
}

// TestListOfItemsFailsAsTheSubscriptionDoes gives one failure to the subscription, to the
// first page of its items and to the second: it is the same failure.
func TestListOfItemsFailsAsTheSubscriptionDoes(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		want   verdict
	}{
		{"rate limit", 429, `{}`, verdict{Later: true}},
		{"failure at Stripe", 500, `{}`, verdict{Later: true}},
		{"not JSON", 200, `<html>`, verdict{Later: true}},
		{"key refused", 401, `{}`, verdict{Key: true}},
		{"not allowed", 403, `{}`, verdict{Key: true}},
		{"gone", 404, `{}`, verdict{Reason: dispatch.ReasonObjectGone, Gone: true}},
		{"refused", 400, `{"error":{"code":"parameter_unknown"}}`, verdict{}},
		{"too large", 200, `"` + strings.Repeat("x", 20_000) + `"`, verdict{Reason: dispatch.ReasonTooLarge}},
	} {
		for at, where := range []string{"subscription", "first page", "second page"} {
			t.Run(c.name+", "+where, func(t *testing.T) {
				answers := []string{shownWith(true), aPage(1, 100, true), aPage(101, 105, false)}
				address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					n := slices.Index([]string{"/v1/subscriptions/sub_1", "/v1/subscription_items"}, r.URL.Path)
					if r.URL.Query().Has("starting_after") {
						n = 2
					}
					if n == at {
						w.WriteHeader(c.status)
						io.WriteString(w, c.body)
						return
					}
					io.WriteString(w, answers[n])
				}))
				body, err := newClient(t, stripeapi.Options{URL: address, Tries: 2, MaxBody: 10_000}).FetchObject(t.Context(), "", "subscription", "sub_1")
				if err == nil || body != nil {
					t.Fatalf("%q, error %v", body, err)
				}
				if diff := cmp.Diff(c.want, classify(err)); diff != "" {
					t.Errorf("%v: %s", err, diff)
				}
			})
		}
	}
}

// A parameter that names what is not there is refused with 400: on the first page it is
// the subscription, later it may as well be the item to go on after.
func TestMissingParameterOfItems(t *testing.T) {
	for pages, want := range []verdict{{Reason: dispatch.ReasonObjectGone, Gone: true}, {}} {
		address := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/v1/subscriptions/sub_1":
				io.WriteString(w, shownWith(true))
			case pages == 1 && !r.URL.Query().Has("starting_after"):
				io.WriteString(w, aPage(1, 100, true))
			default:
				w.WriteHeader(http.StatusBadRequest)
				io.WriteString(w, `{"error":{"code":"resource_missing"}}`)
			}
		}))
		_, err := newClient(t, stripeapi.Options{URL: address}).FetchObject(t.Context(), "", "subscription", "sub_1")
		if diff := cmp.Diff(want, classify(err)); err == nil || diff != "" {
			t.Errorf("after %d pages: %v: %s", pages, err, diff)
		}
	}
}

// FuzzSubscriptionItems: whatever Stripe answers, a subscription that comes back is as it
// was shown, or has all the items of the list and says that there are no more.
func FuzzSubscriptionItems(f *testing.F) {
	for _, page := range []string{
		aPage(1, 3, false), aPage(1, 3, true), `{"data":[{"id":""}],"has_more":false}`, `{"data":[null],"has_more":false}`, `{"data":{},"has_more":false}`, `[]`, `null`,
		`{"data":[{"id":"a"},{"ID":"b"}],"Has_More":false}`,
	} {
		f.Add(shownWith(true), page)
	}
	for _, shown := range []string{shownWith(false), `{}`, `null`, `{"items":null}`, `{"items":{"has_more":1}}`, `{"items":{"has_more":true}}`, `{"Items":{"has_more":true},"items":{"has_more":true,"has_more":false}}`} {
		f.Add(shown, aPage(1, 2, false))
	}
	f.Fuzz(func(t *testing.T, shown, page string) {
		c := offline(t, func(r *http.Request) string {
			if r.URL.Path == "/v1/subscription_items" {
				return page
			}
			return shown
		})
		body, err := c.FetchObject(t.Context(), "", "subscription", "sub_1")
		if err != nil {
			if body != nil {
				t.Fatalf("%v, and %q", err, body)
			}
			return
		}
		if string(body) == shown {
			return
		}
		var got, list struct {
			Items struct {
				Data []json.RawMessage `json:"data"`
				More bool              `json:"has_more"`
			} `json:"items"`
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal([]byte(`{"items":`+page+`}`), &list) != nil || json.Unmarshal([]byte(shown), &before) != nil || json.Unmarshal(body, &after) != nil {
			t.Fatalf("%q of %q and %q", body, shown, page)
		}
		if json.Unmarshal(after["items"], &got.Items) != nil || got.Items.More || len(got.Items.Data) == 0 || len(got.Items.Data) != len(list.Items.Data) || len(before) != len(after) {
			t.Fatalf("%q of %q and %q", body, shown, page)
		}
	})
}
