package stripeapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	fakestripe "tollgate/pkg/local/stripe"
	"tollgate/pkg/stripeapi"
)

func key(context.Context) (string, error) { return "sk_test_1", nil }

func newClient(t *testing.T, o stripeapi.Options) *stripeapi.Client {
	t.Helper()
	if o.Key == nil {
		o.Key = key
	}
	if o.Backoff == 0 {
		o.Backoff = time.Millisecond
	}
	c, err := stripeapi.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestVersionIsThatOfStripeGo(t *testing.T) {
	if stripeapi.APIVersion != stripe.APIVersion {
		t.Errorf("APIVersion is %s, stripe-go decodes %s", stripeapi.APIVersion, stripe.APIVersion)
	}
}

func TestFetchFromFakeStripe(t *testing.T) {
	s, url := localtest.Stripe(t)
	c := newClient(t, stripeapi.Options{URL: url})
	golden := readFile(t, filepath.Join(goldenDir, "invoice.paid.json"))
	const id = "evt_1TollgateE9ANXlWrBcs6Gw4"
	connected := bytes.Replace(golden, []byte(id), []byte("evt_connected"), 1)
	connected = bytes.Replace(connected, []byte(`"object": "event",`), []byte(`"object": "event", "account": "acct_1",`), 1)
	thin := []byte(`{"id":"evt_thin","object":"v2.core.event","type":"v2.core.account.closed","created":"2026-11-18T00:00:00.123Z","context":"acct_1"}`)
	for _, body := range [][]byte{golden, connected, thin} {
		if err := s.Remember(body); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name, account, id string
		thin              bool
		want              []byte
	}{
		{"snapshot", "", id, false, golden},
		{"connected account's", "acct_1", "evt_connected", false, connected},
		{"thin", "acct_1", "evt_thin", true, thin},
		{"wrong account", "acct_2", "evt_connected", false, nil},
		{"no account", "", "evt_connected", false, nil},
		{"thin asked as snapshot", "acct_1", "evt_thin", false, nil},
		{"unknown", "", "evt_unknown", false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := c.FetchEvent(t.Context(), tt.account, tt.id, tt.thin)
			if tt.want == nil {
				if !errors.Is(err, stripeapi.ErrNotFound) {
					t.Errorf("error is %v, want ErrNotFound", err)
				}
				return
			}
			if err != nil || !bytes.Equal(got, tt.want) {
				t.Errorf("error %v, body differs: %s", err, cmp.Diff(string(tt.want), string(got)))
			}
		})
	}
	t.Run("faults are outlived", func(t *testing.T) {
		s.Inject(fakestripe.Fault{Status: 429, Times: 2})
		s.Inject(fakestripe.Fault{Status: 500, Times: 1})
		if got, err := c.FetchEvent(t.Context(), "", id, false); err != nil || !bytes.Equal(got, golden) {
			t.Errorf("error %v", err)
		}
	})
}

func TestRequestOnTheWire(t *testing.T) {
	type wire struct{ Method, URI, Auth, Version, Account, Context, Telemetry string }
	sent := make(chan wire, 1)
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		sent <- wire{r.Method, r.RequestURI, h.Get("Authorization"), h.Get("Stripe-Version"), h.Get("Stripe-Account"), h.Get("Stripe-Context"), h.Get("X-Stripe-Client-Telemetry")}
		io.WriteString(w, "{}")
	}))
	c := newClient(t, stripeapi.Options{URL: url + "/base/", Key: func(context.Context) (string, error) { return " rk_test_2\n", nil }})
	tests := []struct {
		account string
		thin    bool
		want    wire
	}{
		{"", false, wire{"GET", "/base/v1/events/evt_1", "Bearer rk_test_2", "2023-10-16", "", "", ""}},
		{"acct_1", false, wire{"GET", "/base/v1/events/evt_1", "Bearer rk_test_2", "2023-10-16", "acct_1", "", ""}},
		{"acct_1/acct_2", true, wire{"GET", "/base/v2/core/events/evt_1", "Bearer rk_test_2", "2024-09-30.acacia", "", "acct_1/acct_2", ""}},
	}
	for _, tt := range tests {
		if _, err := c.FetchEvent(t.Context(), tt.account, "evt_1", tt.thin); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, <-sent); diff != "" {
			t.Error(diff)
		}
	}
}

