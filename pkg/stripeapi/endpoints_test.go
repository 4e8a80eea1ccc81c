package stripeapi_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/handlers"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/local/stripe/stripemock"
	"tollgate/pkg/registration"
	"tollgate/pkg/stripeapi"
)

func wholeEndpoint() registration.NewEndpoint {
	return registration.NewEndpoint{
		URL: "https://hooks.example.com/webhooks/stripe", Events: handlers.Types(), APIVersion: stripeapi.APIVersion, Connect: true,
		Description: "Tollgate, endpoint default",
		Metadata:    map[string]string{registration.MetaName: "default", registration.MetaConnect: "true", registration.MetaApply: "run1"},
	}
}

// TestParametersAgainstStripesSpec sends each request as we send it, and wrong ones.
func TestParametersAgainstStripesSpec(t *testing.T) {
	c := newClient(t, stripeapi.Options{URL: stripemock.Start(t, true), Tries: 1})
	ctx := t.Context()
	create := func(change func(*registration.NewEndpoint)) error {
		n := wholeEndpoint()
		change(&n)
		e, _, err := c.CreateWebhookEndpoint(ctx, n, "run1")
		if err != nil && strings.HasPrefix(e.ID, "we_") && strings.Contains(err.Error(), "has no secret") {
			return nil // accepted: the mock answers a fixture, which has none
		}
		return err
	}
	if err := create(func(*registration.NewEndpoint) {}); err != nil {
		t.Errorf("create as we send it: %v", err)
	}
	for name, change := range map[string]func(*registration.NewEndpoint){
		"dead type":       func(n *registration.NewEndpoint) { n.Events = append(slices.Clone(n.Events), "sku.updated") },
		"unknown type":    func(n *registration.NewEndpoint) { n.Events = []string{"invoice.payed"} },
		"no types":        func(n *registration.NewEndpoint) { n.Events = nil },
		"unknown version": func(n *registration.NewEndpoint) { n.APIVersion = "2023-10-17" },
	} {
		err := create(change)
		if refused, ok := errors.AsType[*stripeapi.RefusedError](err); !ok || refused.Status != http.StatusBadRequest || errors.Is(err, registration.ErrUnknownOutcome) {
			t.Errorf("create with %s: %v, want a refusal", name, err)
		}
	}
	disabled := true
	if _, err := c.UpdateWebhookEndpoint(ctx, "we_1", registration.Update{Events: handlers.Types(), Disabled: &disabled, Metadata: map[string]string{"a": "b"}}); err != nil {
		t.Errorf("update as we send it: %v", err)
	}
	if _, err := c.UpdateWebhookEndpoint(ctx, "we_1", registration.Update{Events: []string{"sku.updated"}}); err == nil {
		t.Error("an update with a dead type is accepted")
	}
	if err := c.DeleteWebhookEndpoint(ctx, "we_1"); err != nil {
		t.Errorf("delete: %v", err)
	}
	list, err := c.ListWebhookEndpoints(ctx)
	if err != nil || len(list) == 0 || !strings.HasPrefix(list[0].ID, "we_") || list[0].URL == "" || list[0].Created.IsZero() {
		t.Errorf("list: %+v, %v", list, err)
	}
}

