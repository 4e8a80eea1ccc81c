package conformance

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func deadLetterChecks() []check {
	const page = "Using dead-letter queues in Amazon SQS, Developer Guide"
	return []check{
		{"sqs/dead-letter/after-max-receives", page, "A message that was received maxReceiveCount times moves to the dead-letter queue at the next receive.", deadAfterMax},
		{"sqs/dead-letter/keeps-enqueue-time", page, "On a standard queue the move keeps the enqueue time, body, attributes and message id.", deadKeeps},
		{"sqs/dead-letter/source-attribute", "ReceiveMessage, Amazon SQS API Reference", "A moved message tells where it came from in DeadLetterQueueSourceArn.", deadSource},
		{"sqs/dead-letter/not-before", page, "A message that is deleted on its last receive does not move.", deadNotBefore},
		{"sqs/dead-letter/policy-removed", "SetQueueAttributes, Amazon SQS API Reference", "An empty RedrivePolicy takes the policy away.", deadPolicyRemoved},
	}
}

// fail receives and gives back the message as often as given.
func (p *probe) fail(url string, times int) (last types.Message) {
	for range times {
		last = p.takeOne(url, 60)
		p.ok(p.hide(url, last, 0), "give back")
	}
	return last
}

// dead moves a message of the queue, whose receives are used up, and takes it from the dead-letter queue.
func (p *probe) dead(url, dead string) types.Message {
	in, to := receiving(url), receiving(dead)
	to.VisibilityTimeout = 60
	var got []types.Message
	p.eventually("the message is in the dead-letter queue", func() bool {
		if again := p.receive(in); len(again) > 0 {
			p.failf("received once more, count %s", again[0].Attributes["ApproximateReceiveCount"])
		}
		got = p.receive(to)
		return len(got) > 0
	})
	return got[0]
}

func deadAfterMax(p *probe) {
	url, dead := p.withDeadLetters(2, nil)
	p.send(url, "poison")
	p.fail(url, 2)
	p.equal("poison", aws.ToString(p.dead(url, dead).Body), "body")
	p.counts(url, 0, 0, 0)
}

func deadKeeps(p *probe) {
	url, dead := p.withDeadLetters(1, nil)
	p.sendWithAttributes(url)
	before := p.takeOne(url, 2)
	after := p.dead(url, dead) // two seconds later
	p.equal(before.Attributes["SentTimestamp"], after.Attributes["SentTimestamp"], "SentTimestamp")
	p.equal(aws.ToString(before.MessageId), aws.ToString(after.MessageId), "message id")
	p.equal(aws.ToString(before.Body), aws.ToString(after.Body), "body")
	p.equal(showAttributes(before.MessageAttributes), showAttributes(after.MessageAttributes), "message attributes")
}

func deadSource(p *probe) {
	url, dead := p.withDeadLetters(1, nil)
	p.send(url, "poison")
	p.fail(url, 1)
	p.equal(p.arn(url), p.dead(url, dead).Attributes["DeadLetterQueueSourceArn"], "DeadLetterQueueSourceArn")
}

func deadNotBefore(p *probe) {
	url, dead := p.withDeadLetters(2, nil)
	p.send(url, "cured")
	p.fail(url, 1)
	p.ok(p.remove(url, p.takeOne(url, 60)), "delete on the last receive")
	p.nothing(url, "it was deleted")
	p.counts(dead, 0, 0, 0)
}

func deadPolicyRemoved(p *probe) {
	url, dead := p.withDeadLetters(1, nil)
	p.ok(errOf(p.sqs.SetQueueAttributes(p.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes{"RedrivePolicy": ""}})), "take the policy away")
	p.eventually("the policy is gone", func() bool { return p.queueAttributes(url, "All")["RedrivePolicy"] == "" })
	p.send(url, "x")
	p.fail(url, 3)
	p.counts(dead, 0, 0, 0)
}