// TestKeyOfAnOrganisation: it names the account by Stripe-Context in every request, which the
// fake Stripe demands as Stripe does.
func TestKeyOfAnOrganisation(t *testing.T) {
	s, url := localtest.Stripe(t)
	c := newClient(t, stripeapi.Options{URL: url, Tries: 1, Key: func(context.Context) (string, error) { return "sk_org_test_1", nil }})
	snapshot := []byte(strings.Replace(anEvent("evt_1", "invoice.paid", 1_700_000_001), `"object":"event"`, `"object":"event","context":"org_1/acct_1"`, 1))
	thin := []byte(`{"id":"evt_thin","object":"v2.core.event","type":"v2.core.account.closed","created":"2026-11-18T00:00:00.123Z","context":"org_1/acct_1"}`)
	snapshot = bytes.Replace(snapshot, []byte("2025-09-30.clover"), []byte(stripeapi.APIVersion), 1)
	for _, err := range []error{s.Remember(snapshot), s.Remember(thin)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, fetch := range map[string]func() ([]byte, error){
		"a snapshot":   func() ([]byte, error) { return c.FetchEvent(t.Context(), "acct_1", "evt_1", false) },
		"a thin event": func() ([]byte, error) { return c.FetchEvent(t.Context(), "org_1/acct_1", "evt_thin", true) },
		"an object":    func() ([]byte, error) { return c.FetchObject(t.Context(), "acct_1", "invoice", "in_evt_1") },
		"a list": func() ([]byte, error) {
			q := listQuery
			q.Account = "acct_1"
			page, err := c.ListEvents(t.Context(), q)
			if err == nil && (len(page.Items) != 1 || page.Items[0].Event.Account != "acct_1" || page.Items[0].Event.AccountFrom != event.FromContext) {
				err = fmt.Errorf("items %+v", page.Items)
			}
			return snapshot, err
		},
	} {
		if got, err := fetch(); err != nil || len(got) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, account := range map[string]string{"without an account": "", "as another": "acct_2"} {
		if _, err := c.FetchEvent(t.Context(), account, "evt_1", false); err == nil {
			t.Errorf("%s: an answer", name)
		}
	}
}

func TestAnswersBecomeErrors(t *testing.T) {
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	unavailable := func(status int) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*stripeapi.UnavailableError](err)
			return ok && e.Status == status && e.Tries == 4
		}
	}
	tests := []struct {
		name   string
		status int
		header string // of Stripe-Should-Retry
		body   string
		tries  int32
		ok     func(error) bool
	}{
		{"400", 400, "", `{"error":{"code":"parameter_unknown"}}`, 1, func(err error) bool {
			e, ok := errors.AsType[*stripeapi.RefusedError](err)
			return ok && *e == stripeapi.RefusedError{Status: 400, Code: "parameter_unknown", RequestID: "req_1"}
		}},
		{"400, retry", 400, "true", `{}`, 4, unavailable(400)},
		{"401", 401, "", `{}`, 1, is(stripeapi.ErrUnauthorized)},
		{"403", 403, "", `not json`, 1, is(stripeapi.ErrUnauthorized)},
		{"404", 404, "", `{}`, 1, is(stripeapi.ErrNotFound)},
		{"409", 409, "", `{"error":{"code":"lock_timeout"}}`, 4, unavailable(409)},
		{"429", 429, "", `{"error":{"code":"rate_limit"}}`, 4, unavailable(429)},
		{"500", 500, "", ``, 4, unavailable(500)},
		{"503", 503, "", `<html>`, 4, unavailable(503)},
		{"302", 302, "", ``, 1, func(err error) bool {
			e, ok := errors.AsType[*stripeapi.RefusedError](err)
			return ok && e.Status == 302
		}},
		{"200 without JSON", 200, "", `<html>`, 4, unavailable(200)},
		{"200 empty", 200, "", ``, 4, unavailable(200)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var tries atomic.Int32
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tries.Add(1)
				w.Header().Set("Request-Id", "req_1")
				w.Header().Set("Location", "/elsewhere")
				if tt.header != "" {
					w.Header().Set("Stripe-Should-Retry", tt.header)
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			}))
			_, err := newClient(t, stripeapi.Options{URL: url}).FetchEvent(t.Context(), "", "evt_1", false)
			if err == nil || !tt.ok(err) || tries.Load() != tt.tries {
				t.Errorf("error %v (%T) after %d requests, want %d", err, errors.Unwrap(err), tries.Load(), tt.tries)
			}
			if strings.Contains(fmt.Sprint(err), "sk_test") {
				t.Errorf("the key is in the error: %v", err)
			}
		})
	}
}

