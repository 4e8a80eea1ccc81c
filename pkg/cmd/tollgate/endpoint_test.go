package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	sdksecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/endpoint"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/handlers"
	"tollgate/pkg/limits"
	"tollgate/pkg/local"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/local/stripe"
	"tollgate/pkg/registration"
	"tollgate/pkg/stripeapi"
)

// registry is what the verbs about endpoints work on: Secrets Manager and a table, a
// fake Stripe, and a URL that refuses unsigned deliveries.
type registry struct {
	t       *testing.T
	data    string
	url     string
	stripe  *stripeapi.Client
	secrets *sdksecrets.Client
	env     map[string]string // of a system that is not local

	mu   sync.Mutex
	deny map[string]int // requests to refuse: an operation of AWS, or a method and path of Stripe's
	now  time.Time      // of Secrets Manager and Stripe
}

func newRegistry(t *testing.T) *registry {
	t.Helper()
	r := &registry{t: t, data: t.TempDir(), deny: map[string]int{}, now: time.Now()}
	amazon := localtest.Start(t, localtest.Options{Now: func() time.Time { return r.now }, Wrap: func(services http.Handler) http.Handler {
		return r.denying(func(q *http.Request) string {
			_, operation, _ := strings.Cut(q.Header.Get("X-Amz-Target"), ".")
			return operation
		}, services)
	}})
	fakeStripe, err := stripe.Open(stripe.Options{Now: func() time.Time { return r.now }})
	check(t, err)
	t.Cleanup(func() { check(t, fakeStripe.Close()) })
	atStripe := r.serve(func(q *http.Request) string {
		path, _, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/v1/webhook_endpoints"), "/we_")
		return q.Method + path
	}, fakeStripe)
	hook := r.serve(func(*http.Request) string { return "" }, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
	}))
	r.url = hook + limits.WebhookPath
	amazon.Table(t, dynamostore.TableSchema(local.TableName))
	r.secrets = amazon.Secrets
	amazon.Secret(t, local.WebhookSecretID, `{"default":["whsec_first"]}`)
	amazon.Secret(t, local.APIKeySecretID, "sk_test_1")

	r.stripe, err = stripeapi.New(stripeapi.Options{URL: atStripe, Key: func(context.Context) (string, error) { return "sk_test_1", nil }})
	check(t, err)
	r.files(amazon.URL, atStripe)
	return r
}

// files name the system: as a local one by its file, as another by the environment.
func (r *registry) files(amazon, atStripe string) {
	queue := amazon + "/000000000000/tollgate-test-events"
	raw, err := json.Marshal(local.Info{AccessKey: unchecked("").AccessKey, URL: r.url, Secret: "whsec_first", Endpoint: amazon, Table: local.TableName,
		QueueURL: queue, DLQURL: queue + "-dead", StripeURL: atStripe, TimeScale: 1, MaxReceives: 16})
	check(r.t, err)
	check(r.t, os.WriteFile(filepath.Join(r.data, local.InfoFile), raw, 0o600))
	r.env = map[string]string{
		"TOLLGATE_TABLE": local.TableName, "TOLLGATE_QUEUE_URL": queue, "TOLLGATE_DLQ_URL": queue + "-dead",
		"TOLLGATE_WEBHOOK_SECRET_ID": local.WebhookSecretID, "TOLLGATE_STRIPE_URL": atStripe, "STRIPE_API_KEY": "sk_test_1",
	}
	setAWS(r.t, amazon)
}

// serve puts refusals before a handler and returns its URL.
func (r *registry) serve(name func(*http.Request) string, h http.Handler) string {
	server := httptest.NewServer(r.denying(name, h))
	r.t.Cleanup(server.Close)
	return server.URL
}

func (r *registry) denying(name func(*http.Request) string, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		r.mu.Lock()
		status := r.deny[name(q)]
		r.mu.Unlock()
		if status != 0 {
			w.Header().Set("Content-Type", "application/x-amz-json-1.1")
			w.WriteHeader(status)
			fmt.Fprint(w, `{"__type":"AccessDeniedException","message":"denied by the test","error":{"message":"denied by the test"}}`)
			return
		}
		h.ServeHTTP(w, q)
	})
}

