package stripe

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/stripe/stripemock"
)

// question is one request that is put to both.
type question struct {
	name, method, path string // WE is the id of an endpoint that exists
	form, key          string // no key: sk_test_1; "-" for none
	deviation          string // why they are not to agree, "" when they are
}

func questions() []question {
	const we, create = "/v1/webhook_endpoints", "url=https://a.b/c&enabled_events[]=charge.failed"
	return []question{
		{name: "create", method: "POST", path: we, form: create},
		{name: "create with all", method: "POST", path: we, form: create + "&enabled_events[]=*&api_version=2023-10-16&connect=true&description=x&metadata[a]=b"},
		{name: "indexed events", method: "POST", path: we, form: "url=https://a.b/c&enabled_events[1]=charge.failed&enabled_events[0]=*"},
		{name: "no url", method: "POST", path: we, form: "enabled_events[]=charge.failed"},
		{name: "no events", method: "POST", path: we, form: "url=https://a.b/c"},
		{name: "nothing", method: "POST", path: we},
		{name: "unknown event", method: "POST", path: we, form: create + "&enabled_events[]=charge.melted"},
		{name: "retired event", method: "POST", path: we, form: create + "&enabled_events[]=order.created"},
		{name: "pattern as event", method: "POST", path: we, form: create + "&enabled_events[]=charge.*"},
		{name: "events as text", method: "POST", path: we, form: "url=https://a.b/c&enabled_events=charge.failed"},
		{name: "unknown version", method: "POST", path: we, form: create + "&api_version=2023-10-17"},
		{name: "empty version", method: "POST", path: we, form: create + "&api_version="},
		{name: "unknown parameter", method: "POST", path: we, form: create + "&colour=red"},
		{name: "secret given", method: "POST", path: we, form: create + "&secret=whsec_1"},
		{name: "disabled at creation", method: "POST", path: we, form: create + "&disabled=true"},
		{name: "connect is not a flag", method: "POST", path: we, form: create + "&connect=maybe"},
		{name: "create without key", method: "POST", path: we, form: create, key: "-"},

		{name: "disable", method: "POST", path: we + "/WE", form: "disabled=true"},
		{name: "update all", method: "POST", path: we + "/WE", form: "url=https://a.b/d&enabled_events[]=*&description=&metadata[a]=&disabled=false"},
		{name: "clear metadata", method: "POST", path: we + "/WE", form: "metadata="},
		{name: "update version", method: "POST", path: we + "/WE", form: "api_version=2023-10-16"},
		{name: "update connect", method: "POST", path: we + "/WE", form: "connect=true"},
		{name: "update unknown event", method: "POST", path: we + "/WE", form: "enabled_events[]=charge.melted"},
		{name: "update unknown parameter", method: "POST", path: we + "/WE", form: "colour=red"},
		{name: "disabled is not a flag", method: "POST", path: we + "/WE", form: "disabled=perhaps"},

		{name: "get endpoint", method: "GET", path: we + "/WE"},
		{name: "list endpoints", method: "GET", path: we + "?limit=3"},
		{name: "list with limit text", method: "GET", path: we + "?limit=x"},
		{name: "list with unknown parameter", method: "GET", path: we + "?colour=red"},
		{name: "put endpoint", method: "PUT", path: we + "/WE"},

		{name: "get event", method: "GET", path: "/v1/events/evt_1"},
		{name: "list events", method: "GET", path: "/v1/events?limit=2&types[]=charge.failed&created[gte]=5"},
		{name: "get event without key", method: "GET", path: "/v1/events/evt_1", key: "-"},
		{name: "get event with a wrong key", method: "GET", path: "/v1/events/evt_1", key: "abc"},
		{name: "get event with a live key", method: "GET", path: "/v1/events/evt_1", key: "sk_live_1"},
		{name: "get subscription", method: "GET", path: "/v1/subscriptions/sub_1"},
		{name: "get subscription, expanded", method: "GET", path: "/v1/subscriptions/sub_1?expand[]=customer"},
		{name: "get subscription, unknown parameter", method: "GET", path: "/v1/subscriptions/sub_1?colour=red"},
		{name: "list items", method: "GET", path: "/v1/subscription_items?subscription=sub_1&limit=100"},
		{name: "list items, expanded", method: "GET", path: "/v1/subscription_items?subscription=sub_1&expand[]=data.price"},
		{name: "list items of nothing", method: "GET", path: "/v1/subscription_items"},
		{name: "list items with unknown parameter", method: "GET", path: "/v1/subscription_items?subscription=sub_1&colour=red"},
		{name: "list items with limit text", method: "GET", path: "/v1/subscription_items?subscription=sub_1&limit=x"},
		{name: "get charge with refunds", method: "GET", path: "/v1/charges/ch_1?expand[]=refunds&expand[]=refunds.data.failure_balance_transaction"},
		{name: "get dispute with charge", method: "GET", path: "/v1/disputes/dp_1?expand[]=charge"},
		{name: "get refund with charge", method: "GET", path: "/v1/refunds/re_1?expand[]=charge&expand[]=failure_balance_transaction"},
		{name: "get early fraud warning with charge", method: "GET", path: "/v1/radar/early_fraud_warnings/issfr_1?expand[]=charge"},
		{name: "get invoice with payment", method: "GET", path: "/v1/invoices/in_1?expand[]=payment_intent"},
		{name: "list refunds", method: "GET", path: "/v1/refunds?charge=ch_1&limit=100&expand[]=data.failure_balance_transaction"},
		{name: "list all refunds", method: "GET", path: "/v1/refunds"},
		{name: "list refunds with unknown parameter", method: "GET", path: "/v1/refunds?colour=red"},
		{name: "list refunds with limit text", method: "GET", path: "/v1/refunds?charge=ch_1&limit=x"},
		{name: "unknown path", method: "GET", path: "/v1/nothing"},

		{name: "url without scheme", method: "POST", path: we, form: "url=a.b/c&enabled_events[]=*", deviation: "Stripe refuses it, the specification does not"},
		{name: "long page", method: "GET", path: we + "?limit=1000", deviation: "Stripe's bound of 100 is not in the specification"},
		{name: "items of no subscription", method: "GET", path: "/v1/subscription_items?subscription=sub_none", deviation: "the mock has every object"},
		{name: "refunds of no charge", method: "GET", path: "/v1/refunds?charge=ch_none", deviation: "the mock has every object"},
		{name: "endpoint that is not there", method: "GET", path: we + "/we_none", deviation: "the mock has every object"},
		{name: "empty update", method: "POST", path: we + "/WE", deviation: "the mock wants the type of a body that is not there"},
		{name: "event, expanded", method: "GET", path: "/v1/events/evt_1?expand[]=data", deviation: "the fake Stripe refuses expand for events"},
		{name: "undelivered events", method: "GET", path: "/v1/events?delivery_success=false", deviation: "the fake Stripe refuses the filter by delivery"},
	}
}