// TestRevokedAccount: a connected account that gives no access parks its event; a key that is
// refused itself, or lacks a permission, stays transient.
func TestRevokedAccount(t *testing.T) {
	const lacks = `{"error":{"message":"The provided key 'rk_test_*' does not have the required permissions for this endpoint on account 'acct_1'."}}`
	for name, c := range map[string]struct {
		account string
		status  int
		body    string
		revoked bool
	}{
		"revoked":                  {"acct_1Revoked", 403, `{"error":{"code":"account_invalid"}}`, true},
		"revoked, no code":         {"acct_1Revoked", 403, `{"error":{"message":"Application access may have been revoked."}}`, true},
		"revoked, no JSON":         {"acct_1Revoked", 403, `<html>`, true},
		"the key lacks permission": {"acct_1Revoked", 403, lacks, false},
		"the key itself, as":       {"acct_1Revoked", 401, `{}`, false},
		"the key itself":           {"", 403, `{}`, false},
	} {
		for _, thin := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, thin %t", name, thin), func(t *testing.T) {
				url := answering(t, c.status, c.body)
				_, err := newClient(t, stripeapi.Options{URL: url}).FetchEvent(t.Context(), c.account, "evt_1", thin)
				p, parked := errors.AsType[*dispatch.PermanentError](err)
				if parked != c.revoked || parked && (p.Reason != dispatch.ReasonAccountRevoked || !strings.Contains(err.Error(), c.account)) {
					t.Errorf("%v (%+v), want parked %t", err, p, c.revoked)
				}
				if !parked && !errors.Is(err, stripeapi.ErrUnauthorized) {
					t.Errorf("%v, want %v", err, stripeapi.ErrUnauthorized)
				}
			})
		}
	}
}

// TestRepeatedOnlyEarly: a try is repeated only while there is time for a whole one.
func TestRepeatedOnlyEarly(t *testing.T) {
	for name, c := range map[string]struct {
		answers []time.Duration // when each try fails; 0 and less: it answers after so long
		tries   int32
		fails   bool
	}{
		"slow, but it answers":   {[]time.Duration{-3 * time.Second}, 1, false},
		"failed early":           {[]time.Duration{100 * time.Millisecond, -5 * time.Second}, 2, false},
		"failed twice early":     {[]time.Duration{100 * time.Millisecond, 500 * time.Millisecond, -5 * time.Second}, 3, false},
		"failed late":            {[]time.Duration{3 * time.Second, 0}, 1, true},
		"not answered for a try": {[]time.Duration{time.Hour, 0}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var tries atomic.Int32
				o := stripeapi.Options{TryTimeout: limits.AWS().StripeTry, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					after := c.answers[tries.Add(1)-1]
					select {
					case <-time.After(after.Abs()):
					case <-r.Context().Done():
						return nil, r.Context().Err()
					}
					answer := httptest.NewRecorder()
					if after > 0 {
						answer.WriteHeader(http.StatusInternalServerError)
					}
					io.WriteString(answer, `{}`)
					return answer.Result(), nil
				})}
				ctx, cancel := context.WithTimeout(t.Context(), limits.AWS().HandlerBudget)
				defer cancel()
				_, err := newClient(t, o).FetchEvent(ctx, "", "evt_1", false)
				if (err != nil) != c.fails || tries.Load() != c.tries {
					t.Errorf("error %v after %d tries, want %d", err, tries.Load(), c.tries)
				}
			})
		})
	}
}

