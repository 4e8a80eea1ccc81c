package events

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tollgate/pkg/idempotency"
)

// ran lists the outcomes of receives in which an attempt ran.
func ran(outcome string) bool {
	return slices.Contains([]string{
		string(idempotency.Applied), string(idempotency.Ignored), string(idempotency.AlreadyApplied), "failed", "dead_lettered", "unknown",
	}, outcome)
}

// attemptsOf returns the attempts of an event, the oldest first, and how many left no trace: they
// were killed, are older than the record's history, or the log has them no more.
func attemptsOf(r idempotency.Record, l Logged) (all []Attempt, untraced int64) {
	byNumber := map[int64]Attempt{}
	for _, h := range r.History {
		byNumber[h.Number] = Attempt{Number: h.Number, Start: h.Start, Took: h.Took, Outcome: "failed", Fingerprint: h.Fingerprint, Frame: h.Frame}
	}
	for _, in := range l.Receives {
		if in.Attempt < 1 || in.Millis == nil && !ran(in.Outcome) {
			continue
		}
		a := Attempt{
			Number: in.Attempt, Start: in.At, Took: -1, Outcome: in.Outcome, Reason: in.Reason, Error: in.Error,
			Fingerprint: fingerprint(r.Type, in.Reason, in.Error), MessageID: in.MessageID, RequestID: in.RequestID,
		}
		if h, kept := byNumber[in.Attempt]; kept {
			a.Start, a.Took, a.Frame = h.Start, h.Took, h.Frame
		} else if in.Millis != nil {
			a.Took = time.Duration(*in.Millis) * time.Millisecond
			a.Start = in.At.Add(-a.Took)
		}
		byNumber[in.Attempt] = a
	}
	last, known := byNumber[r.Attempt]
	if !known {
		last = Attempt{Number: r.Attempt, Start: r.Updated, Took: -1}
	}
	switch {
	case r.Attempt == 0:
	case r.State == idempotency.Running:
		last.Outcome, last.Start = "running", r.Updated
		byNumber[r.Attempt] = last
	case r.State == idempotency.Failed && r.Err != "" && last.Error == "":
		last.Outcome, last.Reason, last.Error = "failed", r.Reason, r.Err
		last.Fingerprint = cmp.Or(last.Fingerprint, fingerprint(r.Type, r.Reason, r.Err))
		byNumber[r.Attempt] = last
	case r.State == idempotency.Done:
		last.Outcome = cmp.Or(last.Outcome, string(r.Outcome))
		if !r.DoneAt.IsZero() && last.Start.After(r.DoneAt) { // the log has the time at which the batch ended
			last.Start = r.DoneAt.Add(-max(0, last.Took))
		}
		byNumber[r.Attempt] = last
	}
	all = slices.SortedFunc(maps.Values(byNumber), func(a, b Attempt) int { return cmp.Compare(a.Number, b.Number) })
	return all, max(0, r.Attempt-int64(len(all)))
}
