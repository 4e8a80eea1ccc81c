package gateway

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// probe is a gateway on a real socket with a function that records its events.
type probe struct {
	address string
	gateway *Gateway
	events  chan events.APIGatewayV2HTTPRequest
}

// startProbe serves a gateway whose function is f; nil answers an empty 200.
func startProbe(t *testing.T, o Options, f Invoker) *probe {
	t.Helper()
	p := &probe{events: make(chan events.APIGatewayV2HTTPRequest, 2000)}
	o.Routes = []string{"/hooks", "/hooks/{endpoint}"}
	o.Invoker = func(ctx context.Context, payload []byte) ([]byte, error) {
		var e events.APIGatewayV2HTTPRequest
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Errorf("event is no JSON: %v", err)
		}
		p.events <- e
		if f == nil {
			return []byte(`{"statusCode":200}`), nil
		}
		return f(ctx, payload)
	}
	g, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := g.Server()
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	t.Cleanup(func() { server.Close(); <-done })
	p.address, p.gateway = listener.Addr().String(), g
	return p
}

// raw sends bytes as they are and returns the response's status, headers and body.
func (p *probe) raw(t *testing.T, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", p.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, request) // the answer may come before all is sent
	return readResponse(t, conn)
}

func readResponse(t *testing.T, conn net.Conn) (*http.Response, string) {
	t.Helper()
	conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("read response: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("read response body: %v", err)
	}
	return resp, string(body)
}

func TestEvent(t *testing.T) {
	t.Parallel()
	p := startProbe(t, Options{}, nil)
	body := `{"a":"é <&>"}`
	resp, _ := p.raw(t, "POST /hooks/acme%20co?b=2&a=x%20y&a=z&%zz HTTP/1.1\r\n"+
		"Host: pay.example.com:4242\r\nUser-Agent: Stripe/1.0\r\nContent-Type: application/json; charset=utf-8\r\n"+
		"X-Two: 1\r\nx-two: 2\r\nCookie: a=1; b=2\r\nCookie: c=3\r\nX-Forwarded-For: 9.9.9.9\r\nConnection: close\r\n"+
		"X-Amzn-Trace-Id: Root=1-a-b\r\nStripe-Signature: t=1,v1=ab\r\n"+
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
	got := <-p.events
	want := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST /hooks/{endpoint}", RawPath: "/hooks/acme co",
		RawQueryString: "b=2&a=x%20y&a=z&%zz", Cookies: []string{"a=1", "b=2", "c=3"},
		Headers: map[string]string{
			"host": "pay.example.com:4242", "user-agent": "Stripe/1.0", "content-type": "application/json; charset=utf-8",
			"x-two": "1,2", "x-forwarded-for": "9.9.9.9, 127.0.0.1", "x-forwarded-port": "4242", "x-forwarded-proto": "http",
			"x-amzn-trace-id": "Root=1-a-b", "stripe-signature": "t=1,v1=ab", "content-length": fmt.Sprint(len(body)),
		},
		QueryStringParameters: map[string]string{"a": "x y,z", "b": "2"},
		PathParameters:        map[string]string{"endpoint": "acme co"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: "POST /hooks/{endpoint}", AccountID: "000000000000", Stage: "$default", APIID: "local",
			RequestID: resp.Header.Get("Apigw-Requestid"), DomainName: "pay.example.com", DomainPrefix: "pay",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: "POST", Path: "/hooks/acme co", Protocol: "HTTP/1.1", SourceIP: "127.0.0.1", UserAgent: "Stripe/1.0",
			},
		},
		Body: body,
	}
	ignoreTime := cmpopts.IgnoreFields(events.APIGatewayV2HTTPRequestContext{}, "Time", "TimeEpoch")
	if diff := cmp.Diff(want, got, ignoreTime); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
	when, err := time.Parse(requestTime, got.RequestContext.Time)
	if err != nil || when.Unix() != got.RequestContext.TimeEpoch/1000 || time.Since(when) > time.Minute {
		t.Errorf("time %q, epoch %d, error %v", got.RequestContext.Time, got.RequestContext.TimeEpoch, err)
	}
	if len(got.RequestContext.RequestID) != 16 {
		t.Errorf("request id %q", got.RequestContext.RequestID)
	}
}