func TestConnectionsThatBreak(t *testing.T) {
	var n atomic.Int32
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch n.Add(1) {
		case 1: // no answer at all
			panic(http.ErrAbortHandler)
		case 2: // half an answer
			w.Header().Set("Content-Length", "1000")
			io.WriteString(w, `{"id":`)
		default:
			io.WriteString(w, `{"id":"evt_1"}`)
		}
	}))
	got, err := newClient(t, stripeapi.Options{URL: url}).FetchEvent(t.Context(), "", "evt_1", false)
	if err != nil || string(got) != `{"id":"evt_1"}` || n.Load() != 3 {
		t.Errorf("%q, %v after %d requests", got, err, n.Load())
	}
}

func TestSlowAnswerTimesOut(t *testing.T) {
	var n atomic.Int32
	url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done() // until the client hangs up
			return
		}
		io.WriteString(w, `{}`)
	}))
	c := newClient(t, stripeapi.Options{URL: url, TryTimeout: 100 * time.Millisecond})
	if got, err := c.FetchEvent(t.Context(), "", "evt_1", false); err != nil || string(got) != "{}" || n.Load() != 2 {
		t.Errorf("%q, %v after %d requests", got, err, n.Load())
	}
}

func TestBodyBound(t *testing.T) {
	tests := []struct {
		name    string
		size    int
		zip     bool
		tooMuch bool
	}{
		{"at the bound", 1000, false, false},
		{"over the bound", 1001, false, true},
		{"over the bound, compressed", 1 << 20, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := `"` + strings.Repeat("x", tt.size-2) + `"`
			url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !tt.zip {
					io.WriteString(w, body)
					return
				}
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				io.WriteString(z, body)
				z.Close()
			}))
			got, err := newClient(t, stripeapi.Options{URL: url, MaxBody: 1000}).FetchEvent(t.Context(), "", "evt_1", false)
			e, tooMuch := errors.AsType[*stripeapi.TooLargeError](err)
			if tooMuch != tt.tooMuch || tooMuch && e.Limit != 1000 || !tooMuch && string(got) != body {
				t.Errorf("error %v, %d bytes", err, len(got))
			}
		})
	}
}

