package redrive

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// Sent is a message that was sent to the queue again, with its event's record as it was
// before: all that is needed to tell its outcome later.
type Sent struct {
	EventID string // "" if the outcome cannot be told from a record: the message is unreadable, or the record has another identity
	Done    bool   // the event was done before: the message was a leftover

	identities                 [2]key // of the event: a record of another identity does not count
	attempt, fails, generation int32  // thousands of these are kept
}

// open reports whether the message's outcome can show whether a fix works.
func (s Sent) open() bool { return s.EventID != "" && !s.Done }

// Outcome is the result of a message that was sent again.
type Outcome byte

const (
	Waiting   Outcome = iota // no attempt since has ended
	Done                     // the event is done
	Failing                  // an attempt since has failed; the message is retried
	Dead                     // the last attempt since has failed, or no attempt was made: it is a dead letter again, or about to be
	Untracked                // unknown: no usable record
)

func (o Outcome) String() string {
	return [...]string{Waiting: "waiting", Done: "done", Failing: "failing", Dead: "dead", Untracked: "untracked"}[o]
}

// Outcomes counts the outcomes of messages that were sent again.
type Outcomes struct {
	Done      int `json:"done"`
	Failing   int `json:"failed_retrying"`
	Dead      int `json:"failed_dead"`
	Waiting   int `json:"under_way"`
	Untracked int `json:"untracked"`

	FailedID    string `json:"failed_event_id"` // an event of those that failed
	FailedError string `json:"failed_error"`    // its error
}

// Failed is how many failed again, whether they are retried or not.
func (o Outcomes) Failed() int { return o.Failing + o.Dead }

// readBefore reads, for each message, its event's record as it is now.
func readBefore(ctx context.Context, records Records, list []outgoing) error {
	errs := make([]error, len(list))
	each(len(list), func(i int) {
		list[i].sent, errs[i] = sentOf(ctx, records, list[i].m)
	})
	return cmp.Or(errs...)
}

func sentOf(ctx context.Context, records Records, m Received) (Sent, error) {
	d, _ := decode(m)
	if d.Undecodable != "" {
		return Sent{}, nil
	}
	r, found, err := records.Get(ctx, d.Event.ID)
	if err != nil {
		return Sent{}, err
	}
	identities := idempotency.IdentitiesOf(d.Event)
	keys := [2]key{keyOf(identities[0]), keyOf(identities[1])}
	if !found {
		return Sent{EventID: d.Event.ID, identities: keys, generation: 1}, nil // as the first claim writes it
	}
	if r.Broken != "" || r.Identity != "" && !identities.Has(r.Identity) {
		return Sent{}, nil // the consumer dead-letters it again and does not touch the record
	}
	return Sent{
		EventID: d.Event.ID, Done: r.State == idempotency.Done, identities: keys,
		attempt: small(r.Attempt), fails: small(r.Fails), generation: small(r.Generation),
	}, nil
}

func small(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// OutcomeOf returns the message's outcome by its event's record as it is now.
//
// Attempts made since the message was sent have a higher number than the record had before.
// One of them has failed if the record is FAILED under such a number, counts more failures, or
// a higher number runs, or if the lease of the running one has expired. It was the last one if
// its message has no receives left. A higher generation means that the event was done, and
// replayed since.
func (s Sent) OutcomeOf(r idempotency.Record, now time.Time, l limits.Limits) Outcome {
	attempts := r.Attempt - int64(s.attempt)
	tried := attempts > 0
	ended := !r.Held(now, l)
	switch {
	case s.EventID == "", r.Broken != "", r.Identity != "" && !slices.Contains(s.identities[:], keyOf(r.Identity)):
		return Untracked
	case s.Done, r.State == idempotency.Done, r.Generation > int64(s.generation):
		return Done
	case tried && ended && r.ReceivesLeft == 0:
		return Dead
	case tried && (ended || r.Fails > int64(s.fails) || attempts > 1):
		return Failing
	default:
		return Waiting
	}
}
