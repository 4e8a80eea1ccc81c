package stripe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	stripego "github.com/stripe/stripe-go/v76"
	stripeevent "github.com/stripe/stripe-go/v76/event"
)

// open returns a fake Stripe and its address.
func open(t *testing.T, o Options) (*Fake, string) {
	t.Helper()
	s, err := Open(o)
	check(t, err)
	t.Cleanup(func() { s.Close() })
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv.URL
}

func body(id, typ, account string, created int64) []byte {
	acct := ""
	if account != "" {
		acct = fmt.Sprintf(",\n  \"account\": %q", account)
	}
	return fmt.Appendf(nil, "{\n  \"id\": %q,\n  \"object\": \"event\"%s,\n  \"api_version\": \"2023-10-16\",\n  \"created\": %d,\n  \"data\": {\n    \"object\": {\n    }\n  },\n  \"type\": %q\n}", id, acct, created, typ)
}

func thinBody(id, context, created string) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","livemode":false,"created":%q,"context":%q}`, id, created, context)
}

func remember(t *testing.T, s *Fake, bodies ...[]byte) {
	t.Helper()
	for _, b := range bodies {
		check(t, s.Remember(b))
	}
}

// do makes a request with a test key unless the headers say otherwise; a header of "-" is left out.
func do(t *testing.T, method, url string, send io.Reader, headers ...string) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequest(method, url, send)
	check(t, err)
	req.Header.Set("Authorization", "Bearer sk_test_1")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "-" {
			req.Header.Del(headers[i])
		}
	}
	resp, err := http.DefaultClient.Do(req)
	check(t, err)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	check(t, err)
	return resp.StatusCode, resp.Header, got
}

// ids returns the ids of a list and its has_more.
func ids(t *testing.T, raw []byte) ([]string, bool) {
	t.Helper()
	var l struct {
		Object  string
		URL     string
		HasMore *bool `json:"has_more"`
		Data    []struct{ ID string }
	}
	if err := json.Unmarshal(raw, &l); err != nil || l.Object != "list" || l.URL != "/v1/events" || l.HasMore == nil {
		t.Fatalf("not a list: %v\n%s", err, raw)
	}
	got := []string{}
	for _, e := range l.Data {
		got = append(got, e.ID)
	}
	return got, *l.HasMore
}

func TestStripeGoReadsGoldenEvents(t *testing.T) {
	s, url := open(t, Options{})
	files, err := filepath.Glob("../../handlers/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden events", err)
	}
	want := map[string][]byte{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		check(t, err)
		remember(t, s, raw)
		var e stripego.Event
		check(t, json.Unmarshal(raw, &e))
		want[e.ID] = raw
	}
	c := stripeevent.Client{Key: "sk_test_1", B: stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL: &url, LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull}, EnableTelemetry: stripego.Bool(false),
	})}
	params := &stripego.EventListParams{}
	params.Limit = stripego.Int64(3)
	last, n := int64(1)<<62, 0
	for it := c.List(params); ; n++ {
		if !it.Next() {
			if it.Err() != nil {
				t.Fatal(it.Err())
			}
			break
		}
		e := it.Event()
		if e.Created > last {
			t.Errorf("%s is newer than the event before it", e.ID)
		}
		last = e.Created
		got, err := c.Get(e.ID, nil)
		check(t, err)
		if !bytes.Equal(got.LastResponse.RawJSON, want[e.ID]) {
			t.Errorf("%s is not served byte for byte", e.ID)
		}
	}
	if n != len(want) {
		t.Errorf("listed %d events, want %d", n, len(want))
	}
	_, err = c.Get("evt_none", nil)
	if e, ok := errors.AsType[*stripego.Error](err); !ok || e.Code != stripego.ErrorCodeResourceMissing || e.HTTPStatusCode != 404 {
		t.Errorf("a missing event gives %v", err)
	}
}

