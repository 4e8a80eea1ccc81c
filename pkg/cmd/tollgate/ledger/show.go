// Package ledger has the verb for the billing ledger that the handlers keep.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/ledger"
)

// Commands are the verbs about the billing ledger.
type Commands struct {
	Show   Show   `cmd:"" help:"Show the ledger of a customer, or of one object."`
	Verify Verify `cmd:"" help:"Compare the kept rows with Stripe, and repair them."`
	Erase  Erase  `cmd:"" help:"Erase a customer: remove from the table what leads to it."`
}

// Show shows a customer's ledger, or what it has of one object or of a guest's reference.
type Show struct {
	ID        string `arg:"" optional:"" name:"id" help:"The customer's or object's id: cus_…, acct_… (a customer that is an account), sub_…, in_…, pi_…, cs_…, dp_…, du_…, re_…, ch_…, issfr_…"`
	Reference string `help:"Show the guest checkouts with this client_reference_id instead." placeholder:"REF"`
	Account   string `help:"Connected account that it is of. Default: the platform's own." placeholder:"acct_…"`
	Live      bool   `help:"Of live mode. Default: of test mode."`
}

func (Show) Help() string {
	return `Shows what the handlers stored from the events handled so far, in the present state of the table; tollgate ledger verify compares it with Stripe. Amounts are in the currency's smallest unit, as in Stripe's API. Payments, refunds and the money of disputes are facts: a refund is a fact of its own and does not change that of its payment.

For an object it shows its row and entitlement, the facts, rows and messages that name it, its customer, and what to do next. An invoice has a row once it was paid, voided or uncollectible, or a payment of it failed or needs an action of the customer; a charge once it was refunded; a checkout once it was completed or has expired. Not found by an id: a charge without a row, a failed payment of an invoice (show the invoice), the checkout of a guest by its payment (use --reference), and a product, price or event.

  tollgate ledger show cus_1 --live
  tollgate ledger show in_1 --account acct_1 --json
  tollgate ledger show --reference order-7`
}

// View is a ledger as it is shown.
type View struct {
	Object    string `json:"object,omitempty"` // the id or reference that was asked for, "" for a customer
	Reference string `json:"reference,omitempty"`
	ledger.Ledger
	Next []string `json:"next,omitempty"` // what an operator should do
}

// Run shows the ledger. An unknown id or reference is a failure.
func (c *Show) Run(ctx context.Context, a *verb.App) error {
	v, err := c.Load(ctx, a)
	if err != nil {
		return err
	}
	if a.JSON {
		a.Object(v)
		return nil
	}
	ledgerTables{a, time.Now()}.show(v)
	return nil
}

// Load reads the ledger. The error wraps [ledger.ErrUnknown] for an unknown id or reference.
func (c *Show) Load(ctx context.Context, a *verb.App) (v View, err error) {
	if err := c.check(); err != nil {
		return v, err
	}
	t, reader, err := a.Reader(ctx)
	if err != nil {
		return v, err
	}
	v, err = c.read(ctx, reader)
	if errors.Is(err, ledger.ErrUnknown) {
		return v, c.unknown(t.Name)
	}
	v.Next = nextSteps(v.Ledger, time.Now())
	return v, err
}

func (c *Show) read(ctx context.Context, items ledger.Items) (v View, err error) {
	mode := event.Mode(c.Live)
	switch {
	case c.Reference != "":
		v.Reference = c.Reference
		v.Ledger, err = ledger.ReadReference(ctx, items, mode, c.Account, c.Reference)
	case isCustomer(c.ID):
		v.Ledger, err = ledger.Read(ctx, items, mode, c.Account, c.ID)
	default:
		v.Object = c.ID
		v.Ledger, err = ledger.ReadObject(ctx, items, mode, c.Account, c.ID)
	}
	return v, err
}

// ledgerTables prints a ledger for people: a table for each kind of item.
type ledgerTables struct {
	a   *verb.App
	now time.Time
}

