package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// ConsumerClient is what a consumer calls of SQS.
type ConsumerClient interface {
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// Consumer is the consumer's side of a queue and its dead-letter queue. Safe for concurrent use.
type Consumer struct {
	client      ConsumerClient
	queue, dead string
	clock       clock
}

// NewConsumer works on the queues with these URLs. timeScale is how many of the
// queue's seconds pass in one real second: 1 on AWS.
func NewConsumer(client ConsumerClient, queueURL, deadURL string, timeScale int) *Consumer {
	return &Consumer{client: client, queue: queueURL, dead: deadURL, clock: clockOf(timeScale)}
}

// SetVisibility hides a received message for d, rounded up to the queue's whole seconds.
func (c *Consumer) SetVisibility(ctx context.Context, receipt string, d time.Duration) error {
	_, err := c.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &c.queue, ReceiptHandle: &receipt, VisibilityTimeout: c.clock.seconds(d, limits.SQSMaxVisibility),
	})
	if err != nil {
		return fmt.Errorf("change visibility: %w", err)
	}
	return nil
}

// Delete acknowledges received messages; an error means that at least one may still be there.
func (c *Consumer) Delete(ctx context.Context, receipts []string) error {
	var errs []error
	for start := 0; start < len(receipts); start += limits.SQSMaxBatch {
		part := receipts[start:min(start+limits.SQSMaxBatch, len(receipts))]
		entries := make([]types.DeleteMessageBatchRequestEntry, len(part))
		for i := range part {
			entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &part[i]}
		}
		out, err := c.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &c.queue, Entries: entries})
		if err != nil {
			errs = append(errs, fmt.Errorf("delete messages: %w", err))
			continue
		}
		for _, f := range out.Failed {
			errs = append(errs, fmt.Errorf("delete message: %s: %s", aws.ToString(f.Code), aws.ToString(f.Message)))
		}
	}
	return errors.Join(errs...)
}

// DeadLetter sends a copy of m, its body unchanged, to the dead-letter queue. A body that
// leaves its attributes no room goes without the error's text, then without attributes. An
// error that wraps [queue.ErrRefused] says that the queue takes no form of it.
func (c *Consumer) DeadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error {
	short := d
	short.Error = ""
	for _, form := range []queue.DeadLetter{d, short} {
		if err := c.deadLetter(ctx, m, form); !tooLarge(err) {
			return err
		}
	}
	err := c.deadLetter(ctx, m, queue.DeadLetter{})
	if tooLarge(err) {
		return fmt.Errorf("%w: %w", queue.ErrRefused, err)
	}
	return err
}

// tooLarge reports a refusal of a message's size; SQS has no code of its own for it.
func tooLarge(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	return ok && strings.HasPrefix(e.ErrorCode(), "InvalidParameterValue")
}

func (c *Consumer) deadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error {
	in := &sqs.SendMessageInput{QueueUrl: &c.dead, MessageBody: &m.Body, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for name, value := range d.Attributes() {
		in.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	if m.Group != "" {
		in.MessageGroupId = &m.Group
	}
	out, err := c.client.SendMessage(ctx, in)
	if err != nil {
		return fmt.Errorf("send dead letter: %w", err)
	}
	if aws.ToString(out.MessageId) == "" {
		return errors.New("send dead letter: the queue gave no message id")
	}
	return nil
}
