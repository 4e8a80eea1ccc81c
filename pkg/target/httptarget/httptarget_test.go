package httptarget

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/delivery"
	"tollgate/pkg/egress"
	"tollgate/pkg/outbox"
	"tollgate/pkg/stdwebhooks"
)

// fixed are keys that do not change.
type fixed string

func (f fixed) Keys(context.Context) (stdwebhooks.Keys, error) {
	if f == "" {
		return stdwebhooks.Keys{}, errors.New("fetch secret: whsec_SENSITIVE")
	}
	return stdwebhooks.Parse(string(f))
}

func target(t testing.TB, url, keys string) *Target {
	return targetWith(t, url, keys, egress.Options{Local: true}, nil)
}

func targetWith(t testing.TB, url, keys string, o egress.Options, headers map[string]string) *Target {
	t.Helper()
	client, err := egress.New(o)
	if err != nil {
		t.Fatal(err)
	}
	target, err := New(Config{URL: url, Headers: headers, Keys: fixed(keys), Client: client})
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func aDelivery() delivery.Delivery {
	key := "OUT#receipt#live#acct_1#in_1"
	return delivery.Delivery{
		ID: delivery.ID(key), Account: "acct_1", Sequence: 7, Attempt: 2,
		Message: outbox.Message{
			Key: key, Name: "receipt", To: "cus_1", Since: time.Unix(1_790_000_000, 0),
			Fields: map[string]any{"kind": "outbox", "mode": "live", "account": "acct_1", "object": "invoice", "object_id": "in_1", "amount": int64(4200), "currency": "eur", "note": "<&>"},
		},
	}
}

// TestHeaders: the scheme's headers win over those of the configuration, and the id stays.
func TestHeaders(t *testing.T) {
	var got []http.Header
	url := serve(t, func(h http.Header, _ []byte) error { got = append(got, h); return nil })
	target := targetWith(t, url, newSecret, egress.Options{Local: true}, map[string]string{
		"X-Team": "a", "Authorization": "Bearer b", "webhook-id": "c", "webhook-signature": "d", "content-type": "e", "user-agent": "f",
	})
	for attempt := range 2 {
		d := aDelivery()
		d.Attempt = attempt + 1
		if answer := target.Send(t.Context(), d); answer != (delivery.Answer{Verdict: delivery.Done, Status: 204}) {
			t.Fatalf("%+v", answer)
		}
	}
	for _, h := range got {
		want := http.Header{
			"X-Team": {"a"}, "Authorization": {"Bearer b"}, "Content-Type": {"application/json"}, "User-Agent": {"tollgate"},
			"Webhook-Id": {aDelivery().ID}, "Webhook-Timestamp": h["Webhook-Timestamp"], "Webhook-Signature": h["Webhook-Signature"], "Content-Length": h["Content-Length"],
		}
		if diff := cmp.Diff(want, h); diff != "" || !strings.HasPrefix(h.Get("Webhook-Signature"), "v1,") {
			t.Errorf("headers (-want +got):\n%s", diff)
		}
	}
}

func TestAnswered(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status int
		after  string
		want   delivery.Answer
	}{
		{200, "5", delivery.Answer{Verdict: delivery.Done}},
		{202, "", delivery.Answer{Verdict: delivery.Done}},
		{204, "", delivery.Answer{Verdict: delivery.Done}},
		{299, "", delivery.Answer{Verdict: delivery.Done}},
		{101, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 101"}},
		{300, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 300: redirects are not followed"}},
		{301, "5", delivery.Answer{Verdict: delivery.Stop, Err: "answered 301: redirects are not followed"}},
		{308, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 308: redirects are not followed"}},
		{400, "5", delivery.Answer{Verdict: delivery.Stop, Err: "answered 400"}},
		{401, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 401"}},
		{403, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 403"}},
		{404, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 404"}},
		{409, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 409"}},
		{422, "", delivery.Answer{Verdict: delivery.Stop, Err: "answered 422"}},
		{410, "5", delivery.Answer{Verdict: delivery.Disable, Err: "answered 410"}},
		{408, "", delivery.Answer{Verdict: delivery.Retry, Err: "answered 408"}},
		{425, "7", delivery.Answer{Verdict: delivery.Retry, RetryAfter: 7 * time.Second, Err: "answered 425"}},
		{429, "", delivery.Answer{Verdict: delivery.Retry, Err: "answered 429"}},
		{429, "120", delivery.Answer{Verdict: delivery.Retry, RetryAfter: 2 * time.Minute, Err: "answered 429"}},
		{429, "Sat, 28 Nov 2026 12:01:00 GMT", delivery.Answer{Verdict: delivery.Retry, RetryAfter: time.Minute, Err: "answered 429"}},
		{500, "", delivery.Answer{Verdict: delivery.Retry, Err: "answered 500"}},
		{503, "1", delivery.Answer{Verdict: delivery.Retry, RetryAfter: time.Second, Err: "answered 503"}},
		{599, "", delivery.Answer{Verdict: delivery.Retry, Err: "answered 599"}},
		{999, "", delivery.Answer{Verdict: delivery.Retry, Err: "answered 999"}},
	} {
		c.want.Status = c.status
		if got := answered(egress.Answer{Status: c.status, Header: http.Header{"Retry-After": {c.after}}}, now); got != c.want {
			t.Errorf("%d: %+v, want %+v", c.status, got, c.want)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"1":                                time.Second,
		"43200":                            12 * time.Hour,
		"43201":                            12 * time.Hour,
		"18446744073709551615":             12 * time.Hour,
		"99999999999999999999999":          12 * time.Hour,
		"-5":                               0,
		"+5":                               0,
		"1.5":                              0,
		"5s":                               0,
		" 5":                               0,
		"soon":                             0,
		"Sat, 28 Nov 2026 12:00:30 GMT":    30 * time.Second,
		"Sat, 28 Nov 2026 11:59:59 GMT":    0,
		"Saturday, 28-Nov-26 12:00:30 GMT": 30 * time.Second,
		"Sat Nov 28 12:00:30 2026":         30 * time.Second,
		"Mon, 28 Nov 2039 12:00:00 GMT":    12 * time.Hour,
		"Mon, 28 Nov 9999 12:00:00 GMT":    12 * time.Hour,
		"Sat, 28 Nov 0001 12:00:00 GMT":    0,
		"2026-11-28T12:00:30Z":             0,
	} {
		if got := retryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "5", "-1", "99999999999999999999", "Sat, 28 Nov 2026 12:00:30 GMT", "Mon, 28 Nov 9999 12:00:00 GMT"} {
		f.Add(s, int64(1_790_000_000))
	}
	f.Fuzz(func(t *testing.T, text string, now int64) {
		if got := retryAfter(text, time.Unix(now, 0)); got < 0 || got > maxRetryAfter {
			t.Fatalf("%q: %v", text, got)
		}
	})
}

// TestUnanswered: an answer's text names no address, URL or secret.
func TestUnanswered(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	hangUp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, _ := http.NewResponseController(w).Hijack()
		conn.Close()
	}))
	t.Cleanup(hangUp.Close)
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(slow.Close)
	secure := httptest.NewUnstartedServer(nil)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	noNames := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("SENSITIVE") }}
	local := egress.Options{Local: true, Timeout: 2 * time.Second, Resolver: noNames}
	retry := func(err string) delivery.Answer { return delivery.Answer{Verdict: delivery.Retry, Err: err} }
	stop := delivery.Answer{Verdict: delivery.Stop, Err: "the URL or its address is refused by the guard against SSRF"}
	for _, c := range []struct {
		name, url, keys string
		o               egress.Options
		want            delivery.Answer
	}{
		{"nothing listens", closed.URL + "/SENSITIVE?a=SENSITIVE", newSecret, local, retry("connection refused")},
		{"the connection is closed", hangUp.URL, newSecret, local, retry("connection closed without an answer")},
		{"no answer", slow.URL, newSecret, local, retry("timeout")},
		{"an unknown certificate", secure.URL, newSecret, local, retry("the TLS certificate is not valid for the host")},
		{"no TLS", strings.Replace(slow.URL, "http:", "https:", 1), newSecret, local, retry("TLS handshake failed")},
		{"no such name", "https://SENSITIVE.test/", newSecret, local, retry("the host's name was not resolved")},
		{"a private address", "https://10.0.0.1/SENSITIVE", newSecret, egress.Options{}, stop},
		{"plain HTTP", "http://example.com/SENSITIVE", newSecret, egress.Options{}, stop},
		{"no keys", slow.URL, "", local, retry("no signing key could be read")},
		{"a public key", slow.URL, publicKey, local, retry("a public key cannot sign")},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := targetWith(t, c.url, c.keys, c.o, nil).Send(t.Context(), aDelivery())
			if got != c.want || len(got.Err) > delivery.MaxErr || strings.Contains(got.Err, "SENSITIVE") {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := target(t, slow.URL, newSecret).Send(ctx, aDelivery()); got != retry("cancelled") {
		t.Errorf("cancelled: %+v", got)
	}
	broken := aDelivery()
	broken.Event = &delivery.Event{ID: "evt_1", Body: []byte("{")}
	if got := target(t, slow.URL, newSecret).Send(t.Context(), broken); got.Verdict != delivery.Stop || got.Err != "the message cannot be written as JSON" {
		t.Errorf("broken: %+v", got)
	}
	if got := describe(errors.New("SENSITIVE")); got != "network error" {
		t.Errorf("described as %q", got)
	}
}

// TestConcurrentSends share a target, its keys and its connections.
func TestConcurrentSends(t *testing.T) {
	var mu sync.Mutex
	ids := map[string]int{}
	url := serve(t, func(h http.Header, _ []byte) error {
		mu.Lock()
		defer mu.Unlock()
		ids[h.Get(stdwebhooks.HeaderID)]++
		return nil
	})
	target := target(t, url, newSecret)
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			d := aDelivery()
			d.ID = delivery.ID(string(rune('a' + i)))
			if answer := target.Send(t.Context(), d); answer.Verdict != delivery.Done {
				t.Errorf("%+v", answer)
			}
		})
	}
	wg.Wait()
	if len(ids) != 50 {
		t.Errorf("%d ids", len(ids))
	}
}

func TestNewRefuses(t *testing.T) {
	client, err := egress.New(egress.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{{Keys: fixed(newSecret), Client: client}, {URL: "https://example.com", Client: client}, {URL: "https://example.com", Keys: fixed(newSecret)}} {
		if _, err := New(c); err == nil {
			t.Errorf("%+v is accepted", c)
		}
	}
}