// local runs the command on the system as on a local one, away as on another.
func (r *registry) local(args ...string) answer {
	r.t.Helper()
	return r.silent(tollgate(r.t.Context(), nil, append(args, "--data", r.data)...))
}

func (r *registry) away(args ...string) answer {
	r.t.Helper()
	return r.silent(tollgate(r.t.Context(), r.env, args...))
}

// silent fails the test when an answer shows a secret.
func (r *registry) silent(a answer) answer {
	r.t.Helper()
	if strings.Contains(a.out+a.err, "whsec_") {
		r.t.Errorf("a secret is shown: %s%s", a.out, a.err)
	}
	return a
}

func (r *registry) stored(name string) []string {
	r.t.Helper()
	return r.storedIn(local.WebhookSecretID, name)
}

func (r *registry) storedIn(id, name string) []string {
	r.t.Helper()
	out, err := r.secrets.GetSecretValue(r.t.Context(), &sdksecrets.GetSecretValueInput{SecretId: &id})
	check(r.t, err)
	var all map[string][]string
	check(r.t, json.Unmarshal([]byte(*out.SecretString), &all))
	return all[name]
}

func (r *registry) endpoints() []registration.Endpoint {
	r.t.Helper()
	list, err := r.stripe.ListWebhookEndpoints(r.t.Context())
	check(r.t, err)
	return list
}

func (r *registry) refuse(what string, status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.deny[what] = status
}

// verbs are those of the audit trail, newest first, with their outcomes.
func (r *registry) verbs() (list []string) {
	for _, e := range lines[audit.View](r.t, r.local("audit", "list", "--json").ok(r.t).out) {
		list = append(list, e.Verb+": "+e.Outcome)
	}
	return list
}

func TestEndpointFromNothingToRight(t *testing.T) {
	r := newRegistry(t)
	p := lines[registration.Plan](t, r.local("endpoint", "plan", "--json").ok(t).out)[0]
	if p.Action != registration.ActionCreate || !slices.Equal(p.Wanted.Events, handlers.Types()) || p.Wanted.URL != r.url || p.Wanted.APIVersion != "2023-10-16" {
		t.Errorf("plan %+v", p)
	}
	r.local("endpoint", "status").says(t, verb.ExitFailed, "the endpoint is not up to date: create an endpoint")
	if len(r.endpoints()) != 0 || len(r.stored("default")) != 1 {
		t.Fatal("plan or status changed something")
	}
	done := lines[endpoint.Applied](t, r.local("endpoint", "apply", "--json", "--note", "first day").ok(t).out)[0]
	list := r.endpoints()
	if len(list) != 1 || done.Created != list[0].ID || list[0].URL != r.url || list[0].APIVersion != "2023-10-16" || list[0].Metadata[registration.MetaSecret] == "" {
		t.Fatalf("%+v at Stripe after %+v", list, done)
	}
	stored := r.stored("default")
	if len(stored) != 2 || stored[1] != "whsec_first" || registration.NewSecret(stored[0]).Fingerprint() != list[0].Metadata[registration.MetaSecret] {
		t.Errorf("stored %v", stored)
	}
	r.local("endpoint", "status").ok(t)
	if got := r.local("endpoint", "apply").ok(t); !strings.Contains(got.out, "Nothing to do") {
		t.Errorf("again: %q", got.out)
	}
	if got, want := r.verbs(), []string{"endpoint apply: created " + done.Created}; !slices.Equal(got, want) {
		t.Errorf("audit %q, want %q", got, want)
	}
}

func TestEndpointDriftsAndIsMended(t *testing.T) {
	r := newRegistry(t)
	r.local("endpoint", "apply").ok(t)
	id := r.endpoints()[0].ID
	disabled := true
	_, err := r.stripe.UpdateWebhookEndpoint(t.Context(), id, registration.Update{Events: []string{"invoice.paid", "plan.created"}, Disabled: &disabled})
	check(t, err)
	r.local("endpoint", "status").says(t, verb.ExitFailed, "it is disabled", "it lacks types that have a handler: charge.dispute.closed, charge.dispute.created", "it sends types that have no handler: plan.created")
	r.local("endpoint", "apply").ok(t)
	if e := r.endpoints()[0]; e.ID != id || e.Disabled || !slices.Equal(e.Events, handlers.Types()) {
		t.Errorf("after apply %+v", e)
	}
	r.local("endpoint", "status").ok(t)
}

