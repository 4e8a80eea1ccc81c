package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/replay"
)

// Purge marks one event as purged by its id.
type Purge struct {
	ID   string `arg:"" name:"event" help:"The event's id, evt_…"`
	Note string `required:"" help:"Reason, for the audit trail." placeholder:"TEXT"`
	Yes  bool   `help:"Do not ask for confirmation."`
}

func (Purge) Help() string {
	return `Marks an event that is not done as purged, regardless of its receives and attempts: reconcile no longer sends it. Use it for an event that dlq purge cannot mark: another endpoint now ignores its message, or another message of it was waiting. An event with a running attempt is refused. Nothing is deleted or completed: a message or dead letter that is left is handled as before; that, a redrive or tollgate events replay removes the mark.

  tollgate events purge evt_1 --note "test data, ticket 1204"`
}

type changedView struct {
	ID     string `json:"id"`
	Result string `json:"result"`
}

func (c *Purge) Run(ctx context.Context, a *verb.App) error {
	o, err := openRecord(ctx, a, c.ID, c.Note)
	if err != nil {
		return err
	}
	of := verb.Audit{Verb: "events purge", Note: c.Note, Detail: fmt.Sprintf("purge %s (%s, %s, attempt %d)", o.ID, verb.Dash(o.Type), o.StatusName(), o.Attempt)}
	const done = " is purged: reconcile no longer sends it. A message or dead letter that is left is handled as before."
	return o.change(ctx, of, c.Yes, string(idempotency.PurgeMarked), done, func(ctx context.Context, now, expired time.Time) (string, error) {
		verdict, err := o.store.Purge(ctx, idempotency.PurgeRequest{
			EventID: o.ID, Identities: idempotency.Identities{o.Identity, o.Identity}, Any: true, By: verb.Operator(), Now: now, LeaseExpiredBefore: expired,
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

func notChanged(id, verdict string) error {
	text := "event " + id + " was not changed: "
	switch verdict {
	case "done":
		return verb.Hint(errors.New(text+"it is done"), "if it was handled wrongly: tollgate events replay %s", id)
	case "busy":
		return verb.Hint(errors.New(text+"an attempt of it runs"), "tollgate events show %s --wait 1m, then run it again", id)
	case "no_record":
		return errors.New(text + "its record is gone")
	}
	return verb.Hint(fmt.Errorf("%sits record changed meanwhile (%s)", text, verdict), "run it again")
}

// Reidentify gives a record the identity of its event.
type Reidentify struct {
	ID      string `arg:"" name:"event" help:"The event's id, evt_…"`
	Note    string `required:"" help:"Reason, for the audit trail." placeholder:"TEXT"`
	Account string `default:"-" help:"Connected account of the event; - is the API key's own account. Default: -." placeholder:"acct_…"`
	Yes     bool   `help:"Do not ask for confirmation."`
}

func (Reidentify) Help() string {
	return `For an event whose messages are dead letters with the reason corrupt: its record was created under another identity (type, time, mode, account, object), for example because reconcile listed the platform's own account by its id. The event is fetched from Stripe as --account, and the record gets the fetched event's identity. A dead letter is not used as the source, because it may be the one that is wrong. So this works only for the 30 days that Stripe keeps events.

Only a record that was never done is changed, and only while no attempt runs. Redrive the dead letters afterwards: those of the event's own identity are handled, others are corrupt again.

  tollgate events reidentify evt_1 --note "reconcile named the platform, ticket 1204"
  tollgate redrive --id evt_1`
}

func (c *Reidentify) Run(ctx context.Context, a *verb.App) error {
	o, err := openRecord(ctx, a, c.ID, c.Note)
	if err != nil {
		return err
	}
	e, err := c.fetch(ctx, o)
	if err != nil {
		return err
	}
	ident := idempotency.Identity(e)
	if idempotency.IdentitiesOf(e).Has(o.Identity) {
		a.Line(changedView{o.ID, "same"}, "Nothing to do: the record has the event's identity.")
		return nil
	}
	what := fmt.Sprintf("give %s the identity of the event at Stripe: %s, created %s, %s mode, account %s, object %s",
		o.ID, e.Type, verb.LongTime(time.Unix(e.Created, 0)), e.Mode(), verb.Dash(e.Account), verb.Dash(e.ObjectID))
	of, done := verb.Audit{Verb: "events reidentify", Note: c.Note, Detail: what}, " has the identity of its event. Next: tollgate redrive --id "+o.ID
	return o.change(ctx, of, c.Yes, string(idempotency.Reidentified), done, func(ctx context.Context, now, expired time.Time) (string, error) {
		verdict, err := o.store.Reidentify(ctx, idempotency.ReidentifyRequest{EventID: o.ID, Old: o.Identity, New: ident, Now: now, LeaseExpiredBefore: expired})
		if err == nil && verdict == idempotency.ReidentifyDone {
			err = fmt.Errorf("event %s was not changed: it was done under the identity that its record has", o.ID)
		}
		return string(verdict), err
	})
}

func (c *Reidentify) fetch(ctx context.Context, o openedRecord) (event.Envelope, error) {
	client, err := o.app.Stripe(ctx, o.target)
	if err != nil {
		return event.Envelope{}, err
	}
	account := strings.TrimPrefix(c.Account, "-")
	if account != "" {
		own, err := client.OwnAccount(ctx)
		if err != nil {
			return event.Envelope{}, err
		}
		if own == account {
			return event.Envelope{}, verb.Usage("%s is the key's own account: its events carry no account, leave --account out", account)
		}
	}
	e, err := replay.Open(ctx, client, account, o.ID, o.Type)
	if err != nil {
		return e, verb.Hint(err, "Stripe keeps events for 30 days, per account and mode: is it of a connected account (--account acct_…) or of the other mode's key?")
	}
	return e, nil
}
