package stripe

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhookendpoint"
	"tollgate/pkg/local/aws/boltfile/boltfiletest"
)

const formType = "application/x-www-form-urlencoded"

// shown is an endpoint as the fake Stripe answers it.
type shown struct {
	ID, Object, Status, URL, Secret string
	APIVersion                      *string `json:"api_version"`
	Description                     *string
	EnabledEvents                   []string `json:"enabled_events"`
	Metadata                        map[string]string
	Deleted                         bool
}

// endpointCall makes a request to a path of endpoints and wants a status.
func endpointCall(t *testing.T, method, url, form string, want int, headers ...string) (e shown, message string) {
	t.Helper()
	status, _, raw := do(t, method, url, strings.NewReader(form), append([]string{"Content-Type", formType}, headers...)...)
	if status != want {
		t.Fatalf("%s %s %s: status %d, want %d: %s", method, url, form, status, want, raw)
	}
	var failed struct{ Error struct{ Message string } }
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	json.Unmarshal(raw, &failed)
	return e, failed.Error.Message
}

func createEndpoint(t *testing.T, url, form string, headers ...string) shown {
	t.Helper()
	e, _ := endpointCall(t, "POST", url+"/v1/webhook_endpoints", form, 200, headers...)
	return e
}

func TestEndpointLivesAsStripeGoSeesIt(t *testing.T) {
	_, url := open(t, Options{})
	c := webhookendpoint.Client{Key: "sk_test_1", B: stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{
		URL: &url, LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull}, EnableTelemetry: stripego.Bool(false),
	})}
	made, err := c.New(&stripego.WebhookEndpointParams{
		URL: stripego.String("https://example.com/webhook"), EnabledEvents: stripego.StringSlice([]string{"invoice.paid", "charge.failed"}),
		APIVersion: stripego.String("2023-10-16"), Connect: stripego.Bool(true), Description: stripego.String("ours"),
		Metadata: map[string]string{"stack": "prod", "owner": "pay"},
	})
	check(t, err)
	if !strings.HasPrefix(made.Secret, "whsec_") || len(made.Secret) < 32 || made.Status != "enabled" {
		t.Errorf("made %+v", made)
	}
	changed, err := c.Update(made.ID, &stripego.WebhookEndpointParams{
		URL: stripego.String("https://example.com/other"), Disabled: stripego.Bool(true), EnabledEvents: stripego.StringSlice([]string{"*"}),
		Metadata: map[string]string{"stack": "", "tier": "1"},
	})
	check(t, err)
	got, err := c.Get(made.ID, nil)
	check(t, err)
	want := &stripego.WebhookEndpoint{
		ID: made.ID, Object: "webhook_endpoint", APIVersion: "2023-10-16", Created: made.Created, Description: "ours", EnabledEvents: []string{"*"},
		Metadata: map[string]string{"owner": "pay", "tier": "1"}, Status: "disabled", URL: "https://example.com/other",
	}
	for name, e := range map[string]*stripego.WebhookEndpoint{"update": changed, "get": got} {
		e.LastResponse = nil
		if diff := cmp.Diff(want, e); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	gone, err := c.Del(made.ID, nil)
	if err != nil || !gone.Deleted {
		t.Errorf("deleted %+v (%v)", gone, err)
	}
	if _, err := c.Get(made.ID, nil); err == nil || err.(*stripego.Error).HTTPStatusCode != 404 {
		t.Errorf("a deleted endpoint gives %v", err)
	}
}

