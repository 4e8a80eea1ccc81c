package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"tollgate/pkg/event"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// message is a message of the queue or the dead-letter queue.
type message struct {
	id         string
	body       string
	event      string // the event's id, for the checks
	receives   int
	visible    time.Time
	sent       time.Time
	first      time.Time         // receive
	clock      time.Duration     // skew of the queue's server that holds it
	attributes map[string]string // of our copies in the DLQ
	copied     int               // step of the latest copy of it in the DLQ, -1 for none
	held       int               // step of the latest copy of it in the hold queue, -1 for none
	astray     bool              // in the hold queue, and its copier was paused, late, or had a clock that jumped
	changed    int               // step of the latest change of its visibility with an old receipt, -1 for none
	refuses    int               // which copies are too large for the DLQ, see sizeOf
}

// receipt returns the latest receive's handle.
func (m *message) receipt() string { return fmt.Sprintf("%s/%d", m.id, m.receives) }

// standardQueue simulates an SQS standard queue: at least once, in any order.
type standardQueue struct {
	sc          *scenario
	name        string
	messages    []*message
	next        int
	maxReceives int // 0: no dead-letter queue
	retention   time.Duration
	visibility  time.Duration
}

func (q *standardQueue) add(body, eventID string, sent time.Time) *message {
	q.next++
	q.sc.count("added to " + q.name)
	if q == q.sc.queue {
		q.sc.fact(eventID).messages++
	}
	large := 0
	if q == q.sc.queue && q.sc.faulty(q.sc.plan.large) {
		large = 1 + q.sc.rng.IntN(refusesAll)
	}
	m := &message{
		id: fmt.Sprintf("%s%d", q.name, q.next), body: body, event: eventID, visible: time.Now(), sent: sent,
		clock: q.sc.plan.queueClock + q.sc.around(q.sc.plan.queueJitter), copied: -1, held: -1, changed: -1, refuses: large,
	}
	q.messages = append(q.messages, m)
	return m
}

func (q *standardQueue) find(id string) *message {
	for _, m := range q.messages {
		if m.id == id {
			return m
		}
	}
	return nil
}

// Count is exact and immediate, which SQS's is at best.
func (d deadLetters) Count(ctx context.Context) (visible, hidden int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // of the SDK's own transport
	defer cancel()
	err = do(d.sc, ctx, opCount, d.q.name, func() error {
		p := procOf(ctx)
		d.q.expire()
		visible, p.unseen = d.q.visibleNow(), 0
		hidden = len(d.q.messages) - visible
		for _, m := range d.q.messages {
			if m.visible.After(time.Now()) && !p.seen[m.id] {
				p.unseen++
			}
		}
		return nil
	})
	return visible, hidden, err
}

func (q *standardQueue) remove(id string) {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.id == id })
}

// expire deletes messages older than the retention.
func (q *standardQueue) expire() {
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool {
		old := time.Since(m.sent) > q.retention
		if old {
			q.sc.log("message %s of %s expires", m.id, m.event)
			q.sc.fact(m.event).expired = true
			if q == q.sc.dead {
				q.sc.removedBy(nil)
			}
			q.sc.count("expires: a message of " + q.name)
		}
		return old
	})
}

// take returns up to n visible messages in random order, and sometimes one in flight, as a standard
// queue may.
func (q *standardQueue) take(n int) []queue.Message {
	q.expire()
	var out []queue.Message
	for _, i := range q.sc.rng.Perm(len(q.messages)) {
		m := q.messages[i]
		if len(out) == n {
			break
		}
		if m.visible.After(time.Now()) && !q.sc.faulty(q.sc.plan.twice) {
			continue
		}
		if m.visible.After(time.Now()) {
			q.sc.count("handed out again while in flight: " + q.name)
		}
		if q.maxReceives > 0 && m.receives >= q.maxReceives {
			q.sc.log("message %s of %s goes to the DLQ after %d receives", m.id, m.event, m.receives)
			q.sc.dead.add(m.body, m.event, m.sent) // retention counts from the original send
			q.sc.fact(m.event).copied = q.sc.step
			m.body = ""
			continue
		}
		if m.receives++; m.receives == 1 {
			m.first = time.Now()
		}
		m.visible = time.Now().Add(q.visibility)
		out = append(out, queue.Message{
			ID: m.id, Receipt: m.receipt(), Body: m.body, Receives: m.receives,
			SentAt: m.sent.Add(m.clock), FirstReceivedAt: m.first.Add(m.clock),
		})
	}
	q.messages = slices.DeleteFunc(q.messages, func(m *message) bool { return m.body == "" })
	return out
}

