package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

const dahlia = "2026-08-26.dahlia"

// dataObject takes the object out of an event, and its version.
func dataObject(t *testing.T, raw []byte) (object, previous map[string]any, version string) {
	t.Helper()
	var e struct {
		Version string `json:"api_version"`
		Data    struct {
			Object   map[string]any
			Previous map[string]any `json:"previous_attributes"`
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return e.Data.Object, e.Data.Previous, e.Version
}

func goldenEvent(t *testing.T, typ string) (raw []byte, id string) {
	t.Helper()
	raw, err := os.ReadFile("../../handlers/golden/" + typ + ".json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return raw, e.id
}

func TestBasilMovesFields(t *testing.T) {
	tests := []struct {
		typ  string
		gone []string
		path func(o map[string]any) any // where something has moved to
		want func(o map[string]any) any // and where it was
	}{
		{
			"customer.subscription.updated", []string{"current_period_start", "current_period_end", "discount"},
			func(o map[string]any) any { return first(o["items"])["current_period_end"] },
			func(o map[string]any) any { return o["current_period_end"] },
		},
		{
			"invoice.paid", []string{"charge", "payment_intent", "paid", "subscription", "tax", "discount"},
			func(o map[string]any) any {
				return o["parent"].(map[string]any)["subscription_details"].(map[string]any)["subscription"]
			},
			func(o map[string]any) any { return o["subscription"] },
		},
		{
			"invoice.paid", nil,
			func(o map[string]any) any {
				return first(o["lines"])["pricing"].(map[string]any)["price_details"].(map[string]any)["price"]
			},
			func(o map[string]any) any { return first(o["lines"])["price"].(map[string]any)["id"] },
		},
		{
			"payment_intent.succeeded", []string{"invoice"},
			func(o map[string]any) any { return o["amount"] },
			func(o map[string]any) any { return o["amount"] },
		},
	}
	for _, tt := range tests {
		t.Run(tt.typ, func(t *testing.T) {
			s, url := open(t, Options{APIVersion: dahlia})
			given, id := goldenEvent(t, tt.typ)
			remember(t, s, given)
			old, _, _ := dataObject(t, given)
			_, _, raw := do(t, "GET", url+"/v1/events/"+id, nil, "Stripe-Version", "2023-10-16")
			got, previous, version := dataObject(t, raw)
			if version != dahlia {
				t.Errorf("rendered as %s", version)
			}
			for _, name := range tt.gone {
				_, was := old[name]
				_, is := got[name]
				_, before := previous[name]
				if !was || is || before {
					t.Errorf("%s: was there %v, is there %v, in previous_attributes %v", name, was, is, before)
				}
			}
			if diff := cmp.Diff(tt.want(old), tt.path(got)); diff != "" || tt.want(old) == nil {
				t.Errorf("moved to another value: %s", diff)
			}
			for name, value := range old {
				if now, is := got[name]; is && name != "lines" && name != "items" && !cmp.Equal(value, now) {
					t.Errorf("%s changed: %s", name, cmp.Diff(value, now))
				}
			}
			_, _, list := do(t, "GET", url+"/v1/events", nil)
			if !bytes.Contains(list, raw) {
				t.Error("the list does not carry the event as it is served alone")
			}
		})
	}
}

func first(list any) map[string]any {
	return list.(map[string]any)["data"].([]any)[0].(map[string]any)
}

func TestObjectHonoursTheVersionAskedFor(t *testing.T) {
	s, url := open(t, Options{APIVersion: dahlia})
	given, _ := goldenEvent(t, "customer.subscription.updated")
	remember(t, s, given)
	old, _, _ := dataObject(t, given)
	path := url + "/v1/subscriptions/" + old["id"].(string)
	for version, want := range map[string]bool{"2023-10-16": true, "2025-02-24.acacia": true, "2025-03-31.basil": false, dahlia: false, "": false} {
		status, _, raw := do(t, "GET", path, nil, "Stripe-Version", version)
		var got map[string]any
		if err := json.Unmarshal(raw, &got); err != nil || status != 200 {
			t.Fatalf("%d %v: %s", status, err, raw)
		}
		if _, is := got["current_period_end"]; is != want {
			t.Errorf("version %q: current_period_end is there: %v", version, is)
		}
		if _, is := first(got["items"])["current_period_end"]; is == want {
			t.Errorf("version %q: items have it: %v", version, is)
		}
		if want && !cmp.Equal(old, got) {
			t.Errorf("version %q changed: %s", version, cmp.Diff(old, got))
		}
	}
}

func TestSmallerMoves(t *testing.T) {
	tests := []struct{ name, version, given, want string }{
		{"quote's invoice", dahlia, `{"object":"invoice","quote":"qt_1","subscription":null}`, `{"object":"invoice","parent":{"quote_details":{"quote":"qt_1"},"subscription_details":null,"type":"quote_details"}}`},
		{"bare invoice", dahlia, `{"object":"invoice","lines":{"data":[]}}`, `{"object":"invoice","lines":{"data":[]},"parent":null}`},
		{"charge", dahlia, `{"object":"charge","invoice":"in_1","amount":12345678901234567890}`, `{"object":"charge","amount":12345678901234567890}`},
		{"price", dahlia, `{"object":"price","recurring":{"aggregate_usage":null,"interval":"month"}}`, `{"object":"price","recurring":{"interval":"month"}}`},
		{"checkout", dahlia, `{"object":"checkout.session","shipping_details":{"name":"A"}}`, `{"object":"checkout.session","collected_information":{"shipping_details":{"name":"A"}}}`},
		{"discount in basil", "2025-03-31.basil", `{"object":"discount","coupon":{"id":"off"}}`, `{"object":"discount","coupon":{"id":"off"}}`},
		{"discount in clover", "2025-09-30.clover", `{"object":"discount","coupon":{"id":"off"}}`, `{"object":"discount","source":{"coupon":"off","type":"coupon"}}`},
		{"invoice item", dahlia, `{"object":"invoiceitem","price":{"id":"price_1","product":"prod_1","unit_amount_decimal":"5"},"subscription":"sub_1","subscription_item":"si_1","unit_amount":5}`, `{"object":"invoiceitem","parent":{"subscription_details":{"subscription":"sub_1","subscription_item":"si_1"},"type":"subscription_details"},"pricing":{"price_details":{"price":"price_1","product":"prod_1"},"type":"price_details","unit_amount_decimal":"5"}}`},
		{"customer", dahlia, `{"object": "customer" , "email":null}`, `{"object": "customer" , "email":null}`},
		{"text", dahlia, `"sub_1"`, `"sub_1"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(basilObject([]byte(tt.given), tt.version)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestEndpointVersionWins: a delivery is in the endpoint's version, the list in the account's.
func TestEndpointVersionWins(t *testing.T) {
	inBubble(t, Options{APIVersion: dahlia}, nil, func(t *testing.T, s *Fake, r *receiver) {
		register(t, s, "url=http://pinned/&enabled_events[]=*&api_version=2023-10-16")
		register(t, s, "url=http://default/&enabled_events[]=*")
		given, id := goldenEvent(t, "customer.subscription.updated")
		local(t, s, "POST", "/_fake/events?deliver=true", string(given))
		synctest.Wait()
		got := map[string]bool{}
		for _, each := range r.all() {
			o, _, version := dataObject(t, each.body)
			_, has := o["current_period_end"]
			got[each.url+" "+version] = has
		}
		o, _, version := dataObject(t, local(t, s, "GET", "/v1/events/"+id, ""))
		_, got["list "+version] = o["current_period_end"]
		if diff := cmp.Diff(map[string]bool{"http://pinned/ 2023-10-16": true, "http://default/ " + dahlia: false, "list " + dahlia: false}, got); diff != "" {
			t.Error(diff)
		}
	})
}

func TestBrokenItem(t *testing.T) {
	s, url := open(t, Options{})
	for i := range 3 {
		remember(t, s, body(fmt.Sprint("evt_", i), "invoice.paid", "", int64(100+i)))
	}
	if status, _, raw := do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"break_item":"evt_1"}`)); status != 200 {
		t.Fatalf("%d %s", status, raw)
	}
	_, _, raw := do(t, "GET", url+"/v1/events", nil)
	var l struct{ Data []struct{ Created any } }
	if err := json.Unmarshal(raw, &l); err != nil {
		t.Fatal(err)
	}
	if len(l.Data) != 3 || l.Data[0].Created != 102.0 || l.Data[1].Created != "101" || l.Data[2].Created != 100.0 {
		t.Errorf("list has %+v", l.Data)
	}
	if _, _, raw := do(t, "GET", url+"/v1/events/evt_1", nil); !bytes.Equal(raw, body("evt_1", "invoice.paid", "", 101)) {
		t.Errorf("alone it is %s", raw)
	}
	do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"break_item":""}`))
	if _, _, raw := do(t, "GET", url+"/v1/events", nil); bytes.Contains(raw, []byte(`"101"`)) {
		t.Error("it stays broken")
	}
}

// TestBurstOverPageBorders pages through events of few seconds, among which one becomes
// visible late, and finds each event that was visible in time exactly once.
func TestBurstOverPageBorders(t *testing.T) {
	now := time.Unix(1000, 0)
	s, url := open(t, Options{Now: func() time.Time { return now }})
	for i := range 250 {
		if i == 120 {
			do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"delay_visibility_ms":60000}`))
		}
		remember(t, s, body(fmt.Sprintf("evt_%03d", i), "invoice.paid", "", int64(500+i/125)))
		if i == 120 {
			do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"delay_visibility_ms":0}`))
		}
	}
	var got []string
	for query, more := "?limit=100", true; more; {
		_, _, raw := do(t, "GET", url+"/v1/events"+query, nil)
		var page []string
		page, more = ids(t, raw)
		got = append(got, page...)
		query = "?limit=100&starting_after=" + page[len(page)-1]
		now = now.Add(time.Minute) // the late one appears after the first page
	}
	var want []string
	for i := range 250 {
		want = append(want, fmt.Sprintf("evt_%03d", i))
	}
	slices.Reverse(want)
	// It is behind the first page, so this walk finds it; one that had passed it would not.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRateLimit(t *testing.T) {
	now := time.Unix(1000, 0)
	s, url := open(t, Options{RateLimit: 2, Now: func() time.Time { return now }})
	remember(t, s, body("evt_a", "invoice.paid", "", 1))
	var got []int
	for i := range 6 {
		if i == 4 {
			now = now.Add(time.Second)
		}
		status, header, _ := do(t, "GET", url+"/v1/events/evt_a", nil)
		if limited := header.Get("Stripe-Rate-Limited-Reason") != ""; limited != (status == http.StatusTooManyRequests) {
			t.Errorf("status %d, reason given: %v", status, limited)
		}
		got = append(got, status)
	}
	if diff := cmp.Diff([]int{200, 200, 429, 429, 200, 200}, got); diff != "" {
		t.Error(diff)
	}
	if status, _, _ := do(t, "GET", url+"/_fake/objects", nil); status != 200 {
		t.Errorf("the fake Stripe's own path is limited too: %d", status)
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	s, url := open(t, Options{})
	remember(t, s, body("evt_a", "invoice.paid", "", 1))
	for _, order := range []string{`{"status":429,"times":2,"retry_after_s":3}`, `{"status":503}`} {
		if status, _, raw := do(t, "POST", url+"/_fake/faults", strings.NewReader(order)); status != 200 || string(raw) != "{}" {
			t.Fatalf("%d %s", status, raw)
		}
	}
	var got []string
	for range 4 {
		status, header, _ := do(t, "GET", url+"/v1/events/evt_a", nil)
		got = append(got, fmt.Sprintf("%d wait %s", status, header.Get("Retry-After")))
	}
	if diff := cmp.Diff([]string{"429 wait 3", "429 wait 3", "503 wait ", "200 wait "}, got); diff != "" {
		t.Error(diff)
	}
}

// TestWhatHasMovedStays: an event that was given in the new shape keeps it, and
// previous_attributes lose what is no longer there.
func TestWhatHasMovedStays(t *testing.T) {
	s, url := open(t, Options{APIVersion: dahlia})
	const data = `{"object":{"object":"subscription","items":{"data":[{"current_period_end":7}]}},"previous_attributes":{"current_period_end":5,"status":"trialing"}}`
	event := func(id, version string) []byte {
		return fmt.Appendf(nil, `{"id":%q,"object":"event","api_version":%q,"created":5,"type":"customer.subscription.updated","data":%s}`, id, version, data)
	}
	remember(t, s, event("evt_new", "2025-06-30.basil"), event("evt_old", "2023-10-16"))
	if _, _, raw := do(t, "GET", url+"/v1/events/evt_new", nil); !bytes.Contains(raw, []byte(data)) {
		t.Errorf("data changed: %s", raw)
	}
	_, _, raw := do(t, "GET", url+"/v1/events/evt_old", nil)
	if _, previous, _ := dataObject(t, raw); !cmp.Equal(previous, map[string]any{"status": "trialing"}) {
		t.Errorf("previous_attributes %v", previous)
	}
}
