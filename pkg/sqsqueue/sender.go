package sqsqueue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// SenderClient is what a sender calls of SQS. It should not retry by itself.
type SenderClient interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// Sender puts envelopes on the queue of events. Safe for concurrent use.
type Sender struct {
	client SenderClient
	queue  string
	limits limits.Limits
	// Random gives numbers from 0 up to 1 for the pauses' jitter; set it before the first
	// Send. Default: rand.Float64.
	Random func() float64
}

// NewSender sends to the queue with this URL, in limits.SendTries tries of at most
// limits.SendTry each, with pauses between them, and limits.SendBudget for all.
func NewSender(client SenderClient, queueURL string, l limits.Limits) *Sender {
	return &Sender{client: client, queue: queueURL, limits: l, Random: rand.Float64}
}

// maxGroup is SQS's bound on a message group id.
const maxGroup = 128

// errNoID says that SQS answered without the id of a stored message.
var errNoID = errors.New("the answer names no stored message")

// Send returns nil once SQS has stored the message. After an error the message may
// or may not be stored: a try whose answer was lost is repeated, so an event can be
// on the queue twice. A connected account's events form one message group, so that
// one busy account does not hold up the others; trace may be empty.
func (s *Sender) Send(ctx context.Context, e event.Envelope, trace string) error {
	body, err := queue.Encode(e)
	if err != nil {
		return fmt.Errorf("send message: %w", err)
	}
	in := &sqs.SendMessageInput{QueueUrl: &s.queue, MessageBody: &body}
	if e.Account != "" && len(e.Account) <= maxGroup {
		in.MessageGroupId = &e.Account
	}
	if trace != "" {
		in.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {DataType: aws.String("String"), StringValue: &trace},
		}
	}
	ctx, cancel := context.WithTimeout(ctx, s.limits.SendBudget)
	defer cancel()
	for n := 1; ; n++ {
		if err = s.once(ctx, in); err == nil {
			return nil
		}
		if n >= s.limits.SendTries || !s.pause(ctx, s.limits.SendPause<<(n-1)) {
			return fmt.Errorf("send message, try %d: %w", n, err)
		}
	}
}

// pause waits between half of d and d; false if the context ends before.
func (s *Sender) pause(ctx context.Context, d time.Duration) bool {
	d = time.Duration(float64(d) * (0.5 + s.Random()/2))
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *Sender) once(ctx context.Context, in *sqs.SendMessageInput) error {
	ctx, cancel := context.WithTimeout(ctx, s.limits.SendTry)
	defer cancel()
	out, err := s.client.SendMessage(ctx, in)
	if err != nil {
		return err
	}
	if aws.ToString(out.MessageId) == "" {
		return errNoID
	}
	return nil
}
