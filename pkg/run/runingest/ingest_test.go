package runingest

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// These tests invoke the wired ingest function with API Gateway events. It calls a fake SQS
// and Secrets Manager over loopback sockets. Packages ingest, apigw and secrets test the
// single answers.

const (
	oldSecret = "whsec_old"
	newSecret = "whsec_new"
	payload   = `{"id":"evt_1","object":"event","type":"invoice.paid","account":"acct_1","data":{"object":{"id":"in_1","v":"💸` + "\u2028" + `"}}}` + "\r\n"
)

// fakeAWS is SQS and Secrets Manager.
type fakeAWS struct {
	mu          sync.Mutex
	secret      string
	secretDown  bool
	queueDown   bool
	secretCalls int
	sendCalls   int
	bodies      []string
}

func (f *fakeAWS) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	raw, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	rw.Header().Set("Content-Type", "application/x-amz-json-1.1")
	switch r.Header.Get("X-Amz-Target") {
	case "secretsmanager.GetSecretValue":
		f.secretCalls++
		if f.secretDown {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(rw).Encode(map[string]string{"SecretString": f.secret})
	case "AmazonSQS.SendMessage":
		f.sendCalls++
		if f.queueDown {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var in struct{ MessageBody string }
		_ = json.Unmarshal(raw, &in)
		f.bodies = append(f.bodies, in.MessageBody)
		sum := md5.Sum([]byte(in.MessageBody))
		_ = json.NewEncoder(rw).Encode(map[string]string{"MessageId": "m", "MD5OfMessageBody": hex.EncodeToString(sum[:])})
	default:
		rw.WriteHeader(http.StatusNotImplemented)
	}
}

func (f *fakeAWS) change(do func(*fakeAWS)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do(f)
}

// counts returns fetches of the secret, sends, and stored messages.
func (f *fakeAWS) counts() (fetches, sends, stored int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.secretCalls, f.sendCalls, len(f.bodies)
}

func setup(t testing.TB, change map[string]string) (*fakeAWS, lambda.Handler) {
	t.Helper()
	f := &fakeAWS{secret: `{"default":["` + oldSecret + `"],"empty":[]}`}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	all := map[string]string{"AWS_ENDPOINT_URL": server.URL, "TOLLGATE_QUEUE_URL": server.URL + "/000000000000/tollgate-events"}
	maps.Copy(all, change)
	h, err := Wire(environment(all))
	if err != nil {
		t.Fatal(err)
	}
	if fetches, sends, _ := f.counts(); fetches != 0 || sends != 0 {
		t.Errorf("wiring made %d fetches and %d sends", fetches, sends)
	}
	return f, h
}

// delivery is a request as its sender made it.
type delivery struct {
	method, path, source, body string
	headers                    map[string]string
}

func signed(body, secret string) delivery {
	h := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret, Timestamp: time.Now()})
	return delivery{method: "POST", path: "/webhooks/stripe", source: "3.18.12.63", body: body, headers: map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": h.Header,
	}}
}

// httpEvent is a delivery in payload version 2.0, in plain text.
func httpEvent(d delivery) []byte {
	headers := map[string]string{}
	for name, value := range d.headers {
		headers[strings.ToLower(name)] = value
	}
	return mustJSON(map[string]any{
		"version": "2.0", "rawPath": d.path, "headers": headers, "body": d.body,
		"requestContext": map[string]any{"stage": "$default", "http": map[string]string{"method": d.method, "sourceIp": d.source}},
	})
}

// restEvent is a delivery in payload version 1.0, in base64.
func restEvent(d delivery) []byte {
	return mustJSON(map[string]any{
		"path": d.path, "httpMethod": d.method, "headers": d.headers,
		"body": base64.StdEncoding.EncodeToString([]byte(d.body)), "isBase64Encoded": true,
		"requestContext": map[string]any{"stage": "prod", "identity": map[string]string{"sourceIp": d.source}},
	})
}

func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

type reply struct {
	StatusCode int
	Headers    map[string]string
	Body       string
}

