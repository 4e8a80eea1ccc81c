// Package sqsqueue is the adapter to Amazon SQS and to the Lambda trigger that reads from
// it: [Queue] for functions, [DeadLetters] for operators, [LambdaHandler] for the trigger.
// It makes no decisions about messages and does not poll: Lambda's event source mapping
// does.
//
//	queue := sqsqueue.New(sqsqueue.NewClient(cfg), queueURL, deadURL, limits.AWS())
//	err := queue.Send(ctx, envelope, trace) // or id, err := queue.Enqueue(…)
package sqsqueue

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Client is what is called of the SDK's SQS client.
type Client interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// NewClient returns a client without what costs time and decides nothing: the id of the call and
// the user agent.
func NewClient(c aws.Config) *sqs.Client {
	return sqs.NewFromConfig(c, func(o *sqs.Options) {
		o.APIOptions = append(o.APIOptions, func(s *middleware.Stack) error {
			_, _ = s.Build.Remove("ClientRequestID") // they fail if a later SDK has none
			_, _ = s.Build.Remove("UserAgent")
			return nil
		})
	})
}

// Queue is the queue of events with its dead-letter queue. It is safe for concurrent use.
type Queue struct {
	client    Client
	url, dead string
	limits    limits.Limits
	// HoldURL is the URL of the hold queue, for [Queue.Hold] alone; set it before the first use.
	HoldURL string
	// Random gives numbers from 0 up to 1 for the jitter of Send's pauses; set it before the
	// first Send. Default: rand.Float64.
	Random func() float64
}

// New works on the queues with these URLs; deadURL is for [Queue.DeadLetter] and
// [Queue.DeadLetters] alone. [Queue.Send] retries itself: pass a client that does not
// retry.
func New(client Client, queueURL, deadURL string, l limits.Limits) *Queue {
	return &Queue{client: client, url: queueURL, dead: deadURL, limits: l, Random: rand.Float64}
}

// Depth returns how many messages the queue holds, visible, in flight and delayed ones. SQS
// counts them approximately, and up to a minute late.
func (q *Queue) Depth(ctx context.Context) (sum int, err error) {
	counts, err := q.attributes(ctx, q.url, types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

// attributes reads numbers of a queue, in the order of their names.
func (q *Queue) attributes(ctx context.Context, url string, names ...types.QueueAttributeName) ([]int, error) {
	out, err := q.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return nil, fmt.Errorf("read queue attributes: %w", err)
	}
	counts := make([]int, len(names))
	for i, name := range names {
		if counts[i], err = strconv.Atoi(out.Attributes[string(name)]); err != nil {
			return nil, fmt.Errorf("read queue attributes: %s is not a number", name)
		}
	}
	return counts, nil
}

// setVisibility hides a received message for d, rounded up to the queue's whole seconds.
func (q *Queue) setVisibility(ctx context.Context, url, receipt string, d time.Duration) error {
	_, err := q.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &url, ReceiptHandle: &receipt, VisibilityTimeout: q.seconds(d, limits.SQSMaxVisibility),
	})
	if err != nil {
		return fmt.Errorf("change visibility: %w", err)
	}
	return nil
}

// seconds is a real time in the queue's whole seconds, rounded up, from 0 to most.
func (q *Queue) seconds(t, most time.Duration) int32 {
	t = min(max(t, 0)*time.Duration(max(q.limits.TimeScale, 1)), most)
	return int32((t + time.Second - 1) / time.Second)
}

// message reads one receive. Missing or unreadable attributes get safe defaults: a first
// receive, no group, zero times.
func message(id, receipt, body string, attributes map[string]string) queue.Message {
	m := queue.Message{
		ID: id, Receipt: receipt, Body: body, Group: attributes["MessageGroupId"], Trace: attributes["AWSTraceHeader"],
		Receives: 1, SentAt: millisOf(attributes["SentTimestamp"]),
		FirstReceivedAt: millisOf(attributes["ApproximateFirstReceiveTimestamp"]),
	}
	if n, err := strconv.Atoi(attributes["ApproximateReceiveCount"]); err == nil && n > 0 {
		m.Receives = n
	}
	return m
}

// millisOf reads a time as SQS writes it; zero when it is none.
func millisOf(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
