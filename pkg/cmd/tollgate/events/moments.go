package events

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/console"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// Moment is one thing that happened to an event, or is expected.
type Moment struct {
	At    time.Time
	Tone  string // ok, warn, bad, or "" for neither
	Title string
	Facts []Fact
	IDs   []Fact // by which other tools find it
}

// Fact is a name and a value. Both may hold what a stranger wrote.
type Fact struct{ Name, Value string }

// facts returns those that have a value, from names and values in turn.
func facts(pairs ...string) (list []Fact) {
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, Fact{pairs[i], pairs[i+1]})
		}
	}
	return list
}

// moments returns what happened in the order of time, with what is expected at the end.
func (s *Story) moments(now time.Time) (all []Moment) {
	r := s.Record
	if r.Created > 0 {
		all = append(all, Moment{At: time.Unix(r.Created, 0).UTC(), Title: "Created at Stripe"})
	}
	if r.Source != "" && r.Source != string(event.Webhook) && !r.FirstAt.IsZero() {
		all = append(all, Moment{At: r.FirstAt, Title: "First received from " + r.Source + ", not from a delivery"})
	}
	for _, d := range s.Log.Deliveries {
		all = append(all, d.moment())
	}
	all = append(all, s.receives()...)
	before := ""
	for _, a := range s.Attempts {
		all = append(all, a.moment(before))
		before = cmp.Or(a.Error, before)
	}
	all = append(all, s.states()...)
	for _, m := range s.Messages {
		all = append(all, m.moments(s.Record.DoneAt)...)
	}
	for _, c := range s.Changes {
		all = append(all, c.moment())
	}
	slices.SortStableFunc(all, func(a, b Moment) int { return a.At.Compare(b.At) })
	return append(all, s.expected(now)...)
}

func (d Delivery) moment() Moment {
	m := Moment{At: d.At, Title: "Delivered by Stripe to endpoint " + cmp.Or(d.Endpoint, "unknown"), Tone: "ok"}
	if d.Outcome != "enqueued" {
		m.Title, m.Tone = "Delivery to endpoint "+cmp.Or(d.Endpoint, "unknown")+" failed: Stripe repeats it", "bad"
	}
	secret := d.VerifiedBy
	if index, err := strconv.Atoi(secret); err == nil {
		secret = fmt.Sprintf("%d of the endpoint's list", index+1)
	}
	m.Facts, m.IDs = facts("signing secret", secret, "error", d.Error), facts("SQS message", d.MessageID, "request", d.RequestID)
	return m
}

// receives are those of messages that ran no attempt.
func (s *Story) receives() (all []Moment) {
	titles := map[string]string{
		"duplicate": "Received again: done before, acknowledged", "busy": "Received while another attempt ran: it comes back",
		"superseded": "A later attempt took over", "policy_ignored": "The endpoint's policy excludes it: acknowledged without a record",
		"store_down": "Received while the table could not be used: it comes back", "missed": "No delivery followed the copy of reconcile",
		"held": "Its type is paused: moved to the hold queue", "throttled": "Received while too much ran: it comes back",
		"waiting": "Stripe's API does not show the change yet: it comes back",
	}
	for _, in := range s.Log.Receives {
		if in.Attempt > 0 && (in.Millis != nil || ran(in.Outcome)) {
			continue
		}
		title := cmp.Or(titles[in.Outcome], "Received: "+strings.ReplaceAll(in.Outcome, "_", " "))
		all = append(all, Moment{
			At: in.At, Title: title, IDs: facts("SQS message", in.MessageID, "request", in.RequestID),
			Facts: facts("reason", in.Reason, "error", in.Error, "comes back in", retryText(in.RetryIn), "receive", fmt.Sprint(in.Receives)),
		})
	}
	return all
}

func retryText(ms *int64) string {
	if ms == nil {
		return ""
	}
	return console.Duration(time.Duration(*ms) * time.Millisecond)
}

// moment of an attempt. An error that was there before is not repeated.
func (a Attempt) moment(before string) Moment {
	m := Moment{At: a.Start, Title: fmt.Sprintf("Attempt %d: %s", a.Number, outcomeWords(a.Outcome))}
	switch a.Outcome {
	case "applied", "ignored", "stale":
		m.Tone = "ok"
	case "failed", "dead_lettered":
		m.Tone = "bad"
	case "unknown":
		m.Tone = "warn"
	}
	took := ""
	if a.Took >= 0 {
		took = console.Duration(a.Took)
	}
	if a.Error != "" && a.Error == before {
		m.Facts = facts("handler took", took, "error", "the same")
	} else {
		m.Facts = facts("handler took", took, "reason", a.Reason, "error", a.Error, "at", a.Frame, "fingerprint", a.Fingerprint)
	}
	m.IDs = facts("SQS message", a.MessageID, "request", a.RequestID)
	return m
}

func outcomeWords(outcome string) string {
	switch outcome {
	case "dead_lettered":
		return "failed, and is a dead letter"
	case "unknown":
		return "its result could not be stored, or not be known"
	case "ignored":
		return "ignored, as no handler takes the type"
	}
	return cmp.Or(idempotency.Outcome(outcome).Text(), "unknown")
}

