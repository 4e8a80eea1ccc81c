package replay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// Events fetches events.
type Events interface {
	// FetchEvent returns the JSON of one event as Stripe renders it for an account, "" for the
	// key's own. An error that a retry cannot cure is a [*dispatch.PermanentError], with
	// dispatch.ReasonObjectGone when that account has no such event. Safe for concurrent use.
	FetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error)
}

// Records reads records.
type Records interface {
	// Get reads an event's record as it is now; false when there is none.
	Get(ctx context.Context, eventID string) (idempotency.Record, bool, error)
}

// Refusal is why an event is not replayed.
type Refusal string

const (
	RefusedUnknown    Refusal = "unknown"    // no record: no attempt has claimed it
	RefusedBroken     Refusal = "broken"     // its row is not a valid record
	RefusedRunning    Refusal = "running"    // an attempt runs
	RefusedDead       Refusal = "dead"       // its last attempt died: its dead letter runs it again
	RefusedRetrying   Refusal = "retrying"   // an attempt died, and its message is retried
	RefusedGone       Refusal = "gone"       // it cannot be fetched
	RefusedMismatched Refusal = "mismatched" // the fetched event is not the record's
	RefusedUnreadable Refusal = "unreadable" // the fetched bytes are not an event that can be sent
	RefusedTooLarge   Refusal = "too_large"  // its body does not fit a message, and the consumer cannot fetch it
	RefusedExcluded   Refusal = "excluded"   // by the policy of the endpoint
	RefusedPaused     Refusal = "paused"     // its type, or everything, is paused or being resumed
	RefusedChanged    Refusal = "changed"    // its record changed meanwhile
	RefusedNoHandler  Refusal = "no_handler" // no handler is registered for its type
)

// RefusedError means that an event is not replayed: nothing was written or sent.
type RefusedError struct {
	Reason Refusal
	Text   string // for people
	Hint   string // what to do instead, with the command's verbs
	Err    error  // the cause, if there is one
}

func (e *RefusedError) Error() string {
	if e.Err != nil {
		return e.Text + ": " + e.Err.Error()
	}
	return e.Text
}
func (e *RefusedError) Unwrap() error { return e.Err }

// source fetches events and checks that they match their records.
type source struct {
	events   Events
	accounts []string // to fetch as, in this order; none: the key's own
}

// open returns the envelope of an event with its body. want is its record's identity, "" for
// any. Endpoint, Source and ReceivedAt are left empty.
func (s source) open(ctx context.Context, id, typ, want string) (event.Envelope, error) {
	var gone error
	other := false
	accounts := s.accounts
	if len(accounts) == 0 {
		accounts = []string{""}
	}
	for _, account := range accounts {
		body, err := s.events.FetchEvent(ctx, account, id, thin(typ))
		if err != nil {
			if p, ok := errors.AsType[*dispatch.PermanentError](err); ok && p.Reason == dispatch.ReasonObjectGone {
				gone = err
				continue
			}
			return event.Envelope{}, fmt.Errorf("fetch event %s: %w", id, err)
		}
		e, err := read(body, account)
		if err != nil {
			return e, &RefusedError{Reason: RefusedUnreadable, Text: "the fetched event " + id + " cannot be read", Err: err, Hint: "give the event's own JSON with --from-file"}
		}
		if e.ID == id && (want == "" || idempotency.IdentitiesOf(e).Has(want)) {
			return e, nil
		}
		other = true
	}
	if other {
		return event.Envelope{}, &RefusedError{
			Reason: RefusedMismatched, Text: "the fetched event does not match the record (type, time, mode, account and object must be the same)",
			Hint: "an event of a connected account needs --account acct_…",
		}
	}
	return event.Envelope{}, &RefusedError{
		Reason: RefusedGone, Text: "the event cannot be fetched; nothing was written", Err: gone,
		Hint: "Stripe keeps events for 30 days, per account and mode: is it of a connected account (--account acct_…) or of the other mode's key? Else give its JSON with --from-file",
	}
}

// Open returns the envelope of an event as Stripe returns it for an account, "" for the key's
// own. typ, the type in the record, identifies thin events. An event that cannot be opened is
// a [*RefusedError]. Endpoint, Source and ReceivedAt are empty.
func Open(ctx context.Context, events Events, account, id, typ string) (event.Envelope, error) {
	return source{events, []string{account}}.open(ctx, id, typ, "")
}

// read parses a fetched event. Its account is the one that it was fetched as; the body may
// name it too, but no other.
func read(body []byte, account string) (event.Envelope, error) {
	e, err := event.Parse(body)
	if err != nil {
		return e, err
	}
	if account != "" && e.Account != "" && e.Account != account {
		return e, fmt.Errorf("it is of account %s, not of %s", e.Account, account)
	}
	if account != "" {
		e.Account = account
	}
	e.Body = body
	return e, nil
}

// thin reports whether events of a type carry a reference only: Stripe names those types
// after the version of its API, and no others.
func thin(typ string) bool { return strings.HasPrefix(typ, "v1.") || strings.HasPrefix(typ, "v2.") }
