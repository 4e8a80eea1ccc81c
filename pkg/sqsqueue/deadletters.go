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

	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// DeadLettersClient is what a reader of dead letters calls of SQS.
type DeadLettersClient interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	ChangeMessageVisibility(context.Context, *sqs.ChangeMessageVisibilityInput, ...func(*sqs.Options)) (*sqs.ChangeMessageVisibilityOutput, error)
}

// DeadLetters is the operator's side of a dead-letter queue: it reads and gives back,
// and can neither send nor delete. Safe for concurrent use.
type DeadLetters struct {
	client        DeadLettersClient
	url           string
	secondsPerSec int // how many of the queue's seconds pass in one real second
}

// NewDeadLetters reads the queue with this URL. timeScale is how many of the queue's
// seconds pass in one real second: 1 on AWS.
func NewDeadLetters(client DeadLettersClient, deadURL string, timeScale int) *DeadLetters {
	return &DeadLetters{client: client, url: deadURL, secondsPerSec: max(timeScale, 1)}
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
		MaxNumberOfMessages:         int32(min(max(limit, 1), maxBatch)),
		WaitTimeSeconds:             d.seconds(receiveWait, maxWait),
		VisibilityTimeout:           d.seconds(hide, maxVisibility),
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
		QueueUrl: &d.url, ReceiptHandle: &receipt, VisibilityTimeout: d.seconds(h, maxVisibility),
	})
	if _, visible := errors.AsType[*types.MessageNotInflight](err); err == nil || visible {
		return nil
	}
	return fmt.Errorf("change visibility: %w", err)
}

// seconds is a real time in the queue's whole seconds, rounded up.
func (d *DeadLetters) seconds(t, most time.Duration) int32 {
	t = min(max(t, 0)*time.Duration(d.secondsPerSec), most)
	return int32((t + time.Second - 1) / time.Second)
}

func received(m types.Message) redrive.Received {
	r := redrive.Received{
		Message: queue.Message{
			ID: aws.ToString(m.MessageId), Receipt: aws.ToString(m.ReceiptHandle), Body: aws.ToString(m.Body),
			Group: m.Attributes["MessageGroupId"], Receives: 1, SentAt: millisOf(m.Attributes["SentTimestamp"]),
		},
		FirstReceived: millisOf(m.Attributes["ApproximateFirstReceiveTimestamp"]),
	}
	if n, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"]); err == nil && n > 0 {
		r.Receives = n
	}
	if len(m.MessageAttributes) > 0 {
		r.Attributes = make(map[string]string, len(m.MessageAttributes))
		for name, v := range m.MessageAttributes {
			r.Attributes[name] = aws.ToString(v.StringValue)
		}
	}
	return r
}

// millisOf reads a time as SQS writes it; zero when it is none.
func millisOf(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