func TestNothingIsSentFor(t *testing.T) {
	secretStore := errors.New("secret store is down")
	tests := []struct {
		name        string
		key         string
		keyErr      error
		account, id string
		want        error
	}{
		{"no key", "", nil, "", "evt_1", stripeapi.ErrNoAPIKey},
		{"blank key", " \n", nil, "", "evt_1", stripeapi.ErrNoAPIKey},
		{"key function says none", "", fmt.Errorf("secret x: %w", stripeapi.ErrNoAPIKey), "", "evt_1", stripeapi.ErrNoAPIKey},
		{"key function fails", "", secretStore, "", "evt_1", secretStore},
		{"two keys", "sk_test_1 sk_test_2", nil, "", "evt_1", stripeapi.ErrUnauthorized},
		{"key with a line break", "sk_test_1\r\nX: y", nil, "", "evt_1", stripeapi.ErrUnauthorized},
		{"empty id", "sk_test_1", nil, "", "", stripeapi.ErrNotFound},
		{"id of something else", "sk_test_1", nil, "", "cus_1", stripeapi.ErrNotFound},
		{"id that climbs", "sk_test_1", nil, "", "evt_/../../charges", stripeapi.ErrNotFound},
		{"id with a query", "sk_test_1", nil, "", "evt_1?expand[]=x", stripeapi.ErrNotFound},
		{"endless id", "sk_test_1", nil, "", "evt_" + strings.Repeat("1", 252), stripeapi.ErrNotFound},
		{"account with a line break", "sk_test_1", nil, "acct_1\r\nX: y", "evt_1", stripeapi.ErrNotFound},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
			c := newClient(t, stripeapi.Options{URL: url, Key: func(context.Context) (string, error) { return tt.key, tt.keyErr }})
			if _, err := c.FetchEvent(t.Context(), tt.account, tt.id, false); !errors.Is(err, tt.want) || strings.Contains(err.Error(), "sk_test") {
				t.Errorf("error is %v, want %v", err, tt.want)
			}
		})
	}
}

func TestPermanentFailuresAreMarked(t *testing.T) {
	tests := []struct {
		name   string
		status int
		key    string
		body   string
		reason string // "" for transient
	}{
		{"no key", 200, "", "{}", dispatch.ReasonNoAPIKey},
		{"gone", 404, "sk_test_1", "{}", dispatch.ReasonObjectGone},
		{"too large", 200, "sk_test_1", strings.Repeat(" ", 1001), "too_large"},
		{"key refused", 401, "sk_test_1", "{}", ""},
		{"rate limited", 429, "sk_test_1", "{}", ""},
		{"down", 503, "sk_test_1", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			url := answering(t, tt.status, tt.body)
			c := newClient(t, stripeapi.Options{URL: url, MaxBody: 1000, Key: func(context.Context) (string, error) { return tt.key, nil }})
			_, err := c.FetchEvent(t.Context(), "", "evt_1", false)
			p, permanent := errors.AsType[*dispatch.PermanentError](err)
			if err == nil || permanent != (tt.reason != "") || permanent && p.Reason != tt.reason {
				t.Errorf("error is %v, want reason %q", err, tt.reason)
			}
		})
	}
}

func TestNewChecksItsOptions(t *testing.T) {
	tests := []struct {
		name string
		o    stripeapi.Options
		want string // "" for accepted
	}{
		{"defaults", stripeapi.Options{Key: key}, ""},
		{"loopback", stripeapi.Options{Key: key, URL: "http://127.0.0.1:12111"}, ""},
		{"localhost", stripeapi.Options{Key: key, URL: "http://localhost:12111/"}, ""},
		{"IPv6 loopback", stripeapi.Options{Key: key, URL: "http://[::1]:12111"}, ""},
		{"no key function", stripeapi.Options{}, "no Key function"},
		{"key in clear text over a network", stripeapi.Options{Key: key, URL: "http://api.stripe.com"}, "must be https"},
		{"no scheme", stripeapi.Options{Key: key, URL: "api.stripe.com"}, "must be a scheme"},
		{"password", stripeapi.Options{Key: key, URL: "https://u:hunter2@api.stripe.com"}, "must be a scheme"},
		{"negative", stripeapi.Options{Key: key, Tries: -1}, "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := stripeapi.New(tt.o)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("error is %v, want %q", err, tt.want)
			}
		})
	}
}

// script is a transport that answers from a list and notes when it was asked.
type script struct {
	start   time.Time
	answers []*http.Response
	asked   []time.Duration
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked = append(s.asked, time.Since(s.start))
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	a := s.answers[0]
	s.answers = s.answers[1:]
	a.Request = r
	return a, nil
}