// verdict is what two servers must agree on.
type verdict struct {
	Class int // 2, 4, 5
	Type  string
}

func (q question) ask(t *testing.T, url, endpoint string) (verdict, []byte) {
	t.Helper()
	headers := []string{"Authorization", "Bearer " + q.key}
	switch q.key {
	case "-":
		headers[1] = "-"
	case "":
		headers[1] = "Bearer sk_test_1"
	}
	var send io.Reader
	if q.form != "" {
		send = strings.NewReader(q.form)
		headers = append(headers, "Content-Type", "application/x-www-form-urlencoded")
	}
	status, _, raw := do(t, q.method, url+strings.ReplaceAll(q.path, "WE", endpoint), send, headers...)
	var e struct{ Error struct{ Type string } }
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%s: %v\n%s", q.name, err, raw)
	}
	return verdict{status / 100, e.Error.Type}, raw
}

func TestStripeMockAgrees(t *testing.T) {
	theirs := stripemock.Start(t, false)
	for _, q := range questions() {
		t.Run(q.name, func(t *testing.T) {
			s, ours := open(t, Options{})
			remember(t, s, body("evt_1", "charge.failed", "", 5))
			putObjects(t, ours, `[{"id":"sub_1","object":"subscription"},{"id":"ch_1","object":"charge"},{"id":"dp_1","object":"dispute"},
				{"id":"re_1","object":"refund"},{"id":"issfr_1","object":"radar.early_fraud_warning"},{"id":"in_1","object":"invoice"}]`)
			we := createEndpoint(t, ours, "url=https://a.b/c&enabled_events[]=charge.failed").ID
			got, raw := q.ask(t, ours, we)
			want, wantRaw := q.ask(t, theirs, "we_1")
			switch same := got == want; {
			case q.deviation == "" && !same:
				t.Errorf("the fake Stripe answers %+v, stripe-mock %+v\n%.300s\n%.300s", got, want, raw, wantRaw)
			case q.deviation != "" && same:
				t.Errorf("both answer %+v: the deviation (%s) is gone, list it no longer", got, q.deviation)
			}
		})
	}
}

