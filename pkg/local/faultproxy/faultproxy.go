// Package faultproxy is an HTTP proxy for tests, in front of the embedded AWS services or
// the fake Stripe. It answers chosen requests late, never, with an error or with a reset, by
// operation and item:
//
//	p, err := faultproxy.Start("http://127.0.0.1:4566")
//	hung := p.Add(faultproxy.Fault{Operation: "UpdateItem", Item: "EVT#evt_1", Times: 1, Do: faultproxy.Never})
//	… p.URL …
//	if hung.Met() != 1 { … }
package faultproxy

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Fault is one way to fail, and the requests that it matches.
type Fault struct {
	// Operation is an operation of AWS ("UpdateItem"), or the beginning of a method and path
	// ("GET /v1/invoices"). "" is any.
	Operation string
	Item      string        // in the request's body or path, such as "EVT#evt_1"; "" is any
	Times     int           // matches at most this many requests; 0 is any number
	For       time.Duration // from the first matched request on; 0 is without end
	Do        Action        // required
}

// Action answers a request; next is the service behind the proxy.
type Action func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Never does not pass the request on and does not answer it.
func Never(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() }

// Lost passes the request on and does not answer it.
func Lost(_ http.ResponseWriter, r *http.Request, next http.Handler) {
	next.ServeHTTP(discard{}, r)
	<-r.Context().Done()
}

// Late passes the request on at once and its answer back after d.
func Late(d time.Duration) Action {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		next.ServeHTTP(delayed{w, timer.C}, r)
	}
}

// Reset ends the connection without an answer.
func Reset(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }

// Answer answers instead of the service.
func Answer(status int, body string) Action {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", cmp.Or(r.Header.Get("Content-Type"), "application/json"))
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// Refuse answers with an AWS error.
func Refuse(code, message string) Action {
	return Answer(http.StatusBadRequest, fmt.Sprintf(`{"__type":"com.amazonaws#%s","message":%q}`, code, message))
}

// Throttle answers as a throttled service does.
func Throttle(w http.ResponseWriter, r *http.Request, next http.Handler) {
	Refuse("ThrottlingException", "Throughput exceeds the current capacity of your table.")(w, r, next)
}

// Expire answers that the signature had expired on arrival.
func Expire(w http.ResponseWriter, r *http.Request, next http.Handler) {
	Refuse("InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z")(w, r, next)
}

// Armed is a fault in a proxy.
type Armed struct {
	fault Fault
	proxy *Proxy
	met   int
	first time.Time
}

// Met returns how many requests the fault has matched.
func (a *Armed) Met() int {
	a.proxy.mu.Lock()
	defer a.proxy.mu.Unlock()
	return a.met
}

// Proxy is in front of one service. It is safe for concurrent use.
type Proxy struct {
	URL string

	server *http.Server
	next   http.Handler

	mu     sync.Mutex
	faults []*Armed
}

// Start serves a proxy on a free port of loopback until it is closed.
func Start(target string) (*Proxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("fault proxy: %w", err)
	}
	p := &Proxy{URL: "http://" + l.Addr().String()}
	p.next = &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(u) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: 10 * time.Second}
	go p.server.Serve(l)
	return p, nil
}

// Close ends the proxy and every request that is not answered.
func (p *Proxy) Close() error { return p.server.Close() }

// Add puts a fault after the existing ones; the first that matches a request decides.
func (p *Proxy) Add(f Fault) *Armed {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &Armed{fault: f, proxy: p}
	p.faults = append(p.faults, a)
	return a
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if do := p.actionFor(r, body); do != nil {
		do(w, r, p.next)
		return
	}
	p.next.ServeHTTP(w, r)
}

func (p *Proxy) actionFor(r *http.Request, body []byte) Action {
	operation := r.Method + " " + r.URL.Path
	if _, name, aws := strings.Cut(r.Header.Get("X-Amz-Target"), "."); aws {
		operation = name
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.faults {
		if a.meets(operation, r.URL.Path, body) {
			return a.fault.Do
		}
	}
	return nil
}

// meets counts the request if the fault matches it.
func (a *Armed) meets(operation, path string, body []byte) bool {
	f := a.fault
	switch {
	case !strings.HasPrefix(operation, f.Operation),
		f.Item != "" && !strings.Contains(path, f.Item) && !bytes.Contains(body, []byte(f.Item)),
		f.Times > 0 && a.met >= f.Times,
		f.For > 0 && a.met > 0 && time.Since(a.first) > f.For:
		return false
	}
	if a.met == 0 {
		a.first = time.Now()
	}
	a.met++
	return true
}

// discard is a response writer that drops the answer.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// delayed holds an answer back until a time.
type delayed struct {
	http.ResponseWriter
	due <-chan time.Time
}

func (d delayed) WriteHeader(status int) {
	<-d.due
	d.ResponseWriter.WriteHeader(status)
}
