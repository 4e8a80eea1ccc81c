package conformance

import (
	"fmt"
	"time"

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
	_, err := p.sqs.SetQueueAttributes(p.ctx, &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes{"RedrivePolicy": ""}})
	p.ok(err, "take the policy away")
	p.eventually("the policy is gone", func() bool { return p.queueAttributes(url, "All")["RedrivePolicy"] == "" })
	p.send(url, "x")
	p.fail(url, 3)
	p.counts(dead, 0, 0, 0)
}

func moveTaskChecks() []check {
	const page = "StartMessageMoveTask, Amazon SQS API Reference"
	const guide = "Learn how to configure a dead-letter queue redrive in Amazon SQS, Developer Guide"
	return []check{
		{"sqs/move-task/to-destination", page, "A move task moves every message to the queue that it names.", moveToDestination},
		{"sqs/move-task/default-destination", page, "Without a destination each message goes back to the queue it came from.", moveDefault},
		{"sqs/move-task/moved-are-new", guide, "Moved messages are new: another message id and enqueue time.", moveNew},
		{"sqs/move-task/receives-start-over", guide, "A moved message has all its receives again before it is a dead letter.", moveReceives},
		{"sqs/move-task/listed", "ListMessageMoveTasks, Amazon SQS API Reference", "A finished task is listed with its numbers, source and destination.", moveListed},
		{"sqs/move-task/rate", page, "MaxNumberOfMessagesPerSecond slows the task down.", moveRate},
		{"sqs/move-task/one-active", page, "A second task of the same queue is refused while one runs.", moveOneActive},
		{"sqs/move-task/cancel", "CancelMessageMoveTask, Amazon SQS API Reference", "A running task is cancelled; what it moved stays moved.", moveCancel},
		{"sqs/move-task/cancel-finished-refused", "CancelMessageMoveTask, Amazon SQS API Reference", "Only a running task can be cancelled.", moveCancelFinished},
		{"sqs/move-task/not-a-dead-letter-queue-refused", page, "The source must be the dead-letter queue of another queue.", moveNotDead},
		{"sqs/move-task/rate-over-500-refused", page, "A rate is from 1 to 500 messages a second.", moveBadRate},
		{"sqs/move-task/missing-source-refused", page, "A source that does not exist is refused with ResourceNotFoundException.", moveMissing},
	}
}

func (p *probe) startMove(source string, change func(*sqs.StartMessageMoveTaskInput)) (handle string, err error) {
	in := &sqs.StartMessageMoveTaskInput{SourceArn: &source}
	if change != nil {
		change(in)
	}
	out, err := p.sqs.StartMessageMoveTask(p.ctx, in)
	if err != nil {
		return "", err
	}
	return aws.ToString(out.TaskHandle), nil
}

func (p *probe) tasks(source string) []types.ListMessageMoveTasksResultEntry {
	out, err := p.sqs.ListMessageMoveTasks(p.ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &source, MaxResults: aws.Int32(10)})
	p.ok(err, "list move tasks")
	return out.Results
}

// awaitTask waits until the queue's newest task has the status and returns it.
func (p *probe) awaitTask(source, status string) types.ListMessageMoveTasksResultEntry {
	var newest types.ListMessageMoveTasksResultEntry
	p.eventually("the task is "+status, func() bool {
		all := p.tasks(source)
		if len(all) == 0 {
			return false
		}
		newest = all[0]
		return aws.ToString(newest.Status) == status
	})
	return newest
}

// deadLetters makes a queue and its dead-letter queue with n messages sent straight to it.
func (p *probe) deadLetters(n int) (url, dead, deadARN string) {
	url, dead = p.withDeadLetters(1, nil)
	for i := range n {
		p.send(dead, fmt.Sprintf("%02d", i))
	}
	p.counts(dead, n, 0, 0)
	return url, dead, p.arn(dead)
}

func (p *probe) moveTo(deadARN, url string) {
	destination := p.arn(url)
	_, err := p.startMove(deadARN, func(in *sqs.StartMessageMoveTaskInput) { in.DestinationArn = &destination })
	p.ok(err, "start move task")
}

func moveToDestination(p *probe) {
	_, dead, deadARN := p.deadLetters(12)
	other := p.queue(nil)
	p.moveTo(deadARN, other)
	p.awaitTask(deadARN, "COMPLETED")
	p.counts(dead, 0, 0, 0)
	p.equal(12, len(p.take(other, 12, 60)), "moved messages")
}

// died lets a message of the queue become a dead letter, and returns it as it was received there.
func (p *probe) died(url, dead string) (types.Message, string) {
	p.send(url, "poison")
	first := p.fail(url, 1)
	m := p.dead(url, dead)
	p.ok(p.hide(dead, m, 0), "give back")
	return first, p.arn(dead)
}

func moveDefault(p *probe) {
	url, dead := p.withDeadLetters(1, nil)
	_, deadARN := p.died(url, dead)
	_, err := p.startMove(deadARN, nil)
	p.ok(err, "start move task")
	p.equal("poison", aws.ToString(p.takeOne(url, 60).Body), "body")
	p.awaitTask(deadARN, "COMPLETED")
	p.counts(dead, 0, 0, 0)
}

