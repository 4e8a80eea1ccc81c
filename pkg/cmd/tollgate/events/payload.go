package events

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/replay"
)

// Payload prints an event's JSON.
type Payload struct {
	ID      string   `arg:"" name:"event" help:"The event's id, evt_…"`
	Account []string `help:"Connected account to fetch from; several are tried in turn, - is the API key's own account. Default: -." placeholder:"acct_…"`
	Note    string   `required:"" help:"Why it is needed, for the audit trail." placeholder:"TEXT"`
}

func (Payload) Help() string {
	return `The JSON holds customers' data, so the audit trail records who read it and why. It is fetched from Stripe, which keeps events for 30 days, in the API version that the handlers read; the delivered JSON may be of another. That of a dead letter is printed by dlq show --payload.

  tollgate events payload evt_1 --note "ticket 1204"
  tollgate events payload evt_1 --account acct_1 --note "ticket 1204"`
}

// Run prints the JSON.
func (c *Payload) Run(ctx context.Context, a *verb.App) error {
	if strings.TrimSpace(c.Note) == "" {
		return verb.Usage(`--note is required: why customers' data is needed, for the audit trail`)
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return err
	}
	r, _, err := reader.Get(ctx, c.ID) // only its type is needed: thin events are elsewhere at Stripe
	if err != nil {
		return err
	}
	client, err := a.Stripe(ctx, t)
	if err != nil {
		return err
	}
	of := verb.Audit{Verb: "events payload", Note: c.Note, Detail: c.ID + ", from Stripe"}
	return a.Audited(ctx, t, of, func(ctx context.Context) (string, error) {
		accounts := c.Account
		if len(accounts) == 0 {
			accounts = []string{"-"}
		}
		var gone error
		for _, account := range accounts {
			e, err := replay.Open(ctx, client, strings.TrimPrefix(account, "-"), c.ID, r.Type)
			if err == nil {
				fmt.Fprintf(a.Out, "%s\n", e.Body)
				return "shown", nil
			}
			if refused, ok := errors.AsType[*replay.RefusedError](err); !ok || refused.Reason != replay.RefusedGone {
				return "", err
			}
			gone = fmt.Errorf("event %s cannot be fetched from Stripe", c.ID)
		}
		return "", verb.Hint(gone, "Stripe keeps events for 30 days, per account and mode: is it of a connected account (--account acct_…) or of the other mode's key? If it is a dead letter: tollgate dlq show %s --payload", c.ID)
	})
}
