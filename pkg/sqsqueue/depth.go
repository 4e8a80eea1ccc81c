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
	counts, err := attributes(ctx, d.client, d.queue, types.QueueAttributeNameApproximateNumberOfMessages,
		types.QueueAttributeNameApproximateNumberOfMessagesNotVisible, types.QueueAttributeNameApproximateNumberOfMessagesDelayed)
	for _, n := range counts {
		sum += n
	}
	return sum, err
}

// attributes reads numbers of a queue, in the order of their names.
func attributes(ctx context.Context, client DepthClient, url string, names ...types.QueueAttributeName) ([]int, error) {
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: names})
	if err != nil {
		return nil, fmt.Errorf("read queue attributes: %w", err)
	}
	counts := make([]int, len(names))
	for i, name := range names {
		if counts[i], err = strconv.Atoi(out.Attributes[string(name)]); err != nil {
			return nil, fmt.Errorf("read queue attributes: %s is not a number", name)
		}
	}
	return counts, nil
}
