// Package stripeapi is the client of Stripe's API: it fetches events and objects by id, lists
// events, and manages webhook endpoints.
//
// It decodes no event and logs nothing. Requests are pinned to the API version of stripe-go
// v76, bounded in time, size and number, and retried only where a retry can succeed.
//
//	c, err := stripeapi.New(stripeapi.Options{Key: apiKey})
//	body, err := c.FetchEvent(ctx, "", "evt_1Abc", false)
//	if errors.Is(err, stripeapi.ErrNotFound) { … }
//
// The requests are plain net/http. stripe-go v76's backend reads answers without a bound,
// sleeps between tries without looking at the context, does not repeat a request that was
// rate limited, starts `uname -a` as a child process on its first request, and gives raw
// bytes only after it has decoded them. Importing stripe-go's root for its types is cheap,
// about 0.05 ms at start-up and 2 MB in the binary, so handlers do; this package does not
// need it.
package stripeapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// APIVersion is the version that /v1 answers in: the one stripe-go v76 decodes.
const APIVersion = "2023-10-16"

// ThinAPIVersion is sent to /v2, which refuses requests without a version and does
// not know versions before this one. Thin events themselves have no version.
const ThinAPIVersion = "2024-09-30.acacia"

// Defaults of the options.
const (
	DefaultBackoff      = 200 * time.Millisecond
	DefaultResourceRate = 25 // Stripe's limit in both modes, unless it has raised it
)

// Options configure a [Client]. Only Key is required.
type Options struct {
	// Key returns the API key; it is called once for every fetch and should cache.
	// It returns "" or an error that wraps [ErrNoAPIKey] when none is configured.
	Key func(ctx context.Context) (string, error)
	// URL is the API's base address. It is https, or http on this machine only, as the
	// key travels in every request. Default: https://api.stripe.com.
	URL string
	// Transport carries the requests; a test may bring its own. The
	// default keeps few connections, dials within 2 s and uses no proxy.
	Transport http.RoundTripper
	// TryTimeout bounds one try, from dialling to the answer's last byte. A further try is made
	// only if the context has time for a whole one. Default: 3 s.
	TryTimeout time.Duration
	// Tries bounds the requests of one fetch. Default: 4.
	Tries int
	// Backoff is the longest wait before the second try; it doubles with each further
	// one, and half to all of it is waited. Default: [DefaultBackoff].
	Backoff time.Duration
	// MaxWait bounds one wait. A Retry-After beyond it, or beyond the context's
	// deadline, ends the fetch at once. Default: 5 s.
	MaxWait time.Duration
	// MaxBody bounds an answer in bytes, decompressed. Default: 8 MiB.
	MaxBody int64
	// ResourceRate bounds the requests a second to one resource of one account, by all
	// processes that use it. Default: [DefaultResourceRate].
	ResourceRate float64
	// Rate bounds all requests of one account. Default: ResourceRate for a test key, four
	// times of it for a live key, as Stripe has it.
	Rate float64
	// Processes is how many processes share these rates: each starts at its part of them, and
	// lets up to a second's worth of it go at once. Default: 1.
	Processes int
	// Unlimited lifts the rates for a test key. With a live key it has no effect: a setting
	// for benchmarks must not use up the limits that a live account's checkout needs too.
	Unlimited bool
}

// Patient returns the options of a client that lists events: a page takes Stripe longer
// than one object, and whoever compares hours of events can wait where a delivery cannot.
// Other bounds stay.
func (o Options) Patient() Options {
	o.TryTimeout, o.Tries, o.MaxWait = 15*time.Second, 8, 30*time.Second
	return o
}

// Client talks to Stripe's API. It is safe for concurrent use.
type Client struct {
	o     Options
	http  *http.Client
	rates *limiter
}

// New checks the options and fills in the defaults. It makes no request.
func New(o Options) (*Client, error) {
	o.URL = strings.TrimSuffix(cmp.Or(o.URL, "https://api.stripe.com"), "/")
	o.TryTimeout = cmp.Or(o.TryTimeout, 3*time.Second)
	o.Tries = cmp.Or(o.Tries, 4)
	o.Backoff = cmp.Or(o.Backoff, DefaultBackoff)
	o.MaxWait = cmp.Or(o.MaxWait, 5*time.Second)
	o.MaxBody = cmp.Or(o.MaxBody, 8<<20)
	o.ResourceRate = cmp.Or(o.ResourceRate, DefaultResourceRate)
	o.Processes = cmp.Or(o.Processes, 1)
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if err := o.validate(); err != nil {
		return nil, fmt.Errorf("make Stripe client: %w", err)
	}
	// A redirect would carry the key elsewhere; Stripe's API sends none.
	noRedirect := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		o: o, http: &http.Client{Transport: o.Transport, CheckRedirect: noRedirect},
		rates: &limiter{
			all: o.Rate, resource: o.ResourceRate, processes: float64(o.Processes), unlimited: o.Unlimited,
			buckets: map[bucketKey]*bucket{},
		},
	}, nil
}

func (o Options) validate() error {
	var errs []error
	if o.Key == nil {
		errs = append(errs, errors.New("no Key function is set"))
	}
	if o.TryTimeout < 0 || o.Tries < 0 || o.Backoff < 0 || o.MaxWait < 0 || o.MaxBody < 0 || o.Rate < 0 || o.ResourceRate < 0 || o.Processes < 0 {
		errs = append(errs, errors.New("a bound is negative"))
	}
	return errors.Join(append(errs, checkURL(o.URL))...)
}

func checkURL(raw string) error {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return fmt.Errorf("URL: %w", err)
	case u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return errors.New("the URL must be a scheme, a host and at most a path")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return nil
	}
	return fmt.Errorf("URL %s: must be https, or http on a loopback address", u.Redacted())
}

func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}

func newTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment, // of an operator's network
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 2 * time.Second,
		MaxIdleConnsPerHost: 8,
		IdleConnTimeout:     60 * time.Second,
	}
}