func moveNew(p *probe) {
	url, dead := p.withDeadLetters(1, nil)
	first, deadARN := p.died(url, dead)
	p.moveTo(deadARN, url)
	got := p.takeOne(url, 60)
	if aws.ToString(got.MessageId) == aws.ToString(first.MessageId) {
		p.failf("the moved message kept its id")
	}
	if !p.millis(got, "SentTimestamp").After(p.millis(first, "SentTimestamp")) {
		p.failf("the moved message kept its enqueue time")
	}
	p.equal("poison", aws.ToString(got.Body), "body")
}

func moveReceives(p *probe) {
	url, dead := p.withDeadLetters(2, nil)
	p.send(url, "poison")
	p.fail(url, 2)
	p.ok(p.hide(dead, p.dead(url, dead), 0), "give back")
	p.moveTo(p.arn(dead), url)
	p.fail(url, 2)
	p.dead(url, dead)
}

func moveListed(p *probe) {
	url, _, deadARN := p.deadLetters(3)
	p.moveTo(deadARN, url)
	task := p.awaitTask(deadARN, "COMPLETED")
	p.equal(deadARN, aws.ToString(task.SourceArn), "source")
	p.equal(p.arn(url), aws.ToString(task.DestinationArn), "destination")
	p.equal(int64(3), task.ApproximateNumberOfMessagesMoved, "messages moved")
	p.equal("", aws.ToString(task.TaskHandle), "handle of a task that does not run")
	p.near(time.UnixMilli(task.StartedTimestamp), "start")
}

// moveSlowly starts a task of one message a second.
func (p *probe) moveSlowly(deadARN, url string) (handle string) {
	destination := p.arn(url)
	handle, err := p.startMove(deadARN, func(in *sqs.StartMessageMoveTaskInput) {
		in.DestinationArn, in.MaxNumberOfMessagesPerSecond = &destination, aws.Int32(1)
	})
	p.ok(err, "start move task")
	return handle
}

func moveRate(p *probe) {
	url, _, deadARN := p.deadLetters(4)
	start := time.Now()
	p.moveSlowly(deadARN, url)
	p.awaitTask(deadARN, "COMPLETED")
	if took := time.Since(start); took < 2500*time.Millisecond {
		p.failf("4 messages at 1 a second took %v", took)
	}
}

// slowMove makes a queue with a task that takes long: its dead letters move one a second.
func (p *probe) slowMove() (url, dead, deadARN, handle string) {
	url, dead, deadARN = p.deadLetters(10)
	return url, dead, deadARN, p.moveSlowly(deadARN, url)
}

func moveOneActive(p *probe) {
	url, _, deadARN, _ := p.slowMove()
	destination := p.arn(url)
	_, err := p.startMove(deadARN, func(in *sqs.StartMessageMoveTaskInput) { in.DestinationArn = &destination })
	p.refused(err, badValue+"|UnsupportedOperation", "start a second task")
	all := p.tasks(deadARN)
	p.equal(1, len(all), "tasks")
	p.equal("RUNNING", aws.ToString(all[0].Status), "status")
	if aws.ToString(all[0].TaskHandle) == "" {
		p.failf("a running task is listed without its handle")
	}
}

func moveCancel(p *probe) {
	url, dead, deadARN, handle := p.slowMove()
	_, err := p.sqs.CancelMessageMoveTask(p.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: &handle})
	p.ok(err, "cancel")
	p.awaitTask(deadARN, "CANCELLED")
	p.eventually("each message is in one of the queues", func() bool {
		var left, moved int
		fmt.Sscan(p.queueAttributes(dead, "All")["ApproximateNumberOfMessages"], &left)
		fmt.Sscan(p.queueAttributes(url, "All")["ApproximateNumberOfMessages"], &moved)
		return left > 0 && left+moved == 10
	})
}

func moveCancelFinished(p *probe) {
	url, _, deadARN := p.deadLetters(1)
	destination := p.arn(url)
	handle, err := p.startMove(deadARN, func(in *sqs.StartMessageMoveTaskInput) { in.DestinationArn = &destination })
	p.ok(err, "start move task")
	p.awaitTask(deadARN, "COMPLETED")
	_, err = p.sqs.CancelMessageMoveTask(p.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: &handle})
	p.refused(err, badValue+"|"+notFound+"|UnsupportedOperation", "cancel a finished task")
}

func moveNotDead(p *probe) {
	_, err := p.startMove(p.arn(p.queue(nil)), nil)
	p.refused(err, badValue+"|UnsupportedOperation", "move from a queue that is no dead-letter queue")
}

func moveBadRate(p *probe) {
	url, _, deadARN := p.deadLetters(1)
	destination := p.arn(url)
	for _, rate := range []int32{0, 501} {
		_, err := p.startMove(deadARN, func(in *sqs.StartMessageMoveTaskInput) {
			in.DestinationArn, in.MaxNumberOfMessagesPerSecond = &destination, &rate
		})
		p.refused(err, badValue, fmt.Sprint("a rate of ", rate))
	}
}

func moveMissing(p *probe) {
	_, err := p.startMove(p.arn(p.queue(nil))+"x", nil)
	typed[*types.ResourceNotFoundException](p, err, "move from no queue")
}
