package apigw

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/ingest"
)

const trace = "Root=1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30"

// sample returns one of the wire samples.
func sample(t testing.TB, name string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "..", "testdata", "aws", name))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// bodyOf returns the bytes that a sample's sender sent.
func bodyOf(t *testing.T, raw []byte) []byte {
	t.Helper()
	var e struct {
		Body            string
		IsBase64Encoded bool
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	if !e.IsBase64Encoded {
		return []byte(e.Body)
	}
	body, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func TestRequestFromSamples(t *testing.T) {
	plain := bodyOf(t, sample(t, "apigateway-http-2.0.json"))
	for name, endpoint := range map[string]string{
		"apigateway-http-2.0.json": "default", "apigateway-http-2.0-base64.json": "connect",
		"apigateway-rest-1.0.json": "default", "apigateway-rest-1.0-base64.json": "connect",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Request(sample(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(got.Signature, "t=1795053670,v1=") || !strings.Contains(got.Signature, ",v0=") {
				t.Errorf("signature %q", got.Signature)
			}
			got.Signature = ""
			want := ingest.Request{
				Method: "POST", Endpoint: endpoint, ContentType: "application/json; charset=utf-8",
				SourceIP: "3.18.12.63", Body: plain, Trace: trace,
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("request (-want +got):\n%s", d)
			}
		})
	}
}

func TestEndpoint(t *testing.T) {
	http := func(stage, rawPath, route, parameter string) string {
		return asJSON(map[string]any{"version": "2.0", "rawPath": rawPath, "routeKey": route,
			"pathParameters": map[string]string{"endpoint": parameter},
			"requestContext": map[string]any{"stage": stage, "http": map[string]string{"method": "POST"}}})
	}
	rest := func(stage, path, resource, parameter string) string {
		return asJSON(map[string]any{"path": path, "resource": resource, "httpMethod": "POST",
			"pathParameters": map[string]string{"endpoint": parameter},
			"requestContext": map[string]any{"stage": stage}})
	}
	type row struct{ stage, path, route, parameter, want string }
	rows := map[string]row{
		"default":                   {"$default", "/webhooks/stripe", "", "", "default"},
		"named":                     {"$default", "/webhooks/stripe/eu-1", "", "", "eu-1"},
		"stage in the path":         {"prod", "/prod/webhooks/stripe", "", "", "default"},
		"stage and name":            {"prod", "/prod/webhooks/stripe/eu", "", "", "eu"},
		"named stage not in path":   {"prod", "/webhooks/stripe/eu", "", "", "eu"},
		"stage called webhooks":     {"webhooks", "/webhooks/stripe", "", "", "default"},
		"stage webhooks, in path":   {"webhooks", "/webhooks/webhooks/stripe/eu", "", "", "eu"},
		"endpoint called like path": {"prod", "/webhooks/stripe/webhooks", "", "", "webhooks"},
		"32 characters":             {"", "/webhooks/stripe/" + strings.Repeat("a", 32), "", "", strings.Repeat("a", 32)},
		"mapped domain, default":    {"prod", "/payments/webhooks/stripe", "/webhooks/stripe", "", "default"},
		"mapped domain, named":      {"prod", "/payments/webhooks/stripe/eu", "/webhooks/stripe/{endpoint}", "eu", "eu"},
		"path goes before the rest": {"prod", "/webhooks/stripe/eu", "/webhooks/stripe/{endpoint}", "us", "eu"},

		"33 characters":         {"", "/webhooks/stripe/" + strings.Repeat("a", 33), "", "", ""},
		"capitals":              {"", "/webhooks/stripe/EU", "", "", ""},
		"capitals in parameter": {"", "/x/webhooks/stripe/EU", "/webhooks/stripe/{endpoint}", "EU", ""},
		"trailing slash":        {"", "/webhooks/stripe/", "", "", ""},
		"deeper":                {"", "/webhooks/stripe/eu/x", "", "", ""},
		"encoded":               {"", "/webhooks/stripe/e%75", "", "", ""},
		"dots":                  {"", "/webhooks/stripe/../stripe", "", "", ""},
		"prefix only":           {"", "/webhooks/stripes", "", "", ""},
		"another stage":         {"prod", "/dev/webhooks/stripe", "", "", ""},
		"stage without slash":   {"prod", "/prodwebhooks/stripe", "", "", ""},
		"empty":                 {"", "", "", "", ""},
		"root":                  {"prod", "/prod", "", "", ""},
		"catch-all route":       {"", "/elsewhere", "/{proxy+}", "", ""},
	}
	for name, r := range rows {
		for version, raw := range map[string]string{
			"2.0": http(r.stage, r.path, "POST "+r.route, r.parameter),
			"1.0": rest(r.stage, r.path, r.route, r.parameter),
		} {
			got, err := Request([]byte(raw))
			if err != nil || got.Endpoint != r.want {
				t.Errorf("%s, %s: endpoint %q error %v, want %q", name, version, got.Endpoint, err, r.want)
			}
		}
	}
}

func asJSON(v any) string {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func TestHeaders(t *testing.T) {
	cases := []struct{ name, event, want string }{
		{"lower case", `{"version":"2.0","headers":{"stripe-signature":"a"}}`, "a"},
		{"capitals", `{"version":"2.0","headers":{"STRIPE-SIGNATURE":"a"}}`, "a"},
		{"joined by the gateway", `{"version":"2.0","headers":{"stripe-signature":"a,b"}}`, "a,b"},
		{"2.0 reads no multi-value headers", `{"version":"2.0","multiValueHeaders":{"Stripe-Signature":["a"]}}`, ""},
		{"two values", `{"multiValueHeaders":{"Stripe-Signature":["a","b"]},"headers":{"Stripe-Signature":"b"}}`, "a,b"},
		{"two values in version 1.0", `{"version":"1.0","multiValueHeaders":{"stripe-Signature":["a","b"]}}`, "a,b"},
		{"two cases", `{"multiValueHeaders":{"stripe-signature":["c"],"Stripe-Signature":["a","b"]}}`, "a,b,c"},
		{"falling back", `{"multiValueHeaders":{"Host":["x"]},"headers":{"Stripe-Signature":"b"}}`, "b"},
		{"null multi-value headers", `{"multiValueHeaders":null,"headers":{"Stripe-Signature":"b"}}`, "b"},
		{"an unknown version is 1.0", `{"version":"3.0","multiValueHeaders":{"stripe-signature":["a","b"]}}`, "a,b"},
		{"none", `{"headers":null}`, ""},
		{"another name", `{"headers":{"X-Stripe-Signature":"a"}}`, ""},
	}
	for _, c := range cases {
		raw := strings.TrimSuffix(c.event, "}") + `,"httpMethod":"POST","requestContext":{"http":{"method":"POST"}}}`
		got, err := Request([]byte(raw))
		if err != nil || got.Signature != c.want {
			t.Errorf("%s: %q error %v, want %q", c.name, got.Signature, err, c.want)
		}
	}
}

func TestCleanTrace(t *testing.T) {
	const self = "Self=1-6afe5866-000000000000000000000000;"
	for in, want := range map[string]string{
		trace: trace,
		trace + ";Parent=53995c3f42cd8ad8;Sampled=1":   trace + ";Parent=53995c3f42cd8ad8;Sampled=1",
		"Sampled=0; Parent=53995c3f42cd8ad8; " + trace: trace + ";Parent=53995c3f42cd8ad8;Sampled=0",
		self + trace + ";Lineage=1:a87bd80c:0":         trace,
		trace + ";Parent=x;Sampled=?":                  trace,
		"":                                             "",
		"Root=":                                        "",
		"Root=1-6AFE5866-2f6c3e0d4f9b8a7c6d5e4f30":     "",
		"Root=1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30\n":   trace,
		"Root=2-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30":     "",
		"Parent=53995c3f42cd8ad8;Sampled=1":            "",
		"Root=1-6afe5866-2f6c3e0d4f9b8a7c6d5e4f30,Root=1-6afe5866-0000": "",
		strings.Repeat(";", 5000): "",
	} {
		if got := cleanTrace(in); got != want {
			t.Errorf("%.80q: %q, want %q", in, got, want)
		}
	}
}

// fakeIngest returns a fixed answer and keeps the request.
type fakeIngest struct {
	answer ingest.Answer
	err    error
	asked  ingest.Request
}

func (f *fakeIngest) Handle(_ context.Context, r ingest.Request) (ingest.Answer, error) {
	f.asked = r
	return f.answer, f.err
}

func (f *fakeIngest) Reject(_ context.Context, r ingest.Request, reason ingest.Reason) ingest.Answer {
	f.asked = r
	return ingest.Answer{Status: reason.Status(), Reason: reason}
}

func TestInvokeAnswers(t *testing.T) {
	down := errors.New("down")
	cases := []struct {
		name   string
		answer ingest.Answer
		err    error
		want   string
	}{
		{"received", ingest.Answer{Status: 200}, nil,
			`{"statusCode":200,"headers":{"content-type":"application/json"},"body":"{\"received\":true}","isBase64Encoded":false}`},
		{"refused", ingest.Answer{Status: 400, Reason: ingest.NoMatch}, nil,
			`{"statusCode":400,"headers":{"content-type":"application/json"},"body":"{\"error\":\"no_match\"}","isBase64Encoded":false}`},
		{"method", ingest.Answer{Status: 405, Reason: ingest.Method}, nil,
			`{"statusCode":405,"headers":{"allow":"POST","content-type":"application/json"},"body":"{\"error\":\"method\"}","isBase64Encoded":false}`},
		{"our fault", ingest.Answer{}, down, ``},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := NewHandler(&fakeIngest{answer: c.answer, err: c.err}).Invoke(t.Context(), sample(t, "apigateway-http-2.0.json"))
			if string(got) != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %s error %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestRuntimeTraceGoesFirst(t *testing.T) {
	const runtime = "Root=1-00000000-2f6c3e0d4f9b8a7c6d5e4f30;Parent=53995c3f42cd8ad8;Sampled=1"
	for in, want := range map[string]string{runtime + ";Lineage=1:x:0": runtime, "": trace, "garbage": trace} {
		f := &fakeIngest{answer: ingest.Answer{Status: 200}}
		//lint:ignore SA1029 the Lambda runtime's own key is a plain string
		ctx := context.WithValue(t.Context(), "x-amzn-trace-id", in)
		if _, err := NewHandler(f).Invoke(ctx, sample(t, "apigateway-http-2.0.json")); err != nil || f.asked.Trace != want {
			t.Errorf("runtime says %q: trace %q error %v, want %q", in, f.asked.Trace, err, want)
		}
	}
}

func TestUnreadableEventIsMalformed(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000)
	for name, raw := range map[string]string{
		"nothing": "", "garbage": "\x00\xff", "text": "hello", "half": `{"version":"2.0","rawPa`, "null": "null", "list": "[]",
		"number": "7", "no method": `{}`, "two": `{"httpMethod":"POST"}{}`, "deep": deep, "invalid UTF-8": "{\"a\":\"\xff",
		"body is an object":     `{"httpMethod":"POST","body":{"id":"evt_1"}}`,
		"headers are a list":    `{"httpMethod":"POST","headers":["a"]}`,
		"base64 is text":        `{"httpMethod":"POST","isBase64Encoded":true,"body":"{}"}`,
		"base64 cut short":      `{"httpMethod":"POST","isBase64Encoded":true,"body":"e30"}`,
		"base64 url":            `{"httpMethod":"POST","isBase64Encoded":true,"body":"_-__"}`,
		"flag is a string":      `{"httpMethod":"POST","isBase64Encoded":"true","body":"e30="}`,
		"2.0 with 1.0's fields": `{"version":"2.0","httpMethod":"POST"}`,
	} {
		got, err := NewHandler(&fakeIngest{}).Invoke(t.Context(), []byte(raw))
		want := `{"statusCode":400,"headers":{"content-type":"application/json"},"body":"{\"error\":\"malformed\"}","isBase64Encoded":false}`
		if string(got) != want || err != nil {
			t.Errorf("%s: got %s error %v", name, got, err)
		}
	}
}

func FuzzRequest(f *testing.F) {
	// Small seeds: minimising a whole sample would take all of the fuzzer's time.
	f.Add([]byte(`{"version":"2.0","rawPath":"/prod/webhooks/stripe/a","headers":{"stripe-signature":"t=1"},"body":"e30=",` +
		`"isBase64Encoded":true,"requestContext":{"stage":"prod","http":{"method":"POST","sourceIp":"::1"}}}`))
	f.Add([]byte(`{"version":"2.0","rawPath":"/x","routeKey":"POST /webhooks/stripe","headers":{"x-amzn-trace-id":"` + trace + `"},` +
		`"requestContext":{"http":{"method":"POST"}}}`))
	f.Add([]byte(`{"resource":"/webhooks/stripe/{endpoint}","pathParameters":{"endpoint":"a"},"httpMethod":"GET","headers":{"A":"b"}}`))
	f.Add([]byte(`{"httpMethod":"POST","path":"/webhooks/stripe/a","multiValueHeaders":{"stripe-signature":["t=1","v1=00"]},"body":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := Request(raw)
		if r.Endpoint != "" && !event.ValidEndpoint(r.Endpoint) {
			t.Fatalf("endpoint %q", r.Endpoint)
		}
		if cleanTrace(r.Trace) != r.Trace {
			t.Fatalf("trace %q", r.Trace)
		}
		if err != nil && r.Body != nil {
			t.Fatal("an event that cannot be read has a body")
		}
		if err == nil && r.Method == "" {
			t.Fatal("no method")
		}
		if len(r.Body) > 3*len(raw) { // an invalid byte in a JSON string is read as three
			t.Fatal("the body outgrew the event")
		}
		out, invokeErr := NewHandler(&fakeIngest{answer: ingest.Answer{Status: 200}}).Invoke(t.Context(), raw)
		var reply struct{ StatusCode int }
		if invokeErr != nil || json.Unmarshal(out, &reply) != nil || (reply.StatusCode == 200) != (err == nil) {
			t.Fatalf("answer %s error %v for a request with error %v", out, invokeErr, err)
		}
	})
}
