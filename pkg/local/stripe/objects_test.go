package stripe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/local/aws/jsonscan"
	"tollgate/pkg/stripeapi"
)

// says is an event with a state of an object.
func says(id, typ string, created int64, object string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","api_version":"2023-10-16","created":%d,"livemode":false,"type":%q,"data":{"object":%s}}`, id, created, typ, object)
}

func putObjects(t *testing.T, url, list string, headers ...string) {
	t.Helper()
	if status, _, raw := do(t, "PUT", url+"/_fake/objects", strings.NewReader(list), headers...); status != 200 {
		t.Fatalf("put: %d %s", status, raw)
	}
}

func TestNewestStateIsServed(t *testing.T) {
	sub := func(mark string) string { return fmt.Sprintf(`{"id":"sub_1","object":"subscription","mark":%q}`, mark) }
	type step func(t *testing.T, s *Fake, url string)
	event := func(id, typ string, created int64, object string) step {
		return func(t *testing.T, s *Fake, url string) { remember(t, s, says(id, typ, created, object)) }
	}
	put := func(mark string) step {
		return func(t *testing.T, s *Fake, url string) { putObjects(t, url, "["+sub(mark)+"]") }
	}
	remove := func(t *testing.T, s *Fake, url string) {
		if status, _, raw := do(t, "DELETE", url+"/_fake/objects/sub_1", nil); status != 200 {
			t.Fatalf("delete: %d %s", status, raw)
		}
	}
	const typ = "customer.subscription.updated"
	shaped := func(version string) step {
		return func(t *testing.T, s *Fake, url string) {
			remember(t, s, bytes.Replace(says("evt_2", typ, 6, sub("b")), []byte("2023-10-16"), []byte(version), 1))
		}
	}
	tests := []struct {
		name  string
		steps []step
		want  string // the mark, "" for 404
	}{
		{"nothing", nil, ""},
		{"event", []step{event("evt_1", typ, 5, sub("a"))}, "a"},
		{"later event", []step{event("evt_1", typ, 5, sub("a")), event("evt_2", typ, 6, sub("b"))}, "b"},
		{"earlier event comes later", []step{event("evt_2", typ, 6, sub("b")), event("evt_1", typ, 5, sub("a"))}, "b"},
		{"same second", []step{event("evt_2", typ, 5, sub("b")), event("evt_1", typ, 5, sub("a"))}, "a"},
		{"same event again", []step{event("evt_1", typ, 5, sub("a")), event("evt_2", typ, 5, sub("b")), event("evt_1", typ, 5, sub("a"))}, "b"},
		{"put", []step{put("p")}, "p"},
		{"put over a later event", []step{event("evt_1", typ, 1<<40, sub("a")), put("p")}, "p"},
		{"event after a put", []step{put("p"), event("evt_1", typ, 1<<40, sub("a"))}, "p"},
		{"put again", []step{put("p"), put("q")}, "q"},
		{"gone", []step{put("p"), remove}, ""},
		{"gone, event after", []step{event("evt_1", typ, 5, sub("a")), remove, event("evt_2", typ, 6, sub("b"))}, ""},
		{"gone twice", []step{put("p"), remove, remove}, ""},
		{"back", []step{put("p"), remove, put("q")}, "q"},
		{"a canceled subscription stays", []step{event("evt_1", "customer.subscription.deleted", 5, sub("a"))}, "a"},
		{"shape of a later version", []step{event("evt_1", typ, 5, sub("a")), shaped("2025-03-31.basil")}, "a"},
		{"shape of a version between", []step{event("evt_1", typ, 5, sub("a")), shaped("2024-04-10")}, "a"},
		{"shape of an earlier version", []step{event("evt_1", typ, 5, sub("a")), shaped("2018-02-28")}, "a"},
		{"shape of an earlier version alone", []step{shaped("2018-02-28")}, ""},
		{"no object", []step{event("evt_1", typ, 5, "null")}, ""},
		{"no id", []step{event("evt_1", typ, 5, `{"object":"subscription"}`)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := Options{Path: filepath.Join(t.TempDir(), "events.jsonl")}
			s, url := open(t, o)
			for _, do := range tt.steps {
				do(t, s, url)
			}
			if got := mark(t, url, "/v1/subscriptions/sub_1"); got != tt.want {
				t.Errorf("serves %q, want %q", got, tt.want)
			}
			check(t, s.Close())
			_, url = open(t, o)
			if got := mark(t, url, "/v1/subscriptions/sub_1"); got != tt.want {
				t.Errorf("serves %q after a restart, want %q", got, tt.want)
			}
		})
	}
}

