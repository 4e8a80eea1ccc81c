package stripeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/local/localtest"
	fakestripe "tollgate/pkg/local/stripe"
	"tollgate/pkg/queue"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/stripeapi"
)

// anEvent is one event's bytes.
func anEvent(id, typ string, created int64) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","api_version":"2025-09-30.clover","created":%d,"data":{"object":{"id":"in_%s","object":"invoice"}},"livemode":false,"type":%q}`,
		id, created, id, typ)
}

var listQuery = reconcile.Query{From: time.Unix(1_700_000_000, 0), To: time.Unix(1_700_003_600, 0), Types: []string{"invoice.paid", "invoice.voided"}}

// TestListFromFakeStripe pages through bursts that share a second over the borders of pages.
func TestListFromFakeStripe(t *testing.T) {
	s, url := localtest.Stripe(t)
	want := map[string]bool{}
	for n := range 430 {
		id, created := fmt.Sprintf("evt_%d", n), int64(1_700_000_000+n/200)
		if n >= 410 {
			created = 1_700_003_601 // too young
		} else {
			want[id] = true
		}
		if err := s.Remember([]byte(anEvent(id, "invoice.paid", created))); err != nil {
			t.Fatal(err)
		}
	}
	for _, body := range []string{
		anEvent("evt_other", "charge.failed", 1_700_000_001),
		strings.Replace(anEvent("evt_connected", "invoice.paid", 1_700_000_001), `"object":"event"`, `"object":"event","account":"acct_1"`, 1),
	} {
		if err := s.Remember([]byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	c := newClient(t, stripeapi.Options{URL: url})
	s.Inject(fakestripe.Fault{Status: http.StatusTooManyRequests, Times: 2}) // repeated by the client
	s.BreakItem("evt_7")
	got, pages, q := map[string]bool{}, 0, listQuery
	for {
		page, err := c.ListEvents(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		pages++
		for _, item := range page.Items {
			if item.Err != nil || got[item.Event.ID] || item.Event.Body == nil || item.Event.ObjectID != "in_"+item.Event.ID || item.Event.APIVersion == "" {
				t.Fatalf("item %+v: %v", item.Event, item.Err)
			}
			got[item.Event.ID] = true
		}
		if !page.More {
			break
		}
		q.After = page.Last
	}
	if d := cmp.Diff(want, got); d != "" || pages != 5 {
		t.Errorf("%d pages (-want +got):\n%s", pages, d)
	}
	q = listQuery
	q.Account = "acct_1"
	page, err := c.ListEvents(t.Context(), q)
	if err != nil || len(page.Items) != 1 || page.Items[0].Event.ID != "evt_connected" {
		t.Errorf("as the connected account: %+v, %v", page, err)
	}
}

// TestListAsks holds the request to what Stripe documents.
func TestListAsks(t *testing.T) {
	var asked url.Values
	var account string
	c := newClient(t, stripeapi.Options{URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, account = r.URL.Query(), r.Header.Get("Stripe-Account")
		io.WriteString(w, `{"object":"list","data":[],"has_more":false}`)
	}))})
	q := listQuery
	q.Account, q.After = "acct_1", "evt_9"
	if page, err := c.ListEvents(t.Context(), q); err != nil || len(page.Items) != 0 || page.More || page.Last != "" {
		t.Errorf("%+v, %v", page, err)
	}
	want := url.Values{
		"limit": {"100"}, "created[gte]": {"1700000000"}, "created[lte]": {"1700003600"},
		"types[]": {"invoice.paid", "invoice.voided"}, "starting_after": {"evt_9"},
	}
	if d := cmp.Diff(want, asked); d != "" || account != "acct_1" {
		t.Errorf("account %q (-want +got):\n%s", account, d)
	}
}

// TestAccountOfAnUnreadableItem: what is sent id-only has the account that its context names.
func TestAccountOfAnUnreadableItem(t *testing.T) {
	for members, want := range map[string]event.Envelope{
		``:                                       {},
		`,"context":"org_1/acct_1"`:              {Account: "acct_1", AccountFrom: event.FromContext},
		`,"context":"org_1"`:                     {Account: "org_1", AccountFrom: event.FromContext},
		`,"account":"acct_2","context":"acct_1"`: {Account: "acct_2"},
		`,"context":"acct_1\n"`:                  {},
		`,"context":7`:                           {},
		`,"account":{"id":1},"context":"acct_1"`: {Account: "acct_1", AccountFrom: event.FromContext},
	} {
		c := offline(t, func(r *http.Request) string {
			if r.URL.Path != "/v1/events" {
				return "{}" // by its id it cannot be read either
			}
			return fmt.Sprintf(`{"data":[{"id":"evt_1","object":"event","type":"invoice.paid","created":1%s}]}`, members)
		})
		page, err := c.ListEvents(t.Context(), listQuery)
		if err != nil || len(page.Items) != 1 || page.Items[0].Err == nil || page.Items[0].Event.Account != want.Account || page.Items[0].Event.AccountFrom != want.AccountFrom {
			t.Errorf("%s: %+v, %v", members, page.Items, err)
		}
	}
}

