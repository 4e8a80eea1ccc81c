package dispatch

import (
	"errors"
	"time"
)

// CurrentOption is an option of [OnCurrent]: [Coalesce] or [Announces].
type CurrentOption func(*currentOptions)

type currentOptions struct {
	coalesce bool
	shows    any // func(*T, Input) bool; nil without Announces
}

// Coalesce skips the fetch and the handler for every event whose change the kept row shows
// already: the event's message was sent at least CoalesceAfter before the fetch that the row
// comes from, both by the queue's clock. A burst of updates of one object then costs a few
// fetches instead of one per update.
//
// It is only for handlers whose effects are all KeepRow and KeepWith. An item inserted for
// a skipped event, such as a fact or a message, would be missing, so an insert is a
// permanent failure. Every other handler that keeps the same row must write the same
// KeepWith effects, as its row may be the one that covers this event. A replay always
// fetches.
func Coalesce(o *currentOptions) { o.coalesce = true }

// CoalesceAfter is how long before a fetch a message must have been sent for the fetch to show
// its event's change, by the queue's clock. Stripe makes the change before it sends the
// message. Five seconds far exceed the clock skew within the queue and the usual lag of a
// replica at Stripe.
const CoalesceAfter = 5 * time.Second

// ErrCoalesced means that there is nothing to do: the object was fetched and stored for
// another event after this one. The event completes as already applied.
var ErrCoalesced = errors.New("the object's row shows this event's change already")

// coveredBy reports whether the fetch that a row was kept from is later than the event's
// change. A row without FetchedAfter, from an earlier release, covers no event.
func coveredBy(in Input, row Fields) bool {
	if in.SentAt.IsZero() || in.Generation > 1 {
		return false
	}
	ms, ok := row[FetchedAfter].(int64)
	return ok && !time.UnixMilli(ms).Before(in.SentAt.Add(CoalesceAfter))
}

// fetchedAfter returns the latest time, by the queue's clock, that is known to be before the
// fetch: when the message was sent or first received. Zero when unknown.
func (in Input) fetchedAfter() time.Time {
	if in.FirstReceived.After(in.SentAt) {
		return in.FirstReceived
	}
	return in.SentAt
}
