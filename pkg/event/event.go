// Package event holds the words that all of Tollgate shares about a Stripe event:
// the envelope it travels in, and how an envelope is read from the bytes that
// Stripe signed.
//
// It reads the few header fields that routing and idempotency need and nothing of
// an event's data but its object's id; typed decoding is the dispatcher's.
//
//	env, err := event.Parse(body)
//	if errors.Is(err, event.ErrNotEvent) { … }
package event

import (
	"strings"
	"time"
)

// Source says on which way an envelope reached the queue.
type Source string

const (
	Webhook   Source = "webhook"   // a delivery by Stripe whose signature verified
	Reconcile Source = "reconcile" // found missing in Stripe's event list by the schedule
	Backfill  Source = "backfill"  // fetched from Stripe's event list by an operator
	Replay    Source = "replay"    // a done event run again on an operator's word
)

// Valid reports whether s is one of the four sources.
func (s Source) Valid() bool {
	return s == Webhook || s == Reconcile || s == Backfill || s == Replay
}

// Names of the two shapes of event that Stripe sends, as found in the member "object".
const (
	ObjectSnapshot = "event"         // carries a snapshot of its object
	ObjectThin     = "v2.core.event" // carries only a reference to its object
)

// Envelope is a verified event on its way: header fields and the exact bytes that
// Stripe signed. Body is nil when the event was too large for a message or is known
// by its id alone; it is then fetched from Stripe. An Envelope is not changed once made.
type Envelope struct {
	ID         string // evt_…, the only identity of an event
	Object     string // ObjectSnapshot or ObjectThin
	Type       string
	Endpoint   string // the endpoint's name in the path of the delivery
	Account    string // connected account, "" for the platform's own; a thin event's context
	Livemode   bool
	APIVersion string // "" when Stripe gave null or none
	Created    int64  // seconds since 1970
	CreatedRaw string // a thin event's created as it was written (RFC 3339), else ""
	ReceivedAt time.Time
	ObjectID   string // data.object.id or related_object.id, "" when there is none; any script: people choose some ids
	Source     Source
	Body       []byte
}

// Thin reports whether the event carries only a reference to its object.
func (e Envelope) Thin() bool { return e.Object == ObjectThin }

// Mode returns "live" or "test", the word used in item keys.
func (e Envelope) Mode() string { return Mode(e.Livemode) }

// Mode returns the word for a livemode flag: "live" or "test".
func Mode(livemode bool) string {
	if livemode {
		return "live"
	}
	return "test"
}

// SameFact reports whether o claims to be the same event as e: id, type and created
// agree. One event can have two bodies (Stripe renders it in several API versions).
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

// ValidPattern reports whether a pattern is one that MatchType reads: a "*" stands alone
// or in the ".*" at the end.
func ValidPattern(pattern string) bool {
	return pattern == "*" || !strings.Contains(strings.TrimSuffix(pattern, ".*"), "*")
}

// ValidEndpoint reports whether name can be an endpoint's: 1 to 32 of a–z, 0–9 and "-".
func ValidEndpoint(name string) bool {
	return len(name) >= 1 && len(name) <= 32 && !strings.ContainsFunc(name, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-'
	})
}