// TestEndpointMovesToADomain changes the URL in the Dashboard, as infra/README.md says: the command
// finds the endpoint under the new one, with its secret.
func TestEndpointMovesToADomain(t *testing.T) {
	r := newRegistry(t)
	r.local("endpoint", "apply").ok(t)
	before, secrets := r.endpoints()[0], r.stored("default")
	domain := r.serve(func(*http.Request) string { return "" }, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
	})) + limits.WebhookPath
	r.local("endpoint", "status", "--url", domain).says(t, verb.ExitFailed, "create an endpoint")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.env["TOLLGATE_STRIPE_URL"]+"/v1/webhook_endpoints/"+before.ID, strings.NewReader(url.Values{"url": {domain}}.Encode()))
	check(t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth("sk_test_1", "")
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	check(t, response.Body.Close())
	r.local("endpoint", "status", "--url", domain).ok(t)
	r.local("endpoint", "apply", "--url", domain).ok(t)
	if list := r.endpoints(); len(list) != 1 || list[0].ID != before.ID || list[0].URL != domain || !slices.Equal(r.stored("default"), secrets) {
		t.Errorf("at Stripe %+v, stored %d secrets", list, len(r.stored("default")))
	}
}

func TestEndpointOfAnotherName(t *testing.T) {
	r := newRegistry(t)
	r.local("endpoint", "apply", "--endpoint", "eu", "--connect").ok(t)
	e := r.endpoints()[0]
	if e.URL != r.url+"/eu" || !e.Connect() || len(r.stored("eu")) != 1 || len(r.stored("default")) != 1 {
		t.Errorf("made %+v, stored %v and %v", e, r.stored("eu"), r.stored("default"))
	}
	r.local("endpoint", "status", "--endpoint", "eu", "--connect").ok(t)
	r.local("endpoint", "apply", "--endpoint", "Eu").refused(t, verb.ExitUsage, "1 to 32 of a-z")
}

func TestApplyThatCannotStore(t *testing.T) {
	r := newRegistry(t)
	r.refuse("PutSecretValue", http.StatusBadRequest)
	r.local("endpoint", "apply").refused(t, verb.ExitFailed, "write webhook secret", "no endpoint was left")
	if list := r.endpoints(); len(list) != 0 || len(r.stored("default")) != 1 {
		t.Errorf("left %+v, stored %v", list, r.stored("default"))
	}
	r.refuse("DELETE", http.StatusForbidden)
	got := r.local("endpoint", "apply", "--json")
	list := r.endpoints()
	view := lines[endpoint.Applied](t, got.out)
	if got.code != verb.ExitFailed || len(list) != 1 || len(view) != 1 || view[0].Left != list[0].ID || !strings.Contains(got.err, "delete "+list[0].ID+" in Stripe's Dashboard") {
		t.Fatalf("exit %d, left %+v, output %q %q", got.code, list, got.out, got.err)
	}
	r.local("endpoint", "status").says(t, verb.ExitFailed, list[0].ID+" its secret was never stored")
	r.refuse("DELETE", 0)
	r.refuse("PutSecretValue", 0)
	r.local("endpoint", "apply").ok(t)
	if now := r.endpoints(); len(now) != 1 || now[0].ID == list[0].ID || len(r.stored("default")) != 2 {
		t.Errorf("after the next apply %+v", now)
	}
	if got := r.verbs(); len(got) != 3 || !strings.Contains(got[1], "left behind "+list[0].ID+"; failed") || !strings.HasPrefix(got[0], "endpoint apply: created") {
		t.Errorf("audit %q", got)
	}
}

func TestApplyWithoutTheAuditTrail(t *testing.T) {
	r := newRegistry(t)
	r.refuse("PutItem", http.StatusBadRequest)
	r.local("endpoint", "apply").refused(t, verb.ExitFailed, "nothing was changed")
	if len(r.endpoints()) != 0 {
		t.Error("an endpoint was made all the same")
	}
}

