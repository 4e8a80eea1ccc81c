package sqsqueue

import (
	"context"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// DepthClient is what a depth asks of SQS.
type DepthClient interface {
	GetQueueAttributes(context.Context, *sqs.GetQueueAttributesInput, ...func(*sqs.Options)) (*sqs.GetQueueAttributesOutput, error)
}

// Depth tells how full a queue is. Safe for concurrent use.
type Depth struct {
	client DepthClient
	queue  string
}

// NewDepth asks of the queue with this URL.
func NewDepth(client DepthClient, queueURL string) *Depth {
	return &Depth{client: client, queue: queueURL}
}

// Depth returns how many messages the queue holds, visible, in flight and delayed ones.
// SQS counts them roughly, and up to a minute late.
func (d *Depth) Depth(ctx context.Context) (sum int, err error) {
	names := []types.QueueAttributeName{
		types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
		types.QueueAttributeNameApproximateNumberOfMessagesDelayed,
	}
	out, err := d.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &d.queue, AttributeNames: names})
	if err != nil {
		return 0, fmt.Errorf("read queue attributes: %w", err)
	}
	for _, name := range names {
		n, err := strconv.Atoi(out.Attributes[string(name)])
		if err != nil {
			return 0, fmt.Errorf("read queue attributes: %s is no number", name)
		}
		sum += n
	}
	return sum, nil
}
