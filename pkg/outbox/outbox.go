// Package outbox sends the messages that handlers request, such as a receipt. A handler must
// not call a mail service itself, as it may run twice and its effects may be refused. It
// inserts the message in the transaction of its facts; [Drain] sends it later and marks it.
//
// Every message is sent at least once. It is sent twice if a run ends between sending and
// marking, if two runs overlap, or if the list lags behind the mark. A [Sender] that must not
// repeat a message passes [Message.Key] to its service as the idempotency key. A message that
// cannot be sent is retried in every run and never dropped.
//
// A message about an old state is held (see dispatch.Hold). Drain only counts held messages;
// they are sent after an operator releases them.
//
// [HandOver] sends the messages of one event right after its commit, so that only those that it
// could not send wait for a run.
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
	Key    string         // of its item; unique, whatever the number of events about its subject
	Name   string         // which message, such as "receipt"
	To     string         // the customer's id at Stripe, "" for none; never an address
	Since  time.Time      // when the state that it reports began
	Queued time.Time      // when it was requested or, later, released; zero when unknown
	Fields map[string]any // from the handler: ids, amount in the smallest unit, currency
}

// Live reports whether the message is about real money. A sender must not send any other
// message to people. It is false for a malformed key.
func (m Message) Live() bool {
	part := strings.SplitN(m.Key, "#", 4)
	return len(part) == 4 && part[2] == "live"
}

// Sender sends a message, by e-mail or otherwise. Send is called concurrently and should return
// when its context ends. A nil error means that the service accepted the message. The text of
// an error is logged, so it must not contain an address.
type Sender interface {
	Send(context.Context, Message) error
}

// Query selects a page of a shard's unsent messages, in the order of their states' times.
type Query struct {
	Shard       int
	NewestFirst bool
	Limit       int    // maximum size of the page
	Cursor      string // from the previous page of the same shard and order; "" for the first page
}

// Store holds the messages. Safe for concurrent use.
type Store interface {
	// Unsent returns a page of unsent messages and the next page's cursor, "" after the last.
	Unsent(context.Context, Query) (page []Message, next string, err error)
	// MarkSent records that a message was sent and removes it from its list. A message that
	// was marked before keeps its time; that is not an error.
	MarkSent(ctx context.Context, key string, at time.Time) error
	// CountHeld counts a shard's held messages, up to limit.
	CountHeld(ctx context.Context, shard, limit int) (int, error)
}

// Release is the result of a request to release a held message.
type Release string

const (
	Released    Release = "released"     // it will be sent
	NotHeld     Release = "not_held"     // it is in the list of those to be sent, or not a message
	AlreadySent Release = "already_sent" // it is unchanged
	NoMessage   Release = "no_message"   // the key has no item
)

type logSender struct{ log *slog.Logger }

// NewLogSender returns a sender that sends nothing and logs the message's key and name. It is a
// placeholder until there is a mail service.
func NewLogSender(log *slog.Logger) Sender { return logSender{log} }

func (s logSender) Send(ctx context.Context, m Message) error {
	s.log.InfoContext(ctx, "outbox message", "key", m.Key, "name", m.Name)
	return nil
}
