package idempotency

import (
	"time"

	"tollgate/pkg/limits"
)

// StatusName is an event's status in one word.
type StatusName string

const (
	StatusDone     StatusName = "done"     // see Status.Outcome
	StatusRunning  StatusName = "running"  // an attempt holds the claim, or held it when it died
	StatusRetrying StatusName = "retrying" // the last attempt failed, or a replay was requested
	StatusDead     StatusName = "dead"     // not done, and its message has no receives left
	StatusPurged   StatusName = "purged"   // not done, and an operator purged it
	StatusBroken   StatusName = "broken"   // the row is not a valid record
)

// Where is the place of an event's message, inferred from the record alone.
type Where string

const (
	AtDone       Where = "done"         // no message is needed
	InFlight     Where = "in_flight"    // an attempt runs
	InQueue      Where = "queue"        // the message waits for its next receive
	InDLQ        Where = "dlq"          // in the dead-letter queue, or about to be
	InQueueOrDLQ Where = "queue_or_dlq" // its last receives may have failed to reach the table
	AtPurged     Where = "purged"
	AtUnknown    Where = "unknown" // the row is not a valid record
)

// Status is an event's status, derived from its record at one moment.
type Status struct {
	Name    StatusName
	Outcome Outcome // of a done event
	Where   Where
	// Next is when the back-off schedule makes the message visible again; in the past when it
	// is due. A handler that asked for another delay is not taken into account. Zero when no
	// attempt is expected, or when the event is Stuck.
	Next time.Time
	// Stuck: not done or purged, no attempt runs, and the record has not changed for
	// Reconcile.StuckAge, which is longer than any wait between two receives.
	Stuck bool
}

// Status returns the status of the event at a time. l are the limits of the system that
// wrote the record.
func (r Record) Status(now time.Time, l limits.Limits) Status {
	s := Status{Name: r.StatusName()}
	switch s.Name {
	case StatusBroken:
		s.Where = AtUnknown
	case StatusPurged:
		s.Where = AtPurged
	case StatusDone:
		s.Outcome, s.Where = r.Outcome, AtDone
	default:
		held := r.Held(now, l)
		s.Stuck = !held && now.Sub(r.lastChange()) > l.Reconcile.StuckAge
		s.Where = r.where(held, s.Stuck)
		if !held && !s.Stuck && s.Name != StatusDead {
			s.Next = r.next(l)
		}
	}
	return s
}

// StatusName returns the part of the status that depends on the record alone.
func (r Record) StatusName() StatusName {
	switch {
	case r.Check() != nil:
		return StatusBroken
	case r.State == Done:
		return StatusDone
	case !r.Purged.IsZero():
		return StatusPurged
	case r.ReceivesLeft == 0:
		return StatusDead
	case r.State == Running:
		return StatusRunning
	default:
		return StatusRetrying
	}
}

// String returns the name, or ignored for a done event for which no handler ran.
func (s Status) String() string {
	if s.Name == StatusDone && s.Outcome == Ignored {
		return string(Ignored)
	}
	return string(s.Name)
}

// Text returns the outcome for people; the stored word is "stale" for older readers.
func (o Outcome) Text() string {
	if o == AlreadyApplied {
		return "already applied"
	}
	return string(o)
}

// Settled reports whether nothing more happens to the event unless something acts on it. A
// dead event is not settled while its last attempt runs.
func (s Status) Settled() bool {
	return s.Where == AtDone || s.Where == InDLQ || s.Where == AtPurged || s.Where == AtUnknown
}

// Held reports whether an attempt holds the claim: its lease, with the margin that a claim
// adds to it, has not expired.
func (r Record) Held(now time.Time, l limits.Limits) bool {
	return r.State == Running && !over(r.Lease, now.Add(-l.TakeOverMargin))
}

func (r Record) lastChange() time.Time {
	if r.Lease.After(r.Updated) {
		return r.Lease
	}
	return r.Updated
}

// where infers the place of a message that is not done. A receive that cannot reach the
// table leaves the record unchanged, so the message may have used up its receives unseen.
func (r Record) where(held, stuck bool) Where {
	switch {
	case held:
		return InFlight
	case r.ReceivesLeft == 0:
		return InDLQ
	case r.ReceivesLeft == 1 || stuck:
		return InQueueOrDLQ
	default:
		return InQueue
	}
}

// next returns when the message of a retried event is visible again.
func (r Record) next(l limits.Limits) time.Time {
	switch {
	case r.State == Running: // the attempt died; it set no visibility
		return r.Updated.Add(l.Visibility)
	case r.ReceivesLeft < 0: // replayed: the message was sent with that write
		return r.Updated
	default:
		return r.Updated.Add(l.Backoff(l.MaxReceives - int(r.ReceivesLeft)))
	}
}
