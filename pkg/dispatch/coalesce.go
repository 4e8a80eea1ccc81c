package dispatch

import (
	"errors"
	"time"
)

// CurrentOption changes what a registration with OnCurrent does.
type CurrentOption string

// Coalesce spares a fetch, and the handler's run, for every event whose change the kept
// row shows already: one whose message was sent at least CoalesceAfter before the
// fetch that the row was kept from. So a burst of updates of one object costs a few
// fetches, not one for each.
//
// It is only for a handler whose effects are all part of the row's state: Keep, and
// Beside. What is inserted for an event, a fact or an outbox message, would be missing,
// so an insert by such a handler is a permanent failure. Every other handler that keeps
// the same row must write the same things beside it, as its row may be the one that
// stands in for this event. The replay of an event always fetches.
const Coalesce CurrentOption = "coalesce"

// CoalesceAfter is how much older than a fetch a message must be for the fetch to have
// shown its event's change. Stripe made the event before its message was sent, so any
// fetch after that shows the change, were there one clock: the row's time is the
// consumer's, the message's is the queue's, and an answer of Stripe's may come from a
// copy that lags a moment. Five seconds are far more than the two differ by, and cost
// a few fetches more in a burst.
const CoalesceAfter = 5 * time.Second

// ErrCoalesced says that nothing has to be done for an event: its object was fetched
// and kept since, for another event. The event is done, as stale.
var ErrCoalesced = errors.New("the object's row shows this event's change already")

// shown reports whether the fetch that a row was kept from is surely later than the
// event's change. A fetch that a broken clock put into the future proves nothing.
func shown(in Input, row Fields) bool {
	if in.SentAt.IsZero() || in.Generation > 1 {
		return false
	}
	ms, ok := row[FetchedAt].(int64)
	at := time.UnixMilli(ms)
	return ok && !at.After(in.Now) && !at.Before(in.SentAt.Add(CoalesceAfter))
}
