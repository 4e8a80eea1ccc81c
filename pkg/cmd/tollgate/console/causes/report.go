package causes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/causes"
	"tollgate/pkg/cmd/tollgate/deadletters"
	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/hold"
	"tollgate/pkg/cmd/tollgate/reconcile"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
)

const (
	maxDays    = reconcile.MaxDays
	maxEntries = 2000
	day        = 24 * time.Hour
)

// report is the incident report of a cause. Its times are text in UTC, for paper.
type report struct {
	Fingerprint string
	System, By  string
	At, Since   string
	Asked       string // the time that a person asked for, as typed
	Found       string // how the since was found

	Causes []causes.Cause
	Read   int
	More   bool
	Dead   deadletters.State

	Changes []dynamostore.AuditEntry // that name the cause, the oldest first
	Others  int                      // of the same time
	Cut     bool                     // there are more than were read

	Days     int
	Coverage reconcile.View
	Gaps     []reconcile.Gap // of the time of the incident
	Backfill string          // the command line that compares it
	Short    bool            // the incident is older than what the coverage tells
	Paused   []hold.View     // now: passes send nothing of these types
}

// Unproven says why the coverage does not prove that nothing is missing since the incident
// began; nothing if it does.
func (r report) Unproven() (why []string) {
	if r.Short {
		why = append(why, fmt.Sprintf("The incident began over %d days ago, and Stripe lists no older events.", maxDays))
	}
	if len(r.Paused) > 0 {
		why = append(why, "Types are paused, and no pass sends their events before they are resumed.")
	}
	if len(r.Coverage.Broken) > 0 {
		why = append(why, "Notes of passes cannot be read.")
	}
	switch {
	case len(r.Coverage.Streams) <= len(r.Coverage.Excluded):
		why = append(why, "Reconcile has compared nothing of this time with Stripe's list.")
	case len(r.Gaps) > 0:
		why = append(why, "A part of this time was not compared with Stripe's list: see below.")
	}
	return why
}

// Events is how many fail now.
func (r report) Events() (n int) {
	for _, c := range r.Causes {
		n += c.Events
	}
	return n
}

func loadReport(ctx context.Context, a *verb.App, fingerprint, since string) (r report, err error) {
	now := time.Now()
	from, err := verb.When("since", since, now)
	if err != nil {
		return r, err
	}
	failing, err := events.Causes{Fingerprint: fingerprint, Records: true, MaxRead: maxRead}.Load(ctx, a)
	if err != nil {
		return r, err
	}
	r = report{
		Fingerprint: fingerprint, System: failing.Target.Name, By: verb.Operator(), At: verb.LongTime(now), Asked: since,
		Causes: failing.Causes, Read: failing.Read, More: failing.More, Found: "as asked for",
	}
	entries, err := r.audit(ctx, a, now)
	if err != nil {
		return r, err
	}
	if from.IsZero() {
		from, r.Found = r.begin(entries, now)
	}
	r.Since = verb.LongTime(from)
	r.split(entries, from)
	if r.Dead, err = deadletters.Load(ctx, a); err != nil {
		return r, err
	}
	if failing.Target.HoldURL != "" {
		now, err := hold.Load(ctx, a)
		if err != nil {
			return r, err
		}
		r.Paused = now.Views
	}
	return r, r.cover(ctx, a, from, now)
}

// audit reads the entries of the last month, the newest first.
func (r *report) audit(ctx context.Context, a *verb.App, now time.Time) (entries []dynamostore.AuditEntry, err error) {
	_, reader, err := a.Reader(ctx)
	if err != nil {
		return nil, err
	}
	entries, r.Cut, err = reader.Audit(ctx, dynamostore.AuditRequest{Since: now.Add(-maxDays * day), Until: now.Add(time.Minute), Limit: maxEntries})
	return entries, err
}

// begin returns when the incident began: the first failure that records show, else the first
// change that names the cause.
func (r *report) begin(entries []dynamostore.AuditEntry, now time.Time) (from time.Time, how string) {
	for _, c := range r.Causes {
		if !c.First.IsZero() && (from.IsZero() || c.First.Before(from)) {
			from, how = c.First, "the first failure that the records of events which still fail show"
		}
	}
	for _, e := range entries {
		if strings.Contains(e.Detail, r.Fingerprint) && (from.IsZero() || e.StartedAt.Before(from)) {
			from, how = e.StartedAt, "the first change that names the cause; failures before it are in no record any more"
		}
	}
	if from.IsZero() {
		return now.Add(-day), "a day: neither a record nor a change names this cause"
	}
	return from, how
}

// split keeps the changes that are about the cause, and counts the others of its time.
func (r *report) split(entries []dynamostore.AuditEntry, from time.Time) {
	for _, e := range slices.Backward(entries) {
		switch {
		case r.isAbout(e):
			r.Changes = append(r.Changes, e)
		case !e.StartedAt.Before(from):
			r.Others++
		}
	}
}

// isAbout reports whether a change names the cause, one of its events, or its type.
func (r *report) isAbout(e dynamostore.AuditEntry) bool {
	if strings.Contains(e.Detail, r.Fingerprint) {
		return true
	}
	words := strings.FieldsFunc(e.Detail, func(c rune) bool { return strings.ContainsRune(" ,;:()", c) })
	for _, c := range r.Causes {
		if e.StartedAt.Before(c.First) {
			continue
		}
		for _, w := range words {
			if slices.Contains(c.IDs, w) || w == "everything" || strings.ContainsAny(w, ".*") && event.ValidPattern(w) && event.MatchType(w, c.Type) {
				return true
			}
		}
	}
	return false
}

// cover reads what reconcile compared since the incident began.
func (r *report) cover(ctx context.Context, a *verb.App, from, now time.Time) (err error) {
	r.Backfill = a.CommandLine("backfill", "--since="+from.UTC().Format(time.RFC3339), "--wait=10m", "--note=incident "+r.Fingerprint)
	r.Days = min(int(now.Sub(from)/day)+1, maxDays)
	r.Short = now.Sub(from) > maxDays*day
	if r.Coverage, err = (&reconcile.Report{Days: r.Days}).Load(ctx, a); err != nil {
		return err
	}
	for _, g := range r.Coverage.Gaps {
		if g.To.After(from) {
			r.Gaps = append(r.Gaps, g)
		}
	}
	for _, b := range r.Coverage.Before {
		if b.To.After(from) {
			b.Kind = "before its history begins"
			r.Gaps = append(r.Gaps, b)
		}
	}
	return nil
}

// When is a time for paper.
func (report) When(t time.Time) string { return verb.LongTime(t) }

// Outcome of a change.
func (report) Outcome(e dynamostore.AuditEntry) string {
	if e.EndedAt.IsZero() {
		return "running, or its process died"
	}
	return e.Outcome
}
