package reconcile

import (
	"context"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// Query asks for one page of the events of one account, the newest first.
type Query struct {
	Account  string    // connected account, "" for the key's own
	From, To time.Time // of creation, whole seconds, both inclusive
	Types    []string  // at most MaxTypes, exact
	After    string    // the id after which the page begins, "" for the newest
}

// MaxTypes is how many types one query may name.
const MaxTypes = 20

// Page is one page of a list.
type Page struct {
	Items []Item
	Last  string // the last id that could be read, "" for none: the next page begins behind it
	More  bool
}

// Item is one event of a page. Err is why it cannot be read completely; its Event then has
// what could be read, and can be sent id-only if it has id, type and creation time.
type Item struct {
	Event    event.Envelope // as far as the list tells: without account, endpoint and source
	Position int            // in the page, from 0
	Err      error
}

// sendable reports whether the item can be put on the queue.
func (i Item) sendable() bool {
	return i.Event.ID != "" && (i.Err == nil || i.Event.Type != "" && i.Event.Created != 0)
}

// Lister lists Stripe's events.
type Lister interface {
	// ListEvents retries where that may help; its error ends the pass for this account.
	ListEvents(context.Context, Query) (Page, error)
	// Livemode reports the mode of the events that it lists.
	Livemode(context.Context) (bool, error)
}

// Records reads the records of events.
type Records interface {
	// Records leaves out the events that have none; one that cannot be read has Broken set.
	// At most a page's worth of ids. One that is done may have been replayed a moment ago;
	// the others are as they are now.
	Records(ctx context.Context, eventIDs []string) (map[string]idempotency.Record, error)
	// Open returns the index of open records: the creation times, in seconds, by id, 0 for an
	// unknown one. An event enters it when it fails, comes a second time or is replayed, and
	// leaves it when it is done. It may lag a moment behind; nil is unknown.
	Open(context.Context) (map[string]int64, error)
}

// Sender puts an event on the queue: nil once it is there.
type Sender interface {
	Send(ctx context.Context, e event.Envelope, trace string) error
}

// Depth reads the number of messages in the queue: visible, in flight and delayed.
type Depth interface {
	Depth(context.Context) (int, error)
}

// Pause tells which event types are paused.
type Pause interface {
	// Quiet reports whether no event of a type may be sent: it, or everything, is paused or being
	// resumed. The pass that ends the pause of a name asks with the name, any other with "".
	Quiet(ctx context.Context, eventType, resumes string) (bool, error)
}

// Coverage stores finished slices.
type Coverage interface {
	Cover(context.Context, Covered) error
	// Covered returns the notes of slices that begin in [from, to), in no order, and the
	// keys of those that cannot be read. It may lag a moment behind.
	Covered(ctx context.Context, from, to time.Time) (notes []Covered, broken []string, err error)
}

// Begins stores the start of each account's history.
type Begins interface {
	// Begins returns those that are known. It may lag a moment behind.
	Begins(context.Context) (map[Stream]time.Time, error)
	// Oldest returns the start of the oldest note that a scheduled pass left of each of
	// these accounts while no policy excluded it; one without a note is left out. from is a
	// time before which no note can start.
	Oldest(ctx context.Context, of []Stream, from, to time.Time) (map[Stream]time.Time, error)
	// PutBegin writes a start of history, in whole seconds, unless there is one, and
	// returns the stored one.
	PutBegin(ctx context.Context, of Stream, at time.Time) (time.Time, error)
}

// Covered notes that one slice was listed to its end and that all its events were known or
// sent by DoneAt. One of the tier [Configured] has an empty slice, and records how passes
// treat the account.
type Covered struct {
	Livemode bool
	Account  string // "" for the platform's own
	Tier     string
	From, To time.Time // of the events' creation, whole seconds, both inclusive

	Listed, Known, Enqueued int
	Errors                  int // events that could not be read or compared
	DoneAt                  time.Time

	// Sum tells the slice's events from any others, if each was done or in the index of open
	// records; else it is "".
	Sum string

	// Of the tier Configured only.
	Since    time.Time // passes compare what was created from then on; zero in notes of old releases
	Endpoint string    // whose policy the account's events come under
	Excluded string    // the reason for which that policy excludes the account, "" if it does not
}

// Stream is whose slice it is.
func (c Covered) Stream() Stream { return Stream{c.Livemode, c.Account} }
