// Package awsclient makes the aws.Config that the service clients are built from.
//
// It takes the credentials and endpoints that the environment gave and looks for no
// others: no profile, no metadata service, no file. So building a client costs
// microseconds, makes no network call, and is the same on Lambda and in the local
// system. Which services are linked is the caller's choice:
//
//	client := sqs.NewFromConfig(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointSQS}))
package awsclient

import (
	"net"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"tollgate/pkg/config"
)

// defaultAttempts is how often a call is tried when Options name no number.
const defaultAttempts = 3

// Options are what differs between the clients of one function.
type Options struct {
	Endpoint string // URL instead of AWS's own; default none
	Attempts int    // tries of one call, the first included; 1 leaves retries to the caller; default 3
}

// Bounds of one connection and of the wait between two tries.
const (
	dialTimeout  = time.Second
	tlsTimeout   = 2 * time.Second
	callTimeout  = 30 * time.Second // for calls whose context bounds nothing
	idleTimeout  = 50 * time.Second
	keepAlive    = 15 * time.Second
	maxBackoff   = 100 * time.Millisecond // a function has seconds; the queue or the sender repeats later
	maxIdleConns = 64
)

// New returns a configuration for one service. Each has its own connections. The
// configuration may be used concurrently.
func New(a config.AWS, o Options) aws.Config {
	cfg := aws.Config{
		Region:      a.Region,
		Credentials: credentials.NewStaticCredentialsProvider(a.AccessKeyID, string(a.SecretAccessKey), string(a.SessionToken)),
		HTTPClient:  newHTTPClient(),
		Retryer:     retryer(o.Attempts),
	}
	if o.Endpoint != "" {
		cfg.BaseEndpoint = &o.Endpoint
	}
	return cfg
}

func retryer(attempts int) func() aws.Retryer {
	if attempts == 1 {
		return func() aws.Retryer { return aws.NopRetryer{} }
	}
	if attempts <= 0 {
		attempts = defaultAttempts
	}
	return func() aws.Retryer {
		return retry.NewStandard(func(s *retry.StandardOptions) {
			s.MaxAttempts = attempts
			s.MaxBackoff = maxBackoff
		})
	}
}

func newHTTPClient() *http.Client {
	return &http.Client{
		Timeout: callTimeout,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
			TLSHandshakeTimeout: tlsTimeout,
			MaxIdleConns:        maxIdleConns,
			MaxIdleConnsPerHost: maxIdleConns,
			IdleConnTimeout:     idleTimeout,
		},
		// A signed request must not follow a redirect to a host it was not signed for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
