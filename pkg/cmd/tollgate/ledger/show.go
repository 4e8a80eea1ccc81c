// Package ledger has the verb for the billing ledger that the handlers keep.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/ledger"
)

// Commands are the verbs about the billing ledger.
type Commands struct {
	Show Show `cmd:"" help:"Show the ledger of one customer."`
}

// Show shows one customer's ledger.
type Show struct {
	Customer string `arg:"" name:"customer" help:"The customer's id, cus_…"`
	Account  string `help:"Connected account that the customer is of. Default: the platform's own." placeholder:"acct_…"`
	Live     bool   `help:"The customer of live mode. Default: of test mode."`
}

func (Show) Help() string {
	return `Shows what the handlers stored from the events handled so far. Amounts are in the currency's smallest unit, as in Stripe's API. The ledger has only what the handled event types contain: a refund changes no payment, a dispute stays as it was opened, and an invoice appears when it was paid or its payment failed. With --json the whole ledger is one object.

  tollgate ledger show cus_1 --live
  tollgate ledger show cus_1 --account acct_1 --json`
}

// Run shows the ledger. An unknown customer is a failure.
func (c *Show) Run(ctx context.Context, a *verb.App) error {
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return err
	}
	mode := event.Mode(c.Live)
	l, err := ledger.Read(ctx, listed{reader}, mode, c.Account, c.Customer)
	if errors.Is(err, ledger.ErrUnknown) {
		return verb.Hint(fmt.Errorf("customer %s is not known in %s mode in %s", c.Customer, mode, t.Name),
			"no event about it was handled yet (tollgate events list), or it is of the other mode (--live) or of a connected account (--account)")
	}
	if err != nil {
		return err
	}
	if a.JSON {
		a.Object(l)
		return nil
	}
	ledgerTables{a, time.Now()}.show(l)
	return nil
}

// listed adapts the reader to the ledger's interface.
type listed struct{ *dynamostore.Reader }

func (r listed) Page(ctx context.Context, list, cursor string) ([]map[string]any, string, error) {
	return r.Listed(ctx, list, dynamostore.Listed{Cursor: cursor})
}

// ledgerTables prints a ledger for people: a table for each kind of item.
type ledgerTables struct {
	a   *verb.App
	now time.Time
}

func (p ledgerTables) show(l ledger.Ledger) {
	p.a.Fields([][2]string{{"customer", l.Customer}, {"mode", l.Mode}, {"account", verb.Dash(l.Account)}})
	show(p, "subscriptions", l.Subscriptions, "id|status|items|period end|ends", func(s ledger.Subscription) []string {
		return []string{s.ID, s.Status, items(s.Items), p.at(s.CurrentPeriodEnd), p.at(max(s.EndedAt, s.CancelAt))}
	})
	show(p, "entitlements", l.Entitlements, "subscription|active|until|products", func(e ledger.Entitlement) []string {
		return []string{e.Subscription, map[bool]string{true: "yes", false: "no"}[e.Active], p.at(e.Until), strings.Join(e.Products, " ")}
	})
	show(p, "invoices", l.Invoices, "id|number|status|total|paid|attempts|created", func(i ledger.Invoice) []string {
		return []string{i.ID, verb.Dash(i.Number), i.Status, verb.Money(i.Total, i.Currency), verb.Money(i.AmountPaid, i.Currency), fmt.Sprint(i.AttemptCount), p.at(i.Created)}
	})
	show(p, "payments", l.Payments, "what|object|amount|when|event", func(x ledger.Payment) []string {
		return []string{strings.ReplaceAll(x.Kind, "_", " "), x.ObjectID, verb.Money(x.Amount, x.Currency), p.at(x.Occurred), x.Event}
	})
	show(p, "disputes", l.Disputes, "id|status|reason|amount|payment|evidence due", func(d ledger.Dispute) []string {
		return []string{d.ID, d.Status, d.Reason, verb.Money(d.Amount, d.Currency), verb.Dash(d.PaymentIntent), p.at(d.EvidenceDueBy)}
	})
	show(p, "checkouts", l.Checkouts, "id|for|payment|amount|created", func(c ledger.Checkout) []string {
		return []string{c.ID, c.Mode, c.PaymentStatus, verb.Money(c.Amount, c.Currency), p.at(c.Created)}
	})
	show(p, "outbox", l.Outbox, "message|about|amount|sent", func(m ledger.Message) []string {
		sent := p.at(m.SentAt / 1000)
		if m.Held {
			sent = "held"
		}
		return []string{m.Name, m.ObjectID, verb.Money(m.Amount, m.Currency), sent}
	})
}

func show[T any](p ledgerTables, name string, list []T, head string, row func(T) []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(p.a.Out, "\n%s\n", name)
	verb.List(p.a, list, nil, "", head, row)
}

func (p ledgerTables) at(seconds int64) string { return verb.ShortTime(time.Unix(seconds, 0), p.now) }

func items(list []ledger.Item) string {
	var parts []string
	for _, i := range list {
		parts = append(parts, fmt.Sprintf("%d × %s", i.Quantity, i.Price))
	}
	return verb.Dash(strings.Join(parts, ", "))
}
