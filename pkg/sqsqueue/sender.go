package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// maxGroup is SQS's bound on a message group id.
const maxGroup = 128

// errNoID means that SQS answered without the id of a stored message.
var errNoID = errors.New("the answer names no stored message")

// Send is [Queue.Enqueue] for a caller without use for the message's id.
func (q *Queue) Send(ctx context.Context, e event.Envelope, trace string) error {
	_, err := q.Enqueue(ctx, e, trace)
	return err
}

// Enqueue returns the message's id once SQS has stored it. After an error the message may or
// may not be stored: a try whose response was lost is repeated, so an event can be on the queue
// twice. It makes limits.SendTries tries of at most limits.SendTry each, with pauses
// between them, and takes limits.SendBudget for all. A connected account's events form one
// message group, so that one busy account does not hold up the others; trace may be empty.
func (q *Queue) Enqueue(ctx context.Context, e event.Envelope, trace string) (message string, err error) {
	body, err := queue.Encode(e)
	if err != nil {
		return "", fmt.Errorf("send message: %w", err)
	}
	in := &sqs.SendMessageInput{QueueUrl: &q.url, MessageBody: &body}
	if e.Account != "" && len(e.Account) <= maxGroup {
		in.MessageGroupId = &e.Account
	}
	if trace != "" {
		in.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &trace},
		}
	}
	for n, end := 1, time.Now().Add(q.limits.SendBudget); ; n++ {
		if message, err = q.once(ctx, in, end); err == nil {
			return message, nil
		}
		if n >= q.limits.SendTries || !q.pause(ctx, n, end) {
			return "", fmt.Errorf("send message, try %d: %w", n, err)
		}
		if invalid(err) {
			in.MessageSystemAttributes = nil // a trace header that SQS cannot read costs no event
		}
	}
}

// once makes a try, until the end of all of them at most.
func (q *Queue) once(ctx context.Context, in *sqs.SendMessageInput, end time.Time) (message string, err error) {
	ctx, cancel := context.WithTimeout(ctx, min(q.limits.SendTry, time.Until(end)))
	defer cancel()
	return q.store(ctx, in)
}

// pause waits after a try; it returns false if none may follow.
func (q *Queue) pause(ctx context.Context, try int, end time.Time) bool {
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	return limits.Pause(ctx, q.limits.SendPause<<(try-1), 0, q.Random())
}

// store sends a message; an answer without a message id is an error.
func (q *Queue) store(ctx context.Context, in *sqs.SendMessageInput) (message string, err error) {
	out, err := q.client.SendMessage(ctx, in)
	if err != nil {
		return "", err
	}
	if aws.ToString(out.MessageId) == "" {
		return "", errNoID
	}
	return *out.MessageId, nil
}