func invoke(t *testing.T, h lambda.Handler, event []byte) (reply, error) {
	t.Helper()
	raw, err := h.Invoke(t.Context(), event)
	var r reply
	if err == nil {
		if err := json.Unmarshal(raw, &r); err != nil {
			t.Fatal(err)
		}
	}
	return r, err
}

func TestIngestAnswers(t *testing.T) {
	pad := func(n int) string { return payload + strings.Repeat(" ", n-len(payload)) }
	for _, c := range []struct {
		name     string
		delivery delivery
		change   func(*delivery)
		status   int
		reason   string
	}{
		{"accepted", signed(payload, oldSecret), nil, 200, ""},
		{"largest body", signed(pad(limits.MaxBody), oldSecret), nil, 200, ""},
		{"allowed range", signed(payload, oldSecret), func(d *delivery) { d.source = "10.9.9.9" }, 200, ""},
		{"one byte too large", signed(pad(limits.MaxBody+1), oldSecret), nil, 413, "too_large"},
		{"forged", signed(payload, "whsec_other"), nil, 400, "no_match"},
		{"not an event", signed(`{"id":"cus_1","object":"customer"}`, oldSecret), nil, 400, "not_event"},
		{"unknown endpoint", signed(payload, oldSecret), func(d *delivery) { d.path += "/unknown" }, 404, "endpoint"},
		{"unknown path", signed(payload, oldSecret), func(d *delivery) { d.path = "/" }, 404, "endpoint"},
		{"method", signed(payload, oldSecret), func(d *delivery) { d.method = "OPTIONS" }, 405, "method"},
		{"media type", signed(payload, oldSecret), func(d *delivery) { delete(d.headers, "Content-Type") }, 415, "media_type"},
		{"source", signed(payload, oldSecret), func(d *delivery) { d.source = "3.18.12.64" }, 403, "source"},
	} {
		if c.change != nil {
			c.change(&c.delivery)
		}
		for form, event := range map[string]func(delivery) []byte{"2.0": httpEvent, "1.0": restEvent} {
			t.Run(c.name+"/"+form, func(t *testing.T) {
				f, h := setup(t, map[string]string{"TOLLGATE_ALLOW_IPS": "3.18.12.63,10.0.0.0/8"})
				got, err := invoke(t, h, event(c.delivery))
				if err != nil {
					t.Fatal(err)
				}
				want := reply{StatusCode: c.status, Body: `{"received":true}`, Headers: map[string]string{"content-type": "application/json"}}
				if c.status != 200 {
					want.Body = `{"error":"` + c.reason + `"}`
				}
				if c.status == 405 {
					want.Headers["allow"] = "POST"
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("answer (-want +got):\n%s", diff)
				}
				f.checkQueued(t, c.delivery.body, c.status == 200)
			})
		}
	}
}

// checkQueued expects exactly this body on the queue, or no message.
func (f *fakeAWS) checkQueued(t *testing.T, body string, accepted bool) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !accepted {
		if len(f.bodies) != 0 {
			t.Errorf("%d messages of a rejected delivery", len(f.bodies))
		}
		return
	}
	if len(f.bodies) != 1 {
		t.Fatalf("%d messages, want 1", len(f.bodies))
	}
	e, err := queue.Decode(f.bodies[0])
	if err != nil || string(e.Body) != body {
		t.Errorf("error %v; the queue's body has %d bytes, the sender's %d", err, len(e.Body), len(body))
	}
}

func TestMalformedGatewayEvent(t *testing.T) {
	_, h := setup(t, nil)
	got, err := invoke(t, h, []byte(`{"httpMethod":"POST","isBase64Encoded":true,"body":"*"}`))
	if err != nil || got.StatusCode != 400 || got.Body != `{"error":"malformed"}` {
		t.Errorf("%+v error %v", got, err)
	}
}