func TestRefusals(t *testing.T) {
	s, url := open(t, Options{})
	remember(t, s, body("evt_a", "invoice.paid", "", 5), body("evt_c", "invoice.paid", "acct_1", 5), thinBody("evt_thin", "", "2026-11-18T00:00:00.123Z"))
	many := strings.Repeat("types[]=a.b&", 21)
	tests := []struct {
		name, method, path string
		headers            []string
		status             int
		code, param        string
	}{
		{"no key", "GET", "/v1/events", []string{"Authorization", "-"}, 401, "", ""},
		{"live key", "GET", "/v1/events", []string{"Authorization", "Bearer sk_live_1"}, 401, "", ""},
		{"other key", "GET", "/v1/events", []string{"Authorization", "Bearer abc"}, 401, "", ""},
		{"no key to give", "POST", "/_fake/events", []string{"Authorization", "-"}, 401, "", ""},
		{"no such event", "GET", "/v1/events/evt_b", nil, 404, "resource_missing", "id"},
		{"connected account's event", "GET", "/v1/events/evt_c", nil, 404, "resource_missing", "id"},
		{"platform's event", "GET", "/v1/events/evt_a", []string{"Stripe-Account", "acct_1"}, 404, "resource_missing", "id"},
		{"thin event at v1", "GET", "/v1/events/evt_thin", nil, 404, "resource_missing", "id"},
		{"snapshot at v2", "GET", "/v2/core/events/evt_a", []string{"Stripe-Version", "2024-09-30.acacia"}, 404, "not_found", ""},
		{"v2 without version", "GET", "/v2/core/events/evt_thin", nil, 400, "missing_version", ""},
		{"expand", "GET", "/v1/events/evt_a?expand[]=data", nil, 400, "parameter_unknown", "expand[]"},
		{"unknown parameter", "GET", "/v1/events?delivery_success=false", nil, 400, "parameter_unknown", "delivery_success"},
		{"limit 0", "GET", "/v1/events?limit=0", nil, 400, "parameter_invalid_integer", "limit"},
		{"limit 101", "GET", "/v1/events?limit=101", nil, 400, "parameter_invalid_integer", "limit"},
		{"limit text", "GET", "/v1/events?limit=x", nil, 400, "parameter_invalid_integer", "limit"},
		{"unknown cursor", "GET", "/v1/events?starting_after=evt_b", nil, 400, "resource_missing", "starting_after"},
		{"foreign cursor", "GET", "/v1/events?ending_before=evt_c", nil, 400, "resource_missing", "ending_before"},
		{"both cursors", "GET", "/v1/events?ending_before=evt_a&starting_after=evt_a", nil, 400, "", "ending_before"},
		{"type and types", "GET", "/v1/events?type=a.b&types[]=c.d", nil, 400, "", "types"},
		{"21 types", "GET", "/v1/events?" + many, nil, 400, "", "types"},
		{"empty type", "GET", "/v1/events?types=", nil, 400, "parameter_unknown", "types"},
		{"empty types element", "GET", "/v1/events?types[]=", nil, 400, "parameter_invalid_empty", "types[]"},
		{"created text", "GET", "/v1/events?created[gte]=yesterday", nil, 400, "parameter_invalid_integer", "created[gte]"},
		{"created unknown bound", "GET", "/v1/events?created[ge]=5", nil, 400, "parameter_unknown", "created[ge]"},
		{"unserved path", "GET", "/v1/charges", nil, 404, "", ""},
		{"unserved method", "POST", "/v1/events", nil, 404, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, header, raw := do(t, tt.method, url+tt.path, nil, tt.headers...)
			var got struct {
				Error struct{ Type, Code, Param, Message string }
			}
			if err := json.Unmarshal(raw, &got); err != nil {
				t.Fatalf("status %d, no error envelope: %s", status, raw)
			}
			if status != tt.status || got.Error.Code != tt.code || got.Error.Param != tt.param || got.Error.Type != "invalid_request_error" || got.Error.Message == "" || header.Get("Content-Type") != "application/json" {
				t.Errorf("status %d, error %+v, want status %d code %q param %q", status, got.Error, tt.status, tt.code, tt.param)
			}
		})
	}
}

func TestAccountsAreApart(t *testing.T) {
	s, url := open(t, Options{})
	remember(t, s, body("evt_a", "invoice.paid", "", 1), body("evt_b", "invoice.paid", "acct_1", 2), body("evt_c", "invoice.paid", "acct_2", 3),
		thinBody("evt_t", "acct_1", "2026-11-18T00:00:00Z"))
	for account, want := range map[string][]string{"": {"evt_a"}, "acct_1": {"evt_b"}, "acct_2": {"evt_c"}, "acct_3": {}} {
		_, _, raw := do(t, "GET", url+"/v1/events", nil, "Stripe-Account", account)
		if got, _ := ids(t, raw); !slices.Equal(got, want) {
			t.Errorf("account %q lists %v, want %v", account, got, want)
		}
	}
	status, _, raw := do(t, "GET", url+"/v2/core/events/evt_t", nil, "Stripe-Context", "acct_1", "Stripe-Version", "2024-09-30.acacia")
	if status != 200 || !bytes.Equal(raw, thinBody("evt_t", "acct_1", "2026-11-18T00:00:00Z")) {
		t.Errorf("thin event: %d %s", status, raw)
	}
}

func TestAPIVersionIsRendered(t *testing.T) {
	given := body("evt_a", "invoice.paid", "", 1)
	// The name is also in data, where it must stay.
	given = bytes.Replace(given, []byte("\"object\": {\n"), []byte("\"object\": {\n      \"api_version\": \"2023-10-16\"\n"), 1)
	e, err := parse(given)
	check(t, err)
	want := strings.Replace(string(given), `"api_version": "2023-10-16",`, `"api_version": "2024-06-20",`, 1)
	if diff := cmp.Diff(want, string(e.render("2024-06-20"))); diff != "" {
		t.Error(diff)
	}
}

