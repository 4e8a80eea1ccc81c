package conformance

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func receiveChecks() []check {
	const page = "ReceiveMessage, Amazon SQS API Reference"
	const polling = "Amazon SQS short and long polling, Developer Guide"
	return []check{
		{"sqs/receive/up-to-ten", page, "A receive gives at most as many messages as asked for, one by default.", onQueue(receiveMax)},
		{"sqs/receive/limits-refused", page, "More than 10 messages or 20 seconds are refused.", onQueue(receiveLimits)},
		{"sqs/receive/long-poll-ends-on-send", polling, "A long poll returns as soon as a message arrives.", onQueue(longPollSend)},
		{"sqs/receive/long-poll-ends-on-visibility", polling, "A long poll returns as soon as a hidden message is visible again.", inFlight(60, longPollVisibility)},
		{"sqs/receive/long-poll-empty", polling, "A long poll without messages waits its time and is empty.", onQueue(longPollEmpty)},
		{"sqs/receive/queue-wait-time", polling, "ReceiveMessageWaitTimeSeconds of the queue makes receives long polls.", longPollByQueue},
		{"sqs/receive/each-message-to-one", page, "Messages that are in flight are given to no other receiver.", receiveParallel},
	}
}

func receiveMax(p *probe, url string) {
	for i := range 12 {
		p.send(url, fmt.Sprintf("%02d", i))
	}
	in := receiving(url)
	in.MaxNumberOfMessages, in.WaitTimeSeconds = 0, 1 // 0 is not sent: the default
	if got := p.receive(in); len(got) != 1 {
		p.failf("%d messages by default", len(got))
	}
	in.MaxNumberOfMessages = 3
	if got := p.receive(in); len(got) == 0 || len(got) > 3 {
		p.failf("%d messages, 3 asked for", len(got))
	}
	p.take(url, 8, 30)
}

func receiveLimits(p *probe, url string) {
	for what, in := range map[string]*sqs.ReceiveMessageInput{
		"receive 11 messages": {MaxNumberOfMessages: 11}, "wait 21 seconds": {WaitTimeSeconds: 21}, "hide for 43201 seconds": {VisibilityTimeout: 43201},
	} {
		codes := badValue
		if in.MaxNumberOfMessages > 0 {
			codes += "|ReadCountOutOfRange"
		}
		in.QueueUrl = &url
		p.refused(errOf(p.sqs.ReceiveMessage(p.ctx, in)), codes, what)
	}
}

// duringLongPoll starts a receive that waits 10 s, does what is given once the poll
// is under way, and returns how long after that the message came.
func (p *probe) duringLongPoll(url string, do func()) time.Duration {
	type answer struct {
		messages []types.Message
		err      error
		at       time.Time
	}
	answered, polling := make(chan answer, 1), make(chan struct{})
	go func() {
		in := receiving(url)
		in.WaitTimeSeconds = 10
		close(polling)
		out, err := p.sqs.ReceiveMessage(p.ctx, in)
		a := answer{err: err, at: time.Now()}
		if err == nil {
			a.messages = out.Messages
		}
		answered <- a
	}()
	<-polling
	select { // let the poll reach the service
	case <-answered:
		p.failf("the poll did not wait")
	case <-time.After(700 * time.Millisecond):
	}
	do()
	done := time.Now()
	a := <-answered
	p.ok(a.err, "long poll")
	p.equal(1, len(a.messages), "messages of the long poll")
	return a.at.Sub(done)
}

func longPollSend(p *probe, url string) {
	if late := p.duringLongPoll(url, func() { p.send(url, "x") }); late > 5*time.Second {
		p.failf("the poll ended %v after the send", late)
	}
}

func longPollVisibility(p *probe, url string, m types.Message) {
	if late := p.duringLongPoll(url, func() { p.ok(p.hide(url, m, 0), "give back") }); late > 5*time.Second {
		p.failf("the poll ended %v after the message was given back", late)
	}
}

func longPollEmpty(p *probe, url string) {
	start := time.Now()
	p.nothing(url, "none was sent")
	if waited := time.Since(start); waited < 900*time.Millisecond {
		p.failf("a long poll of 1 s ended after %v", waited)
	}
}

func longPollByQueue(p *probe) {
	url := p.queue(attributes{"ReceiveMessageWaitTimeSeconds": "1"})
	start := time.Now()
	if got := p.receive(receiving(url)); len(got) > 0 {
		p.failf("a message from an empty queue")
	}
	if waited := time.Since(start); waited < 900*time.Millisecond {
		p.failf("a receive from a queue that waits 1 s ended after %v", waited)
	}
}