// mark fetches an object and returns its mark, "" when it is not found in Stripe's form.
func mark(t *testing.T, url, path string, headers ...string) string {
	t.Helper()
	status, _, raw := do(t, "GET", url+path, nil, headers...)
	var got struct {
		Mark  string
		Error struct{ Code, Type, Message string }
	}
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if status == 404 && got.Error.Code == "resource_missing" && got.Error.Type == "invalid_request_error" && strings.HasPrefix(got.Error.Message, "No such ") {
		return ""
	}
	if status != 200 || got.Mark == "" {
		t.Fatalf("status %d: %s", status, raw)
	}
	return got.Mark
}

func TestDeletedObjects(t *testing.T) {
	s, url := open(t, Options{})
	remember(t, s,
		says("evt_1", "customer.deleted", 5, `{"id":"cus_1","object":"customer","email":"a@b.c"}`),
		says("evt_2", "coupon.deleted", 5, `{"id":"off","object":"coupon"}`),
		says("evt_3", "product.deleted", 5, `{"id":"off","object":"product"}`),
		says("evt_4", "product.created", 6, `{"id":"off","object":"product","mark":"back"}`))
	status, _, raw := do(t, "GET", url+"/v1/customers/cus_1", nil)
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil || status != 200 {
		t.Fatalf("%d %v: %s", status, err, raw)
	}
	if diff := cmp.Diff(map[string]any{"id": "cus_1", "object": "customer", "deleted": true}, got); diff != "" {
		t.Error(diff)
	}
	if status, _, _ := do(t, "GET", url+"/v1/coupons/off", nil); status != 404 {
		t.Errorf("a deleted coupon gives %d", status)
	}
	if got := mark(t, url, "/v1/products/off"); got != "back" {
		t.Errorf("product is %q", got)
	}
}

func TestObjectsAreApart(t *testing.T) {
	_, url := open(t, Options{})
	putObjects(t, url, `[{"id":"x","object":"coupon","mark":"coupon"},{"id":"x","object":"product","mark":"product"},{"id":"x","object":"plan","livemode":true,"mark":"live"}]`)
	putObjects(t, url, `[{"id":"x","object":"coupon","mark":"connected"}]`, "Stripe-Account", "acct_1")
	for _, tt := range []struct{ path, account, want string }{
		{"coupons", "", "coupon"}, {"products", "", "product"}, {"plans", "", "live"},
		{"coupons", "acct_1", "connected"}, {"products", "acct_1", ""}, {"coupons", "acct_2", ""},
	} {
		if got := mark(t, url, "/v1/"+tt.path+"/x", "Stripe-Account", tt.account); got != tt.want {
			t.Errorf("%s of %q: %q, want %q", tt.path, tt.account, got, tt.want)
		}
	}
	putObjects(t, url, `[{"id":"x","object":"plan","mark":"test"}]`)
	if got := mark(t, url, "/v1/plans/x"); got != "test" {
		t.Errorf("the test mode's plan is hidden by %q", got)
	}
	putObjects(t, url, `[{"id":"a/b c","object":"coupon","mark":"odd"}]`)
	if got := mark(t, url, "/v1/coupons/a%2Fb%20c"); got != "odd" {
		t.Errorf("an id with a slash gives %q", got)
	}
	if status, _, _ := do(t, "GET", url+"/v1/coupons/x?expand[]=applies_to&expand[0]=y", nil); status != 200 {
		t.Errorf("expand: %d", status)
	}
	if status, _, _ := do(t, "GET", url+"/v1/coupons/x", nil, "Stripe-Version", "2023-10-17"); status != 400 {
		t.Errorf("a version that never was: %d", status)
	}
}

