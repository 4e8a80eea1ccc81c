package stripeapi

import (
	"errors"
	"fmt"
	"time"
)

// Errors that a retry cannot cure, as are [*TooLargeError] and [*RefusedError]. All others are
// transient.
var (
	// ErrNotFound: no such event. It is older than 30 days, belongs to another account or
	// mode, or never existed.
	ErrNotFound = errors.New("no such object at Stripe")
	// ErrNoAPIKey: no API key is configured. The key function may return it.
	ErrNoAPIKey = errors.New("no Stripe API key is configured")
	// ErrUnauthorized: Stripe refused the key (401) or the request (403).
	ErrUnauthorized = errors.New("API key refused by Stripe")
	// ErrAccountRevoked: the key may not, or no longer, act for a connected account.
	ErrAccountRevoked = errors.New("access to a connected account refused by Stripe: it was revoked, or never granted")
)

// TooLargeError: a response is larger than this client reads.
type TooLargeError struct {
	Limit int64 // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("answer is larger than %d bytes", e.Limit)
}

// RefusedError is a response without a more specific error, for example 400: the request is
// invalid.
type RefusedError struct {
	Status    int
	Code      string // Stripe's error code, may be ""
	RequestID string // Stripe's id of the request, may be ""
	Message   string // of Stripe, unchanged; not part of Error, as it may quote the request
}

func (e *RefusedError) Error() string {
	return "Stripe refused the request: " + describe(e.Status, e.Code, e.RequestID)
}

// UnavailableError is transient: Stripe limited the rate, failed, or could not be reached
// within the bounds on tries and time. It wraps the last cause, or the context's error.
type UnavailableError struct {
	Status     int           // of the last answer, 0 when there was none
	RetryAfter time.Duration // what Stripe asked for, or until the next turn under the rate limit; 0: unknown
	Tries      int           // requests that were made
	Err        error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("Stripe is unavailable after %d tries: %v", e.Tries, e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

func describe(status int, code, requestID string) string {
	text := fmt.Sprintf("status %d", status)
	if code != "" {
		text += ", code " + code
	}
	if requestID != "" {
		text += ", request " + requestID
	}
	return text
}
