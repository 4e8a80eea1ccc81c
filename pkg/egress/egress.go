// Package egress is an HTTP client for addresses that other people choose, guarded against
// server-side request forgery (SSRF). It sends a POST and reads nothing of the answer but the
// status and the headers.
//
//   - Only HTTPS, without user information, redirects or a proxy from the environment.
//   - A name is resolved once for a connection, and the address is checked as it is dialed: it
//     must be public or in Allow. So a name that resolves to another address each time (DNS
//     rebinding) gains nothing.
//   - Time, response headers and response body are bounded.
//
// The tables of non-public addresses are those of code.dny.dev/ssrf, from the registries of
// IANA. That library checks no URL and knows no metadata service outside of those tables; this
// package adds both.
//
//	client, err := egress.New(egress.Options{Timeout: 20 * time.Second})
//	answer, err := client.Post(ctx, "https://example.com/hooks", header, body)
//	if errors.Is(err, egress.ErrRefused) { … } // no attempt can succeed
package egress

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// ErrRefused means that the URL or the address that its host resolved to is not allowed.
var ErrRefused = errors.New("refused by the guard against SSRF")

// Options of a client. The zero value reaches public addresses by HTTPS.
type Options struct {
	Allow   []netip.Prefix // private networks that may be reached too, never those of metadata services
	Local   bool           // for the local system: loopback addresses too, and plain HTTP to them and Allow
	Timeout time.Duration  // for a whole request; default 20 s

	RootCAs  *x509.CertPool // default the system's
	Resolver *net.Resolver  // default the system's
}

// Limits of an answer.
const (
	maxHeader = 64 << 10
	maxBody   = 64 << 10 // read so that the connection can be used again, then dropped
)

const defaultTimeout = 20 * time.Second

// Client is safe for concurrent use.
type Client struct {
	http    *http.Client
	options Options
}

// Answer is what a receiver answered.
type Answer struct {
	Status int
	Header http.Header
}

// New returns a client. Use one for each destination: its connections are reused.
func New(o Options) (*Client, error) {
	if o.Timeout < 0 {
		return nil, errors.New("the timeout is negative")
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if err := o.checkAllow(); err != nil {
		return nil, err
	}
	dialer := &net.Dialer{Timeout: o.Timeout, Resolver: o.Resolver, ControlContext: o.control()}
	return &Client{options: o, http: &http.Client{
		Timeout: o.Timeout,
		// An answer with a redirect is returned as it is.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{ // Proxy is not set: a proxy would dial instead
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.RootCAs},
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			MaxResponseHeaderBytes: maxHeader,
			MaxIdleConnsPerHost:    64,
			IdleConnTimeout:        time.Minute,
		},
	}}, nil
}

// Post sends a body once. It returns an error that wraps ErrRefused, without an attempt, if the
// URL or its address is not allowed. The errors name the address: do not show them.
func (c *Client) Post(ctx context.Context, url string, header http.Header, body []byte) (Answer, error) {
	if err := Check(url, c.options); err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("make request: %w", err)
	}
	if request.URL.Scheme == "http" {
		request = request.WithContext(context.WithValue(ctx, plain{}, true)) // for control
	}
	request.Header = header.Clone()
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, fmt.Errorf("send request: %w", err)
	}
	defer response.Body.Close()
	// The status is the answer: a body that is cut off or too long changes nothing.
	_, _ = io.CopyN(io.Discard, response.Body, maxBody)
	return Answer{Status: response.StatusCode, Header: response.Header}, nil
}