func (p ledgerTables) show(l View) {
	p.fields(l)
	show(p, "subscriptions", l.Subscriptions, "id|status|items|period end|ends|paused", func(s ledger.Subscription) []string {
		return []string{s.ID, s.Status, items(s.Items), p.at(s.CurrentPeriodEnd), p.at(max(s.EndedAt, s.CancelAt)), p.pause(s.PauseCollection)}
	})
	show(p, "entitlements", l.Entitlements, "subscription|active|until|products", func(e ledger.Entitlement) []string {
		return []string{e.Subscription, yes(e.Active), p.at(e.Until), strings.Join(e.Products, " ")}
	})
	show(p, "invoices", l.Invoices, "id|number|status|total|paid|attempts|created", func(i ledger.Invoice) []string {
		return []string{i.ID, verb.Dash(i.Number), i.Status, verb.Money(i.Total, i.Currency), verb.Money(i.AmountPaid, i.Currency), fmt.Sprint(i.AttemptCount), p.at(i.Created)}
	})
	show(p, "payments", l.Payments, "what|object|amount|when|event", func(x ledger.Payment) []string {
		return []string{strings.ReplaceAll(x.Kind, "_", " "), x.ObjectID, verb.Money(x.Amount, x.Currency), p.at(x.Occurred), x.Event}
	})
	show(p, "refunds", l.Refunds, "id|status|amount|charge|payment|created", func(r ledger.Refund) []string {
		return []string{r.ID, r.Status, verb.Money(r.Amount, r.Currency), verb.Dash(r.Charge), verb.Dash(r.PaymentIntent), p.at(r.Created)}
	})
	show(p, "refunded charges", l.Charges, "id|amount|refunded|all of it|payment", func(c ledger.Charge) []string {
		return []string{c.ID, verb.Money(c.Amount, c.Currency), verb.Money(c.AmountRefunded, c.Currency), yes(c.Refunded), verb.Dash(c.PaymentIntent)}
	})
	show(p, "disputes", l.Disputes, "id|status|reason|amount|payment|evidence due", func(d ledger.Dispute) []string {
		return []string{d.ID, d.Status, d.Reason, verb.Money(d.Amount, d.Currency), verb.Dash(d.PaymentIntent), p.at(d.EvidenceDueBy)}
	})
	show(p, "early fraud warnings", l.FraudWarnings, "id|type|actionable|charge|created", func(w ledger.FraudWarning) []string {
		return []string{w.ID, w.FraudType, yes(w.Actionable), w.Charge, p.at(w.Created)}
	})
	show(p, "checkouts", l.Checkouts, "id|for|status|payment|amount|reference|created", func(c ledger.Checkout) []string {
		return []string{c.ID, c.Mode, c.Status, c.PaymentStatus, verb.Money(c.Amount, c.Currency), verb.Dash(c.ClientReferenceID), p.at(c.Created)}
	})
	show(p, "outbox", l.Outbox, "message|about|amount|sent", func(m ledger.Message) []string {
		sent := p.at(m.SentAt / 1000)
		if m.Held {
			sent = "held"
		}
		return []string{m.Name, m.ObjectID, verb.Money(m.Amount, m.Currency), sent}
	})
	for i, step := range l.Next {
		if i == 0 {
			fmt.Fprintln(p.a.Out, "\nnext")
		}
		fmt.Fprintln(p.a.Out, verb.OneLine(step))
	}
}

// fields prints what the ledger is of.
func (p ledgerTables) fields(l View) {
	lines := [][2]string{{"customer", verb.Dash(l.Customer)}, {"mode", l.Mode}, {"account", verb.Dash(l.Account)}}
	if l.Deleted {
		lines[0][1] += " (deleted at Stripe)"
	}
	if l.Object != "" {
		lines = append([][2]string{{"object", l.Object}}, lines...)
	}
	if l.Reference != "" {
		lines = append([][2]string{{"reference", l.Reference}}, lines...)
	}
	p.a.Fields(lines)
}

func show[T any](p ledgerTables, name string, list []T, head string, row func(T) []string) {
	if len(list) == 0 {
		return
	}
	fmt.Fprintf(p.a.Out, "\n%s\n", name)
	verb.List(p.a, list, nil, "", head, row)
}

func (p ledgerTables) at(seconds int64) string { return verb.ShortTime(time.Unix(seconds, 0), p.now) }

func (p ledgerTables) pause(pause *ledger.Pause) string {
	switch {
	case pause == nil:
		return "-"
	case pause.ResumesAt == 0:
		return pause.Behavior
	}
	return pause.Behavior + " until " + p.at(pause.ResumesAt)
}

func yes(b bool) string { return map[bool]string{true: "yes", false: "no"}[b] }

func items(list []ledger.Item) string {
	var parts []string
	for _, i := range list {
		parts = append(parts, fmt.Sprintf("%d × %s", i.Quantity, i.Price))
	}
	return verb.Dash(strings.Join(parts, ", "))
}
