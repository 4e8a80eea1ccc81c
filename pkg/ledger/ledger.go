// Package ledger is what the table says of one customer's billing: what the handlers
// have kept of subscriptions, entitlements, invoices, payments, disputes and checkouts,
// and the messages that they asked for.
//
//	l, err := ledger.Read(ctx, items, "test", "", "cus_…")
//	if errors.Is(err, ledger.ErrUnknown) { … }
//
// It only reads, and it calculates nothing: amounts are integers in the currency's
// smallest unit beside their currency, and nothing is added up across currencies. It is
// for people and for tests; no decision about an event may be taken from it, for the
// index that it reads lags a moment behind the table.
package ledger

import (
	"cmp"
	"slices"
)

// Ledger is one customer's, of one mode and one account. Its lists are sorted by time,
// then by id, and never nil, so two ledgers that say the same compare as equal.
type Ledger struct {
	Customer      string         `json:"customer"`
	Mode          string         `json:"mode"`    // live or test
	Account       string         `json:"account"` // "" for the platform's own
	Subscriptions []Subscription `json:"subscriptions"`
	Entitlements  []Entitlement  `json:"entitlements"`
	Invoices      []Invoice      `json:"invoices"`
	Payments      []Payment      `json:"payments"`
	Disputes      []Dispute      `json:"disputes"`
	Checkouts     []Checkout     `json:"checkouts"`
	Outbox        []Message      `json:"outbox"`
}

// Subscription is a subscription as its row keeps it. Times are seconds since 1970, 0
// for none; so are those of the other types.
type Subscription struct {
	ID                string `json:"id"`
	Status            string `json:"status"`
	Currency          string `json:"currency"`
	Items             []Item `json:"items"`
	CurrentPeriodEnd  int64  `json:"current_period_end"`
	CancelAtPeriodEnd bool   `json:"cancel_at_period_end"`
	CancelAt          int64  `json:"cancel_at"`
	CanceledAt        int64  `json:"canceled_at"`
	EndedAt           int64  `json:"ended_at"`
	TrialEnd          int64  `json:"trial_end"`
	Created           int64  `json:"created"`
}

// Item is what a subscription is for, in the subscription's own order.
type Item struct {
	Price    string `json:"price"`
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

// Entitlement is what the customer may use because of a subscription.
type Entitlement struct {
	Subscription string   `json:"subscription"`
	Status       string   `json:"status"` // the subscription's
	Active       bool     `json:"active"`
	Products     []string `json:"products"` // sorted
	Until        int64    `json:"until"`
}

// Invoice is an invoice as its row keeps it. One that was never paid and whose payment
// never failed is not known.
type Invoice struct {
	ID                 string `json:"id"`
	Number             string `json:"number"`
	Status             string `json:"status"`
	Currency           string `json:"currency"`
	Total              int64  `json:"total"`
	AmountDue          int64  `json:"amount_due"`
	AmountPaid         int64  `json:"amount_paid"`
	AmountRemaining    int64  `json:"amount_remaining"`
	Subscription       string `json:"subscription"`
	PaymentIntent      string `json:"payment_intent"`
	AttemptCount       int64  `json:"attempt_count"`
	NextPaymentAttempt int64  `json:"next_payment_attempt"`
	Created            int64  `json:"created"`
}

// Payment is a fact about money that happened once, such as a payment, a failed payment or a
// paid invoice. No later event changes it.
type Payment struct {
	Kind     string `json:"kind"` // payment, payment_failure, invoice_paid, or what another handler names it
	ObjectID string `json:"object_id"`
	Fact     string `json:"fact"` // what tells two facts of one object apart
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Occurred int64  `json:"occurred"`
	Event    string `json:"event"` // that said so first
}

// Dispute is a dispute as its row keeps it.
type Dispute struct {
	ID            string `json:"id"`
	Status        string `json:"status"`
	Reason        string `json:"reason"`
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	Charge        string `json:"charge"`
	PaymentIntent string `json:"payment_intent"`
	EvidenceDueBy int64  `json:"evidence_due_by"`
	Created       int64  `json:"created"`
}

// Checkout is a completed checkout as its row keeps it.
type Checkout struct {
	ID            string `json:"id"`
	Status        string `json:"status"`
	PaymentStatus string `json:"payment_status"`
	Mode          string `json:"mode_of"` // payment, setup or subscription
	Amount        int64  `json:"amount_total"`
	Currency      string `json:"currency"`
	Subscription  string `json:"subscription"`
	PaymentIntent string `json:"payment_intent"`
	Invoice       string `json:"invoice"`
	Created       int64  `json:"created"`
}

// Message is one that the handlers asked for, sent or not.
type Message struct {
	Key      string `json:"key"`  // of its item: one message for each key, ever
	Name     string `json:"name"` // receipt, welcome, payment_failed or dispute_opened
	To       string `json:"to"`   // the customer
	ObjectID string `json:"object_id"`
	Attempt  int64  `json:"attempt"` // which payment of the invoice failed, else 0
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	At       string `json:"at"`    // RFC 3339
	Event    string `json:"event"` // that asked for it
	SentAt   int64  `json:"sent_at"`
	Held     bool   `json:"held"` // until an operator releases it: it tells of an old state
}

// Empty reports whether nothing is known of the customer.
func (l *Ledger) Empty() bool {
	return len(l.Subscriptions)+len(l.Entitlements)+len(l.Invoices)+len(l.Payments)+
		len(l.Disputes)+len(l.Checkouts)+len(l.Outbox) == 0
}

// Sort puts every list in its order and makes nil lists empty ones.
func (l *Ledger) Sort() {
	byTime(&l.Subscriptions, func(s Subscription) (int64, string) { return s.Created, s.ID })
	byTime(&l.Entitlements, func(e Entitlement) (int64, string) { return 0, e.Subscription })
	byTime(&l.Invoices, func(i Invoice) (int64, string) { return i.Created, i.ID })
	byTime(&l.Payments, func(p Payment) (int64, string) { return p.Occurred, p.ObjectID + "#" + p.Fact })
	byTime(&l.Disputes, func(d Dispute) (int64, string) { return d.Created, d.ID })
	byTime(&l.Checkouts, func(c Checkout) (int64, string) { return c.Created, c.ID })
	byTime(&l.Outbox, func(m Message) (int64, string) { return 0, m.Key })
}

func byTime[T any](list *[]T, place func(T) (at int64, id string)) {
	if *list == nil {
		*list = []T{}
	}
	slices.SortStableFunc(*list, func(a, b T) int {
		at, ai := place(a)
		bt, bi := place(b)
		return cmp.Or(cmp.Compare(at, bt), cmp.Compare(ai, bi))
	})
}
