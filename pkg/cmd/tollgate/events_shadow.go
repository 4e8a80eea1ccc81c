package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

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

// noStripe is Stripe and a table to a command that has no key.
type noStripe struct{}

func (noStripe) FetchObject(context.Context, string, string, string) ([]byte, error) {
	return nil, dispatch.Park(dispatch.ReasonNoAPIKey, errors.New("no key for Stripe's API"))
}

func (noStripe) Begin(context.Context, bool, string) (time.Time, bool, error) {
	return time.Time{}, false, nil
}

func (noStripe) Item(context.Context, string) (map[string]any, bool, error) { return nil, false, nil }

// shadowView is what a replay would do, for machines.
type shadowView struct {
	ID         string       `json:"id"`
	Type       string       `json:"type"`
	Known      bool         `json:"known"`
	Attempt    int64        `json:"attempt"`
	Generation int64        `json:"generation"`
	Writes     bool         `json:"writes"`
	Error      string       `json:"error,omitempty"`
	Reason     string       `json:"reason,omitempty"` // of a permanent failure; refused: the handler did not run
	Effects    []changeView `json:"effects"`
}

// shadowRefused is the reason of what was not run at all.
const shadowRefused = "refused"

type changeView struct {
	Key     string      `json:"key"`
	Kind    string      `json:"kind"`
	Verdict string      `json:"verdict"`
	Fields  []fieldView `json:"fields,omitempty"`
	Error   string      `json:"error,omitempty"` // what a check that does not hold means
}

type fieldView struct {
	Name string `json:"name"`
	Was  bool   `json:"was"` // it is there before
	Is   bool   `json:"is"`  // it is there after
	Old  any    `json:"old"`
	New  any    `json:"new"`
}

// shadows shows what replays would change. It is given readers only.
func (c *eventsReplayCmd) shadows(ctx context.Context, a *app, t target, reader *dynamostore.Reader, events replay.Events, ids []string) error {
	var objects dispatch.Objects = noStripe{}
	if client, err := a.stripe(ctx, t); err == nil {
		objects = client
	} else { // the events are from a file
		fmt.Fprintf(a.err, "handlers cannot fetch objects: %v\n", err)
	}
	s := replay.Shadow{
		Records: reader, Rows: reader, Events: events, Handlers: handlersOf(objects, reader),
		Endpoint: c.Endpoint, Accounts: c.accounts(), Budget: t.limits().HandlerBudget,
	}
	bad := 0
	tick := pace(c.Rate)
	for i, id := range ids {
		if tick(ctx) != nil {
			return fmt.Errorf("interrupted before event %d of %d", i+1, len(ids))
		}
		p, err := s.Event(ctx, id)
		if refused, ok := errors.AsType[*replay.RefusedError](err); ok && len(ids) == 1 {
			return hint(fmt.Errorf("event %s: %w", id, err), "%s", refused.Hint)
		}
		if err != nil {
			bad++
		}
		v := shadowOf(id, p, err)
		if a.json {
			a.object(v)
		} else {
			v.print(a)
		}
	}
	if !a.json {
		fmt.Fprintln(a.out, "Nothing was written or sent.")
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d events would fail or were refused", bad, len(ids))
	}
	return nil
}

func shadowOf(id string, p replay.Preview, err error) shadowView {
	v := shadowView{ID: id, Type: p.Event.Type, Known: p.Known, Attempt: p.Attempt, Generation: p.Generation, Writes: p.Writes, Effects: []changeView{}}
	if err != nil {
		v.Error = err.Error()
	}
	if _, ok := errors.AsType[*replay.RefusedError](err); ok {
		v.Reason = shadowRefused
		return v
	}
	if permanent, ok := errors.AsType[*dispatch.PermanentError](err); ok {
		v.Reason = permanent.Reason
	}
	for _, c := range p.Changes {
		e := changeView{Key: c.Key, Kind: string(c.Kind), Verdict: c.Verdict, Error: c.Means}
		for _, f := range c.Fields {
			e.Fields = append(e.Fields, fieldView{Name: f.Name, Was: f.Was, Is: f.Is, Old: f.Old, New: f.New})
		}
		v.Effects = append(v.Effects, e)
	}
	return v
}

func (v shadowView) print(a *app) {
	if v.Reason == shadowRefused {
		fmt.Fprintf(a.out, "%s was not run: %s\n", v.ID, oneLine(v.Error))
		return
	}
	fmt.Fprintf(a.out, "%s %s, as attempt %d of generation %d\n", v.ID, v.Type, v.Attempt, v.Generation)
	if v.Error != "" {
		how := "would be tried again later"
		if v.Reason != "" {
			how = "would be dead-lettered, reason " + v.Reason
		}
		fmt.Fprintf(a.out, "  the handler fails (it %s): %s\n", how, oneLine(v.Error))
		return
	}
	for _, c := range v.Effects {
		c.print(a)
	}
	switch {
	case len(v.Effects) == 0:
		fmt.Fprintln(a.out, "  the handler returns no effects")
	case !v.Writes:
		fmt.Fprintln(a.out, "  nothing new: it would end as stale")
	}
}

func (c changeView) print(a *app) {
	sign, says := "?", c.Verdict
	switch c.Verdict {
	case replay.WouldInsert:
		sign, says = "+", "would be inserted"
	case replay.IsThere:
		sign, says = "=", "is there already and stays as it is"
		if len(c.Fields) > 0 {
			says += ", though the handler says otherwise now"
		}
	case replay.WouldChange:
		sign, says = "~", "would change"
	case replay.Unchanged:
		sign, says = "=", "would be written with the same fields"
	case replay.WouldRunAgain:
		sign, says = "!", "changed while the handler ran: it would run again"
	case replay.Holds:
		says = "is checked, and holds"
	case replay.DoesNotHold:
		sign, says = "!", "is checked, and does not hold: "+oneLine(c.Error)
	}
	fmt.Fprintf(a.out, "  %s %s %s\n", sign, oneLine(c.Key), says)
	for _, f := range c.Fields {
		fmt.Fprintf(a.out, "      %s: %s\n", oneLine(f.Name), f.text(c.Verdict))
	}
}

func (f fieldView) text(verdict string) string {
	show := func(v any) string {
		raw, err := json.Marshal(v)
		if err != nil {
			return "?"
		}
		return clip(string(raw), 120)
	}
	switch {
	case verdict == replay.WouldInsert:
		return show(f.New)
	case !f.Was:
		return "new, " + show(f.New)
	case !f.Is:
		return show(f.Old) + " → removed"
	case verdict == replay.IsThere:
		return show(f.Old) + " (the handler says " + show(f.New) + ")"
	default:
		return show(f.Old) + " → " + show(f.New)
	}
}
