// Package awsclient returns the aws.Config of the functions' service clients.
//
// It uses only the credentials and endpoints of the environment: no profile, metadata
// service or file. Building a client takes microseconds and makes no network call, on
// Lambda as in the local system:
//
//	client := sqs.NewFromConfig(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointSQS}))
package awsclient

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/smithy-go"

	"tollgate/pkg/config"
	"tollgate/pkg/limits"
)

// Options differ between the clients of a function.
type Options struct {
	Endpoint string // URL instead of AWS's own; default none
	// Attempts is the number of tries of a call; 1 leaves retries to the caller. A call with
	// an expired signature is signed and sent again in any case. Default limits.CallTries.
	Attempts int
	// Try limits one try, from dialling to the last byte of the response: an unanswered
	// request must leave time for another. Default limits.PatientTry.
	Try time.Duration
}

// Limits of a connection.
const (
	dialTimeout  = time.Second
	tlsTimeout   = 2 * time.Second
	idleTimeout  = 50 * time.Second
	keepAlive    = 15 * time.Second
	maxIdleConns = 64
	writeBuffer  = 16 << 10 // most requests in one write; the default of 4 KB splits an event's message
)

// New returns a configuration for one service, with its own connection pool. It is safe for
// concurrent use.
func New(a config.AWS, o Options) aws.Config {
	cfg := aws.Config{
		Region:      a.Region,
		Credentials: credentials.NewStaticCredentialsProvider(a.AccessKeyID, string(a.SecretAccessKey), string(a.SessionToken)),
		HTTPClient:  newHTTPClient(cmp.Or(o.Try, limits.PatientTry)),
		Retryer:     func() aws.Retryer { return retryer(cmp.Or(o.Attempts, limits.CallTries)) },
	}
	if o.Endpoint != "" {
		cfg.BaseEndpoint = &o.Endpoint
	}
	return cfg
}

// Once returns a configuration that shares c's connections and leaves retries to the
// caller, as Options.Attempts 1 does.
func Once(c aws.Config) aws.Config {
	c.Retryer = func() aws.Retryer { return retryer(1) }
	return c
}

func retryer(attempts int) aws.Retryer {
	expired := retry.IsErrorRetryableFunc(signatureExpired)
	return retry.NewStandard(func(s *retry.StandardOptions) {
		s.MaxAttempts, s.MaxBackoff = attempts, limits.CallPause
		s.Retryables = append(slices.Clone(s.Retryables), expired)
		if attempts == 1 {
			s.MaxAttempts, s.Retryables = 2, []retry.IsErrorRetryable{expired}
		}
	})
}

// signatureExpired reports errors about a signature that was too old on arrival, for example
// because the process was frozen between signing and sending. The SDK itself signs again
// only if the clocks differ by minutes.
func signatureExpired(err error) aws.Ternary {
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return aws.UnknownTernary
	}
	switch e.ErrorCode() {
	case "RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture", "ExpiredToken", "ExpiredTokenException":
		return aws.TrueTernary
	case "InvalidSignatureException", "SignatureDoesNotMatch":
		if text := e.ErrorMessage(); strings.Contains(text, "expired") || strings.Contains(text, "not yet current") {
			return aws.TrueTernary
		}
	}
	return aws.UnknownTernary
}

func newHTTPClient(try time.Duration) *http.Client {
	return &http.Client{
		Timeout: try,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive}).DialContext,
			TLSHandshakeTimeout: tlsTimeout,
			MaxIdleConns:        maxIdleConns,
			MaxIdleConnsPerHost: maxIdleConns,
			IdleConnTimeout:     idleTimeout,
			WriteBufferSize:     writeBuffer,
		},
		// A signed request must not follow a redirect to a host it was not signed for.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
