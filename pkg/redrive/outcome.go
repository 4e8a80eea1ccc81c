package redrive

import (
	"context"
	"math"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// Sent is a letter that was sent to the queue again, with what its event's record said
// before: all that is needed to tell, later, what became of it.
type Sent struct {
	EventID string // "" when no record can tell: the message cannot be read, or is of another event than the record
	Done    bool   // the event was done before: the letter was a leftover

	ident                      letterKey // of the event: a record of another tells nothing
	attempt, fails, generation int32     // thousands of these are kept
}

// open reports whether the outcome of the letter proves something.
func (s Sent) open() bool { return s.EventID != "" && !s.Done }

// Outcome is what became of a letter that was sent again.
type Outcome byte

const (
	Waiting   Outcome = iota // no attempt since has ended
	Done                     // the event is done
	Failing                  // an attempt since has failed; the message comes again
	Dead                     // the last attempt since has failed; it is a dead letter again, or about to be
	Untracked                // no record tells
)

func (o Outcome) String() string {
	return [...]string{"waiting", "done", "failing", "dead", "untracked"}[o]
}

// before reads, for each letter, its event's record as it is now.
func before(ctx context.Context, records Records, letters []letter) error {
	errs := make([]error, len(letters))
	each(len(letters), func(i int) {
		letters[i].sent, errs[i] = sentOf(ctx, records, letters[i].m)
	})
	for _, err := range errs {
		if err != nil { // one tells enough
			return err
		}
	}
	return nil
}

func sentOf(ctx context.Context, records Records, m Received) (Sent, error) {
	l, _ := letterOf(m)
	if l.Undecodable != "" {
		return Sent{}, nil
	}
	r, found, err := records.Get(ctx, l.Event.ID)
	if err != nil {
		return Sent{}, err
	}
	ident := idempotency.Ident(l.Event)
	if !found {
		return Sent{EventID: l.Event.ID, ident: keyOf(ident), generation: 1}, nil // what the first claim makes it
	}
	if r.Broken != "" || r.Ident != "" && r.Ident != ident {
		return Sent{}, nil // the consumer dead-letters it again and leaves the record alone
	}
	return Sent{
		EventID: l.Event.ID, Done: r.State == idempotency.Done, ident: keyOf(ident),
		attempt: small(r.Attempt), fails: small(r.Fails), generation: small(r.Generation),
	}, nil
}

func small(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// OutcomeOf reads what became of a letter off its event's record as it is now.
//
// Attempts that were made since the letter was sent are those with a higher number than
// the record had before. One of them failed when the record says so: it is FAILED under
// such a number, it counts more failures, a higher number still runs, or the lease of the
// running one is over, as its process died without a word. It was the last one when its
// message has no receives left. A higher generation says that the event was done, and
// replayed since.
func (s Sent) OutcomeOf(r idempotency.Record, now time.Time, l limits.Limits) Outcome {
	attempts := r.Attempt - int64(s.attempt)
	tried := attempts > 0
	over := !r.Held(now, l)
	switch {
	case s.EventID == "", r.Broken != "", r.Ident != "" && keyOf(r.Ident) != s.ident:
		return Untracked
	case s.Done, r.State == idempotency.Done, r.Generation > int64(s.generation):
		return Done
	case tried && over && r.ReceivesLeft == 0:
		return Dead
	case tried && (over || r.Fails > int64(s.fails) || attempts > 1):
		return Failing
	default:
		return Waiting
	}
}
