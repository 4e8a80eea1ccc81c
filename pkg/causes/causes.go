// Package causes groups events that fail by what they fail with: their type and the fingerprint of
// their error. It takes records of events that are not done, before and after they are dead
// letters, and the letters of the dead-letter queue, as some have no record.
//
//	groups := causes.New(time.Now(), limits.AWS())
//	groups.AddRecord(record)  // all records first
//	groups.AddLetter(letter)
//	list := groups.Sorted()
//
// It reads nothing itself, and an event counts once for each cause.
package causes

import (
	"cmp"
	"slices"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// MaxIDs is how many of its events a cause names.
const MaxIDs = 100

// ReasonBroken is the reason of a row that cannot be read as a record.
const ReasonBroken = "broken"

// Cause is the events of one type that fail with one error. Times are in UTC.
type Cause struct {
	Type        string `json:"type"`
	Fingerprint string `json:"fingerprint"`
	Reason      string `json:"reason"` // of a permanent failure, or of the dead letters
	Error       string `json:"error"`  // of the newest; "" where no failure was written
	Frame       string `json:"frame"`  // where it failed; "" if unknown

	Events    int `json:"events"`    // that fail now
	Retrying  int `json:"retrying"`  // of these: have attempts left
	Dead      int `json:"dead"`      // of these: in the dead-letter queue, or about to be
	Letters   int `json:"letters"`   // dead letters that were read
	Leftovers int `json:"leftovers"` // of these: of events that are done

	First time.Time `json:"first,omitzero"` // failure seen; history begins anew when an event is done
	Last  time.Time `json:"last,omitzero"`

	// Of the retrying ones, from their records and the back-off schedule.
	LeftMin   int64     `json:"left_min"`
	LeftMax   int64     `json:"left_max"`
	NextFirst time.Time `json:"next_first,omitzero"`
	NextLast  time.Time `json:"next_last,omitzero"`

	EventID string   `json:"event_id"` // the newest; "" for messages that name no event
	IDs     []string `json:"ids"`      // the newest first, at most MaxIDs

	Alarm   string `json:"alarm"`   // that it raises, without its stage
	Section string `json:"section"` // of the runbook
}

// Groups collects causes.
type Groups struct {
	now    time.Time
	limits limits.Limits
	groups map[key]*group
}

type key struct{ typ, fingerprint string }

type group struct {
	Cause
	last map[string]time.Time // by event, or by message where that names none
}

// New returns empty groups. Limits are those of the system that wrote the records.
func New(now time.Time, l limits.Limits) *Groups {
	return &Groups{now, l, map[key]*group{}}
}

// AddRecord adds the event of a record that is not done. It leaves out those that are done or
// purged, and those that wait for a replay and have not failed in it.
func (g *Groups) AddRecord(r idempotency.Record) {
	status := r.Status(g.now, g.limits)
	replayed := r.State == idempotency.Failed && r.Fails == 0 && r.Err == ""
	if status.Name == idempotency.StatusDone || status.Name == idempotency.StatusPurged || replayed && status.Name != idempotency.StatusBroken {
		return
	}
	reason, text := r.Reason, r.Err
	if status.Name == idempotency.StatusBroken {
		reason, text = ReasonBroken, r.Broken
	}
	fingerprint, frame := causeOf(r, reason, text)
	c := g.group(r.Type, fingerprint)
	c.Reason = cmp.Or(c.Reason, reason)
	c.Events++
	if first, last := span(r, fingerprint); c.seen(r.ID, first, last) {
		c.Error, c.Frame = text, frame
	}
	switch status.Name {
	case idempotency.StatusDead:
		c.Dead++
		return
	case idempotency.StatusBroken: // reconcile and an alarm find it
		return
	}
	c.Retrying++
	if left := r.ReceivesLeft; left >= 0 {
		c.LeftMax = max(c.LeftMax, left)
		if c.LeftMin < 0 || left < c.LeftMin {
			c.LeftMin = left
		}
	}
	if next := status.Next; !next.IsZero() {
		c.NextFirst, c.NextLast = widened(c.NextFirst, c.NextLast, next, next)
	}
}

// AddLetter adds a dead letter, completed from its record. Its event counts if no record of it was
// added under the same cause before.
func (g *Groups) AddLetter(d redrive.DeadLetter) {
	c := g.group(d.Type(), d.Cause.Fingerprint)
	c.Reason = cmp.Or(c.Reason, d.Cause.Reason)
	c.Letters++
	if d.Done {
		c.Leftovers++
		return
	}
	id := cmp.Or(d.EventID(), d.MessageID)
	if _, known := c.last[id]; known {
		return
	}
	c.Events++
	c.Dead++
	if c.seen(id, d.SentAt, d.SentAt) {
		c.EventID, c.Error, c.Frame = d.EventID(), d.Cause.Error, ""
	}
}

// Sorted returns the causes, that of the most events first.
func (g *Groups) Sorted() []Cause {
	list := make([]Cause, 0, len(g.groups))
	for _, c := range g.groups {
		for id := range c.last {
			c.IDs = append(c.IDs, id)
		}
		slices.SortFunc(c.IDs, func(a, b string) int { return cmp.Or(c.last[b].Compare(c.last[a]), cmp.Compare(a, b)) })
		c.IDs = slices.Clip(c.IDs[:min(len(c.IDs), MaxIDs)])
		c.LeftMin = max(c.LeftMin, 0)
		c.Alarm, c.Section = runbook(c.Cause)
		list = append(list, c.Cause)
	}
	slices.SortFunc(list, func(a, b Cause) int {
		return cmp.Or(cmp.Compare(b.Events, a.Events), b.Last.Compare(a.Last), cmp.Compare(a.Type, b.Type), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return list
}

// What describes the error for people.
func (c Cause) What() string {
	switch {
	case c.Error != "" && c.Frame != "":
		return c.Error + " (" + c.Frame + ")"
	case c.Error != "":
		return c.Error
	case c.Leftovers > 0 && c.Events == 0:
		return "no error is recorded: its messages are of events that are done"
	case c.Letters > 0 && c.Retrying == 0:
		return "no error is recorded: the queue moved its messages, and no record tells why"
	default:
		return "no failure was written: an attempt was killed or timed out, or runs now"
	}
}

func (g *Groups) group(typ, fingerprint string) *group {
	k := key{typ, fingerprint}
	if g.groups[k] == nil {
		g.groups[k] = &group{Cause{Type: typ, Fingerprint: fingerprint, LeftMin: -1, IDs: []string{}}, map[string]time.Time{}}
	}
	return g.groups[k]
}

// seen notes an event's failures and reports whether it is the newest of the cause.
func (c *group) seen(id string, first, last time.Time) (newest bool) {
	newest = len(c.last) == 0 || last.After(c.Last)
	c.last[id] = last
	c.First, c.Last = widened(c.First, c.Last, first.UTC(), last.UTC())
	if newest {
		c.EventID = id
	}
	return newest
}

// widened returns the span that contains another one too.
func widened(first, last, from, to time.Time) (time.Time, time.Time) {
	if first.IsZero() || from.Before(first) {
		first = from
	}
	if to.After(last) {
		last = to
	}
	return first, last
}

// causeOf returns the fingerprint and frame of the last failure. A failed record whose history
// lacks its attempt was written by a release without history.
func causeOf(r idempotency.Record, reason, text string) (fingerprint, frame string) {
	if n := len(r.History); n > 0 && reason != ReasonBroken {
		if a := r.History[n-1]; a.Fingerprint != "" && (r.State == idempotency.Running || a.Number == r.Attempt) {
			return a.Fingerprint, a.Frame
		}
	}
	return queue.Fingerprint(r.Type, reason, text), ""
}

// span returns when an event's failures of one cause began and last happened, as far as its record
// tells.
func span(r idempotency.Record, fingerprint string) (first, last time.Time) {
	first, last = r.Updated, r.Updated
	if r.Generation == 1 && len(r.History) == 0 && !r.FirstAt.IsZero() {
		first = r.FirstAt
	}
	for _, a := range slices.Backward(r.History) {
		if a.Fingerprint == fingerprint {
			first = a.Start
		}
	}
	if n := len(r.History); n > 0 && r.State == idempotency.Running {
		last = r.History[n-1].Start.Add(r.History[n-1].Took)
	}
	return first, last
}
