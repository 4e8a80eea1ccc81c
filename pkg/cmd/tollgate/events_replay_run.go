package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/replay"
)

// replayView is one event's replay for machines.
type replayView struct {
	ID         string `json:"id"`
	Type       string `json:"type"`
	Action     string `json:"action"` // replayed, sent, would_replay, would_send or refused
	Generation int64  `json:"generation,omitempty"`
	Note       string `json:"note,omitempty"`
	Error      string `json:"error,omitempty"`
	Hint       string `json:"hint,omitempty"`

	Record *recordView `json:"record,omitempty"` // with --wait: as it was when the wait ended
}

// replayRun is one run of the verb on its events.
type replayRun struct {
	*eventsReplayCmd
	app      *app
	replayer *replay.Replayer
	target   target
	records  *dynamostore.Reader
	sent     []sentAgain
	ids      []string // of the events whose messages were sent
}

// sentAgain is an event whose message was sent, with the attempt that its record had before.
type sentAgain struct {
	view    replayView
	attempt int64
}

// all replays the events and, if it is asked to, waits for what becomes of them.
func (r *replayRun) all(ctx context.Context, ids []string) (outcome string, err error) {
	n, err := r.send(ctx, ids)
	if r.Wait > 0 && !r.DryRun {
		err = r.await(ctx, err)
	}
	outcome = tally(n, "replayed", "sent", "would_replay", "would_send", "refused") + r.held(ctx, r.Wait > 0 && err == nil)
	if err == nil && n["refused"] > 0 {
		err = fmt.Errorf("%d of %d events were refused; nothing was written for them", n["refused"], len(ids))
	}
	return outcome, err
}

// held prints how many messages of the replayed events are held, and returns it for the audit
// trail. Unless the wait has seen all of them done, the number may still grow.
func (r *replayRun) held(ctx context.Context, whole bool) string {
	if len(r.ids) == 0 {
		return ""
	}
	n, err := r.app.countHeld(ctx, r.target, r.ids)
	if err != nil {
		return ""
	}
	text := heldText(n, whole)
	fmt.Fprintln(r.app.err, text)
	return ", " + text
}

// send replays one event after another. One that is refused does not hold up the others;
// any other failure would meet them too and ends the run.
func (r *replayRun) send(ctx context.Context, ids []string) (n map[string]int, err error) {
	n = map[string]int{}
	p := r.app.progress("replayed", len(ids))
	defer p.done()
	tick := pace(r.Rate)
	warned := map[string]bool{}
	for i, id := range ids {
		if tick(ctx) != nil {
			return n, fmt.Errorf("interrupted before event %d of %d", i+1, len(ids))
		}
		res, err := r.replayer.Event(ctx, id)
		v := r.viewOf(id, res)
		if refused, ok := errors.AsType[*replay.RefusedError](err); ok {
			v.Action, v.Error, v.Hint = "refused", refused.Error(), refused.Hint
			if len(ids) == 1 {
				n[v.Action]++
				return n, hint(fmt.Errorf("event %s: %w", id, err), "%s", refused.Hint)
			}
		} else if err != nil {
			return n, err
		}
		n[v.Action]++
		if err == nil && !r.DryRun {
			r.ids = append(r.ids, id)
		}
		r.report(v, res)
		r.unhandled(r.app, res, warned)
		p.add(1)
	}
	return n, nil
}

// report prints what was done with an event. For machines, what is waited for is one
// object, so it is printed when the wait is over.
func (r *replayRun) report(v replayView, res replay.Result) {
	waits := r.Wait > 0 && !r.DryRun && v.Action != "refused"
	if waits {
		r.sent = append(r.sent, sentAgain{v, res.Attempt})
	}
	if !waits || !r.app.json {
		r.app.line(v, v.text())
	}
}

