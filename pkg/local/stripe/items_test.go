package stripe

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/subscription"
	"github.com/stripe/stripe-go/v76/subscriptionitem"

	"tollgate/pkg/local/stripe/stripemock"
)

// withItems is a subscription with n items, si_1 to si_n.
func withItems(id string, n int) string {
	var items []string
	for i := range n {
		items = append(items, fmt.Sprintf(`{"id":"si_%d","object":"subscription_item","quantity":%d,"subscription":%q,"price":{"id":"price_1","recurring":{}}}`, i+1, i+1, id))
	}
	return fmt.Sprintf(`{"id":%q,"object":"subscription","current_period_end":7,"items":{"object":"list","data":[%s],"has_more":false,"url":"/v1/subscription_items?subscription=%s"},"status":"active"}`,
		id, strings.Join(items, ","), id)
}

func numbered(from, to int) []string {
	list := []string{}
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprint("si_", n))
	}
	return list
}

type itemList struct {
	Object string
	URL    string
	Data   []struct {
		ID  string
		End int64 `json:"current_period_end"`
	}
	HasMore *bool `json:"has_more"`
}

func (l itemList) ids() []string {
	ids := []string{}
	for _, item := range l.Data {
		ids = append(ids, item.ID)
	}
	return ids
}

// TestSubscriptionShowsItsFirstItems: ten are shown; one that is shown whole keeps its bytes.
func TestSubscriptionShowsItsFirstItems(t *testing.T) {
	for _, n := range []int{0, 1, 10, 11, 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			_, url := open(t, Options{})
			putObjects(t, url, "["+withItems("sub_1", n)+"]")
			status, _, raw := do(t, "GET", url+"/v1/subscriptions/sub_1", nil)
			var got struct {
				ID, Status string
				Items      itemList
			}
			if err := json.Unmarshal(raw, &got); err != nil || status != 200 || got.ID != "sub_1" || got.Status != "active" || got.Items.URL != "/v1/subscription_items?subscription=sub_1" {
				t.Fatalf("%d %v: %s", status, err, raw)
			}
			if diff := cmp.Diff(numbered(1, min(n, 10)), got.Items.ids()); diff != "" || *got.Items.HasMore != (n > 10) {
				t.Errorf("more %v: %s", *got.Items.HasMore, diff)
			}
			if whole := string(raw) == withItems("sub_1", n); whole != (n <= 10) {
				t.Errorf("the bytes are as given: %v", whole)
			}
		})
	}
}

func TestItemsArePaged(t *testing.T) {
	_, url := open(t, Options{})
	putObjects(t, url, "["+withItems("sub_1", 25)+","+withItems("sub_none", 0)+"]")
	for _, c := range []struct {
		query string
		want  []string
		more  bool
	}{
		{"subscription=sub_1", numbered(1, 10), true},
		{"subscription=sub_1&limit=100", numbered(1, 25), false},
		{"subscription=sub_1&limit=25", numbered(1, 25), false},
		{"subscription=sub_1&limit=24", numbered(1, 24), true},
		{"subscription=sub_1&starting_after=si_10", numbered(11, 20), true},
		{"subscription=sub_1&starting_after=si_20&expand[]=data.price", numbered(21, 25), false},
		{"subscription=sub_1&starting_after=si_25", []string{}, false},
		{"subscription=sub_1&ending_before=si_21&limit=3", numbered(18, 20), true},
		{"subscription=sub_none", []string{}, false},
	} {
		status, _, raw := do(t, "GET", url+"/v1/subscription_items?"+c.query, nil)
		var got itemList
		if err := json.Unmarshal(raw, &got); err != nil || status != 200 || got.Object != "list" || got.URL != "/v1/subscription_items" || got.HasMore == nil || got.Data == nil {
			t.Errorf("%s: %d %v: %.200s", c.query, status, err, raw)
			continue
		}
		if diff := cmp.Diff(c.want, got.ids()); diff != "" || *got.HasMore != c.more {
			t.Errorf("%s: more %v: %s", c.query, *got.HasMore, diff)
		}
	}
}

