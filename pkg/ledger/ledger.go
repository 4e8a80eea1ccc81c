// Package ledger reads one customer's billing from the table: the subscriptions,
// entitlements, invoices, payments, refunds, refunded charges, disputes, early fraud warnings and
// checkouts that the handlers stored, and the messages that they requested.
//
//	l, err := ledger.Read(ctx, items, "test", "", "cus_…")
//	if errors.Is(err, ledger.ErrUnknown) { … }
//
// Read only reads and calculates nothing: amounts are integers in the currency's smallest
// unit. It is for people and tests. Do not use it to decide about an event or a customer: it
// reads an index that lags behind the table.
//
// An application that decides what a customer may use asks [Entitled].
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
	Deleted       bool           `json:"deleted"` // the customer, at Stripe
	Subscriptions []Subscription `json:"subscriptions"`
	Entitlements  []Entitlement  `json:"entitlements"`
	Invoices      []Invoice      `json:"invoices"`
	Payments      []Payment      `json:"payments"`
	Refunds       []Refund       `json:"refunds"`
	Charges       []Charge       `json:"charges"`
	Disputes      []Dispute      `json:"disputes"`
	FraudWarnings []FraudWarning `json:"fraud_warnings"`
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
	PauseCollection   *Pause `json:"pause_collection"` // nil while payments are collected
	Created           int64  `json:"created"`
}

// Pause is a pause of the collection of payments. Stripe goes on to make invoices.
type Pause struct {
	Behavior  string `json:"behavior"`   // of new invoices: keep_as_draft, mark_uncollectible or void
	ResumesAt int64  `json:"resumes_at"` // 0 for an open end
}

// Item is one item of a subscription, in the subscription's order.
type Item struct {
	Price    string `json:"price"`
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

// Entitlement is what the customer may use by a subscription. Until is the time of its end or,
// before that, the earlier of a planned end and the end of the paid period, after which most
// subscriptions renew: see [Entitled].
type Entitlement struct {
	Subscription    string   `json:"subscription"`
	Status          string   `json:"status"` // the subscription's
	Active          bool     `json:"active"`
	Products        []string `json:"products"` // sorted
	Until           int64    `json:"until"`
	PauseCollection *Pause   `json:"pause_collection"` // the subscription's
}

// Invoice is a stored invoice. An invoice is stored when it was paid, voided or marked
// uncollectible, or its payment failed or needs an action of the customer.
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
	BillingReason      string `json:"billing_reason"`
	PaidOutOfBand      bool   `json:"paid_out_of_band"` // the money did not come through Stripe
	Created            int64  `json:"created"`
}

// Payment is a fact about money that happened once, such as a payment, a failed payment, a paid
// invoice, a refund or a withdrawal for a dispute. No later event changes it.
type Payment struct {
	Kind          string `json:"kind"` // payment, payment_failure, invoice_paid, refund, or another handler's kind
	ObjectID      string `json:"object_id"`
	Fact          string `json:"fact"` // distinguishes facts of one object
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	PaymentIntent string `json:"payment_intent"`
	Invoice       string `json:"invoice"`
	Charge        string `json:"charge"`
	Fee           int64  `json:"fee"` // Stripe's, of a dispute
	Occurred      int64  `json:"occurred"`
	Event         string `json:"event"` // the first with this fact
}

// Refund is a stored refund.
type Refund struct {
	ID            string `json:"id"`
	Status        string `json:"status"`
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	Charge        string `json:"charge"`
	PaymentIntent string `json:"payment_intent"`
	Reason        string `json:"reason"`
	FailureReason string `json:"failure_reason"`
	Created       int64  `json:"created"`
}

// Charge is a stored charge. A charge is stored when it was refunded.
type Charge struct {
	ID             string `json:"id"`
	Status         string `json:"status"`
	Amount         int64  `json:"amount"`
	AmountRefunded int64  `json:"amount_refunded"`
	Refunded       bool   `json:"refunded"` // all of it
	Currency       string `json:"currency"`
	PaymentIntent  string `json:"payment_intent"`
	Invoice        string `json:"invoice"`
	Created        int64  `json:"created"`
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

// FraudWarning is a stored early fraud warning.
type FraudWarning struct {
	ID            string `json:"id"`
	Charge        string `json:"charge"`
	PaymentIntent string `json:"payment_intent"`
	FraudType     string `json:"fraud_type"`
	Actionable    bool   `json:"actionable"` // neither refunded nor disputed yet
	Created       int64  `json:"created"`
}

// Checkout is a stored checkout that was completed or has expired.
type Checkout struct {
	ID                string `json:"id"`
	Status            string `json:"status"`
	PaymentStatus     string `json:"payment_status"`
	Mode              string `json:"mode_of"` // payment, setup or subscription
	Amount            int64  `json:"amount_total"`
	Currency          string `json:"currency"`
	Subscription      string `json:"subscription"`
	PaymentIntent     string `json:"payment_intent"`
	Invoice           string `json:"invoice"`
	ClientReferenceID string `json:"client_reference_id"` // the application's
	Created           int64  `json:"created"`
}

// Message is a message that a handler requested, sent or not.
type Message struct {
	Key      string `json:"key"`  // of its item: one message for each key, ever
	Name     string `json:"name"` // receipt, welcome, payment_failed, payment_action_required, dispute_opened or another
	To       string `json:"to"`   // the customer
	ObjectID string `json:"object_id"`
	Attempt  int64  `json:"attempt"` // which payment of the invoice failed, else 0
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
	At       string `json:"at"`    // RFC 3339
	Event    string `json:"event"` // that requested it
	SentAt   int64  `json:"sent_at"`
	Held     bool   `json:"held"` // about an old state, until an operator releases it

	// What only some messages have.
	BillingReason      string `json:"billing_reason,omitempty"`
	NextPaymentAttempt int64  `json:"next_payment_attempt,omitempty"`
	DeclineCode        string `json:"decline_code,omitempty"`
	Status             string `json:"status,omitempty"`
	Reason             string `json:"reason,omitempty"`
	EvidenceDueBy      int64  `json:"evidence_due_by,omitempty"`
	Inquiry            bool   `json:"inquiry,omitempty"` // of a dispute: not a chargeback yet
	PaidOutOfBand      bool   `json:"paid_out_of_band,omitempty"`
}

// Empty reports whether the customer has no items.
func (l *Ledger) Empty() bool {
	return !l.Deleted && len(l.Subscriptions)+len(l.Entitlements)+len(l.Invoices)+len(l.Payments)+len(l.Refunds)+
		len(l.Charges)+len(l.Disputes)+len(l.FraudWarnings)+len(l.Checkouts)+len(l.Outbox) == 0
}

// Sort sorts every list and makes nil lists empty.
func (l *Ledger) Sort() {
	byTime(&l.Subscriptions, func(s Subscription) (int64, string) { return s.Created, s.ID })
	byTime(&l.Entitlements, func(e Entitlement) (int64, string) { return 0, e.Subscription })
	byTime(&l.Invoices, func(i Invoice) (int64, string) { return i.Created, i.ID })
	byTime(&l.Payments, func(p Payment) (int64, string) { return p.Occurred, p.ObjectID + "#" + p.Fact })
	byTime(&l.Refunds, func(r Refund) (int64, string) { return r.Created, r.ID })
	byTime(&l.Charges, func(c Charge) (int64, string) { return c.Created, c.ID })
	byTime(&l.FraudWarnings, func(w FraudWarning) (int64, string) { return w.Created, w.ID })
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