// TestEndpointsAtTheFakeStripe goes through an endpoint's life where state is kept.
func TestEndpointsAtTheFakeStripe(t *testing.T) {
	_, url := localtest.Stripe(t)
	c := newClient(t, stripeapi.Options{URL: url})
	ctx := t.Context()
	n := wholeEndpoint()
	made, secret, err := c.CreateWebhookEndpoint(ctx, n, "run1")
	if err != nil || !strings.HasPrefix(secret.Reveal(), "whsec_") || made.Disabled || made.APIVersion != n.APIVersion || !made.Connect() {
		t.Fatalf("created %+v, %v", made, err)
	}
	disabled := true
	updated, err := c.UpdateWebhookEndpoint(ctx, made.ID, registration.Update{Events: n.Events[:1], Disabled: &disabled, Metadata: map[string]string{registration.MetaSecret: "f"}})
	want := made
	want.Events, want.Disabled = n.Events[:1], true
	want.Metadata = map[string]string{registration.MetaSecret: "f"}
	for name, value := range n.Metadata {
		want.Metadata[name] = value
	}
	if d := cmp.Diff(want, updated); d != "" || err != nil {
		t.Errorf("update: %v (-want +got):\n%s", err, d)
	}
	list, err := c.ListWebhookEndpoints(ctx)
	if d := cmp.Diff([]registration.Endpoint{want}, list); d != "" || err != nil {
		t.Errorf("list: %v (-want +got):\n%s", err, d)
	}
	for range 2 { // the second time it is gone, which is as well
		if err := c.DeleteWebhookEndpoint(ctx, made.ID); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
	if _, err := c.UpdateWebhookEndpoint(ctx, made.ID, registration.Update{Disabled: &disabled}); !errors.Is(err, stripeapi.ErrNotFound) {
		t.Errorf("update of a deleted one: %v", err)
	}
	for range 16 {
		if _, _, err := c.CreateWebhookEndpoint(ctx, n, "run-"+fmt.Sprint(len(list))); err != nil {
			t.Fatal(err)
		}
		list = append(list, made)
	}
	if _, _, err := c.CreateWebhookEndpoint(ctx, n, "run-last"); err == nil || !strings.Contains(err.Error(), "maximum of 16") {
		t.Errorf("a seventeenth: %v", err)
	}
}

// sentRequest is what a server was sent.
type sentRequest struct {
	Method, Path, Key, Version, Type string
	Form                             url.Values
}

// recording answers from a list and notes what was asked; the last answer stays.
func recording(t *testing.T, answers ...func(http.ResponseWriter)) (address string, sent *[]sentRequest) {
	t.Helper()
	sent = &[]sentRequest{}
	var mu sync.Mutex // an aborted request's handler may still be ending when the next one begins
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			t.Errorf("body %q: %v", body, err)
		}
		mu.Lock()
		*sent = append(*sent, sentRequest{r.Method, r.URL.RequestURI(), r.Header.Get("Idempotency-Key"), r.Header.Get("Stripe-Version"), r.Header.Get("Content-Type"), form})
		answer := answers[min(len(*sent), len(answers))-1]
		mu.Unlock()
		answer(w)
	})), sent
}

func says(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(status); io.WriteString(w, body) }
}

func TestCreateIsRepeatedUnderOneKey(t *testing.T) {
	address, sent := recording(t, says(500, `{}`), func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, says(409, `{"error":{"code":"idempotency_key_in_use"}}`),
		says(200, `{"id":"we_1","url":"https://x","secret":"whsec_1","status":"enabled","created":1700000000}`))
	c := newClient(t, stripeapi.Options{URL: address})
	e, secret, err := c.CreateWebhookEndpoint(t.Context(), registration.NewEndpoint{URL: "https://x", Events: []string{"a", "b"}, APIVersion: "v", Metadata: map[string]string{"k": "1 &="}}, "run1")
	if err != nil || e.ID != "we_1" || secret.Reveal() != "whsec_1" {
		t.Fatalf("%+v, %v", e, err)
	}
	want := sentRequest{"POST", "/v1/webhook_endpoints", "run1", stripeapi.APIVersion, "application/x-www-form-urlencoded",
		url.Values{"url": {"https://x"}, "enabled_events[]": {"a", "b"}, "api_version": {"v"}, "metadata[k]": {"1 &="}}}
	if d := cmp.Diff([]sentRequest{want, want, want, want}, *sent); d != "" {
		t.Errorf("sent (-want +got):\n%s", d)
	}
	if _, _, err := c.CreateWebhookEndpoint(t.Context(), registration.NewEndpoint{}, ""); err == nil || len(*sent) != 4 {
		t.Errorf("without a key: %v, %d requests", err, len(*sent))
	}
}