// TestItemsAreReadOneByOne: the known members of an item decide how it is handled.
func TestItemsAreReadOneByOne(t *testing.T) {
	good := anEvent("evt_1", "invoice.paid", 1)
	for _, c := range []struct {
		name, items string
		more        bool
		want        []string // id, type, created, object id, and whether it is whole
		last        string
	}{
		{"all good", good + "," + anEvent("evt_2", "invoice.paid", 2), true, []string{"evt_1 invoice.paid 1 in_evt_1 whole", "evt_2 invoice.paid 2 in_evt_2 whole"}, "evt_2"},
		{"no data", good + `,{"id":"evt_2","object":"event","type":"invoice.paid","created":2,"livemode":false}`, false,
			[]string{"evt_1 invoice.paid 1 in_evt_1 whole", "evt_2 invoice.paid 2  broken"}, "evt_2"},
		{"a text for created", `{"id":"evt_2","object":"event","type":"invoice.paid","created":"2","livemode":false,"data":{"object":{"id":"in_2"}}},` + good, false,
			[]string{"evt_2 invoice.paid 0 in_2 broken", "evt_1 invoice.paid 1 in_evt_1 whole"}, "evt_1"},
		{"no object at all", `7,` + good, false, []string{"  0  broken", "evt_1 invoice.paid 1 in_evt_1 whole"}, "evt_1"},
		{"an id that is none", `{"id":"../evt_1","object":"event","type":"invoice.paid","created":1}`, false, []string{" invoice.paid 1  broken"}, ""},
		{"the end of a page is the next one's beginning", good + `,{"id":5},null`, true, []string{"evt_1 invoice.paid 1 in_evt_1 whole"}, "evt_1"},
		{"the end of the last page is reported", good + `,{"id":5},null`, false, []string{"evt_1 invoice.paid 1 in_evt_1 whole", "  0  broken", "  0  broken"}, "evt_1"},
		{"nothing known at all", `{"id":5},null`, true, []string{"  0  broken", "  0  broken"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			cl := newClient(t, stripeapi.Options{URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/v1/events" {
					http.NotFound(w, r)
					return
				}
				fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":%v}`, c.items, c.more)
			}))})
			page, err := cl.ListEvents(t.Context(), listQuery)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, item := range page.Items {
				state := "whole"
				if item.Err != nil {
					state = "broken"
				}
				if (item.Err == nil) != (item.Event.Body != nil) || item.Position != i {
					t.Errorf("item %d: %+v", i, item)
				}
				got = append(got, fmt.Sprintf("%s %s %d %s %s", item.Event.ID, item.Event.Type, item.Event.Created, item.Event.ObjectID, state))
			}
			if d := cmp.Diff(c.want, got); d != "" || page.Last != c.last || page.More != c.more {
				t.Errorf("last %q, more %v (-want +got):\n%s", page.Last, page.More, d)
			}
		})
	}
}

// TestLargePagesAreAskedForInParts: a page of large events is more than is read at once.
func TestLargePagesAreAskedForInParts(t *testing.T) {
	var sizes []string
	c := newClient(t, stripeapi.Options{MaxBody: 4000, URL: serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := r.URL.Query().Get("limit")
		sizes = append(sizes, size)
		n := map[string]int{"100": 100, "10": 10, "1": 1}[size]
		items := strings.Repeat(anEvent("evt_1", "invoice.paid", 1)+",", n)
		fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":true}`, strings.TrimSuffix(items, ","))
	}))})
	if page, err := c.ListEvents(t.Context(), listQuery); err != nil || len(page.Items) != 10 {
		t.Errorf("%d items, %v", len(page.Items), err)
	}
	if d := cmp.Diff([]string{"100", "10"}, sizes); d != "" {
		t.Errorf("sizes (-want +got):\n%s", d)
	}
}

func TestListFails(t *testing.T) {
	status, body := 500, "{}"
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	c := newClient(t, stripeapi.Options{URL: url})
	if _, err := c.ListEvents(t.Context(), listQuery); !isUnavailable(err) {
		t.Errorf("after 500s: %v", err)
	}
	status = 401
	if _, err := c.ListEvents(t.Context(), listQuery); !errors.Is(err, stripeapi.ErrUnauthorized) {
		t.Errorf("after 401: %v", err)
	}
	status, body = 200, `[]`
	if _, err := c.ListEvents(t.Context(), listQuery); err == nil || !strings.Contains(err.Error(), "not a list") {
		t.Errorf("another kind of answer: %v", err)
	}
	q := listQuery
	q.Account = "acct_1\r\nX: y"
	if _, err := c.ListEvents(t.Context(), q); !errors.Is(err, stripeapi.ErrNotFound) {
		t.Errorf("an account that is none: %v", err)
	}
}