func TestTruthOfACustomer(t *testing.T) {
	_, url := open(t, Options{})
	list := []string{
		`{"id":"cus_1","object":"customer"}`,
		`{"id":"sub_1","object":"subscription","customer":"cus_1"}`,
		`{"id":"in_1","object":"invoice","customer":{"id":"cus_1","object":"customer"}}`,
		`{"id":"dp_1","object":"dispute","charge":{"id":"ch_1","customer":"cus_1"}}`,
		`{"id":"dp_2","object":"dispute","charge":"ch_2"}`,
		`{"id":"sub_2","object":"subscription","customer":"cus_2"}`,
		`{"id":"pi_0","object":"payment_intent","customer":null}`,
		`{"id":"pi_1","object":"payment_intent","customer":"cus_1"}`,
	}
	putObjects(t, url, "["+strings.Join(list, ",")+"]")
	if status, _, _ := do(t, "DELETE", url+"/_fake/objects/pi_1", nil); status != 200 {
		t.Fatal(status)
	}
	for query, want := range map[string][]string{
		"?customer=cus_1": list[:4], "?customer=cus_2": list[5:6], "?customer=cus_3": {}, "": list[:7],
	} {
		_, _, raw := do(t, "GET", url+"/_fake/objects"+query, nil)
		var got struct{ Data []json.RawMessage }
		if err := json.Unmarshal(raw, &got); err != nil || got.Data == nil {
			t.Fatalf("%v: %s", err, raw)
		}
		var texts []string
		for _, each := range got.Data {
			texts = append(texts, string(each))
		}
		if !slices.Equal(texts, want) {
			t.Errorf("%s: %q, want %q", query, texts, want)
		}
	}
}

func TestControlRefusals(t *testing.T) {
	s, url := open(t, Options{})
	tests := []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"no list", "PUT", "objects", `{"id":"x","object":"coupon"}`, 400, "no JSON list"},
		{"null", "PUT", "objects", `null`, 400, "no JSON list"},
		{"half", "PUT", "objects", `[{"id":"x"`, 400, "no JSON list"},
		{"one without id", "PUT", "objects", `[{"id":"x","object":"coupon"},{"object":"coupon"}]`, 400, "Element 1"},
		{"endless id", "PUT", "objects", `[{"id":"` + strings.Repeat("x", 1021) + `","object":"coupon"}]`, 400, "longer than"},
		{"too large", "PUT", "objects", strings.Repeat(" ", maxPutBytes+1), 413, "A list of objects may have"},
		{"delete unknown", "DELETE", "objects/x", "", 404, "No such object"},
		{"list by kind", "GET", "objects?kind=coupon", "", 400, "unknown parameter"},
		{"deliver perhaps", "POST", "events?deliver=perhaps", "{}", 400, "true or false"},
		{"give with more", "POST", "events?now=1", "{}", 400, "unknown parameter"},
		{"attempts by status", "GET", "deliveries?status=1", "", 400, "unknown parameter"},
		{"no fault", "POST", "faults", `{}`, 400, "one fault"},
		{"two faults", "POST", "faults", `{"status":429,"break_item":"evt_1"}`, 400, "one fault"},
		{"unknown fault", "POST", "faults", `{"explode":true}`, 400, "unknown field"},
		{"fault 200", "POST", "faults", `{"status":200}`, 400, "from 400 to 599"},
		{"times alone", "POST", "faults", `{"times":3}`, 400, "from 400 to 599"},
		{"two commands", "POST", "faults", `{"status":429}{"status":500}`, 400, "more than one"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, _, raw := do(t, tt.method, url+"/_fake/"+tt.path, strings.NewReader(tt.body))
			if status != tt.status || !strings.Contains(string(raw), tt.want) {
				t.Errorf("status %d, want %d with %q: %s", status, tt.status, tt.want, raw)
			}
			if status, _, _ := do(t, tt.method, url+"/_fake/"+tt.path, strings.NewReader(tt.body), "Authorization", "-"); status != 401 {
				t.Errorf("without a key: %d", status)
			}
		})
	}
	if n := counted(t, s).States; n != 0 {
		t.Errorf("refused requests left %d objects", n)
	}
}

func TestObjectsStayBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stripe.db")
	s, url := open(t, Options{Path: path, MaxEvents: 5})
	for i := range 300 {
		putObjects(t, url, fmt.Sprintf(`[{"id":"cus_%d","object":"customer","mark":"m"}]`, i))
		remember(t, s, says(fmt.Sprint("evt_", i), "coupon.created", int64(i), fmt.Sprintf(`{"id":"c%d","object":"coupon","mark":"m"}`, i%2)))
	}
	if n := counted(t, s).States; n != 5 {
		t.Errorf("%d objects", n)
	}
	check(t, s.Close())
	_, url = open(t, Options{Path: path, MaxEvents: 5})
	if mark(t, url, "/v1/customers/cus_299") != "m" || mark(t, url, "/v1/coupons/c1") != "m" || mark(t, url, "/v1/customers/cus_200") != "" {
		t.Error("kept other objects than the last")
	}
}

// TestStateOutlivesItsEvent: when the event that set a state is dropped, the state is
// still there, and as old as that event was.
func TestStateOutlivesItsEvent(t *testing.T) {
	o := Options{Path: filepath.Join(t.TempDir(), "stripe.db"), MaxEvents: 4}
	s, _ := open(t, o)
	remember(t, s, says("evt_first", "coupon.created", 1<<40, `{"id":"x","object":"coupon","mark":"newest"}`))
	for i := range 100 { // they say nothing about objects
		remember(t, s, body(fmt.Sprint("evt_", i), "invoice.paid", "", int64(i)))
	}
	check(t, s.Close())
	s, url := open(t, o)
	if stored(t, s, "evt_first") != nil {
		t.Fatal("the event is still there")
	}
	remember(t, s, says("evt_late", "coupon.updated", 5, `{"id":"x","object":"coupon","mark":"old"}`))
	if got := mark(t, url, "/v1/coupons/x"); got != "newest" {
		t.Errorf("serves %q", got)
	}
}

// TestEveryKindIsServed asks for each kind as the product's client does.
func TestEveryKindIsServed(t *testing.T) {
	_, url := open(t, Options{})
	c, err := stripeapi.New(stripeapi.Options{URL: url, Key: func(context.Context) (string, error) { return "sk_test_1", nil }})
	check(t, err)
	for kind := range strings.FieldsSeq(kinds) {
		object := fmt.Sprintf(`{"id":"x_1","object":%q}`, kind)
		putObjects(t, url, "["+object+"]")
		got, err := c.FetchObject(t.Context(), "", kind, "x_1")
		if whole := string(got) == object || kind == "charge"; err != nil || !whole || text(jsonscan.Get(got, "object")) != kind {
			t.Errorf("%s: %s (%v)", kind, got, err)
		}
		if _, err := c.FetchObject(t.Context(), "", kind, "x_2"); !errors.Is(err, stripeapi.ErrNotFound) {
			t.Errorf("%s that is not there: %v", kind, err)
		}
	}
	// The other way round: what the client fetches is served.
	for typ := range strings.FieldsSeq(knownEventTypes) {
		kind := typ[:max(0, strings.LastIndex(typ, "."))]
		_, err := c.FetchObject(t.Context(), "", kind, "x_1")
		if parked, ok := errors.AsType[*dispatch.PermanentError](err); ok && parked.Reason == dispatch.ReasonNoFetch {
			continue
		}
		if err != nil {
			t.Errorf("%s of %s: %v", kind, typ, err)
		}
	}
}

func FuzzObject(f *testing.F) {
	f.Add([]byte(`{"id":"sub_1","object":"subscription","customer":{"id":"cus_1"},"items":{"data":[{"id":"si_1","price":{"recurring":{}}}]},"current_period_end":5}`))
	f.Add([]byte(`{"id":"in_1","object":"invoice","subscription":"sub_1","lines":{"data":[{"object":"line_item","type":"subscription","price":null},3]},"charge":{"customer":1}}`))
	f.Add([]byte(`{"id":"x","object":"discount","coupon":{"id":"off"},"coupon":null,"a":1e400}`))
	f.Add([]byte(`{"id":"x","object":"checkout.session","shipping_details":{},"collected_information":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) {
			t.Skip()
		}
		if _, err := parseObject(raw, ""); err != nil {
			if !errors.Is(err, errNotObject) {
				t.Fatal(err)
			}
			return
		}
		e, err := parse(says("evt_1", "a.b", 5, string(raw)))
		check(t, err)
		if got := e.render("2024-06-20"); !json.Valid(got) {
			t.Fatalf("rendered %s", got)
		}
	})
}
