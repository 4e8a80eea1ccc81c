package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/queue"
)

// DeadLetterMoverClient is what a mover of dead letters calls of SQS.
type DeadLetterMoverClient interface {
	SendMessageBatch(context.Context, *sqs.SendMessageBatchInput, ...func(*sqs.Options)) (*sqs.SendMessageBatchOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// DeadLetterMover sends dead letters to the queue of events and deletes them from their
// own. Each call is one request: at most ten messages, together at most 1 MiB. Safe for
// concurrent use.
type DeadLetterMover struct {
	client      DeadLetterMoverClient
	queue, dead string
}

// NewDeadLetterMover moves from the dead-letter queue to the queue with these URLs.
func NewDeadLetterMover(client DeadLetterMoverClient, queueURL, deadURL string) *DeadLetterMover {
	return &DeadLetterMover{client: client, queue: queueURL, dead: deadURL}
}

// Send stores messages with their bodies unchanged, their groups and nothing else.
// Refused says by message id which are not stored; after an error any may be stored.
func (m *DeadLetterMover) Send(ctx context.Context, messages []queue.Message) (refused map[string]error, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	entries := make([]types.SendMessageBatchRequestEntry, len(messages))
	for i := range messages {
		entries[i] = types.SendMessageBatchRequestEntry{Id: entryID(i), MessageBody: &messages[i].Body}
		if messages[i].Group != "" {
			entries[i].MessageGroupId = &messages[i].Group
		}
	}
	out, err := m.client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &m.queue, Entries: entries})
	if err != nil {
		return nil, fmt.Errorf("send dead letters to the queue: %w", err)
	}
	stored := make(map[string]bool, len(out.Successful))
	for _, s := range out.Successful {
		if aws.ToString(s.MessageId) != "" {
			stored[aws.ToString(s.Id)] = true
		}
	}
	return rest(messages, stored, out.Failed), nil
}

// Delete says by message id which messages may still be in the dead-letter queue; after
// an error any may.
func (m *DeadLetterMover) Delete(ctx context.Context, messages []queue.Message) (kept map[string]error, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	entries := make([]types.DeleteMessageBatchRequestEntry, len(messages))
	for i := range messages {
		entries[i] = types.DeleteMessageBatchRequestEntry{Id: entryID(i), ReceiptHandle: &messages[i].Receipt}
	}
	out, err := m.client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &m.dead, Entries: entries})
	if err != nil {
		return nil, fmt.Errorf("delete dead letters: %w", err)
	}
	gone := make(map[string]bool, len(out.Successful))
	for _, s := range out.Successful {
		gone[aws.ToString(s.Id)] = true
	}
	return rest(messages, gone, out.Failed), nil
}

func entryID(i int) *string { return aws.String(strconv.Itoa(i)) }

// errNotNamed is of a message that an answer says nothing about: it does not count as done.
var errNotNamed = errors.New("the answer does not name it")

// rest is what an answer does not say to be done, by message id, and why.
func rest(messages []queue.Message, done map[string]bool, failed []types.BatchResultErrorEntry) map[string]error {
	rest := map[string]error{}
	for i, m := range messages {
		if !done[strconv.Itoa(i)] {
			rest[m.ID] = errNotNamed
		}
	}
	for _, f := range failed {
		i, err := strconv.Atoi(aws.ToString(f.Id))
		if err == nil && i >= 0 && i < len(messages) && rest[messages[i].ID] != nil {
			rest[messages[i].ID] = fmt.Errorf("%s: %s", aws.ToString(f.Code), aws.ToString(f.Message))
		}
	}
	return rest
}
