package ledger

import (
	"context"
	"errors"
	"fmt"

	"tollgate/pkg/effect"
	"tollgate/pkg/event"
)

// ErrUnknown: the customer has no items. No event about it was handled yet, or it is of
// another account or mode.
var ErrUnknown = errors.New("customer is not known")

// Items reads the table.
type Items interface {
	// Page returns a page of the list with a name, and the cursor of the next page, "" for
	// none.
	Page(ctx context.Context, list, cursor string) (items []map[string]any, next string, err error)
	// Item returns the item of a key, false if there is none.
	Item(ctx context.Context, key string) (item map[string]any, found bool, err error)
}

// maxPages bounds one customer's ledger: beyond it Read fails, because a partial ledger
// would mislead.
const maxPages = 1000

// Read returns a customer's ledger, or an error that wraps ErrUnknown. mode is live or test;
// account is "" for the platform's own. Refunds, disputes and early fraud warnings may have
// no customer: they are found by their payments.
func Read(ctx context.Context, items Items, mode, account, customer string) (Ledger, error) {
	if mode != "live" && mode != "test" || customer == "" {
		return Ledger{}, fmt.Errorf("read ledger: mode %q and customer %q, want live or test and an id", mode, customer)
	}
	owner := event.Envelope{Livemode: mode == "live", Account: account}
	r := reader{items: items, l: Ledger{Customer: customer, Mode: mode, Account: account}, seen: map[string]bool{}}
	if err := r.list(ctx, effect.CustomerList(owner, customer)); err != nil {
		return Ledger{}, fmt.Errorf("read ledger: %w", err)
	}
	for _, p := range r.l.Payments {
		if p.Kind != "payment" || p.ObjectID == "" {
			continue
		}
		if err := r.list(ctx, effect.PaymentList(owner, p.ObjectID)); err != nil {
			return Ledger{}, fmt.Errorf("read ledger: %w", err)
		}
	}
	if r.l.Empty() {
		return Ledger{}, fmt.Errorf("%w: %s (%s)", ErrUnknown, customer, mode)
	}
	r.l.Sort()
	return r.l, nil
}

// reader builds one ledger. An item that changes between two pages may come twice.
type reader struct {
	items Items
	l     Ledger
	seen  map[string]bool // keys of read items
}

func (r *reader) list(ctx context.Context, name string) error {
	cursor := ""
	for range maxPages {
		page, next, err := r.items.Page(ctx, name, cursor)
		if err != nil {
			return err
		}
		for _, item := range page {
			if err := r.take(ctx, attributes(item)); err != nil {
				return err
			}
		}
		if cursor = next; cursor == "" {
			return nil
		}
	}
	return fmt.Errorf("list %s has over %d pages", name, maxPages)
}

// take adds one item and its messages. A sent message is in no list: it is found by the item
// that requested it.
func (r *reader) take(ctx context.Context, a attributes) error {
	if r.seen[a.text("pk")] {
		return nil
	}
	r.seen[a.text("pk")] = true
	r.add(a)
	for _, key := range a.texts("outbox") {
		if r.seen[key] {
			continue
		}
		r.seen[key] = true
		item, found, err := r.items.Item(ctx, key)
		if err != nil {
			return err
		}
		if !found {
			return fmt.Errorf("%s has message %s, which does not exist", a.text("pk"), key)
		}
		r.l.Outbox = append(r.l.Outbox, attributes(item).message())
	}
	return nil
}

// add adds a fact of any kind, and a row by its kind as the handlers name it; other kinds are
// left out.
func (r *reader) add(a attributes) {
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
		r.l.Invoices = append(r.l.Invoices, a.invoice())
	case "refund":
		r.l.Refunds = append(r.l.Refunds, a.refund())
	case "charge":
		r.l.Charges = append(r.l.Charges, a.charge())
	case "early_fraud_warning":
		r.l.FraudWarnings = append(r.l.FraudWarnings, a.fraudWarning())
	case "customer":
		r.l.Deleted = a["deleted"] == true
	case "dispute":
		r.l.Disputes = append(r.l.Disputes, a.dispute())
	case "checkout":
		r.l.Checkouts = append(r.l.Checkouts, a.checkout())
	}
}
