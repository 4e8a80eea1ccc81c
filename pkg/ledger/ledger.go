// Package ledger reads one customer's billing from the table: the subscriptions,
// entitlements, invoices, payments, disputes and checkouts that the handlers stored, and the
// messages that they requested.
//
//	l, err := ledger.Read(ctx, items, "test", "", "cus_…")
//	if errors.Is(err, ledger.ErrUnknown) { … }
//
// It only reads and calculates nothing: amounts are integers in the currency's smallest
// unit. It is for people and tests. Do not use it to decide about an event: it reads an
// index that lags behind the table.
package ledger

import (
	"cmp"
	"slices"
)

// Ledger is one customer's billing, of one mode and account. Its lists are sorted by time,
// then by id, and never nil, so equal ledgers compare as equal.
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

// Subscription is a stored subscription. Times, here and in the other types, are seconds
// since 1970, 0 for none.
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

// Item is one item of a subscription, in the subscription's order.
type Item struct {
	Price    string `json:"price"`
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

// Entitlement is what the customer may use by a subscription.
type Entitlement struct {
	Subscription string   `json:"subscription"`
	Status       string   `json:"status"` // the subscription's
	Active       bool     `json:"active"`
	Products     []string `json:"products"` // sorted
	Until        int64    `json:"until"`
}

// Invoice is a stored invoice. An invoice is stored when it was paid or its payment failed.
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
	Kind     string `json:"kind"` // payment, payment_failure, invoice_paid, or another handler's kind
	ObjectID string `json:"object_id"`
	Fact     string `json:"fact"` // distinguishes facts of one object
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	Occurred int64  `json:"occurred"`
	Event    string `json:"event"` // the first with this fact
}

// Dispute is a stored dispute.
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

// Checkout is a stored completed checkout.
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

// Message is a message that a handler requested, sent or not.
type Message struct {
	Key      string `json:"key"`  // of its item: one message for each key, ever
	Name     string `json:"name"` // receipt, welcome, payment_failed or dispute_opened
	To       string `json:"to"`   // the customer
	ObjectID string `json:"object_id"`
	Attempt  int64  `json:"attempt"` // which payment of the invoice failed, else 0
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	At       string `json:"at"`    // RFC 3339
	Event    string `json:"event"` // that requested it
	SentAt   int64  `json:"sent_at"`
	Held     bool   `json:"held"` // about an old state, until an operator releases it
}

// Empty reports whether the customer has no items.
func (l *Ledger) Empty() bool {
	return len(l.Subscriptions)+len(l.Entitlements)+len(l.Invoices)+len(l.Payments)+
		len(l.Disputes)+len(l.Checkouts)+len(l.Outbox) == 0
}

// Sort sorts every list and makes nil lists empty.
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