func receiveParallel(p *probe) {
	const messages, receivers = 60, 8
	url := p.queue(attributes{"VisibilityTimeout": "120"})
	for i := range messages {
		p.send(url, fmt.Sprintf("%02d", i))
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	seen, errs := map[string]int{}, []error{}
	for range receivers {
		all.Go(func() {
			for empty := 0; empty < 2; {
				in := receiving(url)
				in.WaitTimeSeconds = 1
				out, err := p.sqs.ReceiveMessage(p.ctx, in)
				mu.Lock()
				if err != nil {
					errs = append(errs, err)
					mu.Unlock()
					return
				}
				for _, m := range out.Messages {
					seen[aws.ToString(m.Body)]++
				}
				if len(out.Messages) == 0 {
					empty++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	p.equal(0, len(errs), fmt.Sprint("errors: ", errs))
	p.equal(messages, len(seen), "different messages")
	for body, n := range seen {
		p.equal(1, n, "receives of "+body)
	}
}

func visibilityChecks() []check {
	const guide = "Amazon SQS visibility timeout, Developer Guide"
	const page = "ChangeMessageVisibility, Amazon SQS API Reference"
	return []check{
		{"sqs/visibility/hidden-in-flight", guide, "A received message is hidden.", onQueue(visibilityHidden)},
		{"sqs/visibility/expiry", guide, "A message that is not deleted comes back when its timeout ends.", onQueue(visibilityExpiry)},
		{"sqs/visibility/queue-timeout", guide, "Without a timeout of the receive the queue's holds.", visibilityByQueue},
		{"sqs/visibility/receive-count", "ReceiveMessage, Amazon SQS API Reference", "ApproximateReceiveCount counts the receives; sent time and first receive stay.", inFlight(30, visibilityReceiveCount)},
		{"sqs/visibility/zero-gives-back", page, "A timeout of 0 makes the message visible at once.", inFlight(300, visibilityZero)},
		{"sqs/visibility/extend", page, "A longer timeout counts from the call.", inFlight(1, visibilityExtend)},
		{"sqs/visibility/over-12-hours-refused", page, "A timeout is at most 43,200 seconds.", inFlight(30, visibilityLimit)},
		{"sqs/visibility/timeout-over", "AWS's behavior; the API reference has MessageNotInflight", "A receipt whose timeout is over hides the message again.", inFlight(30, visibilityOver)},
		{"sqs/visibility/older-receipt", "AWS's behavior; the API reference has MessageNotInflight", "A receipt of an earlier receive changes the visibility.", inFlight(30, visibilityOlder)},
		{"sqs/visibility/deleted-refused", page, "The visibility of a deleted message cannot be changed.", inFlight(30, visibilityDeleted)},
		{"sqs/visibility/invalid-handle-refused", page, "A receipt handle that is none is refused with ReceiptHandleIsInvalid.", onQueue(visibilityBadHandle)},
	}
}

func visibilityHidden(p *probe, url string) {
	p.send(url, "x")
	p.takeOne(url, 30)
	p.nothing(url, "it is in flight")
}

func visibilityExpiry(p *probe, url string) {
	sent := p.send(url, "x")
	start := time.Now()
	first := p.takeOne(url, 2)
	again := p.comesBackWithin(url, start, 1900*time.Millisecond, 2*time.Second+p.slack())
	p.equal(aws.ToString(sent.MessageId), aws.ToString(again.MessageId), "message id")
	if aws.ToString(first.ReceiptHandle) == aws.ToString(again.ReceiptHandle) {
		p.failf("two receives have one receipt handle")
	}
}

func visibilityByQueue(p *probe) {
	url := p.queue(attributes{"VisibilityTimeout": "2"})
	p.send(url, "x")
	start := time.Now()
	p.takeOne(url, 0)
	p.comesBackWithin(url, start, 1900*time.Millisecond, 2*time.Second+p.slack())
}

func visibilityReceiveCount(p *probe, url string, first types.Message) {
	for n := 2; n <= 4; n++ {
		m := p.takeAgain(url, first)
		p.equal(fmt.Sprint(n), m.Attributes["ApproximateReceiveCount"], "receive count")
		for _, stays := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
			p.equal(first.Attributes[stays], m.Attributes[stays], stays)
		}
		first.ReceiptHandle = m.ReceiptHandle
	}
}

// takeAgain gives the message back and receives it again.
func (p *probe) takeAgain(url string, m types.Message) types.Message {
	p.ok(p.hide(url, m, 0), "give back")
	return p.takeOne(url, 30)
}

func visibilityZero(p *probe, url string, m types.Message) {
	start := time.Now()
	p.ok(p.hide(url, m, 0), "give back")
	p.comesBackWithin(url, start, 0, p.slack())
}

func visibilityExtend(p *probe, url string, m types.Message) {
	start := time.Now()
	p.ok(p.hide(url, m, 3), "extend")
	p.comesBackWithin(url, start, 2900*time.Millisecond, 3*time.Second+p.slack())
}

func visibilityLimit(p *probe, url string, m types.Message) {
	p.refused(p.hide(url, m, 43201), badValue, "hide for 43201 seconds")
	p.refused(p.hide(url, m, -1), badValue, "hide for -1 seconds")
}

func visibilityOver(p *probe, url string, m types.Message) {
	p.ok(p.hide(url, m, 0), "give back")
	p.ok(p.hide(url, m, 30), "hide a visible message")
	p.nothing(url, "it is hidden again")
}

func visibilityOlder(p *probe, url string, old types.Message) {
	p.takeAgain(url, old)
	start := time.Now()
	p.ok(p.hide(url, old, 0), "give back by the older receipt")
	p.comesBackWithin(url, start, 0, p.slack())
}

func visibilityDeleted(p *probe, url string, m types.Message) {
	p.ok(p.remove(url, m), "delete")
	p.refused(p.hide(url, m, 10), "MessageNotInflight|ReceiptHandleIsInvalid|"+badValue, "hide a deleted message")
}

func (p *probe) badHandle(url string) types.Message {
	return types.Message{ReceiptHandle: aws.String("not-a-receipt-handle")}
}

func visibilityBadHandle(p *probe, url string) {
	typed[*types.ReceiptHandleIsInvalid](p, p.hide(url, p.badHandle(url), 10), "hide with a bad handle")
}

func deleteMessageChecks() []check {
	const page = "DeleteMessage, Amazon SQS API Reference"
	return []check{
		{"sqs/delete/gone", page, "A deleted message never comes back.", deleteGone},
		{"sqs/delete/twice", page, "Deleting a message again is not an error.", inFlight(30, deleteAgain)},
		{"sqs/delete/newest-receipt", page, "The newest receipt handle deletes a message that was received again.", onQueue(deleteNewest)},
		{"sqs/delete/stale-receipt", page, "An older receipt handle is answered as a success though the message may stay.", inFlight(30, deleteStale)},
		{"sqs/delete/after-visibility-timeout", "Amazon SQS visibility timeout, Developer Guide", "A message whose timeout is over can still be deleted if it was not received since.", inFlight(1, deleteLate)},
		{"sqs/delete/invalid-handle-refused", page, "A receipt handle that is none is refused with ReceiptHandleIsInvalid.", onQueue(deleteBadHandle)},
	}
}

func deleteGone(p *probe) {
	url := p.queue(attributes{"VisibilityTimeout": "1"})
	p.send(url, "x")
	p.ok(p.remove(url, p.takeOne(url, 1)), "delete")
	p.nothing(url, "it was deleted")
	p.counts(url, 0, 0, 0)
}

func deleteAgain(p *probe, url string, m types.Message) {
	p.ok(p.remove(url, m), "delete")
	p.ok(p.remove(url, m), "delete again")
}

func deleteNewest(p *probe, url string) {
	p.send(url, "x")
	p.ok(p.remove(url, p.takeAgain(url, p.takeOne(url, 30))), "delete with the second receipt")
	p.counts(url, 0, 0, 0)
}

func deleteStale(p *probe, url string, first types.Message) {
	p.takeAgain(url, first)
	p.ok(p.remove(url, first), "delete with the first receipt")
}

func deleteLate(p *probe, url string, m types.Message) {
	start := time.Now()
	p.eventually("the timeout is over", func() bool { return time.Since(start) > 1200*time.Millisecond })
	p.ok(p.remove(url, m), "delete after the timeout")
	p.nothing(url, "it was deleted")
}

func deleteBadHandle(p *probe, url string) {
	typed[*types.ReceiptHandleIsInvalid](p, p.remove(url, p.badHandle(url)), "delete with a bad handle")
}

func queueBatchChecks() []check {
	const send = "SendMessageBatch, Amazon SQS API Reference"
	return []check{
		{"sqs/batch/send-ten", send, "Ten messages are sent at once, each answered with its id and MD5.", onQueue(batchSendTen)},
		{"sqs/batch/partial-failure", send, "A bad entry fails alone, the others are sent.", onQueue(batchPartial)},
		{"sqs/batch/duplicate-ids-refused", send, "Entry ids must be distinct.", onQueue(batchDuplicate)},
		{"sqs/batch/empty-refused", send, "A batch must have an entry.", refusedBatch[*types.EmptyBatchRequest](entries(0))},
		{"sqs/batch/eleven-refused", send, "A batch has at most ten entries.", refusedBatch[*types.TooManyEntriesInBatchRequest](entries(11))},
		{"sqs/batch/invalid-id-refused", send, "An entry id has letters, digits, hyphens and underscores only.",
			refusedBatch[*types.InvalidBatchEntryId]([]types.SendMessageBatchRequestEntry{{Id: aws.String("not valid!"), MessageBody: aws.String("00")}})},
		{"sqs/batch/total-1-mib", send, "The messages of a batch have at most 1,048,576 bytes together.", onQueue(batchTotal)},
		{"sqs/batch/delete", "DeleteMessageBatch, Amazon SQS API Reference", "A batch of deletes fails entry by entry.", onQueue(batchDelete)},
	}
}

func entries(n int) []types.SendMessageBatchRequestEntry {
	all := make([]types.SendMessageBatchRequestEntry, n)
	for i := range all {
		all[i] = types.SendMessageBatchRequestEntry{Id: aws.String(fmt.Sprint("id-", i)), MessageBody: aws.String(fmt.Sprintf("%02d", i))}
	}
	return all
}

func (p *probe) sendBatch(url string, all []types.SendMessageBatchRequestEntry) (*sqs.SendMessageBatchOutput, error) {
	return p.sqs.SendMessageBatch(p.ctx, &sqs.SendMessageBatchInput{QueueUrl: &url, Entries: all})
}

func batchSendTen(p *probe, url string) {
	out, err := p.sendBatch(url, entries(10))
	p.ok(err, "send batch")
	p.equal([]int{10, 0}, []int{len(out.Successful), len(out.Failed)}, "successful and failed entries")
	for _, s := range out.Successful {
		p.equal(md5Hex(fmt.Sprintf("%02s", strings.TrimPrefix(aws.ToString(s.Id), "id-"))), aws.ToString(s.MD5OfMessageBody), "MD5")
	}
	p.equal([]string{"00", "01", "02", "03", "04", "05", "06", "07", "08", "09"}, bodies(p.take(url, 10, 30)), "bodies")
}

func batchPartial(p *probe, url string) {
	all := entries(3)
	all[1].MessageBody = aws.String("bad\x01character")
	out, err := p.sendBatch(url, all)
	p.ok(err, "send batch")
	p.equal([]int{2, 1}, []int{len(out.Successful), len(out.Failed)}, "successful and failed entries")
	p.equal("id-1", aws.ToString(out.Failed[0].Id), "failed entry")
	if !out.Failed[0].SenderFault || aws.ToString(out.Failed[0].Code) == "" {
		p.failf("the failed entry has code %q, sender's fault %v", aws.ToString(out.Failed[0].Code), out.Failed[0].SenderFault)
	}
	p.equal([]string{"00", "02"}, bodies(p.take(url, 2, 30)), "bodies")
}

func batchDuplicate(p *probe, url string) {
	all := entries(3)
	all[2].Id = all[0].Id
	typed[*types.BatchEntryIdsNotDistinct](p, errOf(p.sendBatch(url, all)), "send batch with an id twice")
	p.counts(url, 0, 0, 0)
}

// refusedBatch makes a check: the entries are refused whole with the error T.
func refusedBatch[T error](all []types.SendMessageBatchRequestEntry) func(*probe) {
	return onQueue(func(p *probe, url string) {
		typed[T](p, errOf(p.sendBatch(url, all)), fmt.Sprintf("send a batch of %d", len(all)))
	})
}

func batchTotal(p *probe, url string) {
	all := entries(2)
	all[0].MessageBody = aws.String(strings.Repeat("x", mebibyte/2))
	all[1].MessageBody = aws.String(strings.Repeat("y", mebibyte/2))
	out, err := p.sendBatch(url, all)
	p.ok(err, "send 1,048,576 bytes")
	p.equal(2, len(out.Successful), "successful entries")
	*all[1].MessageBody += "y"
	typed[*types.BatchRequestTooLong](p, errOf(p.sendBatch(url, all)), "send 1,048,577 bytes")
}

func batchDelete(p *probe, url string) {
	p.ok(errOf(p.sendBatch(url, entries(2))), "send batch")
	got := p.take(url, 2, 60)
	out, err := p.sqs.DeleteMessageBatch(p.ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got[0].ReceiptHandle}, {Id: aws.String("bad"), ReceiptHandle: p.badHandle(url).ReceiptHandle},
		{Id: aws.String("b"), ReceiptHandle: got[1].ReceiptHandle}}})
	p.ok(err, "delete batch")
	p.equal([]int{2, 1}, []int{len(out.Successful), len(out.Failed)}, "successful and failed entries")
	p.equal("bad", aws.ToString(out.Failed[0].Id), "failed entry")
	p.counts(url, 0, 0, 0)
}
