package events

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/handlers"
	"tollgate/pkg/replay"
	"tollgate/pkg/stripeapi"
)

// tableReader reads rows and begins of history from the table, for handlers and their mux.
type tableReader interface {
	dispatch.Rows
	dispatch.Begins
}

// handlersOf are the handlers that this command was built with, as the consumer has them
// when neither TOLLGATE_BEGIN nor TOLLGATE_HOLD_AFTER is set.
func handlersOf(objects dispatch.Objects, table tableReader) *dispatch.Mux {
	mux := dispatch.NewMux(dispatch.Config{
		APIVersion: stripeapi.APIVersion, Objects: objects, Rows: table, Hold: dispatch.Hold{Begins: table},
	})
	handlers.Register(mux)
	return mux
}

// noStripe replaces Stripe and the table for a command without a key.
type noStripe struct{}

func (noStripe) FetchObject(context.Context, string, string, string) ([]byte, error) {
	return nil, dispatch.Park(dispatch.ReasonNoAPIKey, errors.New("no key for Stripe's API"))
}

func (noStripe) Begin(context.Context, bool, string) (time.Time, bool, error) {
	return time.Time{}, false, nil
}

func (noStripe) Item(context.Context, string) (map[string]any, bool, error) { return nil, false, nil }

type shadowView struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	replay.Preview
	Error  string `json:"error,omitempty"`
	Reason string `json:"reason,omitempty"` // of a permanent failure; refused: the handler did not run
}

// shadowRefused is the reason of an event whose handler did not run.
const shadowRefused = "refused"

// shadow shows what replays would change. It is given readers only.
func (c *Replay) shadow(ctx context.Context, a *verb.App, t verb.Target, reader *dynamostore.Reader, source replay.Events, ids []string) error {
	var objects dispatch.Objects = noStripe{}
	if client, err := a.Stripe(ctx, t); err == nil {
		objects = client
	} else { // the events are from a file
		fmt.Fprintf(a.Err, "handlers cannot fetch objects: %v\n", err)
	}
	s := replay.Shadow{
		Records: reader, Rows: reader, Events: source, Handlers: handlersOf(objects, reader),
		Endpoint: c.Endpoint, Accounts: c.accounts(), Budget: t.Limits().HandlerBudget,
	}
	bad := 0
	limiter := verb.Pace(c.Rate)
	for i, id := range ids {
		if limiter.Wait(ctx) != nil {
			return fmt.Errorf("interrupted before event %d of %d", i+1, len(ids))
		}
		p, err := s.Event(ctx, id)
		if refused, ok := errors.AsType[*replay.RefusedError](err); ok && len(ids) == 1 {
			return verb.Hint(fmt.Errorf("event %s: %w", id, err), "%s", refused.Hint)
		}
		if err != nil {
			bad++
		}
		if v := viewOfShadow(id, p, err); a.JSON {
			a.Object(v)
		} else {
			v.print(a)
		}
	}
	if !a.JSON {
		fmt.Fprintln(a.Out, "Nothing was written or sent.")
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d events would fail or were refused", bad, len(ids))
	}
	return nil
}

func viewOfShadow(id string, p replay.Preview, err error) shadowView {
	if p.Changes == nil {
		p.Changes = []replay.Change{}
	}
	v := shadowView{ID: id, Type: p.Event.Type, Preview: p}
	if err != nil {
		v.Error = err.Error()
	}
	if permanent, ok := errors.AsType[*dispatch.PermanentError](err); ok {
		v.Reason = permanent.Reason
	}
	if _, ok := errors.AsType[*replay.RefusedError](err); ok {
		v.Reason = shadowRefused
	}
	return v
}

func (v shadowView) print(a *verb.App) {
	if v.Reason == shadowRefused {
		fmt.Fprintf(a.Out, "%s was not run: %s\n", v.ID, verb.OneLine(v.Error))
		return
	}
	fmt.Fprintf(a.Out, "%s %s, as attempt %d of generation %d\n", v.ID, v.Type, v.Attempt, v.Generation)
	if v.Error != "" {
		how := "would be retried"
		if v.Reason != "" {
			how = "would be dead-lettered, reason " + v.Reason
		}
		fmt.Fprintf(a.Out, "  the handler fails (the event %s): %s\n", how, verb.OneLine(v.Error))
		return
	}
	for _, c := range v.Changes {
		printChange(a, c)
	}
	switch {
	case len(v.Changes) == 0:
		fmt.Fprintln(a.Out, "  the handler returns no effects")
	case !v.Writes:
		fmt.Fprintln(a.Out, "  nothing new: it would end as already applied")
	}
}

func printChange(a *verb.App, c replay.Change) {
	text := map[string]string{
		replay.WouldInsert:   "+ %s would be inserted",
		replay.IsThere:       "= %s exists and stays as it is",
		replay.WouldChange:   "~ %s would change",
		replay.Unchanged:     "= %s would be written with the same fields",
		replay.WouldRunAgain: "! %s changed while the handler ran: it would run again",
		replay.Holds:         "? %s is checked, and the check holds",
		replay.DoesNotHold:   "! %s is checked, and the check fails: " + verb.OneLine(c.Error),
	}[c.Verdict]
	if c.Verdict == replay.IsThere && len(c.Fields) > 0 {
		text += ", though the handler returns other fields now"
	}
	fmt.Fprintf(a.Out, "  "+text+"\n", verb.OneLine(c.Key))
	for _, f := range c.Fields {
		fmt.Fprintf(a.Out, "      %s: %s\n", verb.OneLine(f.Name), fieldText(f, c.Verdict))
	}
}

func fieldText(f replay.Field, verdict string) string {
	show := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		return verb.Clip(string(raw), 120)
	}
	switch {
	case verdict == replay.WouldInsert:
		return show(f.New)
	case !f.Was:
		return "new, " + show(f.New)
	case !f.Is:
		return show(f.Old) + " → removed"
	case verdict == replay.IsThere:
		return show(f.Old) + " (the handler returns " + show(f.New) + ")"
	default:
		return show(f.Old) + " → " + show(f.New)
	}
}
