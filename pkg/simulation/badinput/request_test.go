package badinput

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/limits"
)

// request is one delivery as its sender made it.
type request struct {
	method, path string
	headers      []header
	body         []byte
}

type header struct{ name, value string }

// values returns the values of a header.
func (r request) values(name string) (all []string) {
	for _, h := range r.headers {
		if strings.EqualFold(h.name, name) {
			all = append(all, h.value)
		}
	}
	return all
}

// without returns the request without a header.
func (r request) without(name string) request {
	r.headers = slices.DeleteFunc(slices.Clone(r.headers), func(h header) bool { return strings.EqualFold(h.name, name) })
	return r
}

// form is the form in which a delivery reaches the function.
type form string

const (
	http20      form = "2.0"
	http20Coded form = "2.0 base64"
	rest10      form = "1.0"
	rest10Coded form = "1.0 base64"
	front       form = "front" // over a socket, through the local system's gateway
)

func allForms() []form { return []form{http20, http20Coded, rest10, rest10Coded, front} }

// secretsByName are the secrets that a line of the corpus may sign with.
func secretsByName() map[string]string {
	return map[string]string{
		"good": "whsec_good", "second": "whsec_second", "connect": "whsec_connect", // the stored ones
		"wrong": "whsec_wrong", "empty": "", "bare": "good", "newline": "whsec_good\n", "space": " whsec_good",
		"capitals": "WHSEC_GOOD", "prefix": "whsec_", "coded": base64.StdEncoding.EncodeToString([]byte("whsec_good")),
		"both": "whsec_good,whsec_second", "retired": "whsec_retired",
	}
}

// secretText is the webhook secret.
const secretText = `{"default":["whsec_good","whsec_second"],"connect":["whsec_connect"],"live":["whsec_good"],"lax":["whsec_good"],"ours":["whsec_good"]}`

// sign returns a header's value with its placeholders filled: {t} the signature's time,
// {now} the present, {sig} and {sig:NAME} a signature in hex, {SIG} in capitals.
func (r row) sign(template string, payload []byte, now time.Time) string {
	at := now.Add(time.Duration(r.At) * time.Second)
	mac := func(name string) string {
		return hex.EncodeToString(webhook.ComputeSignature(at, payload, secretsByName()[name]))
	}
	fill := []string{
		"{t}", strconv.FormatInt(at.Unix(), 10), "{now}", strconv.FormatInt(now.Unix(), 10),
		"{sig}", mac("good"), "{SIG}", strings.ToUpper(mac("good")),
	}
	for name := range secretsByName() {
		fill = append(fill, "{sig:"+name+"}", mac(name))
	}
	return strings.NewReplacer(fill...).Replace(template)
}

const goodSignature = "t={t},v1={sig}"

// request makes the row's delivery, signed now.
func (r row) request(t testing.TB) request {
	t.Helper()
	body := r.body(t)
	signed := body
	if r.Signed != nil {
		signed = r.Signed.bytes(t)
	}
	made := request{method: http.MethodPost, path: limits.WebhookPath, body: body}
	media := "application/json; charset=utf-8"
	for _, set := range []struct {
		to   *string
		from *string
	}{{&made.method, r.Method}, {&made.path, r.Path}, {&media, r.Media}} {
		if set.from != nil {
			*set.to = *set.from
		}
	}
	made.headers = []header{{"Content-Type", media}, {"User-Agent", "Stripe/1.0 (+https://stripe.com/docs/webhooks)"}}
	signatures := r.Signature
	if signatures == nil {
		signatures = texts{goodSignature}
	}
	now := time.Now()
	for _, template := range signatures {
		made.headers = append(made.headers, header{cmp.Or(r.SigHeader, "Stripe-Signature"), r.sign(template, signed, now)})
	}
	if r.Without != "" {
		made = made.without(r.Without)
	}
	return made
}

// body returns the row's body, by default a good event's.
func (r row) body(t testing.TB) []byte {
	t.Helper()
	switch {
	case r.made != nil:
		return r.made
	case r.Body == nil:
		return part{Event: "payment_intent.succeeded"}.bytes(t)
	}
	return r.Body.bytes(t)
}

// forms returns the forms that can carry a request: a text form needs UTF-8, and HTTP cannot carry
// every header value.
func (r row) forms(made request) (out []form) {
	for _, f := range allForms() {
		if r.Forms != nil && !slices.Contains(r.Forms, f) {
			continue
		}
		if (f == http20 || f == rest10) && !utf8.Valid(made.body) || f == front && !made.fitsHTTP() {
			continue
		}
		out = append(out, f)
	}
	return out
}

var (
	plainPath  = regexp.MustCompile(`^(/[A-Za-z0-9_.-]+)+/?$`)
	plainToken = regexp.MustCompile(`^[A-Za-z]+$`)
	plainValue = regexp.MustCompile(`^[!-~]([ -~]*[!-~])?$`)
)

func (r request) fitsHTTP() bool {
	size := 0
	for _, h := range r.headers {
		size += len(h.name) + len(h.value)
		if h.value != "" && !plainValue.MatchString(h.value) {
			return false
		}
	}
	return size < 8_000 && len(r.body) <= limits.MaxBody+1 && r.method != http.MethodConnect &&
		plainToken.MatchString(r.method) && plainPath.MatchString(r.path)
}

// event returns a gateway's event in one of its forms.
func (r request) event(t testing.TB, f form) []byte {
	t.Helper()
	coded := f == http20Coded || f == rest10Coded
	body := string(r.body)
	if coded {
		body = base64.StdEncoding.EncodeToString(r.body)
	}
	e := map[string]any{"body": body, "isBase64Encoded": coded}
	if f == http20 || f == http20Coded {
		joined := map[string]string{}
		for _, h := range r.headers {
			joined[strings.ToLower(h.name)] = strings.Join(r.values(h.name), ",")
		}
		e["version"], e["rawPath"], e["headers"] = "2.0", r.path, joined
		e["requestContext"] = map[string]any{"stage": "$default", "http": map[string]string{"method": r.method, "sourceIp": "3.18.12.63"}}
	} else {
		last, multi := map[string]string{}, map[string][]string{}
		for _, h := range r.headers {
			last[h.name], multi[h.name] = h.value, r.values(h.name)
		}
		e["path"], e["httpMethod"], e["headers"], e["multiValueHeaders"] = r.path, r.method, last, multi
		e["requestContext"] = map[string]any{"stage": "prod", "identity": map[string]string{"sourceIp": "3.18.12.63"}}
	}
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// overHTTP returns the request as a client sends it to a server.
func (r request) overHTTP(t testing.TB, host string) *http.Request {
	t.Helper()
	out, err := http.NewRequestWithContext(t.Context(), r.method, "http://"+host, bytes.NewReader(r.body))
	if err != nil {
		t.Fatal(err)
	}
	out.URL = &url.URL{Scheme: "http", Host: host, Path: r.path}
	for _, h := range r.headers {
		out.Header.Add(h.name, h.value)
	}
	return out
}
