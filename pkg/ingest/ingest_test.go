package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

const (
	oldSecret = "whsec_old"
	newSecret = "whsec_new"
	body      = `{"id":"evt_1","object":"event","type":"invoice.paid","account":"acct_1","data":{"object":{"id":"in_1"}}}`
)

// fakeSecrets returns known; a refetch replaces it with next.
type fakeSecrets struct {
	mu        sync.Mutex
	known     map[string][]string
	next      map[string][]string
	err       error
	refetches int
}

func (f *fakeSecrets) Active(_ context.Context, endpoint string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.lookup(endpoint)
}

func (f *fakeSecrets) Refetched(_ context.Context, endpoint string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refetches++
	if f.next != nil {
		f.known = f.next
	}
	return f.lookup(endpoint)
}

func (f *fakeSecrets) lookup(endpoint string) ([]string, error) {
	if f.err != nil {
		return nil, f.err
	}
	list, ok := f.known[endpoint]
	if !ok {
		return nil, ErrUnknownEndpoint
	}
	return list, nil
}

// fakeSender stores envelopes unless err is set.
type fakeSender struct {
	mu   sync.Mutex
	err  error
	sent []event.Envelope
	last string // trace
}

func (f *fakeSender) Enqueue(_ context.Context, e event.Envelope, trace string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil {
		return "", f.err
	}
	f.sent, f.last = append(f.sent, e), trace
	return "message-1", nil
}

type bundle struct {
	secrets *fakeSecrets
	sender  *fakeSender
	log     *bytes.Buffer
	handler *Handler
}

func setup(t testing.TB, change func(*Config, *bundle)) *bundle {
	t.Helper()
	b := &bundle{
		secrets: &fakeSecrets{known: map[string][]string{"default": {oldSecret}}},
		sender:  &fakeSender{}, log: &bytes.Buffer{},
	}
	c := Config{Secrets: b.secrets, Sender: b.sender, Logger: slog.New(slog.NewJSONHandler(b.log, nil))}
	if change != nil {
		change(&c, b)
	}
	var err error
	if b.handler, err = New(c); err != nil {
		t.Fatal(err)
	}
	return b
}

func signed(payload, secret string, at time.Time) Request {
	return Request{
		Method: http.MethodPost, Endpoint: DefaultEndpoint, ContentType: "application/json; charset=utf-8",
		SourceIP: "3.18.12.63", Body: []byte(payload), Trace: "Root=1-00000000-000000000000000000000000",
		Signature: webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{
			Payload: []byte(payload), Secret: secret, Timestamp: at,
		}).Header,
	}
}

func TestEnqueued(t *testing.T) {
	b := setup(t, nil)
	got, err := b.handler.Handle(t.Context(), signed(body, oldSecret, time.Now()))
	if err != nil || got != (Answer{Status: 200}) || got.Body() != `{"received":true}` {
		t.Fatalf("answer %+v %q, error %v", got, got.Body(), err)
	}
	want := []event.Envelope{{
		ID: "evt_1", Object: "event", Type: "invoice.paid", Endpoint: "default", Account: "acct_1",
		ObjectID: "in_1", Source: event.Webhook, Body: []byte(body),
	}}
	if d := cmp.Diff(want, b.sender.sent, cmpopts.IgnoreFields(event.Envelope{}, "ReceivedAt")); d != "" {
		t.Errorf("sent (-want +got):\n%s", d)
	}
	if b.sender.last != "Root=1-00000000-000000000000000000000000" {
		t.Errorf("trace %q was not passed on", b.sender.last)
	}
}