func TestBodyEncoding(t *testing.T) {
	t.Parallel()
	p := startProbe(t, Options{}, nil)
	tests := []struct {
		name, headers, body string
		isBase64            bool
	}{
		{"json", "Content-Type: application/json\r\n", `{"a":1}`, false},
		{"json by suffix, upper case", "Content-Type: Application/Vnd.API+JSON; x=y\r\n", `{}`, false},
		{"xml", "Content-Type: application/xml\r\n", `<a/>`, false},
		{"text", "Content-Type: text/plain\r\n", "a\u2028b\ufeff\x00\"\\", false},
		{"no type", "", "plain", false},
		{"empty", "Content-Type: image/png\r\n", "", false},
		{"form", "Content-Type: application/x-www-form-urlencoded\r\n", "a=b", true},
		{"octets", "Content-Type: application/octet-stream\r\n", "abc", true},
		{"compressed json", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "abc", true},
		{"json that is no UTF-8", "Content-Type: application/json\r\n", "{\"a\":\"\xff\xfe\"}", true},
		{"lone surrogate", "Content-Type: application/json\r\n", "\xed\xa0\x80", true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p.raw(t, fmt.Sprintf("POST /hooks HTTP/1.1\r\nHost: a\r\n%sContent-Length: %d\r\n\r\n%s", test.headers, len(test.body), test.body))
			e := <-p.events
			got := e.Body
			if e.IsBase64Encoded {
				decoded, err := base64.StdEncoding.DecodeString(e.Body)
				if err != nil {
					t.Fatal(err)
				}
				got = string(decoded)
			}
			if got != test.body || e.IsBase64Encoded != test.isBase64 {
				t.Errorf("body %q, base64 %v", e.Body, e.IsBase64Encoded)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	var answer atomic.Pointer[string]
	p := startProbe(t, Options{}, func(context.Context, []byte) ([]byte, error) { return []byte(*answer.Load()), nil })
	type response struct {
		Status  int
		Body    string
		Type    string
		Cookies []string
		Extra   string
	}
	plain := func(status int, body string) response {
		return response{Status: status, Body: body, Type: "text/plain;charset=UTF-8"}
	}
	inferred := func(body string) response { return response{Status: 200, Body: body, Type: "application/json"} }
	fault := response{Status: 500, Body: "{\"message\":\"Internal Server Error\"}\n", Type: "application/json"}
	tests := []struct {
		name, answer string
		want         response
	}{
		{"full", `{"statusCode":418,"headers":{"Content-Type":"a/b","x-extra":"1"},"cookies":["a=1","b=2; Secure"],"body":"hé"}`,
			response{418, "hé", "a/b", []string{"a=1", "b=2; Secure"}, "1"}},
		{"base64", `{"statusCode":200,"body":"/wA=","isBase64Encoded":true}`, plain(200, "\xff\x00")},
		{"status alone", `{"statusCode":202}`, plain(202, "")},
		{"nulls", `{"statusCode":200,"headers":null,"cookies":null,"body":null,"multiValueHeaders":null}`, plain(200, "")},
		{"numbers and booleans as headers", `{"statusCode":200,"headers":{"x-extra":17}}`, response{200, "", "text/plain;charset=UTF-8", nil, "17"}},
		{"the connection is the server's", `{"statusCode":200,"headers":{"Content-Length":"99","transfer-encoding":"chunked"},"body":"abc"}`, plain(200, "abc")},
		{"header with a line break", `{"statusCode":200,"headers":{"x-extra":"a\r\nSet-Cookie: evil=1"}}`, response{200, "", "text/plain;charset=UTF-8", nil, "a  Set-Cookie: evil=1"}},
		{"no content", `{"statusCode":204,"body":"ignored"}`, plain(204, "")},
		{"bare object", `{"received":true}`, inferred(`{"received":true}`)},
		{"bare string", `"hi \"you\""`, inferred(`hi "you"`)},
		{"bare number", ` 17 `, inferred(`17`)},
		{"bare list", `[1, 2]`, inferred(`[1, 2]`)},
		{"null", `null`, inferred(`null`)},
		{"name in another case", `{"StatusCode":500}`, inferred(`{"StatusCode":500}`)},
		{"nothing", ``, fault},
		{"no JSON", `{"statusCode":200`, fault},
		{"status as text", `{"statusCode":"200"}`, fault},
		{"status 99", `{"statusCode":99}`, fault},
		{"status 101", `{"statusCode":101}`, fault},
		{"status 600", `{"statusCode":600}`, fault},
		{"body as object", `{"statusCode":200,"body":{}}`, fault},
		{"bad base64", `{"statusCode":200,"body":"!","isBase64Encoded":true}`, fault},
		{"header as list", `{"statusCode":200,"headers":{"a":["b"]}}`, fault},
		{"header null", `{"statusCode":200,"headers":{"a":null}}`, fault},
		{"cookies as text", `{"statusCode":200,"cookies":"a=1"}`, fault},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			answer.Store(&test.answer)
			resp, body := p.raw(t, "GET /hooks HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
			got := response{resp.StatusCode, body, resp.Header.Get("Content-Type"), resp.Header["Set-Cookie"], resp.Header.Get("X-Extra")}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("response (-want +got):\n%s", diff)
			}
		})
	}
}

func TestInvokeErrors(t *testing.T) {
	t.Parallel()
	var cause error
	p := startProbe(t, Options{Timeout: 20 * time.Millisecond},
		func(ctx context.Context, _ []byte) ([]byte, error) {
			if cause == nil {
				<-ctx.Done()
				return nil, fmt.Errorf("wait: %w", ctx.Err())
			}
			return nil, cause
		})
	for _, test := range []struct {
		name  string
		cause error
		want  string
	}{
		{"function error", errors.New("boom"), `500 {"message":"Internal Server Error"}`},
		{"all busy", fmt.Errorf("ingest: %w", ErrUnavailable), `503 {"message":"Service Unavailable"}`},
		{"timeout", nil, `503 {"message":"Service Unavailable"}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			cause = test.cause
			resp, body := p.raw(t, "POST /hooks HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nsecret")
			if got := fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(body)); got != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	p := startProbe(t, Options{}, nil)
	big := strings.Repeat("x", MaxEventBytes)
	tests := []struct {
		name, request, want string
	}{
		{"unknown path", "POST /other HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", `404 {"message":"Not Found"}`},
		{"trailing slash", "POST /hooks/ HTTP/1.1\r\nHost: a\r\n\r\n", `404 {"message":"Not Found"}`},
		{"one segment more", "POST /hooks/a/b HTTP/1.1\r\nHost: a\r\n\r\n", `404 {"message":"Not Found"}`},
		{"escaped slash", "POST /hooks/a%2Fb HTTP/1.1\r\nHost: a\r\n\r\n", `404 {"message":"Not Found"}`},
		{"no path", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", `404 {"message":"Not Found"}`},
		{"announces 10 MB and a byte", "POST /hooks HTTP/1.1\r\nHost: a\r\nContent-Length: 10485761\r\n\r\n", `413 {"message":"Request Entity Too Large"}`},
		{"and waits for 100", "POST /hooks HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 10485761\r\n\r\n", `413 {"message":"Request Entity Too Large"}`},
		{"chunks without end", "POST /hooks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n" + big + "xx", `413 {"message":"Request Entity Too Large"}`},
		{"event above 6 MB", "POST /hooks HTTP/1.1\r\nHost: a\r\nContent-Length: 6291456\r\n\r\n" + big, `413 {"message":"Request Entity Too Large"}`},
		{"headers above 10,240 bytes", "POST /hooks HTTP/1.1\r\nHost: a\r\nX-A: " + big[:10240] + "\r\n\r\n", `431 {"message":"Request Header Fields Too Large"}`},
		{"headers far above", "POST /hooks HTTP/1.1\r\nHost: a\r\nX-A: " + big[:20000] + "\r\n\r\n", `431 431 Request Header Fields Too Large`},
		{"two lengths", "POST /hooks HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", `400 400 Bad Request`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			resp, body := p.raw(t, test.request)
			if got := fmt.Sprint(resp.StatusCode, " ", strings.TrimSpace(body)); got != test.want {
				t.Errorf("got %s", got)
			}
		})
	}
	if len(p.events) != 0 {
		t.Errorf("%d events reached the function", len(p.events))
	}
}

func TestEveryMethodReachesTheFunction(t *testing.T) {
	t.Parallel()
	p := startProbe(t, Options{}, func(context.Context, []byte) ([]byte, error) {
		return []byte(`{"statusCode":405,"body":"no"}`), nil
	})
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://"+p.address+"/hooks", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if e := <-p.events; resp.StatusCode != 405 || e.RouteKey != method+" /hooks" {
			t.Errorf("%s: status %d, route %s", method, resp.StatusCode, e.RouteKey)
		}
	}
}

func TestUnfinishedBodyNeverReachesTheFunction(t *testing.T) {
	t.Parallel()
	requests := map[string]string{
		"short":   "Content-Length: 10\r\n\r\n12345",
		"long":    "Content-Length: 50000\r\n\r\n" + strings.Repeat("x", 20000),
		"chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
	}
	for name, sent := range requests {
		for _, test := range []struct {
			name    string
			timeout time.Duration
			close   bool
			want    int
		}{{"slow", time.Second, false, 408}, {"half sent", time.Minute, true, 400}} {
			t.Run(test.name+" "+name, func(t *testing.T) {
				t.Parallel()
				p := startProbe(t, Options{ReadTimeout: test.timeout}, nil)
				conn, err := net.Dial("tcp", p.address)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				io.WriteString(conn, "POST /hooks HTTP/1.1\r\nHost: a\r\n"+sent)
				if test.close {
					conn.(*net.TCPConn).CloseWrite()
				}
				if resp, body := readResponse(t, conn); resp.StatusCode != test.want {
					t.Errorf("status %d %s", resp.StatusCode, body)
				}
				if len(p.events) != 0 {
					t.Errorf("%d events reached the function", len(p.events))
				}
			})
		}
	}
}

func TestBodyBudget(t *testing.T) {
	t.Parallel()
	free := make(chan struct{})
	var busy atomic.Int32
	p := startProbe(t, Options{BodyBudget: minBodyBudget, BodyWait: 50 * time.Millisecond},
		func(context.Context, []byte) ([]byte, error) {
			busy.Add(1)
			<-free
			return []byte(`{"statusCode":200}`), nil
		})
	const body = 5 << 20
	fit := minBodyBudget / (body * bytesPerByte)
	statuses := make(chan int, 40)
	var wg sync.WaitGroup
	for range cap(statuses) {
		wg.Go(func() {
			resp, err := http.Post("http://"+p.address+"/hooks", "text/plain", strings.NewReader(strings.Repeat("x", body)))
			if err != nil {
				return // the answer came while the body was being sent
			}
			resp.Body.Close()
			statuses <- resp.StatusCode
		})
	}
	// Those that do not fit are answered while the others still hold the memory.
	if s := <-statuses; s != 503 {
		t.Errorf("status %d", s)
	}
	if n := int(busy.Load()); n > fit {
		t.Errorf("%d bodies of which %d fit", n, fit)
	}
	if resp, _ := p.raw(t, "GET /other HTTP/1.1\r\nHost: a\r\n\r\n"); resp.StatusCode != 404 {
		t.Errorf("a request without a body: %d", resp.StatusCode)
	}
	close(free)
	wg.Wait()
	if _, body := p.raw(t, "POST /hooks HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na"); body != "" {
		t.Errorf("afterwards: %s", body)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.gateway.budget.Acquire(ctx, minBodyBudget); err != nil {
		t.Error("memory was not given back")
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	routes := []string{"/hooks", "/hooks/{endpoint}"}
	for path, want := range map[string]match{
		"/hooks":    {pattern: "/hooks"},
		"/hooks/eu": {"/hooks/{endpoint}", map[string]string{"endpoint": "eu"}},
		"/hooks/":   {}, "/": {}, "": {}, "hooks": {}, "/other": {}, "/hooks/eu/x": {}, "//hooks": {},
	} {
		got, ok := findRoute(routes, path)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(match{})); diff != "" || ok != (want.pattern != "") {
			t.Errorf("%q: %v (-want +got):\n%s", path, ok, diff)
		}
	}
}
