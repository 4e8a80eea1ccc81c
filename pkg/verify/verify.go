// Package verify is the only way in for a delivery: it turns a raw body and its
// Stripe-Signature header into an envelope, or says in one fixed word why not.
//
// The decision on each signature is stripe-go's own, over the raw bytes. Around it
// stand the checks of what stripe-go lets pass: a timestamp in the future, an empty
// secret, a signed body that is no event. It does not decode an event's data and
// does not care for its API version: a good event in another version is not refused.
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

// Tolerance is how old, and how far ahead of this machine's clock, a signature's
// timestamp may be when Options name no other.
const Tolerance = webhook.DefaultTolerance

// ErrNoSecret says that no secret was given that could verify anything. It is the
// receiver's fault, not the sender's, and so no [Rejection].
var ErrNoSecret = errors.New("no usable signing secret")

// Reason says in one word why a delivery was refused. The set is closed.
type Reason string

const (
	Missing   Reason = "missing"   // no Stripe-Signature header
	Malformed Reason = "malformed" // a header that cannot be read
	NoMatch   Reason = "no_match"  // no signature was made with one of the secrets over these bytes
	TooOld    Reason = "too_old"   // the timestamp is older than the tolerance, or there is none
	Future    Reason = "future"    // well signed, but the timestamp is further ahead than the tolerance
	NotEvent  Reason = "not_event" // well signed, but the body is no Stripe event
)

// Rejection is the error for a delivery that must not pass. Its text quotes nothing
// of the header, the secrets or the body.
type Rejection struct {
	Reason Reason
	// Fresh is set on a NoMatch whose timestamp is inside the tolerance: the sender
	// may have signed with a newer secret than those given.
	Fresh bool
	cause error
}

func (r *Rejection) Error() string { return "delivery rejected: " + string(r.Reason) }

// Unwrap returns what stripe-go or the event parser said; it may be nil.
func (r *Rejection) Unwrap() error { return r.cause }

// Options say what a delivery is verified against.
type Options struct {
	Endpoint  string        // the endpoint's name, copied into the envelope
	Secrets   []string      // the endpoint's active secrets; empty ones are passed over
	Tolerance time.Duration // default [Tolerance]; both ways
}

// Result is a verified delivery.
type Result struct {
	Envelope    event.Envelope
	SecretIndex int // which of Options.Secrets matched: tells when an old secret is out of use
}

// Header judges a header without a secret and without the body: it returns the [*Rejection]
// of one that is missing, cannot be read or is too old, whatever it was signed with.
func Header(header string, tolerance time.Duration) error {
	if tolerance == 0 {
		tolerance = Tolerance
	}
	err := webhook.ValidatePayloadWithTolerance(nil, header, "-", tolerance)
	if err == nil || errors.Is(err, webhook.ErrNoValidSignature) {
		return nil
	}
	return rejection(err, header, tolerance)
}

// Delivery verifies body, which must be the exact bytes that were received, against
// header, the values of Stripe-Signature joined by commas, and reads the envelope.
// The envelope shares body's memory. Errors are [*Rejection] and [ErrNoSecret].
// It is safe for concurrent use.
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

// signedBy returns the index of the first secret that stripe-go accepts. Only "no
// match" leads on to the next secret; its other answers do not depend on the secret.
func signedBy(body []byte, header string, o Options) (int, error) {
	err := ErrNoSecret
	for i, secret := range o.Secrets {
		if secret == "" {
			continue // stripe-go would accept what anybody can sign
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

// rejection translates an error of stripe-go.
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
	return &Rejection{Reason: Malformed, cause: fmt.Errorf("unknown answer of stripe-go: %w", err)}
}

func fresh(header string, tolerance time.Duration) bool {
	at, ok := timestamp(header)
	return ok && time.Since(at).Abs() <= tolerance
}

// timestamp reads t as stripe-go does: parts between commas with exactly one "=",
// the last t wins. Any other reading would check another time than the signed one.
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