// TestRefused has a row for each reason, and for each pair of faults with a defined order.
func TestRefused(t *testing.T) {
	now := time.Now()
	huge := strings.Repeat(" ", limits.MaxBody+1)
	cases := []struct {
		name   string
		change func(*Request)
		want   Answer
	}{
		{"no signature", func(r *Request) { r.Signature = "" }, Answer{400, Missing}},
		{"header of garbage", func(r *Request) { r.Signature = "garbage" }, Answer{400, Malformed}},
		{"forged", func(r *Request) { *r = signed(body, "whsec_other", now) }, Answer{400, NoMatch}},
		{"changed body", func(r *Request) { r.Body = append(r.Body, ' ') }, Answer{400, NoMatch}},
		{"stale", func(r *Request) { *r = signed(body, oldSecret, now.Add(-302*time.Second)) }, Answer{400, TooOld}},
		{"future", func(r *Request) { *r = signed(body, oldSecret, now.Add(time.Hour)) }, Answer{400, Future}},
		{"signed null", func(r *Request) { *r = signed("null", oldSecret, now) }, Answer{400, NotEvent}},
		{"signed nothing", func(r *Request) { *r = signed("{}", oldSecret, now) }, Answer{400, NotEvent}},
		{"empty body", func(r *Request) { r.Body = nil }, Answer{400, NoMatch}},
		{"unknown endpoint", func(r *Request) { r.Endpoint = "unknown" }, Answer{404, Endpoint}},
		{"no endpoint", func(r *Request) { r.Endpoint = "" }, Answer{404, Endpoint}},
		{"endpoint in capitals", func(r *Request) { r.Endpoint = "Default" }, Answer{404, Endpoint}},
		{"endpoint too long", func(r *Request) { r.Endpoint = strings.Repeat("a", 33) }, Answer{404, Endpoint}},
		{"endpoint with newline", func(r *Request) { r.Endpoint = "default\n" }, Answer{404, Endpoint}},
		{"GET", func(r *Request) { r.Method = "GET" }, Answer{405, Method}},
		{"post in lower case", func(r *Request) { r.Method = "post" }, Answer{405, Method}},
		{"form", func(r *Request) { r.ContentType = "application/x-www-form-urlencoded" }, Answer{415, MediaType}},
		{"no content type", func(r *Request) { r.ContentType = "" }, Answer{415, MediaType}},
		{"two content types", func(r *Request) { r.ContentType = "application/json,text/plain" }, Answer{415, MediaType}},
		{"json in the parameter only", func(r *Request) { r.ContentType = "text/plain; application/json" }, Answer{415, MediaType}},
		{"one byte too large", func(r *Request) { *r = signed(huge, oldSecret, now) }, Answer{413, TooLarge}},

		{"size before content type", func(r *Request) { r.Body, r.ContentType = []byte(huge), "" }, Answer{413, TooLarge}},
		{"content type before signature", func(r *Request) { r.ContentType, r.Signature = "", "" }, Answer{415, MediaType}},
		{"content type before unknown endpoint", func(r *Request) { r.ContentType, r.Endpoint = "", "unknown" }, Answer{415, MediaType}},
		{"signature before event", func(r *Request) { r.Body = []byte("null") }, Answer{400, NoMatch}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := setup(t, nil)
			r := signed(body, oldSecret, now)
			c.change(&r)
			got, err := b.handler.Handle(t.Context(), r)
			if err != nil || got != c.want {
				t.Errorf("answer %+v error %v, want %+v", got, err, c.want)
			}
			if want := `{"error":"` + string(c.want.Reason) + `"}`; got.Body() != want {
				t.Errorf("body %s, want %s", got.Body(), want)
			}
			if len(b.sender.sent) != 0 {
				t.Error("a refused delivery was enqueued")
			}
		})
	}
}

// TestRefusedWithoutASecret: a delivery that no secret could verify is the sender's fault and
// causes no refetch, even if there are no secrets.
func TestRefusedWithoutASecret(t *testing.T) {
	stale := signed(body, oldSecret, time.Now().Add(-time.Hour)).Signature
	for name, c := range map[string]struct {
		signature string
		want      Reason // "": our fault
	}{
		"no signature": {"", Missing}, "garbage": {"garbage", Malformed}, "stale": {stale, TooOld},
		"signed": {signed(body, oldSecret, time.Now()).Signature, ""},
	} {
		for endpoint, known := range map[string]map[string][]string{"empty": {"empty": {}}, "not fetched": nil} {
			t.Run(name+", "+endpoint, func(t *testing.T) {
				b := setup(t, func(_ *Config, b *bundle) {
					if b.secrets.known = known; known == nil {
						b.secrets.err = errors.New("down")
					}
				})
				r := signed(body, oldSecret, time.Now())
				r.Endpoint, r.Signature = "empty", c.signature
				got, err := b.handler.Handle(t.Context(), r)
				if (err != nil) != (c.want == "") || got.Reason != c.want || c.want != "" && b.secrets.refetches != 0 {
					t.Errorf("answer %+v, error %v after %d refetches; want %q", got, err, b.secrets.refetches, c.want)
				}
			})
		}
	}
}

