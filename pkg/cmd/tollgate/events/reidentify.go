package events

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/replay"
)

// Reidentify gives a record the identity of its event.
type Reidentify struct {
	ID      string `arg:"" name:"event" help:"The event's id, evt_…"`
	Note    string `required:"" help:"Reason, for the audit trail." placeholder:"TEXT"`
	Account string `default:"-" help:"Connected account of the event; - is the API key's own account. Default: -." placeholder:"acct_…"`
	Yes     bool   `help:"Do not ask for confirmation."`
}

// Help returns the text that --help prints with the flags.
func (Reidentify) Help() string {
	return `For an event whose messages are dead letters with the reason corrupt: its record was created under another identity (type, time, mode, account, object), for example because reconcile listed the platform's own account by its id. The event is fetched from Stripe as --account, and the record gets the fetched event's identity. A dead letter is not used as the source, because it may be the one that is wrong. So this works only for the 30 days that Stripe keeps events.

Only a record that was never done is changed, and only while no attempt runs. Redrive the dead letters afterwards: those of the event's own identity are handled, others are corrupt again.

  tollgate events reidentify evt_1 --note "reconcile named the platform, ticket 1204"
  tollgate redrive --id evt_1`
}

// Run fetches the event, asks, and changes the record.
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
	if ident == o.Identity {
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

// fetch returns the event as Stripe has it for the account.
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
