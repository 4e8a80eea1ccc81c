package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/idempotency"
)

// Purge marks one event as purged by its id.
type Purge struct {
	ID   string `arg:"" name:"event" help:"The event's id, evt_…"`
	Note string `required:"" help:"Why, for the audit trail." placeholder:"TEXT"`
	Yes  bool   `help:"Do not ask."`
}

const verbPurge = "events purge"

// Help returns the text that --help prints with the flags.
func (Purge) Help() string {
	return `Marks an event that is not done as purged, whatever receives and attempts its record has: reconcile no longer sends it. Use it for an event that dlq purge cannot mark: another endpoint now ignores its message, or another message of it was waiting. An event with a running attempt is refused. Nothing is deleted or completed: a message or dead letter that is left is handled as before; that, a redrive or tollgate events replay removes the mark.

  tollgate events purge evt_1 --note "test data, ticket 1204"`
}

// changedView is the result for one event, for machines.
type changedView struct {
	ID     string `json:"id"`
	Result string `json:"result"`
}

// Run reads the record, asks, and marks it.
func (c *Purge) Run(ctx context.Context, a *verb.App) error {
	t, r, err := openRecord(ctx, a, c.ID, c.Note)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("purge %s (%s, %s, attempt %d)", r.ID, verb.Dash(r.Type), r.StatusName(), r.Attempt)
	if err := a.Confirm(ctx, t, what, c.Yes); err != nil {
		return err
	}
	store, err := t.Writer()
	if err != nil {
		return err
	}
	return a.Audited(ctx, t, verb.Audit{Verb: verbPurge, Note: c.Note, Detail: what}, func(ctx context.Context) (string, error) {
		now := time.Now()
		verdict, err := store.Purge(ctx, idempotency.PurgeRequest{
			EventID: r.ID, Identity: r.Identity, Any: true, By: verb.Operator(), Now: now, LeaseExpiredBefore: now.Add(-t.Limits().TakeOverMargin),
		})
		if err != nil {
			return "", err
		}
		if verdict != idempotency.PurgeMarked {
			return string(verdict), notChanged(r.ID, string(verdict))
		}
		a.Line(changedView{r.ID, string(verdict)}, r.ID+" is purged: reconcile no longer sends it. A message or dead letter that is left is handled as before.")
		return string(verdict), nil
	})
}

// openRecord reads the record of an event that is to be changed by its id. It refuses a
// missing, done, running or broken record.
func openRecord(ctx context.Context, a *verb.App, id, note string) (t verb.Target, r idempotency.Record, err error) {
	if strings.TrimSpace(note) == "" {
		return t, r, verb.Usage(`--note is required: the reason, for the audit trail`)
	}
	if t, err = a.Target(ctx); err != nil {
		return t, r, err
	}
	reader, err := t.Reader()
	if err != nil {
		return t, r, err
	}
	r, found, err := reader.Get(ctx, id)
	switch {
	case err != nil:
		return t, r, err
	case !found:
		return t, r, verb.Hint(fmt.Errorf("event %s is not known in %s", id, t.Name), "there is no record to change; a later message makes one")
	case r.Check() != nil:
		return t, r, verb.Hint(r.Check(), "something else wrote this row: repair it by hand, its key is %s", idempotency.Key(id))
	case r.State == idempotency.Done:
		return t, r, notChanged(id, string(idempotency.PurgeDone))
	case r.Held(time.Now(), t.Limits()):
		return t, r, notChanged(id, string(idempotency.PurgeBusy))
	}
	return t, r, nil
}

// notChanged is the error for a record that was left unchanged.
func notChanged(id, verdict string) error {
	text := map[string]string{
		"done": "it is done", "busy": "an attempt of it runs", "no_record": "its record is gone",
	}[verdict]
	if text == "" {
		return verb.Hint(fmt.Errorf("event %s was not changed: its record changed meanwhile (%s)", id, verdict), "run it again")
	}
	err := errors.New("event " + id + " was not changed: " + text)
	if verdict == string(idempotency.PurgeBusy) {
		return verb.Hint(err, "tollgate events show %s --wait 1m, then run it again", id)
	}
	return err
}
