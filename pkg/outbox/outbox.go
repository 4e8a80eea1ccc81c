// Package outbox sends the messages that handlers left to be sent: a receipt, a
// welcome. A handler may not call a mail service itself, as it can run twice and its
// effects can be refused; it inserts a message beside its facts, in one transaction,
// and [Drain] sends it afterwards and marks it.
//
// Every message is sent at least once. It is sent twice when a run ends between the
// sending and the mark, when two runs overlap, or when the list still shows what was
// just marked: a [Sender] that must not repeat itself gives [Message.Key] to its
// service as the idempotency key. The package knows no service and no database, keeps
// nothing, and never drops a message: one that cannot be sent is tried in every run.
//
//	result, err := outbox.Drain(ctx, store, outbox.NewLogSender(log), outbox.Options{Logger: log})
package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Shards is the number of lists that unsent messages are spread over: one list would be
// one hot partition of the index.
const Shards = 8

// ListName returns the name under which the unsent messages of a shard are listed.
func ListName(shard int) string { return fmt.Sprintf("OUT#%d", shard) }

// Message is one message to be sent.
type Message struct {
	Key    string         // OUT#<key of the fact>#<name>: one for each thing that is told, whatever the events
	Name   string         // which message: "receipt", "welcome", …
	To     string         // the customer's id at Stripe, "" when the event named none; never an address
	Fields map[string]any // what the handler put beside: ids, amount in the smallest unit, currency
}

// Live reports whether the message is about real money. A sender must not write to
// people about anything else. A key that cannot be read is of no live message.
func (m Message) Live() bool {
	part := strings.SplitN(m.Key, "#", 4)
	return len(part) == 4 && part[2] == "live"
}

// Sender sends one message, as e-mail or otherwise. Send is called by several goroutines
// at once and should end with its context. A nil error means that the service took the
// message. The text of an error is logged: it must hold no address.
type Sender interface {
	Send(context.Context, Message) error
}

// Query asks for one page of the unsent messages of a shard, by time.
type Query struct {
	Shard       int
	NewestFirst bool
	Limit       int    // of the page
	Cursor      string // of the page before, whose shard and order were the same; "" for the first
}

// Store keeps messages until they are sent. Safe for concurrent use.
type Store interface {
	// Unsent returns a page of unsent messages and the next page's cursor, "" when there
	// is none.
	Unsent(context.Context, Query) (page []Message, next string, err error)
	// MarkSent notes that a message was sent and takes it off its list. One that was
	// marked before keeps its time; that is no error.
	MarkSent(ctx context.Context, key string, at time.Time) error
}

// logSender stands in until there is a service.
type logSender struct{ log *slog.Logger }

// NewLogSender returns a sender that writes a line with the message's key and name,
// nothing else of it, and sends nothing.
func NewLogSender(log *slog.Logger) Sender { return logSender{log} }

func (s logSender) Send(ctx context.Context, m Message) error {
	s.log.InfoContext(ctx, "outbox message", "key", m.Key, "name", m.Name)
	return nil
}