func isUnavailable(err error) bool {
	_, ok := errors.AsType[*stripeapi.UnavailableError](err)
	return ok
}

func TestLivemode(t *testing.T) {
	for key, want := range map[string]bool{"sk_live_1": true, "rk_live_1": true, "sk_test_1": false, "rk_test_live1": false} {
		c := newClient(t, stripeapi.Options{Key: func(context.Context) (string, error) { return key, nil }})
		if live, err := c.Livemode(t.Context()); err != nil || live != want {
			t.Errorf("%s: %v, %v", key, live, err)
		}
	}
	c := newClient(t, stripeapi.Options{Key: func(context.Context) (string, error) { return "", nil }})
	if _, err := c.Livemode(t.Context()); !errors.Is(err, stripeapi.ErrNoAPIKey) {
		t.Errorf("without a key: %v", err)
	}
}

// FuzzListedItems: whatever a list holds, an item that is called whole can go onto
// the queue, and one that is not has no body.
func FuzzListedItems(f *testing.F) {
	for _, s := range []string{anEvent("evt_1", "invoice.paid", 1), `{"id":"evt_1"}`, `null`, `{"id":"evt_1","data":[]}`, `{"Id":"evt_2","id":"evt_1","id":"evt_3"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, item string) {
		if !json.Valid([]byte(item)) {
			return
		}
		c := offline(t, func(r *http.Request) string {
			if r.URL.Path != "/v1/events" {
				return "{}"
			}
			return `{"data":[` + item + `],"has_more":false}`
		})
		page, err := c.ListEvents(t.Context(), listQuery)
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("%q: %d items, %v", item, len(page.Items), err)
		}
		got := page.Items[0]
		if got.Err == nil {
			again, err := event.Parse(got.Event.Body)
			again.Body = got.Event.Body
			if d := cmp.Diff(again, got.Event); d != "" || err != nil {
				t.Fatalf("%q: %v (-body +item):\n%s", item, err, d)
			}
		} else if got.Event.Body != nil {
			t.Fatalf("%q: a broken item with a body", item)
		}
	})
}

// FuzzListPage: whatever Stripe answers for a page, items that are whole can go onto the
// queue, and a page that is not the last says where the next begins, or has no id at all.
func FuzzListPage(f *testing.F) {
	one := anEvent("evt_1", "invoice.paid", 1)
	for _, s := range []string{
		`{"object":"list","data":[` + one + `],"has_more":true}`, `{"data":[` + one + `,{"id":"evt_2"},null,7],"has_more":true}`, `{"data":[{"id":5}],"has_more":true}`,
		`{"data":null}`, `{"data":{},"has_more":true}`, `{"has_more":"yes"}`, `null`, `[]`, `{"data":[],"has_more":true}`, `{"Data":[` + one + `],"data":[],"HAS_MORE":true}`, `{`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := offline(t, func(r *http.Request) string {
			if r.URL.Path != "/v1/events" {
				return "{}"
			}
			return body
		})
		page, err := c.ListEvents(t.Context(), listQuery)
		if err != nil {
			if len(page.Items) != 0 {
				t.Fatalf("%q: %v, and %d items", body, err, len(page.Items))
			}
			return
		}
		last := ""
		for _, item := range page.Items {
			if (item.Err == nil) != (item.Event.Body != nil) {
				t.Fatalf("%q: error %v, body %q", body, item.Err, item.Event.Body)
			}
			if id := item.Event.ID; id != "" {
				last = id
			}
			if item.Err != nil {
				continue
			}
			if _, err := queue.Encode(sendable(item.Event)); err != nil {
				t.Fatalf("%q: an item that cannot be sent: %v", body, err)
			}
		}
		if page.Last != last {
			t.Fatalf("%q: the next page begins behind %q, want %q", body, page.Last, last)
		}
		if n := len(page.Items); page.More && last != "" && page.Items[n-1].Event.ID != last {
			t.Fatalf("%q: items behind the last id stay, and the next page has them too", body)
		}
	})
}

// sendable is what reconcile adds to an event of a list.
func sendable(e event.Envelope) event.Envelope {
	e.Endpoint, e.Source, e.ReceivedAt = "default", event.Reconcile, time.Unix(1_700_003_600, 0)
	return e
}

// offline returns a client of a Stripe that answers so.
func offline(t *testing.T, answer answers) *stripeapi.Client {
	return newClient(t, stripeapi.Options{Tries: 1, Rate: 1e9, ResourceRate: 1e9, Transport: answer})
}

type answers func(*http.Request) string

func (f answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(f(r))), Request: r}, nil
}
