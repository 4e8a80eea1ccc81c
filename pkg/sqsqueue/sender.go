package sqsqueue

import (
	"context"
	"errors"
	"fmt"

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

// Send returns nil once SQS has stored the message. After an error the message may or may
// not be stored: a try whose response was lost is repeated, so an event can be on the queue
// twice. It makes limits.SendTries tries of at most limits.SendTry each, with pauses
// between them, and takes limits.SendBudget for all. A connected account's events form one
// message group, so that one busy account does not hold up the others; trace may be empty.
func (q *Queue) Send(ctx context.Context, e event.Envelope, trace string) error {
	body, err := queue.Encode(e)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
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
	ctx, cancel := context.WithTimeout(ctx, q.limits.SendBudget)
	defer cancel()
	for n := 1; ; n++ {
		if err = q.once(ctx, in); err == nil {
			return nil
		}
		if n >= q.limits.SendTries || !limits.Pause(ctx, q.limits.SendPause<<(n-1), 0, q.Random()) {
			return fmt.Errorf("send message, try %d: %w", n, err)
		}
	}
}

func (q *Queue) once(ctx context.Context, in *sqs.SendMessageInput) error {
	ctx, cancel := context.WithTimeout(ctx, q.limits.SendTry)
	defer cancel()
	return q.store(ctx, in)
}

// store sends a message; an answer without a message id is an error.
func (q *Queue) store(ctx context.Context, in *sqs.SendMessageInput) error {
	out, err := q.client.SendMessage(ctx, in)
	if err != nil {
		return err
	}
	if aws.ToString(out.MessageId) == "" {
		return errNoID
	}
	return nil
}
