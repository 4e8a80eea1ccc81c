package dispatch

import (
	"fmt"
	"path"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"tollgate/pkg/limits"
)

// Reasons of permanent failures in Tollgate itself; handlers may have others.
const (
	ReasonHandler        = "handler"         // Permanent: the handler rejects the event
	ReasonAPIVersion     = "api_version"     // the event's API version cannot be read, nor its object fetched
	ReasonNoAPIKey       = "no_api_key"      // a fetch from Stripe is needed, and no API key is configured
	ReasonObjectGone     = "object_gone"     // deleted at Stripe
	ReasonAccountRevoked = "account_revoked" // a fetch is needed, and the connected account has revoked access
	ReasonTooLarge       = "too_large"       // a fetch is needed, and Stripe's response exceeds our limit
	ReasonNoFetch        = "no_fetch"        // objects of this kind cannot be fetched from Stripe
	ReasonWrongObject    = "wrong_object"    // data.object has another kind than the handler takes
	ReasonUndecodable    = "undecodable"     // not a message in our format
	ReasonCorrupt        = "corrupt"         // two events with one id
	ReasonRejected       = "rejected"        // the store can never commit these effects

	ReasonNewerVersion = "newer_version" // written by a newer release; no consumer of that release received it in time
)

// PermanentError is a failure that a retry cannot fix without a change to the code or its
// configuration: the message is dead-lettered at once.
type PermanentError struct {
	Reason string
	Err    error

	at uintptr
}

// Permanent marks err as permanent with ReasonHandler.
func Permanent(err error) error { return &PermanentError{ReasonHandler, err, caller()} }

// Park marks err as permanent with another reason: the event cannot be handled yet and waits
// in the dead-letter queue for a redrive.
func Park(reason string, err error) error { return &PermanentError{reason, err, caller()} }

// Error returns the cause's text; the reason is shown separately.
func (e *PermanentError) Error() string { return textOf(e.Err, e.Reason) }
func (e *PermanentError) Unwrap() error { return e.Err }

// RetryAfterError is a transient failure that asks for its own delay.
type RetryAfterError struct {
	Delay   time.Duration // clamped to 1 s – 1 h
	AtLeast bool          // the usual delay applies if it is longer
	Err     error

	at uintptr
}

// RetryAfter marks err as transient and asks for the next attempt after d.
func RetryAfter(d time.Duration, err error) error { return &RetryAfterError{d, false, err, caller()} }

// NotBefore marks err as transient and asks for the usual delay, which grows with the receives,
// but at least d: for what is busy, and would use up a message's receives in minutes.
func NotBefore(d time.Duration, err error) error {
	return &RetryAfterError{d, true, err, caller()}
}

func (e *RetryAfterError) Error() string { return textOf(e.Err, "the handler asked for a retry") }
func (e *RetryAfterError) Unwrap() error { return e.Err }

// textOf returns the error's text, or a default if it is empty.
func textOf(err error, missing string) string {
	if err == nil {
		return missing
	}
	return err.Error()
}

// PanicError is a handler's panic as its attempt's error.
type PanicError struct {
	Value any
	Frame string // this module's innermost, "pkg/handlers/invoice.go:42 (handlers.paid)"; "" for none
	Stack []byte // for the log, never for the record

	short string // the same frame, for the history
}

func (e *PanicError) Error() string {
	text := "handler panicked: " + limits.Cut(fmt.Sprint(e.Value), limits.MaxErrorText/2)
	if e.Frame != "" {
		text += " at " + e.Frame
	}
	return text
}

// panicError describes the panic that a deferred function recovered.
func panicError(v any) *PanicError {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	e, panicking := &PanicError{Value: v, Stack: debug.Stack()}, false
	for more := true; more && e.Frame == ""; {
		var f runtime.Frame
		f, more = frames.Next()
		if panicking {
			e.Frame, e.short = ownFrame(f), shortFrame(f)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
	}
	return e
}

// ownFrame describes a frame of this module without the folder of the build, "" for a frame of
// another module.
func ownFrame(f runtime.Frame) string {
	module := strings.TrimSuffix(reflect.TypeFor[PanicError]().PkgPath(), "pkg/dispatch")
	name, ours := strings.CutPrefix(f.Function, module)
	if !ours && !strings.HasPrefix(name, "main.") {
		return ""
	}
	dir, function := path.Split(name) // "pkg/" and "handlers.paid"
	pkg, _, _ := strings.Cut(function, ".")
	return fmt.Sprintf("%s%s/%s:%d (%s)", dir, pkg, path.Base(f.File), f.Line, function)
}
