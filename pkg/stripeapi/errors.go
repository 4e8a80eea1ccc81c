package stripeapi

import (
	"errors"
	"fmt"
	"time"
)

// Errors that another try within the same fetch cannot cure. Whatever is none of
// these, no [*TooLargeError] and no [*RefusedError] is transient.
var (
	// ErrNotFound says that Stripe has no such event: it is older than 30 days, belongs
	// to another account or mode, or never was.
	ErrNotFound = errors.New("no such object at Stripe")
	// ErrNoAPIKey says that no API key is configured. The key function may return it.
	ErrNoAPIKey = errors.New("no Stripe API key is configured")
	// ErrUnauthorized says that Stripe refused the key (401) or what it asks for (403).
	ErrUnauthorized = errors.New("API key refused by Stripe")
	// ErrAccountRevoked says that the key may not act for a connected account (any more).
	ErrAccountRevoked = errors.New("access to a connected account refused by Stripe: it was revoked, or never granted")
)

// TooLargeError says that an answer is larger than this client reads.
type TooLargeError struct {
	Limit int64 // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("answer is larger than %d bytes", e.Limit)
}

// RefusedError is an answer that is neither success nor one of the cases with an
// error of their own, for example 400: the request itself is wrong.
type RefusedError struct {
	Status    int
	Code      string // Stripe's error code, may be ""
	RequestID string // Stripe's id of the request, may be ""
	Message   string // Stripe's words, as they came; not part of Error, as they may quote the request
}

func (e *RefusedError) Error() string {
	return "Stripe refused the request: " + describe(e.Status, e.Code, e.RequestID)
}

// UnavailableError is transient: Stripe limited the rate, failed, or could not be
// reached within the tries and the time that there were. It wraps the last cause,
// which is the context's error when the time was over.
type UnavailableError struct {
	Status     int           // of the last answer, 0 when there was none
	RetryAfter time.Duration // what Stripe asked for, 0 when it asked for nothing
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
