package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/idempotency"
)

// eventsPurgeCmd gives up one event by its id.
type eventsPurgeCmd struct {
	ID   string `arg:"" name:"event" help:"The event's id, evt_…"`
	Note string `required:"" aliases:"reason" help:"Why, for the audit trail." placeholder:"TEXT"`
	Yes  bool   `help:"Do not ask."`
}

const verbEventsPurge = "events purge"

// Help returns the text that --help prints with the flags.
func (eventsPurgeCmd) Help() string {
	return `Marks an event that is not done as given up (status purged), whatever its record says of receives and attempts: reconcile no longer sends it. Use it for what dlq purge cannot mark: an event whose message another endpoint now ignores, or of which another message was waiting. An event with a running attempt is refused. Nothing is deleted or completed: a message or dead letter that is left is handled as before; that, a redrive or tollgate events replay undoes the mark.

  tollgate events purge evt_1 --note "test data, ticket 1204"`
}

// byIDView is the result for one event, for machines.
type byIDView struct {
	ID     string `json:"id"`
	Result string `json:"result"`
}

// Run reads the record, asks, and marks it.
func (c *eventsPurgeCmd) Run(ctx context.Context, a *app) error {
	t, r, err := a.openRecord(ctx, c.ID, c.Note)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("give up %s (%s, %s, attempt %d)", r.ID, dash(r.Type), r.StatusName(), r.Attempt)
	if err := a.confirm(ctx, t, what, c.Yes); err != nil {
		return err
	}
	store, err := t.writer()
	if err != nil {
		return err
	}
	return a.audited(ctx, t, auditOf{verb: verbEventsPurge, why: c.Note, detail: what}, func(ctx context.Context) (string, error) {
		now := time.Now()
		verdict, err := store.GiveUp(ctx, idempotency.GiveUpRequest{
			EventID: r.ID, Ident: r.Ident, Any: true, By: operator(), Now: now, Cutoff: now.Add(-t.limits().TakeOverMargin),
		})
		if err != nil {
			return "", err
		}
		if verdict != idempotency.GivenUp {
			return string(verdict), notChanged(r.ID, string(verdict))
		}
		a.line(byIDView{r.ID, string(verdict)}, r.ID+" is given up: reconcile no longer sends it. A message or dead letter that is left is handled as before.")
		return string(verdict), nil
	})
}

// openRecord reads the record of an event that is to be changed by its id. It refuses a
// missing, done, running or broken record.
func (a *app) openRecord(ctx context.Context, id, note string) (t target, r idempotency.Record, err error) {
	if strings.TrimSpace(note) == "" {
		return t, r, usage(`give --note: the reason, for the audit trail`)
	}
	if t, err = a.target(ctx); err != nil {
		return t, r, err
	}
	reader, err := t.reader()
	if err != nil {
		return t, r, err
	}
	r, found, err := reader.Get(ctx, id)
	switch {
	case err != nil:
		return t, r, err
	case !found:
		return t, r, hint(fmt.Errorf("event %s is not known in %s", id, t.name), "there is no record to change; a later message makes one")
	case r.Check() != nil:
		return t, r, hint(r.Check(), "something else wrote this row: repair it by hand, its key is %s", idempotency.Key(id))
	case r.State == idempotency.Done:
		return t, r, notChanged(id, string(idempotency.GiveUpDone))
	case r.Held(time.Now(), t.limits()):
		return t, r, notChanged(id, string(idempotency.GiveUpBusy))
	}
	return t, r, nil
}

// notChanged is the error for a record that was left unchanged.
func notChanged(id, verdict string) error {
	text := map[string]string{
		"done": "it is done", "busy": "an attempt of it runs", "no_record": "its record is gone",
	}[verdict]
	if text == "" {
		return hint(fmt.Errorf("event %s was not changed: its record changed meanwhile (%s)", id, verdict), "run it again")
	}
	err := errors.New("event " + id + " was not changed: " + text)
	if verdict == string(idempotency.GiveUpBusy) {
		return hint(err, "tollgate events show %s --wait 1m, then run it again", id)
	}
	return err
}
