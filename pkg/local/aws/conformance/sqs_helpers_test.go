package conformance

import (
	"context"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

type attributes = map[string]string

const (
	badValue     = "InvalidParameterValue|InvalidParameterValueException"
	badAttribute = "InvalidAttributeName|InvalidAttributeValue"
	missingQueue = "NonExistentQueue|QueueDoesNotExist"
)

// queue makes a standard queue and returns its URL.
func (p *probe) queue(a attributes) string { return p.queueNamed(unique(), a) }

func (p *probe) queueNamed(name string, a attributes) string {
	out, err := p.sqs.CreateQueue(p.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: a})
	p.ok(err, "create queue")
	url := aws.ToString(out.QueueUrl)
	p.atEnd(func(ctx context.Context) { p.sqs.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url}) })
	return url
}

func (p *probe) queueAttributes(url string, names ...string) attributes {
	wanted := make([]types.QueueAttributeName, len(names))
	for i, n := range names {
		wanted[i] = types.QueueAttributeName(n)
	}
	out, err := p.sqs.GetQueueAttributes(p.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: wanted})
	p.ok(err, "get queue attributes")
	return out.Attributes
}

func (p *probe) arn(url string) string {
	arn := p.queueAttributes(url, "QueueArn")["QueueArn"]
	if arn == "" {
		p.failf("queue %s has no ARN", url)
	}
	return arn
}

// withDeadLetters makes a queue and its dead-letter queue.
func (p *probe) withDeadLetters(maxReceives int, a attributes) (url, dead string) {
	dead = p.queue(nil)
	all := attributes{"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, p.arn(dead), maxReceives)}
	for k, v := range a {
		all[k] = v
	}
	return p.queue(all), dead
}

func (p *probe) send(url, body string) *sqs.SendMessageOutput {
	return p.sendInput(&sqs.SendMessageInput{QueueUrl: &url, MessageBody: &body})
}

func (p *probe) sendInput(in *sqs.SendMessageInput) *sqs.SendMessageOutput {
	out, err := p.sqs.SendMessage(p.ctx, in)
	p.ok(err, "send")
	return out
}

func (p *probe) sendRefused(in *sqs.SendMessageInput, codes, doing string) {
	p.refused(errOf(p.sqs.SendMessage(p.ctx, in)), codes, doing)
}

// receiving asks for everything about up to ten messages, the deprecated
// AttributeNames too since older services know no other.
func receiving(url string) *sqs.ReceiveMessageInput {
	return &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10,
		MessageAttributeNames: []string{"All"},
		//lint:ignore SA1019 older services know no other
		AttributeNames:              []types.QueueAttributeName{types.QueueAttributeNameAll},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	}
}

func (p *probe) receive(in *sqs.ReceiveMessageInput) []types.Message {
	out, err := p.sqs.ReceiveMessage(p.ctx, in)
	p.ok(err, "receive")
	return out.Messages
}

// take receives until it has n messages, hidden for that many seconds (0: the queue's own timeout).
func (p *probe) take(url string, n int, hidden int32) []types.Message {
	in := receiving(url)
	in.WaitTimeSeconds, in.VisibilityTimeout = 1, hidden
	var got []types.Message
	p.eventually(fmt.Sprintf("%d messages are received", n), func() bool {
		in.MaxNumberOfMessages = int32(min(n-len(got), 10))
		got = append(got, p.receive(in)...)
		return len(got) >= n
	})
	return got
}

func (p *probe) takeOne(url string, hidden int32) types.Message { return p.take(url, 1, hidden)[0] }

// nothing wants no message to be visible, for a second.
func (p *probe) nothing(url, why string) {
	in := receiving(url)
	in.WaitTimeSeconds = 1
	if got := p.receive(in); len(got) > 0 {
		p.failf("received %q though %s", aws.ToString(got[0].Body), why)
	}
}

// comesBackWithin wants the next message no sooner and not much later than given, counted from since.
func (p *probe) comesBackWithin(url string, since time.Time, soonest, latest time.Duration) types.Message {
	got := p.takeOne(url, 30)
	if waited := time.Since(since); waited < soonest || waited > latest {
		p.failf("the message came after %v, want %v to %v", waited, soonest, latest)
	}
	return got
}

// slack is how much later than its clock says a message may come on a busy machine.
func (p *probe) slack() time.Duration { return p.target.patience / 2 }

func (p *probe) remove(url string, m types.Message) error {
	_, err := p.sqs.DeleteMessage(p.ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle})
	return err
}

func (p *probe) hide(url string, m types.Message, seconds int32) error {
	_, err := p.sqs.ChangeMessageVisibility(p.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &url,
		ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
	return err
}

func bodies(messages []types.Message) []string {
	all := make([]string, len(messages))
	for i, m := range messages {
		all[i] = aws.ToString(m.Body)
	}
	slices.Sort(all)
	return all
}

// counts waits until the queue reports that many visible, hidden and delayed messages.
func (p *probe) counts(url string, visible, hidden, delayed int) {
	want := fmt.Sprint(visible, hidden, delayed)
	last := ""
	defer func() {
		if r := recover(); r != nil {
			p.failf("visible, hidden and delayed messages are counted as %s, want %s", last, want)
		}
	}()
	p.eventually("the counts are "+want, func() bool {
		a := p.queueAttributes(url, "All")
		last = strings.Join([]string{a["ApproximateNumberOfMessages"], a["ApproximateNumberOfMessagesNotVisible"],
			a["ApproximateNumberOfMessagesDelayed"]}, " ")
		return last == want
	})
}

// millis reads a message's attribute that is a time.
func (p *probe) millis(m types.Message, attribute string) time.Time {
	ms, err := strconv.ParseInt(m.Attributes[attribute], 10, 64)
	if err != nil {
		p.failf("attribute %s is %q, want milliseconds", attribute, m.Attributes[attribute])
	}
	return time.UnixMilli(ms)
}

// near wants a time within the target's patience of now: the clocks of two machines are compared.
func (p *probe) near(got time.Time, what string) {
	if d := time.Since(got).Abs(); d > p.target.patience {
		p.failf("%s is %v away from now", what, d)
	}
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

// typed ends the check unless err is the SDK's own type for it.
func typed[T error](p *probe, err error, doing string) {
	if _, ok := errors.AsType[T](err); !ok {
		var want T
		p.failf("%s: %v, want the typed error %T", doing, err, want)
	}
}

// attributesMD5 encodes message attributes as the developer guide says (sorted by
// name; length and bytes of name and type; 1 or 2 for text or bytes; length and
// bytes of the value) and hashes that.
func attributesMD5(all map[string]types.MessageAttributeValue) string {
	var encoded []byte
	add := func(b []byte) {
		encoded = binary.BigEndian.AppendUint32(encoded, uint32(len(b)))
		encoded = append(encoded, b...)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		v := all[name]
		add([]byte(name))
		add([]byte(*v.DataType))
		if v.StringValue != nil {
			encoded = append(encoded, 1)
			add([]byte(*v.StringValue))
		} else {
			encoded = append(encoded, 2)
			add(v.BinaryValue)
		}
	}
	return md5Hex(string(encoded))
}
