package ledger

import (
	"context"
	"errors"
	"fmt"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

// ErrUnknown: there are no items about the customer or object. No event about it was handled
// yet, or it is of another account or mode.
var ErrUnknown = errors.New("not known to the ledger")

// Items reads the table; a dynamostore.Reader does.
type Items interface {
	// Page returns a page of the list with a name, and the cursor of the next page, "" for
	// none. It may lag behind the table.
	Page(ctx context.Context, list, cursor string) (items []map[string]any, next string, err error)
	// Item returns the item of a key as it is now, false if there is none.
	Item(ctx context.Context, key string) (item map[string]any, found bool, err error)
}

// maxPages bounds one customer's ledger: beyond it Read fails, because a partial ledger
// would mislead.
const maxPages = 1000

// Read returns a customer's ledger, or an error that wraps ErrUnknown. mode is live or test;
// account is "" for the platform's own. Refunds, disputes and early fraud warnings may have
// no customer: they are found by their payments.
func Read(ctx context.Context, items Items, mode, account, customer string) (Ledger, error) {
	return build(items, mode, account, customer, func(r *reader) error {
		r.l.Customer = customer
		return r.customer(ctx, customer)
	})
}

// build returns the ledger that fill reads. subject is the id or reference that it reads about.
func build(items Items, mode, account, subject string, fill func(*reader) error) (Ledger, error) {
	if mode != "live" && mode != "test" || subject == "" {
		return Ledger{}, fmt.Errorf("read ledger: mode %q and %q, want live or test and an id", mode, subject)
	}
	r := reader{
		items: items, owner: event.Envelope{Livemode: mode == "live", Account: account},
		l: Ledger{Mode: mode, Account: account}, seen: map[string]bool{},
	}
	if err := fill(&r); err != nil {
		return Ledger{}, fmt.Errorf("read ledger: %w", err)
	}
	if r.l.Empty() {
		return Ledger{}, fmt.Errorf("%w: %s (%s)", ErrUnknown, subject, mode)
	}
	r.l.Sort()
	return r.l, nil
}

// reader builds one ledger. An item that changes between two pages may come twice.
type reader struct {
	items Items
	owner event.Envelope // of the mode and account
	about string         // only items that name this id; "" for all
	l     Ledger
	seen  map[string]bool // keys of read items

	events map[string]bool // that the added items name; nil: they are not collected
}

// customer adds the items of a customer's list, and of those of its payments.
func (r *reader) customer(ctx context.Context, id string) error {
	if err := r.list(ctx, effect.CustomerList(r.owner, id)); err != nil {
		return err
	}
	for _, p := range r.l.Payments {
		if p.Kind != "payment" {
			continue
		}
		if err := r.list(ctx, effect.PaymentList(r.owner, p.ObjectID)); err != nil {
			return err
		}
	}
	return nil
}

// list adds the items of a list; the list without a name has none.
func (r *reader) list(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	return eachListed(ctx, r.items, name, func(a attributes) error { return r.take(ctx, a) })
}

// eachListed calls do with every item of a list, until it fails.
func eachListed(ctx context.Context, items Items, name string, do func(attributes) error) error {
	cursor := ""
	for range maxPages {
		page, next, err := items.Page(ctx, name, cursor)
		if err != nil {
			return err
		}
		for _, item := range page {
			if err := do(item); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
	return fmt.Errorf("list %s has over %d pages", name, maxPages)
}

// take adds one item, its messages, as a sent one is in no list, and the rows that it leads to.
func (r *reader) take(ctx context.Context, a attributes) error {
	if r.seen[a.text("pk")] {
		return nil
	}
	r.seen[a.text("pk")] = true
	wanted := r.about == "" || a.names(r.about)
	if wanted {
		r.add(a)
	}
	for _, key := range a.texts(effect.MessageKeys) {
		message := dispatch.IsMessageKey(key)
		if r.seen[key] || message && !wanted {
			continue
		}
		item, found, err := r.items.Item(ctx, key)
		switch {
		case err != nil:
			return err
		case message && !found:
			return fmt.Errorf("%s has message %s, which does not exist", a.text("pk"), key)
		case message:
			r.seen[key] = true
			r.add(item)
		case found: // else the row is gone, which ledger verify reports
			if err := r.take(ctx, item); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds a message, a fact of any kind, and a row by its kind as the handlers name it; other
// kinds are left out.
func (r *reader) add(a attributes) {
	if id := a.text("event_id"); id != "" && r.events != nil {
		r.events[id] = true
	}
	if dispatch.IsMessageKey(a.text("pk")) {
		r.l.Outbox = append(r.l.Outbox, a.message())
		return
	}
	if effect.IsFactKey(a.text("pk")) {
		r.l.Payments = append(r.l.Payments, a.payment())
		return
	}
	switch a.text("kind") {
	case "subscription":
		r.l.Subscriptions = append(r.l.Subscriptions, a.subscription())
	case "entitlement":
		r.l.Entitlements = append(r.l.Entitlements, a.entitlement())
	case "invoice":
		r.l.Invoices = append(r.l.Invoices, row[Invoice](a))
	case "refund":
		r.l.Refunds = append(r.l.Refunds, row[Refund](a))
	case "charge":
		r.l.Charges = append(r.l.Charges, row[Charge](a))
	case "early_fraud_warning":
		r.l.FraudWarnings = append(r.l.FraudWarnings, row[FraudWarning](a))
	case "customer":
		r.l.Deleted = a["deleted"] == true
	case "dispute":
		r.l.Disputes = append(r.l.Disputes, row[Dispute](a))
	case "checkout":
		r.l.Checkouts = append(r.l.Checkouts, row[Checkout](a))
	}
}
