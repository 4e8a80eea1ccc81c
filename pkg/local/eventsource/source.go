package eventsource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// ErrThrottled is what an [Invoker] returns, wrapped or not, if the function did not
// run because it is at its concurrency.
var ErrThrottled = errors.New("function is throttled")

// Invoker runs the function once with an event and returns its response. It is called
// concurrently. An error fails the whole batch, except one that wraps [ErrThrottled], after
// which the same event is retried.
type Invoker func(ctx context.Context, payload []byte) ([]byte, error)

// Queue is what a source needs of SQS. Both methods are called concurrently.
type Queue interface {
	// Receive waits up to the given time, at least a second, for messages and returns
	// at most the given number, which is 10 or less. The source fields of a message
	// (EventSource, EventSourceARN, AWSRegion) need not be set.
	Receive(ctx context.Context, most int, wait time.Duration) ([]events.SQSMessage, error)
	// Delete deletes messages by their receipts. After an error it is called again with
	// the same ones, so it must accept those that are deleted already.
	Delete(ctx context.Context, messages []events.SQSMessage) error
}

// Options describe one event source mapping.
type Options struct {
	// Queue is where messages come from. Required.
	Queue Queue
	// Invoker is the function. Required.
	Invoker Invoker
	// QueueARN names the queue in events. Required.
	QueueARN string
	// BatchSize is the most messages in one invocation. Defaults to 10, at most 10.
	BatchSize int
	// MaxConcurrency is the most invocations at a time. Defaults to 10, at most 1,000.
	MaxConcurrency int
	// VisibilityTimeout is that of the queue. A throttled invocation is retried until it
	// is over. Defaults to 30 s, the default of SQS.
	VisibilityTimeout time.Duration
	// PollWait is how long a receive waits for messages, 1 to 20 s. Defaults to 20 s,
	// which makes the fewest requests.
	PollWait time.Duration
	// DrainTimeout is how long Run waits for running invocations after its
	// context is done. Defaults to 60 s; it should exceed the function's timeout.
	DrainTimeout time.Duration
}

const (
	defaultMaxConcurrency = 10
	defaultVisibility     = 30 * time.Second
	defaultPollWait       = 20 * time.Second
	defaultDrainTimeout   = 60 * time.Second

	maxConcurrency = 1000
	maxPerReceive  = 10 // of SQS
)

// Source polls one queue. Its methods may be called concurrently.
type Source struct {
	options Options
	region  string
}

// New checks the options and returns a source. Call Run to start it.
func New(o Options) (*Source, error) {
	o.BatchSize = cmp.Or(o.BatchSize, maxPerReceive)
	o.MaxConcurrency = cmp.Or(o.MaxConcurrency, defaultMaxConcurrency)
	o.VisibilityTimeout = cmp.Or(o.VisibilityTimeout, defaultVisibility)
	o.PollWait = cmp.Or(o.PollWait, defaultPollWait)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, defaultDrainTimeout)
	if err := o.validate(); err != nil {
		return nil, err
	}
	return &Source{options: o, region: strings.Split(o.QueueARN, ":")[3]}, nil
}

func (o Options) validate() error {
	arn := strings.Split(o.QueueARN, ":")
	switch {
	case o.Queue == nil || o.Invoker == nil:
		return errors.New("event source has no queue or no invoker")
	case len(arn) != 6 || arn[0] != "arn" || arn[2] != "sqs" || arn[3] == "" || arn[5] == "":
		return fmt.Errorf("event source queue ARN %q is not the ARN of a queue", o.QueueARN)
	case strings.HasSuffix(arn[5], ".fifo"):
		return fmt.Errorf("event source queue %s is a FIFO queue", arn[5])
	case o.BatchSize < 0 || o.BatchSize > maxPerReceive:
		return fmt.Errorf("event source batch size %d is not in 1 to %d", o.BatchSize, maxPerReceive)
	case o.MaxConcurrency < 0 || o.MaxConcurrency > maxConcurrency:
		return fmt.Errorf("event source concurrency %d is not in 1 to %d", o.MaxConcurrency, maxConcurrency)
	case o.PollWait < time.Second || o.PollWait > 20*time.Second:
		return fmt.Errorf("event source poll wait %v is not in 1 s to 20 s", o.PollWait)
	case o.VisibilityTimeout < 0 || o.DrainTimeout < 0:
		return errors.New("event source has a negative visibility or drain timeout")
	}
	return nil
}
