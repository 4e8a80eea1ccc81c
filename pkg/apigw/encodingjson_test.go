package apigw

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// decodedEvent is a gateway event as encoding/json decodes it.
type decodedEvent struct {
	Version        string            `json:"version"`
	RawPath        string            `json:"rawPath"`  // 2.0
	RouteKey       string            `json:"routeKey"` // 2.0
	Path           string            `json:"path"`     // 1.0
	Resource       string            `json:"resource"` // 1.0
	HTTPMethod     string            `json:"httpMethod"`
	PathParameters map[string]string `json:"pathParameters"`

	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`

	RequestContext struct {
		Stage string `json:"stage"`
		HTTP  struct {
			Method   string `json:"method"`
			SourceIP string `json:"sourceIp"`
		} `json:"http"` // 2.0
		Identity struct {
			SourceIP string `json:"sourceIp"`
		} `json:"identity"` // 1.0
	} `json:"requestContext"`

	Body            string `json:"body"`
	IsBase64Encoded bool   `json:"isBase64Encoded"`
}

func (d decodedEvent) event() gatewayEvent {
	return gatewayEvent{
		version: d.Version, rawPath: d.RawPath, routeKey: d.RouteKey, path: d.Path, resource: d.Resource, httpMethod: d.HTTPMethod,
		pathParameters: d.PathParameters, headers: read(d.Headers), multiValueHeaders: d.MultiValueHeaders, stage: d.RequestContext.Stage,
		httpMethod2: d.RequestContext.HTTP.Method, httpSourceIP: d.RequestContext.HTTP.SourceIP, identitySourceIP: d.RequestContext.Identity.SourceIP,
		body: []byte(d.Body), isBase64Encoded: d.IsBase64Encoded,
	}
}

// read returns the headers that are read, sorted.
func read(all map[string]string) (headers [][2]string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if slices.ContainsFunc(headersRead, func(name string) bool { return strings.EqualFold(name, key) }) {
			headers = append(headers, [2]string{key, all[key]})
		}
	}
	return headers
}

// FuzzAgainstEncodingJSON: an event is read as encoding/json reads it, or refused like there. Where
// one name matches several members, encoding/json mixes them, and here the last counts.
func FuzzAgainstEncodingJSON(f *testing.F) {
	for _, s := range []string{
		`{"version":"2.0","rawPath":"\u0061","requestContext":{"stage":"$default","http":{"method":"POST","sourceIp":"::1"}},"body":"\"{}\\\n","isBase64Encoded":true}`,
		`{"httpMethod":"POST","headers":{"a":1}}`,
		`{"headers":{"Stripe-Signature":"a","stripe-signature":"b","x-AMZN-trace-id":null,"host":"h","content-type":"\u0061"}}`, `{"headers":{"\u0068ost":[]}}`, `{"httpMethod":null,"requestContext":{"identity":{"sourceIp":"1"},"http":null},"body":null,"headers":null}`,
		`{"requestContext":[]}`, `{"requestContext":{"http":"x"}}`, `{"Body":"x"}`, `{"body":"x","body":"y"}`, `{"multiValueHeaders":{"A":["b",null]}}`, "{\"body\":\"\xff\"}", "null", "",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(agreesWithEncodingJSON)
}

// TestSamplesAgainstEncodingJSON: they are too large for the fuzzer.
func TestSamplesAgainstEncodingJSON(t *testing.T) {
	for _, name := range []string{"apigateway-http-2.0.json", "apigateway-http-2.0-base64.json", "apigateway-rest-1.0.json", "apigateway-rest-1.0-base64.json"} {
		agreesWithEncodingJSON(t, sample(t, name))
	}
}

func agreesWithEncodingJSON(t *testing.T, payload []byte) {
	t.Helper()
	if json.Valid(payload) && twice(json.NewDecoder(bytes.NewReader(payload))) {
		return
	}
	var d decodedEvent
	wantErr := json.Unmarshal(payload, &d)
	if string(bytes.TrimSpace(payload)) == "null" {
		wantErr = errors.New("without a method")
	}
	got, err := readEvent(payload)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%q: %v, encoding/json says %v", payload, err, wantErr)
	}
	slices.SortFunc(got.headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	if diff := cmp.Diff(d.event(), got, cmp.AllowUnexported(gatewayEvent{}), cmpopts.EquateEmpty()); err == nil && diff != "" {
		t.Fatalf("%q: %s", payload, diff)
	}
}

// twice reports whether an object in valid JSON has two keys that differ in case at most. It
// reads one value.
func twice(dec *json.Decoder) (is bool) {
	open, _ := dec.Token()
	if _, ok := open.(json.Delim); !ok {
		return false
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == json.Delim('{') {
			key, _ := dec.Token()
			name := strings.ToLower(strings.ToUpper(key.(string)))
			is = is || seen[name]
			seen[name] = true
		}
		is = twice(dec) || is
	}
	_, _ = dec.Token()
	return is
}