// TestOutcomeOfCreate: what may have been done is distinguished from what was not.
func TestOutcomeOfCreate(t *testing.T) {
	for _, c := range []struct {
		name    string
		answer  func(http.ResponseWriter)
		unknown bool
		id      string
		says    string
	}{
		{"failed at Stripe", says(500, `{}`), true, "", "status 500"},
		{"cut", func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, true, "", "EOF"},
		{"no JSON", says(200, `<html>whsec_SENSITIVE`), true, "", "not JSON"},
		{"no endpoint", says(200, `["whsec_SENSITIVE"]`), true, "", "cannot be read"},
		{"other types", says(200, `{"id":"we_1","secret":["whsec_SENSITIVE"]}`), true, "", "cannot be read"},
		{"too large", says(200, `"`+strings.Repeat("x", 2000)+`"`), true, "", "larger than"},
		{"no secret", says(200, `{"id":"we_1"}`), false, "we_1", "has no secret"},
		{"refused", says(400, `{"error":{"code":"url_invalid","message":"Invalid\u001b URL"}}`), false, "", "status 400, code url_invalid: Invalid  URL"},
		{"refused at length", says(400, `{"error":{"message":"`+strings.Repeat("m", 999)+`"}}`), false, "", "mmm…"},
		{"not allowed", says(403, `{}`), false, "", "refused by Stripe"},
		{"no such path", says(404, `{}`), false, "", "no such object"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address, _ := recording(t, c.answer)
			client := newClient(t, stripeapi.Options{URL: address, Tries: 2, MaxBody: 1500})
			e, secret, err := client.CreateWebhookEndpoint(t.Context(), wholeEndpoint(), "run1")
			if err == nil || errors.Is(err, registration.ErrUnknownOutcome) != c.unknown || e.ID != c.id || secret.Reveal() != "" || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v, error %v, want unknown %v and %q", e, err, c.unknown, c.says)
			}
			if strings.Contains(fmt.Sprint(err), "SENSITIVE") {
				t.Errorf("the error quotes the answer: %v", err)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, err := newClient(t, stripeapi.Options{URL: "http://127.0.0.1:1"}).CreateWebhookEndpoint(ctx, wholeEndpoint(), "run1")
	if err == nil || errors.Is(err, registration.ErrUnknownOutcome) {
		t.Errorf("cancelled before the first request: %v", err)
	}
}

func TestListTurnsAllPages(t *testing.T) {
	address, sent := recording(t, says(200, `{"data":[{"id":"we_3"},{"id":"we_2","application":"ca_1","status":"disabled"}],"has_more":true}`),
		says(500, `{}`), says(200, `{"data":[{"id":"we_1","api_version":null}],"has_more":false}`))
	list, err := newClient(t, stripeapi.Options{URL: address}).ListWebhookEndpoints(t.Context())
	var ids []string
	for _, e := range list {
		ids = append(ids, fmt.Sprintf("%s %v %v", e.ID, e.Disabled, e.Connect()))
	}
	if d := cmp.Diff([]string{"we_3 false false", "we_2 true true", "we_1 false false"}, ids); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
	if len(*sent) != 3 || (*sent)[2].Path != "/v1/webhook_endpoints?limit=100&starting_after=we_2" {
		t.Errorf("sent %+v", *sent)
	}
	endless, _ := recording(t, says(200, `{"data":[{"id":"we_1"}],"has_more":true}`))
	if _, err := newClient(t, stripeapi.Options{URL: endless, Rate: 1000, ResourceRate: 1000}).ListWebhookEndpoints(t.Context()); err == nil || !strings.Contains(err.Error(), "does not end") {
		t.Errorf("an endless list: %v", err)
	}
}

func TestWhatIsNoEndpointsID(t *testing.T) {
	address, sent := recording(t, says(200, `{}`))
	c := newClient(t, stripeapi.Options{URL: address})
	for _, id := range []string{"", "we_1/../../charges", "we_1?x", strings.Repeat("w", 300)} {
		if err := c.DeleteWebhookEndpoint(t.Context(), id); err == nil {
			t.Errorf("delete of %.40q: no error", id)
		}
		if _, err := c.UpdateWebhookEndpoint(t.Context(), id, registration.Update{}); err == nil {
			t.Errorf("update of %.40q: no error", id)
		}
	}
	if len(*sent) != 0 {
		t.Errorf("sent %+v", *sent)
	}
}
