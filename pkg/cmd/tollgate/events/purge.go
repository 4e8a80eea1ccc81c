package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
)

// Purge marks one event as purged by its id.
type Purge struct {
	ID   string `arg:"" name:"event" help:"The event's id, evt_…"`
	Note string `required:"" help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes  bool   `help:"Do not ask for confirmation."`
}

// Help returns the text that --help prints with the flags.
func (Purge) Help() string {
	return `Marks an event that is not done as purged, regardless of its receives and attempts: reconcile no longer sends it. Use it for an event that dlq purge cannot mark: another endpoint now ignores its message, or another message of it was waiting. An event with a running attempt is refused. Nothing is deleted or completed: a message or dead letter that is left is handled as before; that, a redrive or tollgate events replay removes the mark.

  tollgate events purge evt_1 --note "test data, ticket 1204"`
}

// changedView is the result for one event, for machines.
type changedView struct {
	ID     string `json:"id"`
	Result string `json:"result"`
}

// Run reads the record, asks, and marks it.
func (c *Purge) Run(ctx context.Context, a *verb.App) error {
	o, err := openRecord(ctx, a, c.ID, c.Note)
	if err != nil {
		return err
	}
	of := verb.Audit{Verb: "events purge", Note: c.Note, Detail: fmt.Sprintf("purge %s (%s, %s, attempt %d)", o.ID, verb.Dash(o.Type), o.StatusName(), o.Attempt)}
	const done = " is purged: reconcile no longer sends it. A message or dead letter that is left is handled as before."
	return o.change(ctx, of, c.Yes, string(idempotency.PurgeMarked), done, func(ctx context.Context, now, expired time.Time) (string, error) {
		verdict, err := o.store.Purge(ctx, idempotency.PurgeRequest{
			EventID: o.ID, Identity: o.Identity, Any: true, By: verb.Operator(), Now: now, LeaseExpiredBefore: expired,
		})
		return string(verdict), err
	})
}

// openedRecord is the record of an event that is to be changed by its id.
type openedRecord struct {
	idempotency.Record
	app    *verb.App
	target verb.Target
	store  *dynamostore.Operator
}

// change asks, changes the record and prints the result. do returns the verdict, which is
// changed if it changed the record; expired is when the lease of a dead attempt has ended.
func (o openedRecord) change(ctx context.Context, of verb.Audit, yes bool, changed, done string, do func(ctx context.Context, now, expired time.Time) (string, error)) error {
	return o.app.Change(ctx, o.target, of, yes, func(ctx context.Context) (string, error) {
		now := time.Now()
		verdict, err := do(ctx, now, now.Add(-o.target.Limits().TakeOverMargin))
		switch {
		case err != nil:
		case verdict != changed:
			err = notChanged(o.ID, verdict)
		default:
			o.app.Line(changedView{o.ID, verdict}, o.ID+done)
		}
		return verdict, err
	})
}

// openRecord reads the record. It refuses a missing, done, running or broken one.
func openRecord(ctx context.Context, a *verb.App, id, note string) (o openedRecord, err error) {
	if strings.TrimSpace(note) == "" {
		return o, verb.Usage(`--note is required: the reason, for the audit trail`)
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return o, err
	}
	r, found, err := reader.Get(ctx, id)
	switch {
	case err != nil:
		return o, err
	case !found:
		return o, verb.Hint(fmt.Errorf("event %s is not known in %s", id, t.Name), "there is no record to change; a later message creates one")
	case r.Check() != nil:
		return o, verb.Hint(r.Check(), "something else wrote this row: repair it by hand, its key is %s", idempotency.Key(id))
	case r.State == idempotency.Done:
		return o, notChanged(id, string(idempotency.PurgeDone))
	case r.Held(time.Now(), t.Limits()):
		return o, notChanged(id, string(idempotency.PurgeBusy))
	}
	store, err := t.Writer()
	return openedRecord{r, a, t, store}, err
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
	if verdict == string(idempotency.PurgeDone) {
		return verb.Hint(err, "if it was handled wrongly: tollgate events replay %s", id)
	}
	return err
}
