// Package event defines the envelope of a Stripe event and parses it from the bytes that
// Stripe signed.
//
// It reads the header fields that routing and idempotency need, and of an event's data
// only the object's id. Package dispatch decodes the rest.
//
//	env, err := event.Parse(body)
//	if errors.Is(err, event.ErrNotEvent) { … }
package event

import (
	"strings"
	"time"
)

// ForwardedPrefix starts the name of an outbox message that forwards an event: the event's type
// follows. No handler's message has it.
const ForwardedPrefix = "stripe."

// Source is how an envelope reached the queue.
type Source string

const (
	Webhook   Source = "webhook"   // a delivery by Stripe whose signature verified
	Reconcile Source = "reconcile" // missing in the table, found in Stripe's event list by the schedule
	Backfill  Source = "backfill"  // fetched from Stripe's event list by an operator
	Replay    Source = "replay"    // a done event that an operator replays

	EventBridge Source = "eventbridge" // an event of Stripe's partner event bus
)

// Valid reports whether s is one of the five sources.
func (s Source) Valid() bool {
	return s.Delivered() || s == Reconcile || s == Backfill || s == Replay
}

// Delivered reports whether Stripe itself sent the event, so that nothing is missing.
func (s Source) Delivered() bool { return s == Webhook || s == EventBridge }

// The two kinds of event that Stripe sends, by the member "object".
const (
	ObjectSnapshot = "event"         // carries a snapshot of its object
	ObjectThin     = "v2.core.event" // carries only a reference to its object
)

// AccountFrom is what names an event's account.
type AccountFrom uint8

const (
	FromAccount AccountFrom = iota // the member account, or nothing
	FromContext                    // the member context, which releases before this one ignored
	FromBody                       // context too, in a message of such a release: its header has no account
)

// Envelope is a verified event: header fields and the exact bytes that Stripe signed. Body
// is nil if the event was too large for a message or only its id is known; it is then
// fetched from Stripe. An Envelope is immutable.
type Envelope struct {
	ID       string // evt_…, the only identity of an event
	Object   string // ObjectSnapshot or ObjectThin
	Type     string
	Endpoint string // the endpoint's name in the path of the delivery
	Account  string // connected account, "" for the platform's own; a thin event's context

	// AccountFrom is FromAccount in a thin event.
	AccountFrom AccountFrom

	Livemode   bool
	APIVersion string // "" if null or missing
	Created    int64  // seconds since 1970
	CreatedRaw string // a thin event's created as written (RFC 3339), else ""
	ReceivedAt time.Time
	ObjectID   string // data.object.id or related_object.id, "" without one; any script, as users choose some ids
	Source     Source
	Body       []byte
}

// Thin reports whether the event carries only a reference to its object.
func (e Envelope) Thin() bool { return e.Object == ObjectThin }

// AccountUnknown reports whether an event has a context that names no account.
func (e Envelope) AccountUnknown() bool {
	return e.AccountFrom != FromAccount && !isAccount(e.Account)
}

// ContextAccount returns the account that a context names, as acct_1 or org_1/acct_1: the end
// of the path. A context that ends in something else is returned as it is.
func ContextAccount(context string) string {
	if last := context[strings.LastIndexByte(context, '/')+1:]; isAccount(last) {
		return last
	}
	return context
}

func isAccount(s string) bool {
	id, ok := strings.CutPrefix(s, "acct_")
	return ok && id != "" && !strings.Contains(id, "/")
}

// Mode returns "live" or "test", as in item keys.
func (e Envelope) Mode() string { return Mode(e.Livemode) }

// Mode returns "live" or "test" for a livemode flag.
func Mode(livemode bool) string {
	if livemode {
		return "live"
	}
	return "test"
}

// SameFact reports whether o has the id, type and created of e. The bodies of one event can
// differ: Stripe renders it in several API versions.
func (e Envelope) SameFact(o Envelope) bool {
	return e.ID == o.ID && e.Type == o.Type && e.Created == o.Created
}

// MatchType reports whether an event type fits a pattern: "*", an exact name, or a
// prefix that ends in ".*".
func MatchType(pattern, typ string) bool {
	if pattern == "*" || pattern == typ {
		return true
	}
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasSuffix(prefix, ".") && strings.HasPrefix(typ, prefix)
}

// ValidPattern reports whether MatchType supports a pattern: a "*" is the whole pattern or
// in its final ".*".
func ValidPattern(pattern string) bool {
	return pattern == "*" || !strings.Contains(strings.TrimSuffix(pattern, ".*"), "*")
}

// ValidEndpoint reports whether name is a valid endpoint name: 1 to 32 of a–z, 0–9 and "-".
func ValidEndpoint(name string) bool {
	return len(name) >= 1 && len(name) <= 32 && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
	})
}
