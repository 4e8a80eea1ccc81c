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
// A message about an old state is held (see dispatch.Hold): it is in a list of its own,
// which Drain only counts, until an operator releases it.
//
//	result, err := outbox.Drain(ctx, store, outbox.NewLogSender(log), outbox.Options{Logger: log})
package outbox

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"tollgate/pkg/dispatch"
)

// Shards is the number of lists that messages are spread over.
const Shards = dispatch.OutboxShards

// Message is one message to be sent.
type Message struct {
	Key    string         // OUT#<key of the fact>#<name>: one for each thing that is told, whatever the events
	Name   string         // which message: "receipt", "welcome", …
	To     string         // the customer's id at Stripe, "" when the event named none; never an address
	Queued time.Time      // when it was requested or, after that, released; zero when unknown
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

// Query asks for one page of the unsent messages of a shard, by the time of their states.
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
	// CountHeld returns how many messages of a shard are held, at most the bound that is given.
	CountHeld(ctx context.Context, shard, most int) (int, error)
}

// Release is the result of a request to release a held message.
type Release string

const (
	Released    Release = "released"     // it will be sent
	NotHeld     Release = "not_held"     // it is already to be sent, or is no message
	AlreadySent Release = "already_sent" // it stays as it is
	NoMessage   Release = "no_message"   // there is none under this key
)

// logSender stands in until there is a service.
type logSender struct{ log *slog.Logger }

// NewLogSender returns a sender that writes a line with the message's key and name,
// nothing else of it, and sends nothing.
func NewLogSender(log *slog.Logger) Sender { return logSender{log} }

func (s logSender) Send(ctx context.Context, m Message) error {
	s.log.InfoContext(ctx, "outbox message", "key", m.Key, "name", m.Name)
	return nil
}