func TestEndpointRefusals(t *testing.T) {
	_, url := open(t, Options{})
	const we, ok = "/v1/webhook_endpoints", "url=https://a.b/c&enabled_events[]=*"
	id := createEndpoint(t, url, ok).ID
	foreign := createEndpoint(t, url, ok, "Stripe-Account", "acct_1").ID
	tests := []struct {
		name, method, path, form string
		status                   int
		want                     string
	}{
		{"no url", "POST", we, "enabled_events[]=*", 400, "Missing required param: url."},
		{"no events", "POST", we, "url=https://a.b/c", 400, "Missing required param: enabled_events."},
		{"url without scheme", "POST", we, "url=a.b/c&enabled_events[]=*", 400, "explicit scheme"},
		{"url of a file", "POST", we, "url=file:///etc/passwd&enabled_events[]=*", 400, "http or https"},
		{"url twice", "POST", we, "url[]=https://a.b/c&enabled_events[]=*", 400, "unknown parameter: url[]"},
		{"unknown event", "POST", we, ok + "&enabled_events[]=charge.melted", 400, "charge.melted"},
		{"metadata text", "POST", we, ok + "&metadata=x", 400, "unknown parameter: metadata"},
		{"metadata list", "POST", we, ok + "&metadata[]=x", 400, "unknown parameter: metadata"},
		{"broken form", "POST", we, "url=%zz", 400, "not a valid form"},
		{"large form", "POST", we, "url=" + strings.Repeat("x", maxFormBytes), 413, "A form may have"},
		{"parameters in the address", "POST", we + "?url=https://a.b/c", "enabled_events[]=*", 400, "unknown parameter: url"},
		{"own secret", "POST", we, ok + "&secret=whsec_1", 400, "unknown parameter: secret"},
		{"update version", "POST", we + "/" + id, "api_version=2023-10-16", 400, "unknown parameter: api_version"},
		{"update connect", "POST", we + "/" + id, "connect=true", 400, "unknown parameter: connect"},
		{"update unknown", "POST", we + "/we_none", "disabled=true", 404, "No such webhook endpoint"},
		{"update another account's", "POST", we + "/" + foreign, "disabled=true", 404, "No such webhook endpoint"},
		{"get another account's", "GET", we + "/" + foreign, "", 404, "No such webhook endpoint"},
		{"delete another account's", "DELETE", we + "/" + foreign, "", 404, "No such webhook endpoint"},
		{"list after unknown", "GET", we + "?starting_after=we_none", "", 400, "No such webhook endpoint"},
		{"list before another's", "GET", we + "?ending_before=" + foreign, "", 400, "No such webhook endpoint"},
		{"list by type", "GET", we + "?type=a", "", 400, "unknown parameter: type"},
		{"roll too long", "POST", "/_fake/webhook_endpoints/" + id + "/roll", `{"expire_s":86401}`, 400, "expire_s"},
		{"roll unknown", "POST", "/_fake/webhook_endpoints/we_none/roll", `{}`, 404, "No such webhook endpoint"},
		{"roll with more", "POST", "/_fake/webhook_endpoints/" + id + "/roll", `{"expire":1}`, 400, "unknown field"},
		{"register a bad secret", "POST", "/_fake/webhook_endpoints", ok + "&secret=abc", 400, "begins with whsec_"},
		{"register a secret with a line break", "POST", "/_fake/webhook_endpoints", ok + "&secret=whsec_1%0A", 400, "white space"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := endpointCall(t, tt.method, url+tt.path, tt.form, tt.status); !strings.Contains(got, tt.want) {
				t.Errorf("message %q, want %q in it", got, tt.want)
			}
		})
	}
	if e, _ := endpointCall(t, "GET", url+we+"/"+id, "", 200); e.Status != "enabled" || e.URL != "https://a.b/c" {
		t.Errorf("a refused request changed %+v", e)
	}
	status, _, raw := do(t, "POST", url+we, strings.NewReader(`{"url":"https://a.b/c","enabled_events":["*"]}`), "Content-Type", "application/json")
	if status != 400 || !strings.Contains(string(raw), formType) {
		t.Errorf("JSON at Stripe's path: %d %s", status, raw)
	}
}

func TestSixteenEndpointsAnAccount(t *testing.T) {
	_, url := open(t, Options{})
	const form = "url=https://a.b/c&enabled_events[]=*"
	var all []string
	for range 16 {
		all = append(all, createEndpoint(t, url, form).ID)
	}
	if _, got := endpointCall(t, "POST", url+"/v1/webhook_endpoints", form, 400); !strings.Contains(got, "maximum of 16") {
		t.Errorf("the seventeenth: %q", got)
	}
	createEndpoint(t, url, form, "Stripe-Account", "acct_1") // has bounds of its own
	endpointCall(t, "DELETE", url+"/v1/webhook_endpoints/"+all[3], "", 200)
	all = append(slices.Delete(all, 3, 4), createEndpoint(t, url, form).ID)
	slices.Reverse(all)

	page := func(query string) (ids []string, more bool) {
		_, _, raw := do(t, "GET", url+"/v1/webhook_endpoints?"+query, nil)
		var l struct {
			Object, URL string
			Data        []shown
			HasMore     bool `json:"has_more"`
		}
		if err := json.Unmarshal(raw, &l); err != nil || l.Object != "list" || l.URL != "/v1/webhook_endpoints" {
			t.Fatalf("%v: %s", err, raw)
		}
		for _, e := range l.Data {
			ids = append(ids, e.ID)
			if e.Secret != "" {
				t.Error("a list shows a secret")
			}
		}
		return ids, l.HasMore
	}
	var forward []string
	for cursor, more := "", true; more; {
		var ids []string
		ids, more = page("limit=5" + cursor)
		forward = append(forward, ids...)
		cursor = "&starting_after=" + ids[len(ids)-1]
	}
	if diff := cmp.Diff(all, forward); diff != "" {
		t.Errorf("newest first: %s", diff)
	}
	if ids, more := page("limit=5&ending_before=" + all[7]); !slices.Equal(ids, all[2:7]) || !more {
		t.Errorf("before %s: %v, more %v", all[7], ids, more)
	}
	if ids, more := page("limit=5&ending_before=" + all[2]); !slices.Equal(ids, all[:2]) || more {
		t.Errorf("before %s: %v, more %v", all[2], ids, more)
	}
}

func TestEndpointsSurviveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stripe.db")
	s, url := open(t, Options{Path: path})
	a := createEndpoint(t, url, "url=https://a.b/a&enabled_events[]=*&metadata[x]=y")
	b := createEndpoint(t, url, "url=https://a.b/b&enabled_events[]=*")
	c := createEndpoint(t, url, "url=https://a.b/c&enabled_events[]=*")
	endpointCall(t, "DELETE", url+"/v1/webhook_endpoints/"+b.ID, "", 200)
	endpointCall(t, "POST", url+"/v1/webhook_endpoints/"+c.ID, "description=changed", 200)
	before := s.endpoints
	check(t, s.Close())
	again, _ := open(t, Options{Path: path})
	if diff := cmp.Diff(before, again.endpoints); diff != "" {
		t.Error(diff)
	}
	if len(again.endpoints) != 2 || again.endpoints[0].Secrets[0].Value != a.Secret || again.endpoints[1].Description != "changed" {
		t.Errorf("%+v", again.endpoints)
	}
}

// TestEndpointThatCannotBeKeptIsNotMade: whoever has its secret must find it again.
func TestEndpointThatCannotBeKeptIsNotMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "stripe.db")
	s, url := open(t, Options{Path: path})
	room := boltfiletest.FillDisk(t, path)
	_, message := endpointCall(t, "POST", url+"/v1/webhook_endpoints", "url=https://a.b/c&enabled_events[]=*", 500)
	if !strings.Contains(message, syscall.ENOSPC.Error()) || len(s.endpoints) != 0 {
		t.Errorf("%q, %d endpoints", message, len(s.endpoints))
	}
	room()
	createEndpoint(t, url, "url=https://a.b/c&enabled_events[]=*")
}

func TestIdempotencyKeys(t *testing.T) {
	_, url := open(t, Options{})
	const form = "url=https://a.b/c&enabled_events[]=*"
	first := createEndpoint(t, url, form, "Idempotency-Key", "k")
	if again := createEndpoint(t, url, form, "Idempotency-Key", "k"); again.ID != first.ID || again.Secret != first.Secret {
		t.Errorf("the key made %s, then %s", first.ID, again.ID)
	}
	endpointCall(t, "POST", url+"/v1/webhook_endpoints", form+"&description=x", 400, "Idempotency-Key", "k")
	if other := createEndpoint(t, url, form, "Idempotency-Key", "k", "Stripe-Account", "acct_1"); other.ID == first.ID {
		t.Error("one account's key answered another")
	}
	// What was refused is not an answer to keep.
	endpointCall(t, "POST", url+"/v1/webhook_endpoints", "url=https://a.b/c", 400, "Idempotency-Key", "l")
	createEndpoint(t, url, form, "Idempotency-Key", "l")
}

func TestRegisterWithAGivenSecret(t *testing.T) {
	_, url := open(t, Options{})
	for name, tt := range map[string]struct{ kind, body string }{
		"form": {formType, "url=http://127.0.0.1:1/&enabled_events[]=invoice.paid&secret=whsec_given&metadata[a]=b&connect=true"},
		"json": {"application/json", `{"url":"http://127.0.0.1:1/","enabled_events":["invoice.paid"],"secret":"whsec_given","metadata":{"a":"b"},"connect":true,"description":null}`},
	} {
		status, _, raw := do(t, "POST", url+"/_fake/webhook_endpoints", strings.NewReader(tt.body), "Content-Type", tt.kind)
		var e shown
		if err := json.Unmarshal(raw, &e); err != nil || status != http.StatusOK || e.Secret != "whsec_given" || e.Metadata["a"] != "b" || !slices.Equal(e.EnabledEvents, []string{"invoice.paid"}) {
			t.Errorf("%s: %d %s", name, status, raw)
		}
	}
}
