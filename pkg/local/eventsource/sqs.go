package eventsource

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// requestTimeout bounds a request to SQS, in addition to its long-poll wait.
const requestTimeout = 10 * time.Second

// SQS is the [Queue] of one SQS queue.
type SQS struct {
	client *sqs.Client
	url    string
}

// NewSQS returns the queue at a URL. The client needs the permissions
// sqs:ReceiveMessage and sqs:DeleteMessage.
func NewSQS(client *sqs.Client, url string) *SQS { return &SQS{client, url} }

// Receive is ReceiveMessage with the queue's own visibility timeout and all
// attributes. The wait is rounded up to whole seconds from 1 to 20: the SDK
// leaves a 0 out, and the queue would decide.
func (q *SQS) Receive(ctx context.Context, most int, wait time.Duration) ([]events.SQSMessage, error) {
	seconds := min(20, max(1, int32((wait+time.Second-1)/time.Second)))
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+requestTimeout)
	defer cancel()
	out, err := q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:            &q.url,
		MaxNumberOfMessages: int32(most),
		WaitTimeSeconds:     seconds,
		//lint:ignore SA1019 some servers know only this older name of the next line
		AttributeNames:              []types.QueueAttributeName{types.QueueAttributeNameAll},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	messages := make([]events.SQSMessage, len(out.Messages))
	for i, m := range out.Messages {
		messages[i] = message(m)
	}
	return messages, nil
}

func message(m types.Message) events.SQSMessage {
	attributes := make(map[string]events.SQSMessageAttribute, len(m.MessageAttributes))
	for name, a := range m.MessageAttributes {
		attributes[name] = events.SQSMessageAttribute{
			StringValue:      a.StringValue,
			BinaryValue:      a.BinaryValue,
			StringListValues: a.StringListValues,
			BinaryListValues: a.BinaryListValues,
			DataType:         aws.ToString(a.DataType),
		}
	}
	return events.SQSMessage{
		MessageId:              aws.ToString(m.MessageId),
		ReceiptHandle:          aws.ToString(m.ReceiptHandle),
		Body:                   aws.ToString(m.Body),
		Md5OfBody:              aws.ToString(m.MD5OfBody),
		Md5OfMessageAttributes: aws.ToString(m.MD5OfMessageAttributes),
		Attributes:             m.Attributes,
		MessageAttributes:      attributes,
	}
}

// Delete is DeleteMessageBatch, ten at a time. It continues after an error and returns
// the first one.
func (q *SQS) Delete(ctx context.Context, messages []events.SQSMessage) error {
	var first error
	for len(messages) > 0 {
		n := min(maxPerReceive, len(messages))
		if err := q.deleteBatch(ctx, messages[:n]); err != nil && first == nil {
			first = err
		}
		messages = messages[n:]
	}
	return first
}

func (q *SQS) deleteBatch(ctx context.Context, messages []events.SQSMessage) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i, m := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: &m.ReceiptHandle}
	}
	out, err := q.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &q.url, Entries: entries})
	if err != nil {
		return fmt.Errorf("delete messages: %w", err)
	}
	if len(out.Failed) > 0 {
		f := out.Failed[0]
		return fmt.Errorf("delete messages: %d of %d refused, first %s: %s",
			len(out.Failed), len(messages), aws.ToString(f.Code), aws.ToString(f.Message))
	}
	return nil
}
