package dispatch

import (
	"errors"
	"time"
)

// CurrentOption is an option of [OnCurrent]: [Coalesce], [OnlyKept], [Announces] or [Pure].
type CurrentOption func(*currentOptions)

type currentOptions struct {
	onOptions
	coalesce bool
	onlyKept bool
	shows    any // func(*T, Input) bool; nil without Announces
}

// Coalesce skips the fetch and the handler for every event whose change the kept row shows
// already: the event's message was sent at least CoalesceAfter before the fetch that the row
// comes from, both by the queue's clock. A burst of updates of one object then costs a few
// fetches instead of one per update.
//
// The row that covers a skipped event may be the work of any other handler that keeps it.
// Therefore a handler with Coalesce writes only what follows from the object alone, and every
// handler of that kind of object writes it too, best through one shared function: KeepRow,
// KeepWith, and messages keyed by the row, [MessageKey] of the row's [ObjectKey]. Any other
// insert, such as a fact, would be missing for a skipped event and is a permanent failure.
// A replay always fetches.
func Coalesce(o *currentOptions) { o.coalesce = true }

// OnlyKept skips the fetch and the handler, also in a replay, for every event of an object
// without a kept row. It is for types that report each change of an object, of which most do
// not matter, such as invoice.updated of a draft: the row begins with another type, whose fetch
// shows this event's change if it comes later. A change that is made between that type's fetch
// and its commit, and handled before the commit, is shown by the object's next event only.
func OnlyKept(o *currentOptions) { o.onlyKept = true }

// CoalesceAfter is how long before a fetch a message must have been sent for the fetch to show
// its event's change, by the queue's clock. Stripe makes the change before it sends the
// message. Five seconds far exceed the clock skew within the queue and the usual lag of a
// replica at Stripe.
const CoalesceAfter = 5 * time.Second

// ErrCoalesced means that there is nothing to do: the object was fetched and stored for
// another event after this one, or no row is kept of it. The event completes as already
// applied.
var ErrCoalesced = errors.New("the event needs no fetch")

// skips reports whether the options leave nothing to do, as [ErrCoalesced].
func (o currentOptions) skips(in Input, row Fields) bool {
	return o.onlyKept && row == nil || o.coalesce && coveredBy(in, row)
}

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
