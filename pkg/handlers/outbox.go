package handlers

import (
	"maps"
	"slices"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
)

// The messages that handlers ask for. The sender makes text of them.
const (
	receipt       = "receipt"        // to the customer: money came in
	welcome       = "welcome"        // to the customer: a subscription was made
	paymentFailed = "payment_failed" // to the customer: money did not come in
	disputeOpened = "dispute_opened" // to the business: evidence is due
)

// message asks for something to be sent. It is keyed by what it is about, never by the
// event: two events about one thing ask for one message.
type message struct {
	about    string // key of the fact or row that it is about
	name     string
	to       string // customer id, "" when none is known
	object   string // Stripe's word for the kind of object, and its id
	id       string
	amount   int64
	currency stripe.Currency
	since    int64           // when the state that it tells of began, seconds since 1970; old ones are held
	more     dispatch.Fields // ids of other objects that the text may name
}

// messages are those that one event asks for.
type messages []message

// toCustomer is a message for a customer: none without one, as nobody could read it.
func toCustomer(m message) messages {
	if m.to == "" {
		return nil
	}
	return messages{m}
}

func (m message) key() string { return "OUT#" + m.about + "#" + m.name }

func (m message) insert(in dispatch.Input) dispatch.Effect {
	fields := dispatch.Fields{
		"kind": "outbox", "name": m.name, "to": m.to, "object": m.object, "object_id": m.id, "mode": in.Mode(), "account": in.Account,
		"amount": m.amount, "currency": string(m.currency), "event_id": in.ID,
	}
	maps.Copy(fields, m.more)
	return dispatch.Message(m.key(), time.Unix(m.since, 0), fields)
}

// with returns effects together with those that write the messages.
func (ms messages) with(in dispatch.Input, effects ...dispatch.Effect) dispatch.Effects {
	for _, m := range ms {
		effects = append(effects, m.insert(in))
	}
	return effects
}

// nameIn makes an item name its messages: those it named before, and these.
func (ms messages) nameIn(f dispatch.Fields, before []any) {
	keys := slices.Clone(before)
	for _, m := range ms {
		if !slices.Contains(keys, any(m.key())) {
			keys = append(keys, m.key())
		}
	}
	if len(keys) > 0 {
		f["outbox"] = keys
	}
}