// states are what the record says of its present state.
func (s *Story) states() (all []Moment) {
	r := s.Record
	if !r.DoneAt.IsZero() && s.Status != string(idempotency.StatusPurged) {
		all = append(all, Moment{At: r.DoneAt, Tone: "ok", Title: "Done: " + cmp.Or(r.Outcome.Text(), "no outcome"),
			Facts: facts("wrote", written(len(s.Written), len(s.Messages)))})
	}
	if !r.Purged.IsZero() {
		all = append(all, Moment{At: r.Purged, Tone: "warn", Title: "Purged: reconcile no longer sends it", Facts: facts("by", s.PurgeBy, "because", s.PurgeWhy, "audit entry", s.PurgeAudit)})
	}
	return all
}

func written(items, messages int) string {
	if items+messages == 0 {
		return "nothing"
	}
	return verb.Plural(items, "item", "items") + ", " + verb.Plural(messages, "message", "messages")
}

// moments of a message: requested, held, released, sent. It was committed with the event.
func (m Message) moments(done time.Time) (all []Moment) {
	to, key := facts("to", m.To), facts("key", m.Key)
	requested := Moment{At: done, Title: "Message " + m.Name + " requested", Facts: to, IDs: key}
	if m.Held != "" {
		requested.Title, requested.Tone = "Message "+m.Name+" held: "+strings.ReplaceAll(m.Held, "_", " "), "warn"
	}
	all = append(all, requested)
	if !m.Released.IsZero() {
		all = append(all, Moment{At: m.Released, Title: "Message " + m.Name + " released", IDs: key})
	}
	if !m.Sent.IsZero() {
		all = append(all, Moment{At: m.Sent, Tone: "ok", Title: "Message " + m.Name + " sent", IDs: key})
	}
	return all
}

func (c Change) moment() Moment {
	title := map[string]string{
		"redrive": "Redrive: its dead letter was sent again", "dlq purge": "Purge of dead letters", "events replay": "Replay: set to run again",
		"events purge": "Purge of the event", "events reidentify": "The record got another identity", "outbox release": "Release of messages",
		"dlq show": "Its dead letter was read", "dlq export": "Its dead letter was exported", "events payload": "Its JSON was read",
	}[c.Verb]
	title = cmp.Or(title, c.Verb)
	if c.Maybe {
		title = strings.TrimSuffix(title, ": its dead letter was sent again") + " that may have included it"
	}
	ended := "running, or it died"
	if !c.EndedAt.IsZero() {
		ended = cmp.Or(c.Outcome, "done")
	}
	return Moment{
		At: c.StartedAt, Tone: "warn", Title: title, IDs: facts("audit entry", c.ID),
		Facts: facts("by", c.By, "because", c.Why, "what", c.Detail, "outcome", ended, "command", "tollgate "+c.Verb),
	}
}

// expected is what should come next.
func (s *Story) expected(now time.Time) []Moment {
	st := s.Record.Status(now, s.Target.Limits())
	switch {
	case !s.Known:
		return nil
	case st.Next.IsZero() && st.Name == idempotency.StatusDead:
		return []Moment{{Tone: "bad", Title: "No attempt follows: it is a dead letter, or about to be"}}
	case st.Stuck:
		return []Moment{{Tone: "bad", Title: "No attempt is expected: nothing has happened for longer than any wait"}}
	case st.Next.IsZero():
		return nil
	case st.Next.Before(now):
		return []Moment{{At: st.Next, Tone: "warn", Title: "The next attempt is due"}}
	}
	return []Moment{{At: st.Next, Title: "The next attempt, by the back-off schedule",
		Facts: facts("in", console.Duration(st.Next.Sub(now)))}}
}

// tell prints the story of an event. One that is unknown everywhere is the failure that it was.
func tell(ctx context.Context, a *verb.App, id string, unknown error) error {
	s, err := Tell(ctx, a, id, 0)
	switch {
	case err != nil:
		return err
	case len(s.Moments) == 0:
		return unknown
	case a.JSON:
		a.Object(s)
		return nil
	}
	now := time.Now()
	if s.NoLog != "" {
		fmt.Fprintf(a.Err, "%s\n", s.NoLog)
	} else if s.Log.More {
		fmt.Fprintln(a.Err, "the logs have more lines than were searched")
	}
	verb.List(a, s.Moments, nil, "", "when|what|details", func(m Moment) []string {
		var details []string
		for _, f := range slices.Concat(m.Facts, m.IDs) {
			details = append(details, f.Name+": "+f.Value)
		}
		return []string{verb.ShortTime(m.At, now), m.Title, strings.Join(details, ", ")}
	})
	if s.Untraced > 0 {
		fmt.Fprintf(a.Err, "%s left no trace: killed at the first receive, or no log has it any more\n", verb.Plural(int(s.Untraced), "attempt", "attempts"))
	}
	return nil
}