// unhandled warns once for a type that this build has no handler for.
func (c *eventsReplayCmd) unhandled(a *app, res replay.Result, warned map[string]bool) {
	typ := res.Event.Type
	if typ == "" || warned[typ] || handlersOf(noStripe{}, noStripe{}).Handles(res.Event) {
		return
	}
	warned[typ] = true
	fmt.Fprintf(a.err, "no handler for %s is built into this command: unless the deployed code has one, the replay ends as ignored\n", typ)
}

func (c *eventsReplayCmd) viewOf(id string, res replay.Result) replayView {
	v := replayView{ID: id, Type: res.Event.Type, Action: string(res.Action), Generation: res.Generation, Note: res.Note}
	if c.DryRun {
		v.Action = map[replay.Action]string{replay.Replayed: "would_replay", replay.Sent: "would_send"}[res.Action]
	}
	return v
}

func (v replayView) text() string {
	text := fmt.Sprintf("%-34s %-32s %-12s", v.ID, v.Type, strings.ReplaceAll(v.Action, "_", " "))
	switch {
	case v.Error != "":
		text += " " + oneLine(v.Error)
		if v.Hint != "" {
			text += " (" + v.Hint + ")"
		}
	case v.Note != "":
		text += " " + v.Note
	default:
		text += fmt.Sprintf(" generation %d", v.Generation)
	}
	return text
}

// tally is the counts in words, in the order of the names.
func tally(n map[string]int, names ...string) string {
	var parts []string
	for _, name := range names {
		if n[name] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[name], strings.ReplaceAll(name, "_", " ")))
		}
	}
	return strings.Join(parts, ", ")
}

// await waits until every event that was sent is done or dead, unless the sending itself
// failed, and says of each what became of it.
func (r *replayRun) await(ctx context.Context, failed error) error {
	end := time.Now().Add(r.Wait)
	var dead, open []string
	for _, s := range r.sent {
		if failed == nil {
			failed = s.settle(ctx, r.target, r.records, end)
		}
		switch s.fate() {
		case fateDead:
			dead = append(dead, s.view.ID)
		case fateOpen:
			open = append(open, s.view.ID)
		}
		if r.app.json || s.view.Record != nil {
			r.app.line(s.view, s.became())
		}
	}
	if failed == nil && len(dead)+len(open) > 0 {
		all := append(dead, open...)
		return hint(fmt.Errorf("not done after %s: %d dead, %d still open (%s)", r.Wait, len(dead), len(open), clip(strings.Join(all, " "), 200)),
			"tollgate events show %s", all[0])
	}
	return failed
}

// settle notes the record once an attempt since has ended the event, or when the time is over.
func (s *sentAgain) settle(ctx context.Context, t target, records *dynamostore.Reader, end time.Time) error {
	r, found, err := awaitRecord(ctx, records, s.view.ID, end, func(r idempotency.Record) bool {
		return r.State == idempotency.Done || r.Attempt > s.attempt && t.settled(r)
	})
	if err != nil || !found {
		return err
	}
	v := viewOf(r, time.Now(), t.limits())
	s.view.Record = &v
	return nil
}

// fate is what became of an event whose message was sent.
type fate string

const (
	fateDone fate = "done"
	fateDead fate = "dead"
	fateOpen fate = "not done yet"
)

// fate reads it off the record. One that was dead before still is, until an attempt runs.
func (s sentAgain) fate() fate {
	switch r := s.view.Record; {
	case r != nil && r.Where == idempotency.AtDone:
		return fateDone
	case r != nil && r.Where == idempotency.InDLQ && r.Attempt > s.attempt:
		return fateDead
	default:
		return fateOpen
	}
}

// became says what became of an event.
func (s sentAgain) became() string {
	r := s.view.Record
	switch is := s.fate(); {
	case r == nil:
		return s.view.ID + " is " + string(is)
	case is == fateDone:
		return fmt.Sprintf("%s is done: %s, attempt %d", r.ID, r.Outcome, r.Attempt)
	default:
		return fmt.Sprintf("%s is %s: %s after attempt %d: %s", r.ID, is, r.Status, r.Attempt, dash(clip(r.Error, 160)))
	}
}