func TestAccepted(t *testing.T) {
	pad := strings.Repeat(" ", limits.MaxBody-len(body))
	cases := []struct {
		name   string
		change func(*Request)
	}{
		{"exactly the largest body", func(r *Request) { *r = signed(body+pad, oldSecret, time.Now()) }},
		{"bare content type", func(r *Request) { r.ContentType = "application/json" }},
		{"content type in capitals", func(r *Request) { r.ContentType = "Application/JSON ;Charset=UTF-8" }},
		{"broken parameter", func(r *Request) { r.ContentType = "application/json; charset" }},
		{"unreadable source without a list", func(r *Request) { r.SourceIP = "?" }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := setup(t, nil)
			r := signed(body, oldSecret, time.Now())
			c.change(&r)
			got, err := b.handler.Handle(t.Context(), r)
			if err != nil || got.Status != 200 || len(b.sender.sent) != 1 {
				t.Errorf("answer %+v, error %v, %d sent", got, err, len(b.sender.sent))
			}
		})
	}
}

func TestAllowIPs(t *testing.T) {
	allow := []netip.Prefix{netip.MustParsePrefix("3.18.12.63/32"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}
	for source, want := range map[string]int{
		"3.18.12.63": 200, "::ffff:3.18.12.63": 200, "10.200.1.1": 200, "2001:db8::1": 200, "2001:db8::1%eth0": 200,
		"3.18.12.64": 403, "": 403, "localhost": 403, "3.18.12.63:443": 403, "::1": 403,
	} {
		b := setup(t, func(c *Config, _ *bundle) { c.AllowIPs = allow })
		r := signed(body, oldSecret, time.Now())
		r.SourceIP = source
		got, err := b.handler.Handle(t.Context(), r)
		if err != nil || got.Status != want || (want == 403) != (got.Reason == Source) {
			t.Errorf("source %q: %+v error %v, want %d", source, got, err, want)
		}
	}
}

func TestOurFaultIsAnError(t *testing.T) {
	down := errors.New("down")
	cases := []struct {
		name   string
		breaks func(*bundle)
	}{
		{"queue down", func(b *bundle) { b.sender.err = down }},
		{"secrets down", func(b *bundle) { b.secrets.err = down }},
		{"no usable secret", func(b *bundle) { b.secrets.known = map[string][]string{"default": {}} }},
		{"only an empty secret", func(b *bundle) { b.secrets.known = map[string][]string{"default": {""}} }},
		{"endpoint turns up without a secret", func(b *bundle) {
			b.secrets.known, b.secrets.next = nil, map[string][]string{"default": nil}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := setup(t, nil)
			c.breaks(b)
			got, err := b.handler.Handle(t.Context(), signed(body, oldSecret, time.Now()))
			if err == nil || got != (Answer{}) {
				t.Errorf("answer %+v, error %v: want an error and no answer", got, err)
			}
		})
	}
}

func TestRefetch(t *testing.T) {
	now := time.Now()
	cases := []struct {
		name        string
		known, next map[string][]string
		request     Request
		want        Answer
		refetches   int
	}{
		{"rolled secret", map[string][]string{"default": {oldSecret}}, map[string][]string{"default": {newSecret}},
			signed(body, newSecret, now), Answer{Status: 200}, 1},
		{"endpoint added", map[string][]string{}, map[string][]string{"default": {newSecret}},
			signed(body, newSecret, now), Answer{Status: 200}, 1},
		{"secret stored after an empty list", map[string][]string{"default": {}}, map[string][]string{"default": {newSecret}},
			signed(body, newSecret, now), Answer{Status: 200}, 1},
		{"endpoint removed", map[string][]string{"default": {oldSecret}}, map[string][]string{"eu": {oldSecret}},
			signed(body, newSecret, now), Answer{404, Endpoint}, 1},
		{"forgery", map[string][]string{"default": {oldSecret}}, nil, signed(body, "whsec_x", now), Answer{400, NoMatch}, 1},
		{"stale forgery", map[string][]string{"default": {oldSecret}}, nil,
			signed(body, "whsec_x", now.Add(-time.Hour)), Answer{400, TooOld}, 0},
		{"forgery from the future", map[string][]string{"default": {oldSecret}}, nil,
			signed(body, "whsec_x", now.Add(time.Hour)), Answer{400, NoMatch}, 0},
		{"good delivery", map[string][]string{"default": {oldSecret}}, nil, signed(body, oldSecret, now), Answer{Status: 200}, 0},
		{"signed but no event", map[string][]string{"default": {oldSecret}}, nil, signed("{}", oldSecret, now), Answer{400, NotEvent}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := setup(t, func(_ *Config, b *bundle) { b.secrets.known, b.secrets.next = c.known, c.next })
			got, err := b.handler.Handle(t.Context(), c.request)
			if err != nil || got != c.want || b.secrets.refetches != c.refetches {
				t.Errorf("answer %+v error %v after %d refetches, want %+v after %d", got, err, b.secrets.refetches, c.want, c.refetches)
			}
		})
	}
}

