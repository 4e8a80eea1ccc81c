package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/redrive"
)

// recordView is what people and machines see of an event's record. Times are RFC 3339
// in UTC; what a record does not have is null or empty.
type recordView struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Status string `json:"status"`
	Dead   bool   `json:"dead"`
	Reason string `json:"reason"`

	// Where the event is, and its next attempt by the back-off schedule; see
	// idempotency.Status. Read off the record: no queue is asked.
	Where         idempotency.Where `json:"where"`
	WhereInferred bool              `json:"where_inferred"`
	NextAttempt   *string           `json:"next_attempt,omitempty"`
	next          time.Time

	Attempt      int64   `json:"attempt"`
	Generation   int64   `json:"generation"`
	Fails        int64   `json:"fails"`
	ReceivesLeft *int64  `json:"receives_left"`
	Error        string  `json:"error"`
	Outcome      string  `json:"outcome"`
	Source       string  `json:"source"`
	Created      *string `json:"created"`
	FirstAt      *string `json:"first_at"`
	UpdatedAt    *string `json:"updated_at"`
	DoneAt       *string `json:"done_at"`

	ReplayBy  string `json:"replay_by,omitempty"` // of the last replay
	ReplayWhy string `json:"replay_why,omitempty"`

	Purged     bool    `json:"purged,omitempty"` // an operator gave the event up
	PurgedAt   *string `json:"purged_at,omitempty"`
	PurgeBy    string  `json:"purge_by,omitempty"`
	PurgeWhy   string  `json:"purge_why,omitempty"`
	PurgeAudit string  `json:"purge_audit,omitempty"` // the entry's id; "" when none is found

	Broken string `json:"broken,omitempty"` // why the row cannot be read as a record
}

// whereText is where for people.
func (v recordView) whereText() string {
	switch {
	case v.Where == idempotency.InQueueOrDLQ:
		return "queue, or dlq if its last receives could not reach the table (inferred from the record; tollgate dlq show " + v.ID + " looks there)"
	case v.WhereInferred:
		return string(v.Where) + " (inferred from the record; no queue was asked)"
	default:
		return string(v.Where)
	}
}

// viewOf returns the view of a record of a system with these limits.
func viewOf(r idempotency.Record, now time.Time, l limits.Limits) recordView {
	s := r.Status(now, l)
	v := recordView{
		ID: r.ID, Type: r.Type, Status: s.String(), Dead: s.Name == idempotency.StatusDead, Reason: r.Reason,
		Where: s.Where, WhereInferred: s.Name != idempotency.StatusDone && s.Name != idempotency.StatusPurged && s.Name != idempotency.StatusBroken,
		NextAttempt: stamp(s.Next), next: s.Next,
		Attempt: r.Attempt, Generation: r.Generation, Fails: r.Fails,
		Error: r.Err, Outcome: string(r.Outcome), Source: r.Source,
		FirstAt: stamp(r.FirstAt), UpdatedAt: stamp(r.Updated), DoneAt: stamp(r.DoneAt),
		ReplayBy: r.ReplayBy, ReplayWhy: r.ReplayWhy, Purged: redrive.WasPurged(r), PurgedAt: stamp(r.Purged), PurgeBy: r.PurgeBy,
		Broken: r.Broken,
	}
	if r.ReceivesLeft >= 0 {
		v.ReceivesLeft = &r.ReceivesLeft
	}
	if r.Created > 0 {
		v.Created = stamp(time.Unix(r.Created, 0))
	}
	return v
}

// lines are the view for people, one name and value each.
func (v recordView) lines(r idempotency.Record) [][2]string {
	left := "-"
	if v.ReceivesLeft != nil {
		left = fmt.Sprint(*v.ReceivesLeft)
	}
	lines := [][2]string{
		{"id", v.ID}, {"type", dash(v.Type)}, {"status", v.Status}, {"where", v.whereText()}, {"next attempt", v.nextText(longTime)},
		{"outcome", dash(r.Outcome.Text())}, {"reason", dash(v.Reason)}, {"error", dash(oneLine(v.Error))},
		{"attempt", fmt.Sprint(v.Attempt)}, {"generation", fmt.Sprint(v.Generation)},
		{"fails", fmt.Sprint(v.Fails)}, {"receives left", left}, {"source", dash(v.Source)},
		{"created", longTime(time.Unix(r.Created, 0))}, {"first claimed", longTime(r.FirstAt)},
		{"updated", longTime(r.Updated)}, {"done", longTime(r.DoneAt)},
	}
	if !r.Lease.IsZero() {
		lines = append(lines, [2]string{"claimed until", longTime(r.Lease)})
	}
	if r.ReplayBy != "" {
		lines = append(lines, [2]string{"replayed by", oneLine(r.ReplayBy)}, [2]string{"because", dash(oneLine(r.ReplayWhy))})
	}
	if v.Purged {
		lines = append(lines, [2]string{"given up", v.purgeText(r)})
	}
	if v.Broken != "" {
		lines = append(lines, [2]string{"broken", oneLine(v.Broken)})
	}
	return lines
}

// nextText is when the next attempt is expected.
func (v recordView) nextText(format func(time.Time) string) string {
	switch {
	case v.next.IsZero():
		return "-"
	case !v.next.After(time.Now()):
		return "due"
	default:
		return format(v.next)
	}
}

// purgeText describes who gave the event up, when and why, as far as known.
func (v recordView) purgeText(r idempotency.Record) string {
	text := "by an operator"
	if v.PurgeBy != "" {
		text = "by " + oneLine(v.PurgeBy)
	}
	if !r.Purged.IsZero() {
		text = longTime(r.Purged) + " " + text
	}
	if v.PurgeAudit == "" {
		return text + "; tollgate audit list says why"
	}
	return fmt.Sprintf("%s because %q (audit entry %s)", text, v.PurgeWhy, v.PurgeAudit)
}

// stamp is a time for machines: RFC 3339 in UTC, nil for none.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := t.UTC().Format(time.RFC3339Nano)
	return &s
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// oneLine keeps a text from breaking a table or steering a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp) {
			return ' '
		}
		return r
	}, s)
}
