// Package verify verifies deliveries: it returns the envelope of a raw body with a valid
// Stripe-Signature header, or a rejection with one fixed reason.
//
// stripe-go verifies each signature over the raw bytes. This package adds the checks that
// stripe-go lacks: a timestamp in the future, an empty secret, a signed body that is not
// an event. It does not decode an event's data and accepts every API version.
//
//	got, err := verify.Delivery(body, header, verify.Options{Endpoint: "default", Secrets: secrets})
//	if no, ok := errors.AsType[*verify.Rejection](err); ok { … no.Reason … }
package verify

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/event"
)

// Tolerance is the default for how old, and how far ahead of this machine's clock, a
// signature's timestamp may be.
const Tolerance = webhook.DefaultTolerance

// ErrNoSecret means that no usable secret was given. It is the receiver's fault, so it is
// not a [Rejection].
var ErrNoSecret = errors.New("no usable signing secret")

// Reason is why a delivery was rejected, in one fixed word.
type Reason string

const (
	Missing   Reason = "missing"   // no Stripe-Signature header
	Malformed Reason = "malformed" // the header cannot be parsed
	NoMatch   Reason = "no_match"  // no signature matches one of the secrets and these bytes
	TooOld    Reason = "too_old"   // the timestamp is older than the tolerance, or missing
	Future    Reason = "future"    // the signature is valid, the timestamp further ahead than the tolerance
	NotEvent  Reason = "not_event" // the signature is valid, the body not a Stripe event
)

// Rejection is the error of a delivery that is not accepted. Its text quotes nothing of
// the header, the secrets or the body.
type Rejection struct {
	Reason Reason
	// Fresh is set on a NoMatch whose timestamp is inside the tolerance: the sender
	// may have signed with a newer secret than those given.
	Fresh bool
	cause error
}

func (r *Rejection) Error() string { return "delivery rejected: " + string(r.Reason) }

// Unwrap returns the error of stripe-go or of the event parser, or nil.
func (r *Rejection) Unwrap() error { return r.cause }

// Options configure a verification.
type Options struct {
	Endpoint  string        // the endpoint's name, copied into the envelope
	Secrets   []string      // the endpoint's active secrets; empty ones are skipped
	Tolerance time.Duration // default [Tolerance]; in both directions
}

// Result is a verified delivery.
type Result struct {
	Envelope    event.Envelope
	SecretIndex int // of the matching one in Options.Secrets; shows when an old secret is no longer used
}

// Header checks a header without a secret or a body. It returns a [*Rejection] if the header
// is missing, cannot be parsed or is too old for any secret.
func Header(header string, tolerance time.Duration) error {
	if tolerance == 0 {
		tolerance = Tolerance
	}
	if fresh(header, tolerance) {
		return nil // as stripe-go would say after an HMAC
	}
	err := webhook.ValidatePayloadWithTolerance(nil, header, "-", tolerance)
	if err == nil || errors.Is(err, webhook.ErrNoValidSignature) {
		return nil
	}
	return rejection(err, header, tolerance)
}

// Delivery verifies body, the exact bytes received, with header, the values of
// Stripe-Signature joined by commas, and parses the envelope, which shares body's memory.
// Errors are [*Rejection] and [ErrNoSecret]. It is safe for concurrent use.
func Delivery(body []byte, header string, o Options) (Result, error) {
	if o.Tolerance == 0 {
		o.Tolerance = Tolerance
	}
	index, err := signedBy(body, header, o)
	if err != nil {
		return Result{}, err
	}
	now := time.Now()
	if at, ok := timestamp(header); !ok || at.Sub(now) > o.Tolerance {
		return Result{}, &Rejection{Reason: Future}
	}
	env, err := event.Parse(body)
	if err != nil {
		return Result{}, &Rejection{Reason: NotEvent, cause: err}
	}
	env.Body = body
	env.Endpoint = o.Endpoint
	env.Source = event.Webhook
	env.ReceivedAt = now
	return Result{Envelope: env, SecretIndex: index}, nil
}

// signedBy returns the index of the first secret that stripe-go accepts. It tries the next
// secret only after "no match": other errors do not depend on the secret.
func signedBy(body []byte, header string, o Options) (int, error) {
	err := ErrNoSecret
	for i, secret := range o.Secrets {
		if secret == "" {
			continue // stripe-go would accept a signature that anyone can make
		}
		err = webhook.ValidatePayloadWithTolerance(body, header, secret, o.Tolerance)
		if err == nil {
			return i, nil
		}
		if !errors.Is(err, webhook.ErrNoValidSignature) {
			break
		}
	}
	if errors.Is(err, ErrNoSecret) {
		return 0, err
	}
	return 0, rejection(err, header, o.Tolerance)
}

// rejection converts an error of stripe-go.
func rejection(err error, header string, tolerance time.Duration) *Rejection {
	switch {
	case errors.Is(err, webhook.ErrNotSigned):
		return &Rejection{Reason: Missing, cause: err}
	case errors.Is(err, webhook.ErrTooOld):
		return &Rejection{Reason: TooOld, cause: err}
	case errors.Is(err, webhook.ErrNoValidSignature):
		return &Rejection{Reason: NoMatch, Fresh: fresh(header, tolerance), cause: err}
	case errors.Is(err, webhook.ErrInvalidHeader):
		return &Rejection{Reason: Malformed, cause: err}
	}
	return &Rejection{Reason: Malformed, cause: fmt.Errorf("unknown error of stripe-go: %w", err)}
}

func fresh(header string, tolerance time.Duration) bool {
	at, ok := timestamp(header)
	return ok && time.Since(at).Abs() <= tolerance
}

// timestamp parses t as stripe-go does: parts between commas have exactly one "=", and the
// last t wins. Otherwise we would check another time than the signed one.
func timestamp(header string) (at time.Time, ok bool) {
	for part := range strings.SplitSeq(header, ",") {
		key, value, found := strings.Cut(part, "=")
		if !found || strings.Contains(value, "=") {
			return time.Time{}, false
		}
		if key != "t" {
			continue
		}
		seconds, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return time.Time{}, false
		}
		at, ok = time.Unix(seconds, 0), true
	}
	return at, ok
}