// TestIngestFails: a fault of ours is an error, so that Stripe gets a 5xx and retries.
func TestIngestFails(t *testing.T) {
	for _, c := range []struct {
		name  string
		path  string
		fault func(*fakeAWS)
		sends int
	}{
		{"queue down", "", func(f *fakeAWS) { f.queueDown = true }, limits.AWS().SendTries},
		{"secrets down from the start", "", func(f *fakeAWS) { f.secretDown = true }, 0},
		{"secret is not JSON", "", func(f *fakeAWS) { f.secret = "whsec_old" }, 0},
		{"endpoint without a secret", "/empty", func(*fakeAWS) {}, 0},
		{"only unusable secrets", "", func(f *fakeAWS) { f.secret = `{"default":["","whsec_a b","sk_1"]}` }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, h := setup(t, nil)
			f.change(c.fault)
			d := signed(payload, oldSecret)
			d.path += c.path
			if got, err := invoke(t, h, httpEvent(d)); err == nil {
				t.Errorf("answered %+v", got)
			}
			if _, sends, stored := f.counts(); sends != c.sends || stored != 0 {
				t.Errorf("%d sends, %d stored; want %d and none", sends, stored, c.sends)
			}
		})
	}
}

// TestSecretsDownWithCache: an outage after the first fetch rejects no valid delivery.
func TestSecretsDownWithCache(t *testing.T) {
	f, h := setup(t, nil)
	for i := range 3 {
		if got, err := invoke(t, h, httpEvent(signed(payload, oldSecret))); err != nil || got.StatusCode != 200 {
			t.Fatalf("delivery %d: %+v error %v", i, got, err)
		}
		f.change(func(f *fakeAWS) { f.secretDown = true })
	}
	if got, err := invoke(t, h, httpEvent(signed(payload, "whsec_other"))); err != nil || got.StatusCode != 400 {
		t.Errorf("forged: %+v error %v, want 400", got, err)
	}
}

// TestRotation rolls the signing secret under load: no delivery is rejected while Stripe
// signs with the old one, with both and with the new one. Then forged deliveries cause no
// further fetch.
func TestRotation(t *testing.T) {
	f, h := setup(t, nil)
	phases := []func(body string) delivery{
		func(body string) delivery { return signed(body, oldSecret) },
		func(body string) delivery {
			d := signed(body, oldSecret)
			_, v1, _ := strings.Cut(signed(body, newSecret).headers["Stripe-Signature"], ",")
			d.headers["Stripe-Signature"] += "," + v1
			return d
		},
		func(body string) delivery { return signed(body, newSecret) },
		func(body string) delivery { return signed(body, "whsec_other") },
	}
	const senders, each = 4, 80
	for phase, sign := range phases {
		if phase == 2 {
			f.change(func(f *fakeAWS) { f.secret = `{"default":["` + newSecret + `"]}` })
		}
		var accepted atomic.Int32
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := range each {
					body := strings.Replace(payload, "evt_1", fmt.Sprintf("evt_%d_%d_%d", phase, s, i), 1)
					got, err := invoke(t, h, httpEvent(sign(body)))
					if err != nil {
						t.Error(err)
					}
					if got.StatusCode == 200 {
						accepted.Add(1)
					}
				}
			})
		}
		wg.Wait()
		if want := int32(senders * each); accepted.Load() != want && phase < 3 || phase == 3 && accepted.Load() != 0 {
			t.Errorf("phase %d: %d of %d accepted", phase, accepted.Load(), want)
		}
	}
	if fetches, _, stored := f.counts(); fetches != 2 || stored != 3*senders*each {
		t.Errorf("%d fetches, %d stored; want the first and one after the roll, and %d", fetches, stored, 3*senders*each)
	}
}

// environment looks variables up in a complete configuration with these changes.
func environment(change map[string]string) func(string) (string, bool) {
	all := map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"TOLLGATE_WEBHOOK_SECRET_ID": "tollgate/webhook", "TOLLGATE_LOG_LEVEL": "error",
	}
	maps.Copy(all, change)
	return func(name string) (string, bool) { v, ok := all[name]; return v, ok }
}
