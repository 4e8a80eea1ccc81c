package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/outbox"
)

// Job names one delivery; it is the body of a queue message.
type Job struct {
	Message     string // key of the outbox message
	Destination string
}

// Delivery is what a target sends.
type Delivery struct {
	ID       string // of the message, by [ID]: every attempt at every destination has it
	Message  outbox.Message
	Account  string // at Stripe, "" for the platform's own
	Event    *Event // of a forwarded event, else nil
	Sequence int64  // per destination and object, from 1; 0 without an object
	Attempt  int    // from 1
}

// Event is the Stripe event that a message forwards.
type Event struct {
	ID, Type, Object string
	Body             []byte // as fetched from Stripe at sending, nil unless the destination takes the whole event
}

// Target sends a delivery once. Safe for concurrent use. Send returns when ctx ends.
type Target interface {
	Send(ctx context.Context, d Delivery) Answer
}

// Verdict is what an answer means for the delivery.
type Verdict string

const (
	Done    Verdict = "done"    // the receiver accepted it
	Retry   Verdict = "retry"   // try it again later
	Stop    Verdict = "stop"    // no attempt of this delivery can succeed
	Disable Verdict = "disable" // nothing can be delivered to this destination
)

// Answer is the result of an attempt.
type Answer struct {
	Verdict    Verdict
	Status     int           // HTTP status, 0 without
	RetryAfter time.Duration // the receiver's wish, 0 without
	Err        string        // at most MaxErr bytes; never a body, address, secret or URL query
}

// MaxErr limits the text of an answer, in bytes.
const MaxErr = 120

// idChars is the length of an id after its prefix: 130 bits.
const idChars = 26

// ID returns the public id of a message, by which receivers recognise a repeated delivery.
func ID(messageKey string) string {
	sum := sha256.Sum256([]byte(messageKey))
	return "msg_" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:])[:idChars])
}

// Status of a delivery's row.
type Status string

const (
	// Running: an attempt has the lease; left by its end, or by another attempt after the lease.
	Running Status = "running"
	// Waiting: the last attempt failed, the next may begin at Next; left by an attempt.
	Waiting Status = "retry"
	// Delivered: an answer was Done. Final.
	Delivered Status = "done"
	// Failed: retries are exhausted, or an answer was Stop; left only by an operator's redrive.
	Failed Status = "failed"
	// Disabled: the destination answered with Disable; left only by an operator's redrive.
	Disabled Status = "disabled"
)

// Store keeps a row for each delivery and one for each destination. Safe for concurrent use.
// An error means that it is unknown whether a write was applied.
type Store interface {
	// Begin asks for the right to make one attempt. A repeated call with the same owner
	// returns the same attempt.
	Begin(context.Context, BeginRequest) (Begun, error)
	// End records an attempt's result; false if another attempt took over, which changes nothing.
	End(context.Context, Started, Result) (recorded bool, err error)
	// Message reads an outbox message with strong consistency, false if there is none.
	Message(ctx context.Context, key string) (outbox.Message, bool, error)
	// State reads a destination's state; the zero value if it has none.
	State(ctx context.Context, destination string) (State, error)
	// SwapState replaces a destination's state if its Ver is still next.Ver, and adds one to it.
	// won is false if another write came first. A repeated call with the same By wins again.
	SwapState(ctx context.Context, destination string, next State) (won bool, err error)
}

// BeginRequest asks for an attempt. It is granted if the delivery has no row, if it waits and Next
// is reached, or if it runs under a lease that ended before Cutoff.
type BeginRequest struct {
	Job    Job
	Object string    // whose deliveries are numbered, with mode and account; "" for none
	First  bool      // probably the first attempt: a hint that saves a write
	Owner  string    // new for each attempt
	Now    time.Time // before the call
	Lease  time.Time // end of the attempt's lease
	Cutoff time.Time // a lease that ended before this counts as over
}

// Begun is the answer to Begin: exactly one field is set.
type Begun struct {
	Started *Started
	Busy    time.Time // another attempt runs or the delivery waits: when to ask again
	Over    Status    // Delivered, Failed or Disabled
}

// Started is a begun attempt.
type Started struct {
	Job      Job
	Owner    string
	Attempt  int
	Sequence int64
	First    time.Time // when the first attempt began
	Lease    time.Time
	History  []Attempt // of earlier attempts, oldest first
}

// Row is a delivery's row.
type Row struct {
	Status   Status
	Attempt  int // attempts begun
	Owner    string
	Lease    time.Time // while Running
	First    time.Time // when the first attempt began, or an operator's redrive
	Next     time.Time // while Waiting
	Sequence int64
	History  []Attempt
}

// ReadRefusal returns what a row means that refused a request; false if it does not explain it.
func ReadRefusal(req BeginRequest, r Row) (Begun, bool) {
	switch {
	case r.Status == Running && r.Owner == req.Owner:
		return Begun{Started: r.Started(req.Job)}, true
	case r.Status == Running && !r.Lease.Before(req.Cutoff):
		return Begun{Busy: r.Lease.Add(req.Now.Sub(req.Cutoff) + time.Millisecond)}, true
	case r.Status == Waiting && r.Next.After(req.Now):
		return Begun{Busy: r.Next}, true
	case r.Status == Delivered, r.Status == Failed, r.Status == Disabled:
		return Begun{Over: r.Status}, true
	}
	return Begun{}, false
}

// Started returns the row's running attempt.
func (r Row) Started(job Job) *Started {
	return &Started{Job: job, Owner: r.Owner, Attempt: r.Attempt, Sequence: r.Sequence, First: r.First, Lease: r.Lease, History: r.History}
}

// Ended returns the history with the ended attempt: the last MaxHistory of them.
func (s Started) Ended(a Attempt) []Attempt {
	all := append(slices.Clone(s.History), a)
	return all[max(0, len(all)-MaxHistory):]
}

// Attempt is an ended attempt as the row keeps it.
type Attempt struct {
	At     time.Time
	Took   time.Duration
	Status int
	Err    string
}

// MaxHistory is the number of attempts that a row keeps.
const MaxHistory = 10

// Result is how an attempt ended.
type Result struct {
	Attempt Attempt
	Status  Status    // any but Running
	Next    time.Time // with Waiting: no attempt begins before this
	Now     time.Time
}

// State is what all processes know of a destination. Its row is written only on change.
type State struct {
	Ver   int64     // of the row; 0 if there is none
	Since time.Time // when it began to fail; zero if its last answer was a success
	Seen  time.Time // about when it failed last; zero with Since
	Open  time.Time // until when the circuit breaker is open; zero if it is closed
	Off   time.Time // when it was disabled; zero if it is enabled
	Why   string    // why it was disabled

	Paused   time.Time // when an operator paused it; zero if it is not
	PausedBy string
	By       string // the writer's token
}
