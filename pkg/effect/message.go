package effect

import (
	"maps"
	"slices"
	"time"

	"tollgate/pkg/dispatch"
)

// Message requests that something be sent. Its key comes from its subject and its name, so
// two events about one subject request one message. The sender turns it into text.
type Message struct {
	Subject  string // key of the fact or row that it is about
	Name     string // which message, such as "receipt"
	To       string // the customer's id, "" for none
	Object   string // Stripe's word for the object's kind
	ID       string // the object's id
	Amount   int64  // in the currency's smallest unit
	Currency string
	Since    int64           // when the state that it reports began, seconds since 1970; see dispatch.Hold
	Extra    dispatch.Fields // ids of other objects that the text may name
}

// ToCustomer returns the message if it has a customer to go to, else no message.
func ToCustomer(m Message) []Message {
	if m.To == "" {
		return nil
	}
	return []Message{m}
}

// Unnamed returns the messages that a kept row does not name yet. The others were written with
// the row: another insert would cost a refused transaction.
func Unnamed(row dispatch.Fields, ms []Message) []Message {
	named, _ := row[MessageKeys].([]any)
	return slices.DeleteFunc(slices.Clone(ms), func(m Message) bool { return slices.Contains(named, any(m.key())) })
}

// WithMessages returns the effects followed by those that write the messages. The fact or row
// among the effects must have been made with the same messages, so that it names them.
func WithMessages(in dispatch.Input, ms []Message, effects ...dispatch.Effect) dispatch.Effects {
	for _, m := range ms {
		effects = append(effects, m.insert(in))
	}
	return effects
}

func (m Message) key() string { return dispatch.MessageKey(m.Subject, m.Name) }

func (m Message) insert(in dispatch.Input) dispatch.Effect {
	fields := dispatch.Fields{
		"kind": "outbox", "name": m.Name, "to": m.To, "object": m.Object, "object_id": m.ID, "mode": in.Mode(), "account": in.Account,
		"amount": m.Amount, "currency": m.Currency, "event_id": in.ID,
	}
	maps.Copy(fields, m.Extra)
	return dispatch.Message(m.key(), time.Unix(m.Since, 0), fields)
}

// MessageKeys is the field of an item with the keys of what is in no list and found by it: the
// messages about it, and the row that it leads to.
const MessageKeys = "outbox"

// Lead makes an item that is in a list lead to a row that is in none. Both are written in one
// commit.
func Lead(f dispatch.Fields, row string) {
	if f[dispatch.ListName] == nil {
		return
	}
	keys, _ := f[MessageKeys].([]any)
	f[MessageKeys] = append(slices.Clone(keys), row)
}

// Named returns the keys of the messages that an item names, and of the rows that it leads to.
func Named(f dispatch.Fields) (messages, rows []any) {
	keys, _ := f[MessageKeys].([]any)
	for _, key := range keys {
		if text, _ := key.(string); dispatch.IsMessageKey(text) {
			messages = append(messages, key)
		} else {
			rows = append(rows, key)
		}
	}
	return messages, rows
}

// nameMessages adds the keys of messages to those that an item named before.
func nameMessages(f dispatch.Fields, before []any, ms []Message) {
	keys := slices.Clone(before)
	for _, m := range ms {
		if !slices.Contains(keys, any(m.key())) {
			keys = append(keys, m.key())
		}
	}
	if len(keys) > 0 {
		f[MessageKeys] = keys
	}
}