func TestLateEventsAppearBehindThePage(t *testing.T) {
	now := time.Unix(1000, 0)
	s, url := open(t, Options{Now: func() time.Time { return now }})
	remember(t, s, body("evt_1", "invoice.paid", "", 10))
	s.faults.delay = time.Minute
	remember(t, s, body("evt_2", "invoice.paid", "", 11))
	s.faults.delay = 0
	remember(t, s, body("evt_3", "invoice.paid", "", 12))
	for _, step := range []struct {
		at   time.Duration
		want []string
		get  int
	}{{0, []string{"evt_3", "evt_1"}, 404}, {59 * time.Second, []string{"evt_3", "evt_1"}, 404}, {time.Minute, []string{"evt_3", "evt_2", "evt_1"}, 200}} {
		now = time.Unix(1000, 0).Add(step.at)
		_, _, raw := do(t, "GET", url+"/v1/events", nil)
		got, _ := ids(t, raw)
		status, _, _ := do(t, "GET", url+"/v1/events/evt_2", nil)
		if !slices.Equal(got, step.want) || status != step.get {
			t.Errorf("after %v: list %v, get %d; want %v, %d", step.at, got, status, step.want, step.get)
		}
	}
}

func TestGiveOverHTTP(t *testing.T) {
	_, url := open(t, Options{})
	first := body("evt_a", "invoice.paid", "", 1)
	tests := []struct {
		name   string
		body   []byte
		status int
		want   string
	}{
		{"new", first, 200, `{"id":"evt_a","remembered":true}`},
		{"again", first, 200, `{"id":"evt_a","remembered":false}`},
		{"again, changed", body("evt_a", "invoice.voided", "", 2), 200, `{"id":"evt_a","remembered":false}`},
		{"empty", nil, 400, "not a Stripe event"},
		{"half", first[:len(first)/2], 400, "not a Stripe event"},
		{"null", []byte("null"), 400, "not a Stripe event"},
		{"list", []byte("[]"), 400, "not a Stripe event"},
		{"customer", []byte(`{"id":"cus_1","object":"customer","created":1,"type":"x"}`), 400, "not a Stripe event"},
		{"no type", []byte(`{"id":"evt_b","object":"event","created":1}`), 400, "not a Stripe event"},
		{"other case", []byte(`{"ID":"evt_b","object":"event","created":1,"type":"x"}`), 400, "not a Stripe event"},
		{"created text", []byte(`{"id":"evt_b","object":"event","created":"1","type":"x"}`), 400, "not a Stripe event"},
		{"thin created number", []byte(`{"id":"evt_b","object":"v2.core.event","created":1,"type":"x"}`), 400, "not a Stripe event"},
		{"too large", bytes.Repeat([]byte(" "), MaxEventBytes+1), 413, "An event may have"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, _, got := do(t, "POST", url+"/_fake/events", bytes.NewReader(tt.body))
			if status != tt.status || !bytes.Contains(got, []byte(tt.want)) {
				t.Errorf("status %d, %s; want %d, %s", status, got, tt.status, tt.want)
			}
		})
	}
	if _, _, got := do(t, "GET", url+"/v1/events/evt_a", nil); !bytes.Equal(got, first) {
		t.Errorf("the first shape was not kept: %s", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	s, url := open(t, Options{Path: filepath.Join(t.TempDir(), "events.jsonl"), MaxEvents: 50})
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := range 50 {
				if err := s.Remember(body(fmt.Sprintf("evt_%d_%d", g, i), "invoice.paid", "", int64(i))); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 10 {
				req, _ := http.NewRequest("GET", url+"/v1/events?limit=100", nil)
				req.SetBasicAuth("sk_test_1", "")
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	_, _, raw := do(t, "GET", url+"/v1/events?limit=100", nil)
	if got, more := ids(t, raw); len(got) != 50 || more {
		t.Errorf("%d events, more %v", len(got), more)
	}
}

func FuzzRemember(f *testing.F) {
	f.Add(body("evt_a", "invoice.paid", "acct_1", 1))
	f.Add(thinBody("evt_t", "", "2026-11-18T00:00:00.1Z"))
	f.Add([]byte(`{"api_version":null,"id":"evt_x","object":"event","created":-1,"type":"a"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, given []byte) {
		s, err := Open(Options{})
		check(t, err)
		defer s.Close()
		if err := s.Remember(given); err != nil {
			if !errors.Is(err, ErrNotEvent) {
				t.Fatal(err)
			}
			return
		}
		e := arrived(t, s)[0]
		if got := e.render("2024-06-20"); !json.Valid(got) {
			t.Fatalf("rendered %q", got)
		}
	})
}

// fatal is what *testing.T, *testing.F and *rapid.T have in common.
type fatal interface {
	Helper()
	Fatal(...any)
}

func check(t fatal, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
