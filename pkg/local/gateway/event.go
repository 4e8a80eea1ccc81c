package gateway

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

const (
	stage     = "$default"
	accountID = "000000000000"
	apiID     = "local"
	// requestTime is the form of requestContext.time.
	requestTime = "02/Jan/2006:15:04:05 -0700"
)

// newEvent encodes a request as the HTTP API does in payload format 2.0: header names in
// lower case, repeated headers joined by commas, cookies separate, the path decoded, the
// query unchanged.
func newEvent(r *http.Request, body []byte, found match, id string, now time.Time) events.APIGatewayV2HTTPRequest {
	routeKey := r.Method + " " + found.pattern
	source := sourceIP(r)
	domain, prefix := domainName(r.Host)
	text, isBase64 := encodeBody(r.Header, body)
	return events.APIGatewayV2HTTPRequest{
		Version:               "2.0",
		RouteKey:              routeKey,
		RawPath:               r.URL.Path,
		RawQueryString:        r.URL.RawQuery,
		Cookies:               cookies(r.Header),
		Headers:               headers(r, len(body), source, now),
		QueryStringParameters: queryParameters(r.URL.RawQuery),
		PathParameters:        found.parameters,
		Body:                  text,
		IsBase64Encoded:       isBase64,
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey:     routeKey,
			AccountID:    accountID,
			Stage:        stage,
			RequestID:    id,
			APIID:        apiID,
			DomainName:   domain,
			DomainPrefix: prefix,
			Time:         now.UTC().Format(requestTime),
			TimeEpoch:    now.UnixMilli(),
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method:    r.Method,
				Path:      r.URL.Path,
				Protocol:  r.Proto,
				SourceIP:  source,
				UserAgent: r.UserAgent(),
			},
		},
	}
}

// encodeEvent is JSON without HTML escapes, which would only make it larger.
func encodeEvent(event events.APIGatewayV2HTTPRequest) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(event); err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}

// encodeBody returns the body as text if its content type is a text type and it is valid
// UTF-8, and as base64 otherwise. The function gets the same bytes either way.
func encodeBody(h http.Header, body []byte) (text string, isBase64 bool) {
	if len(body) == 0 || isText(h) && utf8.Valid(body) {
		return string(body), false
	}
	return base64.StdEncoding.EncodeToString(body), true
}

func isText(h http.Header) bool {
	if coding := h.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return false
	}
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	media = strings.ToLower(strings.TrimSpace(media))
	switch media {
	case "", "application/json", "application/javascript", "application/xml":
		return true
	}
	return strings.HasPrefix(media, "text/") || strings.HasSuffix(media, "+json") || strings.HasSuffix(media, "+xml")
}

// hopByHop reports whether a header, in lower case, belongs to one connection.
func hopByHop(name string) bool {
	switch name {
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "te", "trailer", "upgrade", "expect":
		return true
	}
	return false
}

func headers(r *http.Request, bodyBytes int, source string, now time.Time) map[string]string {
	all := make(map[string]string, len(r.Header)+6)
	for name, values := range r.Header {
		if name = strings.ToLower(name); !hopByHop(name) && name != "cookie" {
			all[name] = strings.Join(values, ",")
		}
	}
	if r.Host != "" {
		all["host"] = r.Host
	}
	if bodyBytes > 0 || r.Header.Get("Content-Length") != "" {
		all["content-length"] = strconv.Itoa(bodyBytes)
	}
	all["x-forwarded-for"] = source
	if before := r.Header.Values("X-Forwarded-For"); len(before) > 0 {
		all["x-forwarded-for"] = strings.Join(before, ",") + ", " + source
	}
	all["x-forwarded-proto"] = "http"
	all["x-forwarded-port"] = port(r.Host)
	if all["x-amzn-trace-id"] == "" {
		all["x-amzn-trace-id"] = fmt.Sprintf("Root=1-%08x-%s", uint32(now.Unix()), hex.EncodeToString(random(12)))
	}
	return all
}

// cookies lists the name=value pairs of all Cookie headers.
func cookies(h http.Header) []string {
	var list []string
	for _, line := range h.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") {
			if pair = strings.TrimSpace(pair); pair != "" {
				list = append(list, pair)
			}
		}
	}
	return list
}

// queryParameters are the decoded parameters; others are in the raw query only.
func queryParameters(raw string) map[string]string {
	values, _ := url.ParseQuery(raw)
	if len(values) == 0 {
		return nil
	}
	all := make(map[string]string, len(values))
	for name, list := range values {
		all[name] = strings.Join(list, ",")
	}
	return all
}

// sourceIP is the address of the connection; headers are ignored.
func sourceIP(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		return host
	}
	return r.RemoteAddr
}

func domainName(host string) (name, prefix string) {
	name = host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	prefix, _, _ = strings.Cut(name, ".")
	return name, prefix
}

func port(host string) string {
	if _, p, err := net.SplitHostPort(host); err == nil {
		return p
	}
	return "80"
}

// newRequestID has the form of the HTTP API's: 11 random bytes in base64.
func newRequestID() string { return base64.URLEncoding.EncodeToString(random(11)) }

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return b
}
