package events

import (
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
)

// History is an event's failed attempts, as its record tells them.
type History struct {
	Failed []FailedAttempt `json:"failed"` // the oldest first, at most idempotency.MaxHistory
	// NoFailure are the numbers of attempts since the first of Failed that wrote none.
	NoFailure []int64 `json:"no_failure"`
	// Earlier is how many failures the record counts beyond Failed.
	Earlier int64 `json:"earlier"`
}

// FailedAttempt is one of a history.
type FailedAttempt struct {
	Number      int64     `json:"number"`
	Start       time.Time `json:"start"`
	Millis      int64     `json:"ms"`
	Fingerprint string    `json:"fingerprint"`
	Frame       string    `json:"frame"`
}

// What the history of an event cannot have, for people.
const (
	KilledFirst = "An attempt that was killed at a message's first receive has no number and is not in the list."
	NoFailure   = "wrote no failure: killed, or made by an older release"
)

// HistoryOf returns the failed attempts that a record tells.
func HistoryOf(r idempotency.Record) History {
	a := History{Failed: []FailedAttempt{}, NoFailure: []int64{}, Earlier: max(0, r.Fails-int64(len(r.History)))}
	if r.State == idempotency.Done {
		a.Earlier = r.Fails // the history ended with the completion
	}
	for i, h := range r.History {
		a.Failed = append(a.Failed, FailedAttempt{h.Number, h.Start, h.Took.Milliseconds(), h.Fingerprint, h.Frame})
		if i > 0 {
			a.NoFailure = between(a.NoFailure, r.History[i-1].Number, h.Number)
		}
	}
	if n := len(r.History); n > 0 && r.State != idempotency.Done {
		end := r.Attempt // runs, or is the last of the history
		if r.State == idempotency.Failed {
			end++
		}
		a.NoFailure = between(a.NoFailure, r.History[n-1].Number, end)
	}
	return a
}

// maxBetween bounds the numbers that one gap adds; a record that something else wrote may show any.
const maxBetween = 100

func between(list []int64, from, to int64) []int64 {
	for n := from + 1; n < min(to, from+maxBetween); n++ {
		list = append(list, n)
	}
	return list
}

// print prints the history of an event that failed.
func (h History) print(a *verb.App, r idempotency.Record) {
	if len(h.Failed) == 0 && h.Earlier == 0 {
		return
	}
	var rows [][]string
	for _, t := range h.Failed {
		rows = append(rows, []string{fmt.Sprint(t.Number), verb.LongTime(t.Start), (time.Duration(t.Millis) * time.Millisecond).String(), verb.Dash(t.Fingerprint), verb.Dash(t.Frame)})
	}
	fmt.Fprintln(a.Out)
	switch {
	case r.State == idempotency.Done && len(h.Failed) == 0:
		fmt.Fprintf(a.Out, "%s before it was done; the completion removed the history\n", verb.Plural(int(h.Earlier), "attempt failed", "attempts failed"))
		return
	case h.Earlier > 0:
		fmt.Fprintf(a.Out, "failed attempts, the last %d of %d:\n", len(h.Failed), r.Fails)
	default:
		fmt.Fprintln(a.Out, "failed attempts:")
	}
	if len(rows) > 0 {
		a.Table([]string{"attempt", "began", "took", "fingerprint", "frame"}, rows)
	}
	if len(h.NoFailure) > 0 {
		fmt.Fprintf(a.Out, "attempts %s %s\n", strings.Trim(strings.ReplaceAll(fmt.Sprint(h.NoFailure), " ", ", "), "[]"), NoFailure)
	}
	fmt.Fprintln(a.Out, KilledFirst)
	fmt.Fprintln(a.Out)
}
