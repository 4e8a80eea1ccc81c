package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// FuzzEvent holds that the function gets the body's bytes whatever the request is.
func FuzzEvent(f *testing.F) {
	f.Add("POST", "/hooks/a?b=c", "Content-Type", "application/json", "h:1", []byte(`{"a":1}`))
	f.Add("GET", "/%ff?%zz;", "Cookie", "a=1;;b", "", []byte("\xff\x00"))
	f.Add("", "*", "x-forwarded-for", "\xff", "[::1]:x", []byte("\xed\xa0\x80\u2028"))
	f.Add("P", "/", "Content-Encoding", "gzip", ":", []byte{})
	f.Fuzz(func(t *testing.T, method, target, header, value, host string, body []byte) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		r := &http.Request{Method: method, URL: u, Host: host, Proto: "HTTP/1.1", RemoteAddr: host,
			Header: http.Header{header: {value, value}}}
		found, _ := findRoute([]string{"/hooks/{a}"}, u.Path)
		payload, err := encodeEvent(newEvent(r, body, found, newRequestID(), time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		var e events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatal(err)
		}
		got := []byte(e.Body)
		if e.IsBase64Encoded {
			if got, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, body) {
			t.Errorf("body %q became %q", body, got)
		}
	})
}

// FuzzAnswer holds that any return value is answered or refused, and that a
// body's bytes reach the client.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"statusCode":200,"body":"x"}`, `{"statusCode":204,"headers":{"a":1,"":"x","a b":"\u0000"},"cookies":["\r\n"]}`,
		`"text"`, `null`, ``, ` `, `[`, `{"statusCode":null}`, `{"statusCode":1e2}`, `{"statusCode":200,"headers":{"a":""}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, returned []byte) {
		if a, err := readAnswer(returned); err == nil {
			a.write(httptest.NewRecorder())
		}
		whole, err := json.Marshal(events.APIGatewayV2HTTPResponse{
			StatusCode: 200, Body: base64.StdEncoding.EncodeToString(returned), IsBase64Encoded: true})
		if err != nil {
			t.Fatal(err)
		}
		a, err := readAnswer(whole)
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		a.write(w)
		if !bytes.Equal(w.Body.Bytes(), returned) {
			t.Errorf("body %q became %q", returned, w.Body.Bytes())
		}
	})
}
