package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/dynamostore"
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
}

// all replays one event after another. One that is refused does not hold up the others;
// any other failure would meet them too and ends the run.
func (c *eventsReplayCmd) all(ctx context.Context, a *app, r *replay.Replayer, ids []string) (outcome string, err error) {
	n := map[string]int{}
	p := a.progress("replayed", len(ids))
	defer p.done()
	tick := pace(c.Rate)
	warned := map[string]bool{}
	for i, id := range ids {
		if err = tick(ctx); err != nil {
			err = fmt.Errorf("interrupted before event %d of %d", i+1, len(ids))
			break
		}
		var res replay.Result
		res, err = r.Event(ctx, id)
		v := c.viewOf(id, res)
		if refused, ok := errors.AsType[*replay.RefusedError](err); ok {
			if len(ids) == 1 {
				return "refused", hint(fmt.Errorf("event %s: %w", id, err), "%s", refused.Hint)
			}
			v.Action, v.Error, v.Hint, err = "refused", refused.Error(), refused.Hint, nil
		}
		if err != nil {
			break
		}
		n[v.Action]++
		a.line(v, v.text())
		c.unhandled(a, res, warned)
		p.add(1)
	}
	outcome = tally(n, "replayed", "sent", "would_replay", "would_send", "refused")
	if err == nil && n["refused"] > 0 {
		err = fmt.Errorf("%d of %d events were refused; nothing was written for them", n["refused"], len(ids))
	}
	return outcome, err
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

// await waits until every event is done or dead.
func (c *eventsReplayCmd) await(ctx context.Context, a *app, reader *dynamostore.Reader, ids []string) error {
	end := time.Now().Add(c.Wait)
	var dead, open []string
	for _, id := range ids {
		show := eventsShowCmd{ID: id, Wait: max(time.Until(end), time.Millisecond)}
		r, _, err := show.read(ctx, reader)
		if err != nil {
			return err
		}
		switch where := whereOf(r, time.Now()); where {
		case "done":
			fmt.Fprintf(a.err, "%s is done: %s, attempt %d\n", id, r.Outcome, r.Attempt)
		case "dlq":
			dead = append(dead, id)
		default:
			open = append(open, id)
		}
	}
	if len(dead)+len(open) > 0 {
		return fmt.Errorf("not done after %s: %d dead, %d still open (%s)", c.Wait, len(dead), len(open), clip(strings.Join(append(dead, open...), " "), 200))
	}
	return nil
}
