package overview

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/causes"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/doctor"
)

// problem is something wrong now, and what to do next.
type problem struct {
	Tone, What, Text string
	Since            time.Time
	From, To         time.Time // of the next attempts
	Next             string    // in words
	Command          string    // to run
	Link, Page       string    // to go to
}

// maxCauses bounds the causes with a line of their own.
const maxCauses = 5

// failing tells the causes of most events, each with when it is tried again. more: not all records
// that fail were read.
func failing(all []causes.Cause, more bool) (told []problem) {
	least := ""
	if more {
		least = "at least "
	}
	for _, c := range all[:min(len(all), maxCauses)] {
		p := problem{Tone: "warn", What: cmp.Or(c.Type, "messages without a type"), Since: c.First, From: c.NextFirst.Truncate(time.Second), To: c.NextLast.Truncate(time.Second),
			Text: fmt.Sprintf("%s%s: %s.", least, verb.Plural(c.Events, "event fails", "events fail"), verb.Clip(verb.OneLine(c.What()), maxText)), Next: "What to do: " + c.Section,
			Link: "/causes/" + url.PathEscape(c.Fingerprint), Page: "See the cause"}
		if c.Dead > 0 {
			p.Tone = "bad"
			p.Text += fmt.Sprintf(" %d of them dead.", c.Dead)
		}
		if c.Retrying > 0 {
			p.Text += fmt.Sprintf(" At least %s left.", verb.Plural(int(c.LeftMin), "attempt is", "attempts are"))
		}
		told = append(told, p)
	}
	if n := len(all) - len(told); n > 0 {
		told = append(told, problem{Tone: "warn", What: "causes", Text: verb.Plural(n, "more cause.", "more causes."), Link: "/causes", Page: "Causes"})
	}
	return told
}

// maxText bounds an error in a sentence.
const maxText = 200

// causeNames are the causes by the names of their series.
func causeNames(all []causes.Cause) map[string]string {
	names := map[string]string{}
	for _, c := range all {
		if c.Error != "" {
			names[c.Type+" "+c.Fingerprint] = c.Type + ": " + verb.Clip(verb.OneLine(c.Error), 60)
		}
	}
	return names
}

// fault adds that a part could not be read, and what to do, "" if nothing is known. Parts with the
// same thing to do are one problem.
func (v *view) fault(part string, err error, do string) {
	if err == nil || errors.Is(err, errPending) {
		return
	}
	p := problem{Tone: "warn", What: part, Text: "cannot be read: " + err.Error(), Next: do}
	if do == "" {
		p.Next, p.Command = "The page tries again. tollgate doctor says what can be read.", "tollgate doctor"
	} else if i := slices.IndexFunc(v.Wrong, func(w problem) bool { return w.Next == do }); i >= 0 {
		v.Wrong[i].What += ", " + part
		return
	}
	v.Wrong = append(v.Wrong, p)
}

// problems are the findings that are not ok, what fails first.
func problems(found []doctor.Finding) (all []problem) {
	pages := map[string][2]string{
		"dead letters": {"/dead", "Dead letters"}, "dead events": {"/causes", "Causes"}, "records": {"/causes", "Causes"},
		"pauses": {"/pause", "Pause"}, "hold queue": {"/pause", "Pause"},
		"queue depth": {"/events?status=retrying", "Events"}, "outbox": {"/mail", "Mail"}, "destinations": {"/deliveries", "Deliveries"}, "reconcile": {"/coverage", "Coverage"},
	}
	// Dead events are in the dead-letter queue: one line, which is that of their age when it matters.
	covered := ""
	if letters, dead := failed(found, "dead letters"), failed(found, "dead events"); letters >= 0 && dead >= 0 {
		if covered = "dead events"; strings.Contains(found[dead].Fix, "at once") {
			covered = "dead letters"
		}
	}
	for _, status := range []doctor.Status{doctor.Fail, doctor.Warn} {
		for _, f := range found {
			if f.Status != status || f.Name == covered {
				continue
			}
			p := problem{Tone: "warn", What: f.Name, Text: f.Detail, Link: pages[f.Name][0], Page: pages[f.Name][1]}
			if status == doctor.Fail {
				p.Tone = "bad"
			}
			if isCommand(f.Fix) {
				p.Command = f.Fix
			} else {
				p.Next = f.Fix
			}
			all = append(all, p)
		}
	}
	return all
}

// failed is the place of a check's finding that fails, -1 for none.
func failed(found []doctor.Finding, name string) int {
	return slices.IndexFunc(found, func(f doctor.Finding) bool { return f.Name == name && f.Status == doctor.Fail })
}

// isCommand reports whether a fix is one line for a shell, and not words about it.
func isCommand(fix string) bool {
	return (strings.HasPrefix(fix, "tollgate ") || strings.HasPrefix(fix, "aws ")) && !strings.ContainsAny(fix, ",;")
}

// cost is what an open page costs on AWS.
type cost struct {
	Metrics      int
	View, Hourly float64 // dollars, at most
}

// Prices of a request to SQS, 0.40 dollars for a million, and of one for alarms, 0.01 for 1,000.
const (
	dollarsPerRequest = 0.0000004
	dollarsPerAlarms  = 0.00001
)

func costOf(c counts, now depth) cost {
	if c.dollars == 0 {
		return cost{}
	}
	queues := float64(now.asked) * dollarsPerRequest * float64(time.Hour/depthCloud)
	return cost{
		Metrics: int(c.dollars/dollarsPerMetric + 0.5), View: c.dollars,
		Hourly: (c.dollars+dollarsPerAlarms)*float64(time.Hour/refreshedCloud) + queues,
	}
}
