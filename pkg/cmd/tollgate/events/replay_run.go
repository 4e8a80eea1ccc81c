package events

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/replay"
)

// replayView is one event's replay for machines.
type replayView struct {
	ID         string        `json:"id"`
	Type       string        `json:"type"`
	Action     replay.Action `json:"action"`
	Generation int64         `json:"generation,omitempty"`
	Note       string        `json:"note,omitempty"`
	Error      string        `json:"error,omitempty"`
	Hint       string        `json:"hint,omitempty"`

	Record *verb.RecordView `json:"record,omitempty"` // with --wait: as it was when the wait ended
}

// replayRun is one run of the verb on its events.
type replayRun struct {
	*Replay
	*verb.App
	target   verb.Target
	replayer *replay.Replayer
	ids      []string

	warned map[string]bool       // types without a handler
	sent   map[string]replayView // by id, whose outcomes are printed later
	single error                 // why the only event was refused
}

// run replays the events and, with --wait, waits for their outcomes.
func (r *replayRun) run(ctx context.Context) (outcome string, err error) {
	progress := r.Progress("replayed", len(r.ids))
	r.sent = map[string]replayView{}
	s, err := r.replayer.Run(ctx, r.ids, replay.RunOptions{
		Rate: r.Rate, Wait: r.Wait,
		OnResult: func(id string, res replay.Result, err error) {
			r.printResult(id, res, err)
			progress.Add(1)
		},
		OnOutcome: r.printOutcome,
	})
	progress.Done()
	var texts []string
	for _, action := range []replay.Action{replay.Replayed, replay.Sent, replay.WouldReplay, replay.WouldSend, replay.Refused} {
		if n := s.Actions[action]; n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", n, words(action)))
		}
	}
	if text := r.held(ctx, s.Sent, r.Wait > 0 && err == nil && len(s.Outcomes[replay.OutcomeDone]) == len(s.Sent)); text != "" {
		texts = append(texts, text)
	}
	outcome = strings.Join(texts, ", ")
	switch unfinished := slices.Concat(s.Outcomes[replay.OutcomeDead], s.Outcomes[replay.OutcomeOpen]); {
	case err != nil:
	case r.single != nil:
		err = r.single
	case len(unfinished) > 0:
		err = verb.Hint(fmt.Errorf("not done after %s: %d dead, %d still open (%s)", r.Wait, len(s.Outcomes[replay.OutcomeDead]), len(s.Outcomes[replay.OutcomeOpen]), verb.Clip(strings.Join(unfinished, " "), 200)),
			"tollgate events show %s", unfinished[0])
	case s.Actions[replay.Refused] > 0:
		err = fmt.Errorf("%d of %d events were refused; nothing was written for them", s.Actions[replay.Refused], len(r.ids))
	}
	return outcome, err
}

// held prints how many messages of the replayed events are held, and returns it for the audit
// trail. Unless all of them are done, the number may still grow.
func (r *replayRun) held(ctx context.Context, sent []string, final bool) string {
	if len(sent) == 0 {
		return ""
	}
	n, err := r.CountHeld(ctx, r.target, sent)
	if err != nil {
		return ""
	}
	text := verb.HeldText(n, final)
	fmt.Fprintln(r.Err, text)
	return text
}

// printResult prints what was done with an event. As JSON, an event that is waited for is one
// object, so it is printed when the wait is over.
func (r *replayRun) printResult(id string, res replay.Result, err error) {
	v := replayView{ID: id, Type: res.Event.Type, Action: res.Action, Generation: res.Generation, Note: res.Note}
	if refused, ok := errors.AsType[*replay.RefusedError](err); ok {
		if len(r.ids) == 1 {
			r.single = verb.Hint(fmt.Errorf("event %s: %w", id, err), "%s", refused.Hint)
			return
		}
		v.Error, v.Hint = refused.Error(), refused.Hint
	} else {
		r.sent[id] = v
		r.warn(res)
	}
	if err != nil || !r.JSON || r.Wait == 0 {
		r.Line(v, v.text())
	}
}

// warn warns once for a type that this build has no handler for.
func (r *replayRun) warn(res replay.Result) {
	typ := res.Event.Type
	if r.warned[typ] || handlersOf(noStripe{}, noStripe{}).Handles(res.Event) {
		return
	}
	r.warned[typ] = true
	fmt.Fprintf(r.Err, "this command has no handler for %s: unless the deployed code has one, the replay ends as ignored\n", typ)
}

func words(a replay.Action) string { return strings.ReplaceAll(string(a), "_", " ") }

func (v replayView) text() string {
	text := fmt.Sprintf("%-34s %-32s %-12s", v.ID, v.Type, words(v.Action))
	switch {
	case v.Error != "":
		text += " " + verb.OneLine(v.Error)
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

// printOutcome prints the outcome of an event that was sent.
func (r *replayRun) printOutcome(id string, o replay.Outcome, record *idempotency.Record) {
	v := r.sent[id]
	text := id + " is " + string(o)
	if record != nil {
		view := verb.ViewOf(*record, time.Now(), r.target.Limits())
		v.Record = &view
		if o == replay.OutcomeDone {
			text += fmt.Sprintf(": %s, attempt %d", view.Outcome, view.Attempt)
		} else {
			text += fmt.Sprintf(": %s after attempt %d: %s", view.Status, view.Attempt, verb.Dash(verb.Clip(view.Error, 160)))
		}
	}
	if r.JSON || record != nil {
		r.Line(v, text)
	}
}