func reply(status int, retryAfter, body string) *http.Response {
	h := http.Header{}
	if retryAfter != "" {
		h.Set("Retry-After", retryAfter)
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func TestWaits(t *testing.T) {
	const s = time.Second
	limited := func(status int) func(error) bool {
		return func(err error) bool {
			e, ok := errors.AsType[*stripeapi.UnavailableError](err)
			return ok && e.Status == status
		}
	}
	none := func(err error) bool { return err == nil }
	tests := []struct {
		name     string
		answers  []*http.Response
		deadline time.Duration      // of the context, 0 for none
		asked    [][2]time.Duration // the earliest and latest time of each request
		ok       func(error) bool
	}{
		{"back-off doubles", []*http.Response{reply(500, "", ""), reply(500, "", ""), reply(500, "", ""), reply(200, "", "{}")}, 0,
			[][2]time.Duration{{0, 0}, {s / 2, s}, {s/2 + s, 3 * s}, {s/2 + s + 2*s, 7 * s}}, none},
		{"Retry-After in seconds", []*http.Response{reply(429, "2", ""), reply(200, "", "{}")}, 0,
			[][2]time.Duration{{0, 0}, {2 * s, 2 * s}}, none},
		{"Retry-After as a date", []*http.Response{reply(503, "Sat, 01 Jan 2000 00:00:04 GMT", ""), reply(200, "", "{}")}, 0,
			[][2]time.Duration{{0, 0}, {4 * s, 4 * s}}, none},
		{"Retry-After that is over", []*http.Response{reply(503, "Fri, 31 Dec 1999 00:00:00 GMT", ""), reply(200, "", "{}")}, 0,
			[][2]time.Duration{{0, 0}, {s / 2, s}}, none},
		{"unreadable Retry-After", []*http.Response{reply(503, "-7", ""), reply(200, "", "{}")}, 0,
			[][2]time.Duration{{0, 0}, {s / 2, s}}, none},
		{"Retry-After beyond the longest wait", []*http.Response{reply(429, "6", "")}, 0,
			[][2]time.Duration{{0, 0}}, func(err error) bool {
				e, ok := errors.AsType[*stripeapi.UnavailableError](err)
				return ok && e.Status == 429 && e.RetryAfter == 6*s && e.Tries == 1
			}},
		{"Retry-After beyond the deadline", []*http.Response{reply(429, "3", "")}, 2 * s,
			[][2]time.Duration{{0, 0}}, limited(429)},
		{"back-off beyond the deadline", []*http.Response{reply(500, "", "")}, s / 4,
			[][2]time.Duration{{0, 0}}, limited(500)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &script{start: time.Now(), answers: tt.answers}
				c := newClient(t, stripeapi.Options{Transport: tr, Backoff: s})
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				_, err := c.FetchEvent(ctx, "", "evt_1", false)
				if !tt.ok(err) {
					t.Errorf("error is %v", err)
				}
				if len(tr.asked) != len(tt.asked) {
					t.Fatalf("asked at %v, want %v", tr.asked, tt.asked)
				}
				for i, at := range tr.asked {
					if at < tt.asked[i][0] || at > tt.asked[i][1] {
						t.Errorf("request %d at %v, want %v", i, at, tt.asked[i])
					}
				}
			})
		})
	}
}

// TestPatientWaits waits for what a delivery has no time for.
func TestPatientWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		tr := &script{start: start, answers: []*http.Response{reply(429, "20", ""), reply(200, "", "{}")}}
		c := newClient(t, stripeapi.Options{Transport: tr}.Patient())
		if _, err := c.FetchEvent(t.Context(), "", "evt_1", false); err != nil || time.Since(start) < 20*time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

func TestCancelEndsTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		c := newClient(t, stripeapi.Options{Transport: &script{start: start, answers: []*http.Response{reply(500, "4", "")}}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := c.FetchEvent(ctx, "", "evt_1", false)
		if !errors.Is(err, context.Canceled) || time.Since(start) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

// answering starts a server that always answers so.
func answering(t *testing.T, status int, body string) string {
	t.Helper()
	return serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
}
