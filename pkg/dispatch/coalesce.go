package dispatch

import (
	"errors"
	"time"
)

// CurrentOption changes what a registration with OnCurrent does: [Coalesce], [Announces].
type CurrentOption func(*currentOptions)

type currentOptions struct {
	coalesce bool
	shows    any // func(*T, Input) bool; nil when the type announces nothing of its own
}

// Coalesce saves the fetch, and the handler's run, for every event whose change the kept row
// shows already: its message was sent at least CoalesceAfter before the fetch that the row
// comes from, both by the queue's clock. So a burst of updates of one object costs a few
// fetches, not one for each.
//
// It is an option of [OnCurrent], only for a handler whose effects are all part of the row's
// state: Keep and Beside. Anything inserted for an event, a fact or an outbox message, would
// be missing, so an insert by such a handler is a permanent failure. Every other handler that
// keeps the same row must write the same Beside effects, as its row may be the one that is
// used for this event. The replay of an event always fetches.
func Coalesce(o *currentOptions) { o.coalesce = true }

// CoalesceAfter is how much earlier than a fetch a message must have been sent for the fetch
// to show its event's change: Stripe made the change before it sent the message. Only the
// queue's clock is read. Five seconds far exceed both the disagreement of the queue's own
// servers and the lag of a copy at Stripe.
const CoalesceAfter = 5 * time.Second

// ErrCoalesced says that nothing has to be done for an event: its object was fetched
// and kept since, for another event. The event is done, as stale.
var ErrCoalesced = errors.New("the object's row shows this event's change already")

// shown reports whether the fetch that a row was kept from is surely later than the
// event's change. A row that an earlier release kept has no FetchedAfter and shows nothing.
func coveredBy(in Input, row Fields) bool {
	if in.SentAt.IsZero() || in.Generation > 1 {
		return false
	}
	ms, ok := row[FetchedAfter].(int64)
	return ok && !time.UnixMilli(ms).Before(in.SentAt.Add(CoalesceAfter))
}

// fetchedAfter returns the latest known moment, by the queue's clock, before the run fetched
// its object: when its message was sent or first received. Zero when unknown.
func (in Input) fetchedAfter() time.Time {
	if in.FirstReceived.After(in.SentAt) {
		return in.FirstReceived
	}
	return in.SentAt
}