func TestApplyElsewhereAsksFirst(t *testing.T) {
	r := newRegistry(t)
	url := []string{"--url", "https://hooks.example.invalid/webhooks/stripe", "--no-probe"}
	r.away(append([]string{"endpoint", "apply"}, url...)...).refused(t, verb.ExitUsage)
	if len(r.endpoints()) != 0 {
		t.Fatal("it was made unasked")
	}
	r.away(append([]string{"endpoint", "apply", "--yes"}, url...)...).ok(t)
	r.away("endpoint", "plan", "--no-probe").refused(t, verb.ExitUsage, "give --url")
	r.away("endpoint", "apply", "--yes", "--url", r.url).refused(t, verb.ExitFailed, "Stripe cannot reach")
	if len(r.endpoints()) != 1 {
		t.Errorf("%d endpoints", len(r.endpoints()))
	}
}

func TestRetire(t *testing.T) {
	for _, age := range []time.Duration{23 * time.Hour, 25 * time.Hour} {
		t.Run(age.String(), func(t *testing.T) { testRetire(t, age) })
	}
}

func testRetire(t *testing.T, age time.Duration) {
	r := newRegistry(t)
	const at = "https://hooks.example.invalid/webhooks/stripe"
	old, _, err := r.stripe.CreateWebhookEndpoint(t.Context(), registration.NewEndpoint{URL: at, Events: handlers.Types(), APIVersion: "2020-08-27"}, "old")
	check(t, err)
	apply := func(more ...string) answer {
		return r.away(append([]string{"endpoint", "apply", "--yes", "--no-probe", "--url", at}, more...)...)
	}
	disabled := func() bool {
		list := r.endpoints()
		i := slices.IndexFunc(list, func(e registration.Endpoint) bool { return e.Disabled })
		return i >= 0 && list[i].ID == old.ID
	}
	apply("--retire", old.ID).refused(t, verb.ExitUsage, "there is no endpoint yet")
	r.now = time.Now().Add(-age)
	apply().ok(t)
	apply("--retire", "we_unknown").refused(t, verb.ExitUsage, "is not an enabled endpoint")
	if age < 24*time.Hour {
		apply("--retire", old.ID).refused(t, verb.ExitFailed, "is newer than 24 hours", "--force")
		r.away("secret", "roll", "--new-secret-file", r.fresh("whsec_second"), "--yes").ok(t)
		r.away("secret", "roll", "--finish", "--yes", "--force").ok(t)
		apply("--retire", old.ID).refused(t, verb.ExitFailed, "no stored secret is known to be that of")
		if disabled() {
			t.Fatal("the old endpoint was disabled")
		}
		apply("--retire", old.ID, "--force").ok(t)
	} else if got := apply("--retire", old.ID).ok(t); !strings.Contains(got.out, "disabled "+old.ID) {
		t.Errorf("printed %q", got.out)
	}
	if !disabled() {
		t.Error("the old endpoint still delivers")
	}
	r.away("endpoint", "status", "--no-probe", "--url", at).ok(t)
}

func TestProbe(t *testing.T) {
	for _, c := range []struct {
		name string
		h    http.HandlerFunc
		want registration.Probe
	}{
		{"refuses", func(w http.ResponseWriter, q *http.Request) {
			if q.Method != http.MethodPost || q.Header.Get("Content-Type") != "application/json" || q.Header.Get("Stripe-Signature") != "" {
				t.Errorf("%s with %v", q.Method, q.Header)
			}
			w.WriteHeader(400)
		}, registration.Probe{Status: 400}},
		{"redirects", func(w http.ResponseWriter, q *http.Request) {
			http.Redirect(w, q, "/elsewhere", http.StatusMovedPermanently)
		},
			registration.Probe{Status: 301, Location: "/elsewhere"}},
	} {
		server := httptest.NewServer(c.h)
		if got := *verb.Probe(t.Context(), server.URL); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		server.Close()
		if got := *verb.Probe(t.Context(), server.URL); got.Status != 0 || got.Err == "" {
			t.Errorf("closed: %+v", got)
		}
	}
}

// says fails the test unless the command exited with code and printed words, on stdout or stderr.
func (a answer) says(t *testing.T, code int, words ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("exit %d, want %d: %s%s", a.code, code, a.out, a.err)
	}
	for _, s := range words {
		if !strings.Contains(a.out+a.err, s) {
			t.Errorf("the output is %q and %q, want %q", a.out, a.err, s)
		}
	}
}
