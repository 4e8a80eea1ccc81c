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

// Reasons of permanent failures that Tollgate itself gives; handlers may give others.
const (
	ReasonHandler        = "handler"         // a handler said that no attempt can cure it
	ReasonAPIVersion     = "api_version"     // rendered in an API version that cannot be read safely
	ReasonNoAPIKey       = "no_api_key"      // needs a fetch from Stripe, and there is no key
	ReasonObjectGone     = "object_gone"     // Stripe no longer has it
	ReasonAccountRevoked = "account_revoked" // needs a fetch from Stripe as a connected account that refuses access
	ReasonTooLarge       = "too_large"       // needs a fetch from Stripe that is larger than we read
	ReasonNoFetch        = "no_fetch"        // objects of this kind cannot be fetched from Stripe
	ReasonWrongObject    = "wrong_object"    // data.object is of another kind than the handler's
	ReasonUndecodable    = "undecodable"     // not a message of ours
	ReasonCorrupt        = "corrupt"         // one id, two identities
	ReasonRejected       = "rejected"        // the store will never take these effects

	ReasonNewerVersion = "newer_version" // written by a newer release, and no newer consumer received it in time
)

// PermanentError is a failure that no further attempt can cure without a change to
// the code or its configuration: the message is dead-lettered now.
type PermanentError struct {
	Reason string
	Err    error
}

// Permanent marks err as permanent with ReasonHandler.
func Permanent(err error) error { return &PermanentError{Reason: ReasonHandler, Err: err} }

// Park marks err as permanent with a reason of its own: the event cannot be read
// safely yet and waits in the dead-letter queue for a redrive.
func Park(reason string, err error) error { return &PermanentError{Reason: reason, Err: err} }

// Error is the cause's text; the reason stands beside it wherever it is shown.
func (e *PermanentError) Error() string { return textOf(e.Err, e.Reason) }
func (e *PermanentError) Unwrap() error { return e.Err }

// RetryAfterError is a transient failure that asks for its own delay.
type RetryAfterError struct {
	Delay time.Duration // clamped to 1 s – 1 h
	Err   error
}

// RetryAfter marks err as transient and asks for the next attempt after d.
func RetryAfter(d time.Duration, err error) error { return &RetryAfterError{Delay: d, Err: err} }

func (e *RetryAfterError) Error() string { return textOf(e.Err, "the handler asks to come back later") }
func (e *RetryAfterError) Unwrap() error { return e.Err }

// textOf serves a handler that gives no error of its own.
func textOf(err error, missing string) string {
	if err == nil {
		return missing
	}
	return err.Error()
}

// PanicError is a handler's panic, turned into its attempt's error.
type PanicError struct {
	Value any
	Frame string // the innermost of this module, "pkg/handlers/invoice.go:42 (handlers.paid)"; "" if none is
	Stack []byte // for the log, never for the record
}

func (e *PanicError) Error() string {
	text := "handler panicked: " + limits.Cut(fmt.Sprint(e.Value), limits.MaxErrorText/2)
	if e.Frame != "" {
		text += " at " + e.Frame
	}
	return text
}

// panicError describes the panic that a deferred function has recovered.
func panicError(v any) *PanicError {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	e, panicking := &PanicError{Value: v, Stack: debug.Stack()}, false
	for more := true; more && e.Frame == ""; {
		var f runtime.Frame
		f, more = frames.Next()
		if panicking {
			e.Frame = ownFrame(f)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
	}
	return e
}

// ownFrame describes a frame of this module, without the folder where it was built; "" for
// another module's.
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