// visibleNow counts the visible messages.
func (q *standardQueue) visibleNow() (n int) {
	for _, m := range q.messages {
		if !m.visible.After(time.Now()) {
			n++
		}
	}
	return n
}

// nextVisible returns when the next message becomes visible, zero if none is hidden.
func (q *standardQueue) nextVisible() (at time.Time) {
	for _, m := range q.messages {
		if m.visible.After(time.Now()) && (at.IsZero() || m.visible.Before(at)) {
			at = m.visible
		}
	}
	return at
}

// consumerQueue implements consumer.Queue.
type consumerQueue struct{ sc *scenario }

func messageID(receipt string) string {
	for i := range receipt {
		if receipt[i] == '/' {
			return receipt[:i]
		}
	}
	return receipt
}

// SetVisibility works with any receipt of a message that is in flight, as SQS's does.
func (q consumerQueue) SetVisibility(ctx context.Context, receipt string, d time.Duration) error {
	return q.sc.clients.queues.do(q.sc, ctx, opVisibility, receipt, func() error {
		m := q.sc.queue.find(messageID(receipt))
		if m == nil || !m.visible.After(time.Now()) {
			return errors.New("the message is not in flight")
		}
		if m.receipt() != receipt {
			m.changed = q.sc.step
			q.sc.count("visibility set with an old receipt")
		}
		m.visible = time.Now().Add(d.Truncate(time.Second))
		return nil
	})
}

func (q consumerQueue) Delete(ctx context.Context, receipts []string) error {
	return q.sc.clients.queues.do(q.sc, ctx, opDelete, receipts[0], func() error {
		for _, r := range receipts {
			q.sc.acknowledged(procOf(ctx), r)
		}
		return nil
	})
}

func (q consumerQueue) DeadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error {
	return sqsqueue.New(copier{sc: q.sc, m: m, d: d}, "", "", q.sc.limits).DeadLetter(ctx, m, d)
}

// copier is the SQS client for a copy to the dead-letter queue.
type copier struct {
	sqsqueue.Client
	sc *scenario
	m  queue.Message
	d  queue.DeadLetter
}

// Copies that the DLQ refuses for their size; each includes the ones before.
const (
	refusesError      = 1 + iota // with the error's text
	refusesAttributes            // with attributes
	refusesAll
)

// SendMessage implements sqsqueue.Client.
func (c copier) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	err := c.sc.clients.queues.do(c.sc, ctx, opDead, c.m.ID, func() error {
		p, attributes := procOf(ctx), map[string]string{}
		for name, v := range in.MessageAttributes {
			attributes[name] = *v.StringValue
		}
		m := c.sc.queue.find(c.m.ID)
		if size := sizeOf(attributes); m != nil && m.refuses >= size {
			c.sc.count(fmt.Sprintf("the DLQ refuses a copy for its size: %d", size))
			p.tooLarge = noted(p.tooLarge, m.id)
			return &smithy.GenericAPIError{Code: "InvalidParameterValue", Message: "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes."}
		}
		c.sc.parked(p, c.m.ID, c.d)
		f := p.of(c.m.ID).f
		c.sc.dead.add(c.sc.original(c.m), f.id, time.Now()).attributes = attributes
		if f.copied = c.sc.step; m != nil {
			m.copied = c.sc.step
		}
		return nil
	})
	return &sqs.SendMessageOutput{MessageId: aws.String("copy")}, err
}

// sizeOf classifies a copy by its attributes.
func sizeOf(attributes map[string]string) int {
	switch {
	case attributes["error"] != "":
		return refusesError
	case len(attributes) > 0:
		return refusesAttributes
	}
	return refusesAll
}

// noted adds to a set.
func noted(set map[string]bool, one string) map[string]bool {
	if set == nil {
		set = map[string]bool{}
	}
	set[one] = true
	return set
}

// invocation is the payload of Lambda's event source mapping.
func invocation(batch []queue.Message) []byte {
	var in events.SQSEvent
	for _, m := range batch {
		in.Records = append(in.Records, events.SQSMessage{
			MessageId: m.ID, ReceiptHandle: m.Receipt, Body: m.Body,
			Attributes: map[string]string{
				"ApproximateReceiveCount": strconv.Itoa(m.Receives), "SentTimestamp": strconv.FormatInt(m.SentAt.UnixMilli(), 10),
				"ApproximateFirstReceiveTimestamp": strconv.FormatInt(m.FirstReceivedAt.UnixMilli(), 10),
			},
		})
	}
	raw, err := json.Marshal(in)
	if err != nil {
		panic(err)
	}
	return raw
}

