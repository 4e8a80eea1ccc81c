package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"golang.org/x/sync/semaphore"
)

// Limits of the HTTP API and of Lambda behind it.
const (
	// MaxEventBytes is Lambda's bound on an event. A request whose event is
	// larger is answered 413; so is every body above the HTTP API's own 10 MB.
	MaxEventBytes = 6 << 20
	// MaxHeaderBytes bounds request line and headers together.
	MaxHeaderBytes = 10240
)

// ErrUnavailable is what an [Invoker] returns, wrapped or not, if no process was free in
// time: 503 instead of 500.
var ErrUnavailable = errors.New("no process is free")

// Invoker runs the function behind the gateway once with an event and returns its response.
// It is called concurrently and may wait; the gateway does not use the payload afterwards.
// The context ends with the request or with Options.Timeout. An error is answered 500, one
// that wraps [ErrUnavailable] or context.DeadlineExceeded 503.
type Invoker func(ctx context.Context, payload []byte) ([]byte, error)

// Request is what an event was made from.
type Request struct {
	Body   []byte // complete
	Header http.Header
}

type requestKey struct{}

// RequestOf returns the request that an [Invoker] got a context for. It must not be changed.
func RequestOf(ctx context.Context) Request {
	r, _ := ctx.Value(requestKey{}).(Request)
	return r
}

// Options describe one gateway.
type Options struct {
	// Routes are the paths that reach the function: exact ones, and ones with
	// segments like "{name}" that match one segment which is not empty. The first
	// that fits counts.
	Routes []string
	// Invoker is the function. Required.
	Invoker Invoker
	// Timeout bounds an invocation, including the wait for a process. Defaults to 30 s,
	// the HTTP API's limit.
	Timeout time.Duration
	// ReadTimeout bounds the time until a request has arrived completely. Defaults to
	// 30 s.
	ReadTimeout time.Duration
	// BodyBudget bounds the memory in bytes of all bodies in flight and their events. Defaults to 256 MiB, at least 64 MiB.
	BodyBudget int64
	// BodyWait is how long a request waits for its share of BodyBudget before
	// it is answered 503. Defaults to 5 s.
	BodyWait time.Duration
}

const (
	defaultTimeout    = 30 * time.Second
	defaultBodyBudget = 256 << 20
	minBodyBudget     = 64 << 20
	defaultBodyWait   = 5 * time.Second
	headerTimeout     = 10 * time.Second
	idleTimeout       = 75 * time.Second
	writeTimeout      = 30 * time.Second // for the response alone
)

// Gateway is an http.Handler. It is safe for concurrent use.
type Gateway struct {
	options Options
	budget  *semaphore.Weighted
}

// New checks the options and returns a gateway.
func New(o Options) (*Gateway, error) {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	o.ReadTimeout = cmp.Or(o.ReadTimeout, defaultTimeout)
	o.BodyBudget = cmp.Or(o.BodyBudget, defaultBodyBudget)
	o.BodyWait = cmp.Or(o.BodyWait, defaultBodyWait)
	switch {
	case o.Invoker == nil:
		return nil, errors.New("gateway has no invoker")
	case o.Timeout < 0 || o.ReadTimeout < 0 || o.BodyWait < 0:
		return nil, errors.New("gateway has a negative time limit")
	case o.BodyBudget < minBodyBudget:
		return nil, fmt.Errorf("gateway body budget %d is below %d bytes", o.BodyBudget, minBodyBudget)
	}
	return &Gateway{options: o, budget: semaphore.NewWeighted(o.BodyBudget)}, nil
}

// Server returns an HTTP server for the gateway with the limits that a handler cannot
// set: size and time of headers, slow bodies, idle connections and clients that do not
// read. The caller serves with it and shuts it down.
func (g *Gateway) Server() *http.Server {
	return &http.Server{
		Handler:           g,
		ReadHeaderTimeout: min(headerTimeout, g.options.ReadTimeout),
		ReadTimeout:       g.options.ReadTimeout,
		WriteTimeout:      g.options.ReadTimeout + g.options.BodyWait + g.options.Timeout + writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    MaxHeaderBytes,
		// "OPTIONS *" is a path without a route like any other.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(io.Discard, "", 0),
	}
}

// refusal is an answer of the gateway itself. It closes the connection if the request's
// body may be unread.
type refusal struct {
	status int
	close  bool
}

// Error makes a refusal an error.
func (r *refusal) Error() string { return http.StatusText(r.status) }

func (r *refusal) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	if r.close {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(r.status)
	json.NewEncoder(w).Encode(map[string]string{"message": r.Error()}) // fails only if the client is gone
}

// refused is a refusal of a request whose body may be unread.
func refused(status int) *refusal { return &refusal{status, true} }

// ServeHTTP answers one request. Use [Gateway.Server] for untrusted clients: a handler
// cannot bound how long a request takes to arrive.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newRequestID()
	w.Header().Set("Apigw-Requestid", id)
	payload, body, release, err := g.accept(r, id)
	if err != nil {
		refuse(w, err)
		return
	}
	defer release()
	a, err := g.call(context.WithValue(r.Context(), requestKey{}, Request{body, r.Header}), payload)
	if err != nil {
		refuse(w, err)
		return
	}
	a.write(w)
}

// accept makes the event of a complete request and returns its body too. The caller must call
// release when it no longer needs them.
func (g *Gateway) accept(r *http.Request, id string) (payload, body []byte, release func(), err error) {
	if headerBytes(r) > MaxHeaderBytes {
		return nil, nil, nil, refused(http.StatusRequestHeaderFieldsTooLarge)
	}
	found, ok := findRoute(g.options.Routes, r.URL.Path)
	if !ok {
		return nil, nil, nil, refused(http.StatusNotFound)
	}
	body, release, err = g.readBody(r)
	if err != nil {
		return nil, nil, nil, err
	}
	payload, err = encodeEvent(newEvent(r, body, found, id, time.Now()))
	if err == nil && len(payload) > MaxEventBytes {
		err = refused(http.StatusRequestEntityTooLarge)
	}
	if err != nil {
		release()
		return nil, nil, nil, err
	}
	return payload, body, release, nil
}

// call runs the function and reads its answer.
func (g *Gateway) call(ctx context.Context, payload []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, g.options.Timeout)
	defer cancel()
	returned, err := g.options.Invoker(ctx, payload)
	if err != nil {
		return answer{}, fmt.Errorf("invoke function: %w", err)
	}
	a, err := readAnswer(returned)
	if err != nil {
		return answer{}, fmt.Errorf("read the function's answer: %w", err)
	}
	return a, nil
}

// refuse answers a request that the function did not answer.
func refuse(w http.ResponseWriter, err error) {
	no, ok := errors.AsType[*refusal](err)
	switch {
	case ok:
	case errors.Is(err, ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		no = &refusal{http.StatusServiceUnavailable, false}
	default:
		no = &refusal{http.StatusInternalServerError, false}
	}
	no.write(w)
}

// headerBytes is the size of request line and headers on the wire.
func headerBytes(r *http.Request) int {
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len("  \r\n")
	if r.Host != "" {
		n += len("Host: \r\n") + len(r.Host)
	}
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + len(": \r\n")
		}
	}
	return n
}
