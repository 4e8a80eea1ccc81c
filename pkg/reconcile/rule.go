package reconcile

import (
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// verdict is what becomes of one listed event.
type verdict string

const (
	known      verdict = "known"      // its record is done or purged, or something will finish it
	unrecorded verdict = "unrecorded" // it has no record
	stuck      verdict = "stuck"      // its record is not done, and nothing would finish it
	unfinished verdict = "unfinished" // its record is not done, and this is the net
	mismatched verdict = "mismatched" // its record cannot be read, or is another event's
)

// rule decides by the record alone.
type rule struct {
	sweep  bool // send whatever is not done
	limits limits.Limits
	now    time.Time
}

// judge compares an event with its record; nil is none. unread says that the listed event is
// incomplete, so that it identifies nothing.
//
// A record without receives left belongs to a message in the dead-letter queue, or about to
// be: if every pass sent it, each dead letter would multiply without end. Only the weekly
// sweep sends it, as dead letters can be lost. A record without a number of receives was
// replayed, and its message not sent or not received yet. A purged event was given up by an
// operator, so no pass sends it.
func (r rule) judge(e event.Envelope, unread bool, rec *idempotency.Record) verdict {
	if rec == nil {
		return unrecorded
	}
	s := rec.Status(r.now, r.limits)
	switch {
	case rec.Check() != nil, !unread && rec.Identity != idempotency.Identity(e):
		return mismatched
	case s.Name == idempotency.StatusDone, s.Name == idempotency.StatusPurged:
		return known
	case r.sweep:
		return unfinished
	case s.Stuck && s.Name != idempotency.StatusDead:
		return stuck
	}
	return known
}
