package awstarget

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/delivery"
)

// SQSClient is what is called of the SDK's client.
type SQSClient interface {
	SendMessage(context.Context, *sqs.SendMessageInput, ...func(*sqs.Options)) (*sqs.SendMessageOutput, error)
}

// SQS sends to a queue.
type SQS struct {
	client SQSClient
	url    string
}

// NewSQS returns a target for the queue with a URL. The client should not retry.
func NewSQS(client SQSClient, queueURL string) *SQS { return &SQS{client, queueURL} }

// Send implements [delivery.Target]. In a FIFO queue the object's id is the group, and the
// delivery's id removes repeated attempts within five minutes.
func (t *SQS) Send(ctx context.Context, d delivery.Delivery) delivery.Answer {
	p, refused := pack(d, isFIFO(t.url), maxSQS)
	if refused != nil {
		return *refused
	}
	in := &sqs.SendMessageInput{QueueUrl: &t.url, MessageBody: &p.body, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for _, a := range p.attributes {
		in.MessageAttributes[a.name] = types.MessageAttributeValue{DataType: &a.dataType, StringValue: &a.value}
	}
	if p.group != "" {
		in.MessageGroupId, in.MessageDeduplicationId = &p.group, &d.ID
	}
	_, err := t.client.SendMessage(ctx, in)
	return AnswerOf(err)
}