func TestOneLogLineWithoutSecrets(t *testing.T) {
	const mark = "SENSITIVE"
	unknown := signed(body, mark, time.Now())
	unknown.Endpoint = "stranger"
	payload := `{"id":"evt_1","object":"event","type":"a.b","data":{"object":{"id":"o","v":"` + mark + `"}}}`
	traced := signed(payload, mark, time.Now())
	traced.Trace = "Root=1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30;Parent=53995c3f42cd8ad8;Sampled=1"
	notEvent := `{"id":"` + mark + `","object":"` + mark + `"}`
	cases := []struct {
		name    string
		request Request
		err     error
		want    map[string]any
	}{
		{"enqueued", signed(payload, mark, time.Now()), nil, map[string]any{
			"outcome": "enqueued", "endpoint": "default", "event_id": "evt_1", "event_type": "a.b", "message_id": "message-1", "verified_by": "0", "level": "INFO"}},
		{"enqueued, its trace recorded", traced, nil, map[string]any{
			"outcome": "enqueued", "endpoint": "default", "event_id": "evt_1", "event_type": "a.b", "message_id": "message-1", "verified_by": "0",
			"trace": "1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30", "level": "INFO"}},
		{"rejected", signed(notEvent, mark, time.Now()), nil, map[string]any{
			"outcome": "rejected", "endpoint": "default", "reason": "not_event", "level": "INFO"}},
		{"unknown endpoint", unknown, nil, map[string]any{
			"outcome": "rejected", "endpoint": "", "reason": "endpoint", "level": "INFO"}},
		{"no endpoint's name", Request{Endpoint: mark}, nil, map[string]any{
			"outcome": "rejected", "endpoint": "", "reason": "endpoint", "level": "INFO"}},
		{"failed", signed(payload, mark, time.Now()), errors.New("queue is down"), map[string]any{
			"outcome": "failed", "endpoint": "default", "event_id": "evt_1", "error": "enqueue event evt_1: queue is down", "level": "ERROR"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			b := setup(t, func(_ *Config, b *bundle) {
				b.secrets.known["default"], b.sender.err = []string{mark}, c.err
			})
			_, _ = b.handler.Handle(t.Context(), c.request)
			if strings.Count(b.log.String(), "\n") != 1 || strings.Contains(b.log.String(), mark) ||
				(c.request.Signature != "" && strings.Contains(b.log.String(), c.request.Signature)) {
				t.Fatalf("log %q", b.log)
			}
			var got map[string]any
			if err := json.Unmarshal(b.log.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			delete(got, "time")
			c.want["msg"] = "delivery"
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("log line (-want +got):\n%s", d)
			}
		})
	}
}

func TestNewNamesEveryFault(t *testing.T) {
	_, err := New(Config{AllowIPs: []netip.Prefix{{}}})
	for _, want := range []string{"secrets", "sender", "prefix"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not name %s", err, want)
		}
	}
}