// failures reads a batch response as Lambda does: no content, null and an empty list all mean
// success.
func failures(answer []byte) (ids []string) {
	var out events.SQSEventResponse
	if len(answer) > 0 && json.Unmarshal(answer, &out) != nil {
		panic("a batch response that Lambda cannot read")
	}
	for _, f := range out.BatchItemFailures {
		ids = append(ids, f.ItemIdentifier)
	}
	return ids
}

// sender enqueues envelopes for ingest, reconcile and operators.
type sender struct{ sc *scenario }

func (s sender) Send(ctx context.Context, e event.Envelope, trace string) error {
	_, err := s.Enqueue(ctx, e, trace)
	return err
}

func (s sender) Enqueue(ctx context.Context, e event.Envelope, trace string) (string, error) {
	real := sqsqueue.New(enqueuer{sc: s.sc, e: e}, "", "", s.sc.limits)
	real.Random = half
	return real.Enqueue(ctx, e, trace)
}

// enqueuer is the SQS client for a send.
type enqueuer struct {
	sqsqueue.Client
	sc *scenario
	e  event.Envelope
}

// SendMessage implements sqsqueue.Client.
func (q enqueuer) SendMessage(ctx context.Context, in *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	err := q.sc.clients.sends.do(q.sc, ctx, opSend, q.e.ID, func() error {
		q.sc.receivedBy(q.e)
		q.sc.sentUnder(procOf(ctx), q.e)
		q.sc.unpurged(procOf(ctx), q.sc.fact(q.e.ID))
		q.sc.queue.add(q.sc.produced(q.sc.unnamed(*in.MessageBody)), q.e.ID, time.Now())
		return nil
	})
	return &sqs.SendMessageOutput{MessageId: aws.String("message")}, err
}

// deadLetters implements the queues of package redrive for the dead-letter queue or the hold queue.
type deadLetters struct {
	sc *scenario
	q  *standardQueue
}

func (d deadLetters) Receive(ctx context.Context, limit int, hide time.Duration) (out []redrive.Received, err error) {
	err = do(d.sc, ctx, opReceive, d.q.name, func() error {
		for _, m := range d.q.take(limit) {
			m.Body = readBy(procOf(ctx).release, m.Body)
			if seen := procOf(ctx).seen; seen != nil {
				seen[m.ID] = true
			}
			d.q.find(m.ID).visible = time.Now().Add(hide)
			out = append(out, redrive.Received{Message: m, Attributes: d.q.find(m.ID).attributes})
		}
		return nil
	})
	return out, err
}

func (d deadLetters) SetVisibility(ctx context.Context, receipt string, hide time.Duration) error {
	return do(d.sc, ctx, opVisibility, receipt, func() error {
		if m := d.q.find(messageID(receipt)); m != nil {
			m.visible = time.Now().Add(hide)
		}
		return nil
	})
}

func (d deadLetters) Send(ctx context.Context, messages []queue.Message) (refused map[string]error, err error) {
	return d.batch(ctx, opSend, messages, func(m queue.Message) {
		env, err := queue.Decode(m.Body)
		if err != nil && !errors.Is(err, queue.ErrNewer) {
			panic(err)
		}
		d.sc.queue.add(m.Body, env.ID, time.Now())
	})
}

func (d deadLetters) Delete(ctx context.Context, messages []queue.Message) (kept map[string]error, err error) {
	return d.batch(ctx, opDelete, messages, func(m queue.Message) {
		if d.q == d.sc.dead {
			d.sc.removedBy(procOf(ctx))
		}
		if p := procOf(ctx); p.purging != nil && d.q.find(m.ID) != nil {
			d.sc.checkPurgedDeadLetter(p, m.ID)
		}
		d.q.remove(m.ID)
	})
}

// batch applies a part of a batch, as SQS may.
func (d deadLetters) batch(ctx context.Context, op opName, messages []queue.Message, each func(queue.Message)) (not map[string]error, err error) {
	err = do(d.sc, ctx, op, messages[0].ID, func() error {
		not = map[string]error{}
		for _, m := range messages {
			if d.sc.faulty(d.sc.plan.fault) || d.sc.fails(queues) {
				not[m.ID] = errors.New("simulated")
			} else {
				each(m)
			}
		}
		return nil
	})
	return not, err
}
