package reconcile

import (
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// verdict is the result for one listed event.
type verdict string

const (
	known      verdict = "known"      // its record is done or purged, or its message will be retried
	unrecorded verdict = "unrecorded" // it has no record
	stuck      verdict = "stuck"      // its record is not done and has not changed for StuckAge
	unfinished verdict = "unfinished" // its record is not done, and this is the weekly sweep
	mismatched verdict = "mismatched" // its record is broken, or has another identity
)

// rule compares listed events with their records.
type rule struct {
	sweep  bool // send every event that is not done
	limits limits.Limits
	now    time.Time
}

// judge compares an event with its record; nil is none. unread means that the listed event
// is incomplete, so its identity cannot be checked.
//
// An event without receives left has a dead letter, or is about to: if every pass sent it,
// each dead letter would multiply. Only the weekly sweep sends it, as dead letters can be
// lost. A record without a number of receives was replayed, and its message not sent or not
// received yet. No pass sends a purged event.
func (r rule) judge(e event.Envelope, unread bool, rec *idempotency.Record) verdict {
	if rec == nil {
		return unrecorded
	}
	s := rec.Status(r.now, r.limits)
	switch {
	case rec.Check() != nil, !unread && !idempotency.IdentitiesOf(e).Has(rec.Identity):
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