// shapes gives the JSON type of each member, "" for null, which says nothing.
func shapes(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	got := map[string]string{}
	for name, value := range m {
		switch value.(type) {
		case nil:
			got[name] = ""
		case string:
			got[name] = "text"
		case bool:
			got[name] = "flag"
		case float64:
			got[name] = "number"
		case []any:
			got[name] = "list"
		default:
			got[name] = "object"
		}
	}
	return got
}

func TestEndpointHasTheFieldsOfStripeMock(t *testing.T) {
	theirs := stripemock.Start(t, false)
	_, ours := open(t, Options{})
	q := question{name: "create", method: "POST", path: "/v1/webhook_endpoints", form: "url=https://a.b/c&enabled_events[]=*&description=x&api_version=2023-10-16"}
	_, raw := q.ask(t, ours, "")
	_, wantRaw := q.ask(t, theirs, "")
	got, want := shapes(t, raw), shapes(t, wantRaw)
	if got["secret"] != "text" {
		t.Errorf("no secret in %s", raw)
	}
	delete(got, "secret") // the mock gives none, Stripe does
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestKnownNamesAreThoseOfTheSpecification compares our lists with Stripe's enumerations.
func TestKnownNamesAreThoseOfTheSpecification(t *testing.T) {
	var spec struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct {
					Schema struct {
						Properties struct {
							Version struct{ Enum []string } `json:"api_version"`
							Events  struct {
								Items struct{ Enum []string }
							} `json:"enabled_events"`
						}
					}
				}
			}
		}
	}
	raw := stripemock.File(t, "spec3.json")
	check(t, json.NewDecoder(bytes.NewReader(raw)).Decode(&spec))
	p := spec.Paths["/v1/webhook_endpoints"]["post"].RequestBody.Content["application/x-www-form-urlencoded"].Schema.Properties
	if len(p.Events.Items.Enum) == 0 || len(p.Version.Enum) == 0 {
		t.Fatal("the specification has moved its enumerations")
	}
	slices.Sort(p.Events.Items.Enum)
	if diff := cmp.Diff(p.Events.Items.Enum, strings.Fields(knownEventTypes)); diff != "" {
		t.Errorf("event types: %s", diff)
	}
	// These two came after the specification and before versions had a release name.
	want := slices.Sorted(slices.Values(append(p.Version.Enum, "2024-04-10", "2024-06-20")))
	if diff := cmp.Diff(want, strings.Fields(knownAPIVersions)); diff != "" {
		t.Errorf("versions: %s", diff)
	}
}

func TestAPIVersions(t *testing.T) {
	versions := map[string]bool{
		"2023-10-16": true, "2024-06-20": true, "2024-09-30.acacia": true, "2025-03-31.basil": false, "2026-08-26.dahlia": false,
		"": false, "2023-10-17": false, "2023-10-16.basil": false, "2025-13-01.basil": false, "2025-03-31.quince": false, "2025-03-31": false, "*": false, "2023-10-16\n": false,
	}
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		if got := isAPIVersion(version); got != versions[version] {
			t.Errorf("isAPIVersion(%q) = %v", version, got)
		}
	}
}
