package redrive

import (
	"context"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Queue is the dead-letter queue.
type Queue interface {
	// Receive returns up to limit messages, hidden for the given time. It waits about a
	// second for one, and may still miss messages that are there.
	Receive(ctx context.Context, limit int, hide time.Duration) ([]Received, error)
	// SetVisibility hides a received message for d from now; 0 shows it again. It is
	// called by several goroutines at once.
	SetVisibility(ctx context.Context, receipt string, d time.Duration) error
	// Count returns how many messages can be received and how many are hidden by their
	// readers. SQS counts approximately, and up to a minute late.
	Count(ctx context.Context) (visible, hidden int, err error)
}

// Mover sends messages to the queue of events and deletes them from the dead-letter
// queue. No call gets more than limits.SQSMaxBatch messages, or bodies of more than
// limits.MaxQueueRequest bytes together.
type Mover interface {
	// Send stores messages, each with its body and group and nothing else. Refused has, by
	// message id, those that are not stored. After an error any of them may be stored.
	Send(ctx context.Context, messages []queue.Message) (refused map[string]error, err error)
	// Delete returns, by message id, which received messages may still be in the dead-letter
	// queue; after an error any may.
	Delete(ctx context.Context, messages []queue.Message) (kept map[string]error, err error)
}

// DLQ is a dead-letter queue and what an operator's work on it needs. Its methods run one at
// a time; nothing in it changes.
type DLQ struct {
	Queue   Queue   // required
	Records Records // required
	Mover   Mover   // required to redrive and to purge
	Store   Store   // required to purge

	// Locks excludes other operators for as long as a method runs. Nil: there are none.
	Locks Locks
	// Operator and Verb are who works on the queue and what for, as others see in the lock.
	// Purged records keep the operator.
	Operator, Verb string
	// Ended, if set, reports whether the process of an operator has certainly ended, so that
	// its lock can be taken over.
	Ended func(operator string) bool
	// OnTakeover, if set, is called when the lock of an ended process is taken over.
	OnTakeover func(Lock)

	// OnUnreleased, if set, is called with the number of messages that could not be shown
	// again; they stay hidden for up to Visibility.
	OnUnreleased func(n int)

	Limits    limits.Limits // of the target; required to redrive and to purge
	TimeScale int           // the queue's seconds in one second. Defaults to 1, as on AWS.
}

// Bounds of how long a message is hidden at a time: so long it stays hidden if the process
// dies.
const (
	visibility    = 2 * time.Minute
	minVisibility = 10 * time.Second
)

// Visibility is how long a message is hidden at a time; it is extended while a pass runs.
func (d *DLQ) Visibility() time.Duration {
	return max(visibility/time.Duration(max(d.TimeScale, 1)), minVisibility)
}
