package awstarget

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"tollgate/pkg/delivery"
)

// SNSClient is what is called of the SDK's client.
type SNSClient interface {
	Publish(context.Context, *sns.PublishInput, ...func(*sns.Options)) (*sns.PublishOutput, error)
}

// SNS publishes to a topic.
type SNS struct {
	client SNSClient
	topic  string
}

// NewSNS returns a target for the topic with an ARN. The client should not retry.
func NewSNS(client SNSClient, topicARN string) *SNS { return &SNS{client, topicARN} }

// Send implements [delivery.Target], with a FIFO topic as with a FIFO queue.
func (t *SNS) Send(ctx context.Context, d delivery.Delivery) delivery.Answer {
	p, refused := pack(d, isFIFO(t.topic), maxSNS)
	if refused != nil {
		return *refused
	}
	in := &sns.PublishInput{TopicArn: &t.topic, Message: &p.body, MessageAttributes: map[string]types.MessageAttributeValue{}}
	for _, a := range p.attributes {
		in.MessageAttributes[a.name] = types.MessageAttributeValue{DataType: &a.dataType, StringValue: &a.value}
	}
	if p.group != "" {
		in.MessageGroupId, in.MessageDeduplicationId = &p.group, &d.ID
	}
	_, err := t.client.Publish(ctx, in)
	return AnswerOf(err)
}
