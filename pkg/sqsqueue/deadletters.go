package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// DeadLetters is the operator's side of a dead-letter queue: it reads dead letters, sends
// them to the queue of events and deletes them. Send and Delete make one request each: at
// most ten messages, together at most 1 MiB. It is safe for concurrent use.
type DeadLetters struct{ q *Queue }

// DeadLetters returns the operator's side of the dead-letter queue.
func (q *Queue) DeadLetters() *DeadLetters { return &DeadLetters{q} }

const (
	// receiveWait makes a receive ask all of SQS's servers: without any wait it asks a
	// few of them, and may find nothing though messages are there.
	receiveWait = time.Second
	maxWait     = 20 * time.Second
)

// Receive returns up to limit messages (1 to 10), with all of their attributes, hidden
// for the given time.
func (d *DeadLetters) Receive(ctx context.Context, limit int, hide time.Duration) ([]queue.Received, error) {
	out, err := d.q.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &d.q.dead,
		MaxNumberOfMessages:         int32(min(max(limit, 1), limits.SQSMaxBatch)),
		WaitTimeSeconds:             d.q.seconds(receiveWait, maxWait),
		VisibilityTimeout:           d.q.seconds(hide, limits.SQSMaxVisibility),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receive dead letters: %w", err)
	}
	got := make([]queue.Received, len(out.Messages))
	for i, m := range out.Messages {
		got[i] = received(m)
	}
	return got, nil
}

// SetVisibility hides a received message for h; 0 shows it again. A message that is visible
// already, because its timeout is over, is not an error.
func (d *DeadLetters) SetVisibility(ctx context.Context, receipt string, h time.Duration) error {
	err := d.q.setVisibility(ctx, d.q.dead, receipt, h)
	if _, visible := errors.AsType[*types.MessageNotInflight](err); visible {
		return nil
	}
	return err
}

// Count returns how many messages can be received and how many are hidden by readers. SQS
// counts approximately, and up to a minute late.
func (d *DeadLetters) Count(ctx context.Context) (visible, hidden int, err error) {
	n, err := d.q.attributes(ctx, d.q.dead, types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
	if err != nil {
		return 0, 0, err
	}
	return n[0], n[1], nil
}

func received(m types.Message) queue.Received {
	r := queue.Received{
		Message:       message(aws.ToString(m.MessageId), aws.ToString(m.ReceiptHandle), aws.ToString(m.Body), m.Attributes),
		FirstReceived: millisOf(m.Attributes["ApproximateFirstReceiveTimestamp"]),
	}
	if len(m.MessageAttributes) > 0 {
		r.Attributes = make(map[string]string, len(m.MessageAttributes))
		for name, v := range m.MessageAttributes {
			r.Attributes[name] = aws.ToString(v.StringValue)
		}
	}
	return r
}

// Send stores messages with their bodies unchanged, their groups and nothing else. Refused
// has, by message id, those that are not stored; after an error any may be stored.
func (d *DeadLetters) Send(ctx context.Context, messages []queue.Message) (refused map[string]error, err error) {
	return sendBatch(ctx, d.q.client, d.q.url, messages)
}

// sendBatch is Send to the queue with a URL. A message counts as stored if the answer has its id.
func sendBatch(ctx context.Context, client Client, url string, messages []queue.Message) (refused map[string]error, err error) {
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
	out, err := client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: entries})
	if err != nil {
		return nil, fmt.Errorf("send messages to the queue: %w", err)
	}
	stored := make(map[string]bool, len(out.Successful))
	for _, s := range out.Successful {
		if aws.ToString(s.MessageId) != "" {
			stored[aws.ToString(s.Id)] = true
		}
	}
	return rest(messages, stored, out.Failed), nil
}

// Delete returns, by message id, which messages may still be in the dead-letter queue;
// after an error any may.
func (d *DeadLetters) Delete(ctx context.Context, messages []queue.Message) (kept map[string]error, err error) {
	if len(messages) == 0 {
		return nil, nil
	}
	receipts := make([]string, len(messages))
	for i, m := range messages {
		receipts[i] = m.Receipt
	}
	out, err := d.q.delete(ctx, d.q.dead, receipts)
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

// errNotNamed is the error of a message that the response does not mention: it does not
// count as done.
var errNotNamed = errors.New("the answer does not name it")

// rest returns the messages that a response does not report as done, by message id, with
// the error.
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
