package sqs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/pkg/failpoint"
)

// Queue is one queue for an event source in this process, without requests.
type Queue struct {
	service *Service
	url     string
}

// Queue returns the queue at a URL.
func (s *Service) Queue(url string) Queue { return Queue{s, url} }

// Receive is ReceiveMessage with the queue's own visibility timeout and all attributes.
// The wait is rounded up to whole seconds.
func (q Queue) Receive(ctx context.Context, most int, wait time.Duration) ([]events.SQSMessage, error) {
	failpoint.At("host.ReceiveMessage.before")
	defer failpoint.At("host.ReceiveMessage.after")
	seconds, all := int((wait+time.Second-1)/time.Second), []string{"All"}
	out, err := q.service.receiveMessage(ctx, receiveInput{QueueUrl: q.url, MaxNumberOfMessages: &most, WaitTimeSeconds: &seconds,
		MessageSystemAttributeNames: all, MessageAttributeNames: all})
	if err != nil {
		return nil, fmt.Errorf("receive messages: %w", err)
	}
	messages := make([]events.SQSMessage, len(out.Messages))
	for i, m := range out.Messages {
		attributes := make(map[string]events.SQSMessageAttribute, len(m.MessageAttributes))
		for name, a := range m.MessageAttributes {
			attributes[name] = events.SQSMessageAttribute{StringValue: a.StringValue, BinaryValue: a.BinaryValue, DataType: a.DataType}
		}
		messages[i] = events.SQSMessage{MessageId: m.MessageId, ReceiptHandle: m.ReceiptHandle, Body: m.Body, Md5OfBody: m.MD5OfBody,
			Attributes: m.Attributes, MessageAttributes: attributes, Md5OfMessageAttributes: m.MD5OfMessageAttributes}
	}
	return messages, nil
}

// Delete is DeleteMessageBatch.
func (q Queue) Delete(ctx context.Context, messages []events.SQSMessage) error {
	failpoint.At("host.DeleteMessageBatch.before")
	defer failpoint.At("host.DeleteMessageBatch.after")
	entries := make([]deleteBatchEntry, len(messages))
	for i, m := range messages {
		entries[i] = deleteBatchEntry{strconv.Itoa(i), m.ReceiptHandle}
	}
	out, err := q.service.deleteMessageBatch(ctx, deleteBatchInput{q.url, entries})
	if err == nil && len(out.Failed) > 0 {
		err = fmt.Errorf("%d of %d refused, first %s", len(out.Failed), len(messages), out.Failed[0].Message)
	}
	if err != nil {
		return fmt.Errorf("delete messages: %w", err)
	}
	return nil
}

// Depth is how many messages a queue has, and since when the oldest was sent.
type Depth struct {
	Waiting, InFlight int
	Oldest            time.Duration
}

// Depth counts the messages. Those that back off are in flight.
func (q Queue) Depth() (d Depth, err error) {
	err = q.service.onQueue(q.url, func(t *turn, is *queue) error {
		d = Depth{Waiting: is.ready.len(), InFlight: is.hidden.len()}
		if oldest := is.byAge.top(); oldest != nil {
			d.Oldest = time.Duration(max(0, t.now-oldest.Sent))
		}
		return nil
	})
	return d, err
}
