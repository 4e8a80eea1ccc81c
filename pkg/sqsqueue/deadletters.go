package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/limits"
	"tollgate/pkg/redrive"
)

// DeadLettersClient is what a reader of dead letters calls of SQS.
type DeadLettersClient interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
	DepthClient
}

// DeadLetters is the operator's side of a dead-letter queue: it reads and gives back,
// and can neither send nor delete. Safe for concurrent use.
type DeadLetters struct {
	client DeadLettersClient
	url    string
	clock  clock
}

// NewDeadLetters reads the queue with this URL. timeScale is how many of the queue's
// seconds pass in one real second: 1 on AWS.
func NewDeadLetters(client DeadLettersClient, deadURL string, timeScale int) *DeadLetters {
	return &DeadLetters{client: client, url: deadURL, clock: clockOf(timeScale)}
}

const (
	// receiveWait makes a receive ask all of SQS's servers: without any wait it asks a
	// few of them, and may find nothing though messages are there.
	receiveWait = time.Second
	maxWait     = 20 * time.Second
)

// Receive returns up to limit messages (1 to 10), with all of their attributes, hidden
// for the given time.
func (d *DeadLetters) Receive(ctx context.Context, limit int, hide time.Duration) ([]redrive.Received, error) {
	out, err := d.client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
		QueueUrl:                    &d.url,
		MaxNumberOfMessages:         int32(min(max(limit, 1), limits.SQSMaxBatch)),
		WaitTimeSeconds:             d.clock.seconds(receiveWait, maxWait),
		VisibilityTimeout:           d.clock.seconds(hide, limits.SQSMaxVisibility),
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
		MessageAttributeNames:       []string{"All"},
	})
	if err != nil {
		return nil, fmt.Errorf("receive dead letters: %w", err)
	}
	got := make([]redrive.Received, len(out.Messages))
	for i, m := range out.Messages {
		got[i] = received(m)
	}
	return got, nil
}

// SetVisibility hides a received message for h; 0 shows it again. A message that is
// visible already, as its time is over, is no error.
func (d *DeadLetters) SetVisibility(ctx context.Context, receipt string, h time.Duration) error {
	_, err := d.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &d.url, ReceiptHandle: &receipt, VisibilityTimeout: d.clock.seconds(h, limits.SQSMaxVisibility),
	})
	if _, visible := errors.AsType[*types.MessageNotInflight](err); err == nil || visible {
		return nil
	}
	return fmt.Errorf("change visibility: %w", err)
}

// Count returns how many letters can be received and how many are hidden by their
// readers: roughly, and up to a minute late.
func (d *DeadLetters) Count(ctx context.Context) (visible, hidden int, err error) {
	n, err := attributes(ctx, d.client, d.url, types.QueueAttributeNameApproximateNumberOfMessages, types.QueueAttributeNameApproximateNumberOfMessagesNotVisible)
	if err != nil {
		return 0, 0, err
	}
	return n[0], n[1], nil
}

func received(m types.Message) redrive.Received {
	r := redrive.Received{
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