func TestItemsAreRefused(t *testing.T) {
	_, url := open(t, Options{})
	cutShort := strings.Replace(withItems("sub_cut", 10), `"has_more":false`, `"has_more":true`, 1)
	putObjects(t, url, "["+withItems("sub_1", 2)+","+cutShort+"]")
	for query, param := range map[string]string{
		"":                                     "subscription",
		"subscription=":                        "subscription",
		"subscription=sub_2":                   "subscription",
		"subscription=sub_cut":                 "subscription",
		"subscription=sub_1&limit=0":           "limit",
		"subscription=sub_1&starting_after=x":  "starting_after",
		"subscription=sub_1&ending_before=x":   "ending_before",
		"subscription=sub_1&created[gte]=5":    "created[gte]",
		"subscription=sub_1&type=invoice.paid": "type",
		"subscription=sub_1&price=price_1":     "price",
	} {
		status, _, raw := do(t, "GET", url+"/v1/subscription_items?"+query, nil)
		var e struct{ Error apiError }
		if err := json.Unmarshal(raw, &e); err != nil || status != 400 || e.Error.Param != param {
			t.Errorf("%q: %d, parameter %q, want %q: %s", query, status, e.Error.Param, param, raw)
		}
	}
	if status, _, raw := do(t, "GET", url+"/v1/subscription_items?subscription=sub_1", nil, "Stripe-Account", "acct_1"); status != 400 {
		t.Errorf("another account's: %d %s", status, raw)
	}
}

// TestStripeGoPagesThroughItems: Stripe's own client continues from what is shown with a
// subscription, and through the list on its own.
func TestStripeGoPagesThroughItems(t *testing.T) {
	_, url := open(t, Options{})
	putObjects(t, url, "["+withItems("sub_1", 20)+"]")
	backend := stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{URL: stripego.String(url), LeveledLogger: &stripego.LeveledLogger{}})
	sub, err := subscription.Client{B: backend, Key: "sk_test_1"}.Get("sub_1", nil)
	if err != nil || len(sub.Items.Data) != 10 || !sub.Items.HasMore {
		t.Fatalf("%+v, %v", sub, err)
	}
	params := &stripego.SubscriptionItemListParams{Subscription: stripego.String("sub_1")}
	params.Limit = stripego.Int64(7)
	all := subscriptionitem.Client{B: backend, Key: "sk_test_1"}.List(params)
	var ids []string
	for all.Next() {
		ids = append(ids, all.SubscriptionItem().ID)
	}
	if diff := cmp.Diff(numbered(1, 20), ids); diff != "" || all.Err() != nil {
		t.Errorf("%v: %s", all.Err(), diff)
	}
	for i, item := range sub.Items.Data {
		if !slices.Contains(ids[:10], item.ID) || ids[i] != item.ID {
			t.Errorf("the list does not begin with what is shown: %s", item.ID)
		}
	}
}

func TestItemListHasTheFieldsOfStripeMock(t *testing.T) {
	_, ours := open(t, Options{})
	raw, err := os.ReadFile("../../handlers/golden/customer.subscription.updated.json")
	check(t, err)
	var e struct {
		Data struct{ Object map[string]any }
	}
	check(t, json.Unmarshal(raw, &e))
	object := e.Data.Object
	put, err := json.Marshal([]any{object})
	check(t, err)
	putObjects(t, ours, string(put))
	theirs := stripemock.Start(t, false)
	q := question{name: "list", method: "GET", path: "/v1/subscription_items?limit=2&subscription=" + object["id"].(string)}
	_, got := q.ask(t, ours, "")
	_, want := q.ask(t, theirs, "")
	if diff := cmp.Diff(shapes(t, want), shapes(t, got)); diff != "" {
		t.Error(diff)
	}
	var items struct{ Data []json.RawMessage }
	var wantItems struct{ Data []json.RawMessage }
	if json.Unmarshal(got, &items) != nil || json.Unmarshal(want, &wantItems) != nil || len(items.Data) == 0 || len(wantItems.Data) == 0 {
		t.Fatalf("no items in %s or %s", got, want)
	}
	served := shapes(t, items.Data[0])
	for name, shape := range shapes(t, wantItems.Data[0]) {
		if is, there := served[name]; there && is != shape && is != "" && shape != "" {
			t.Errorf("%s of an item is a %s, stripe-mock has a %s", name, is, shape)
		}
	}
}
