package sqs

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/local/aws/awsjson"
)

type receiveInput struct {
	QueueUrl                    string
	MaxNumberOfMessages         *int
	WaitTimeSeconds             *int
	VisibilityTimeout           *int
	AttributeNames              []string
	MessageSystemAttributeNames []string
	MessageAttributeNames       []string
}

type receiveOutput struct {
	Messages []receivedMessage `json:",omitempty"`
}

type receivedMessage struct {
	MessageId              string
	ReceiptHandle          string
	Body                   string
	MD5OfBody              string
	Attributes             map[string]string    `json:",omitempty"`
	MessageAttributes      map[string]attribute `json:",omitempty"`
	MD5OfMessageAttributes string               `json:",omitempty"`
}

// delivery is a received message.
type delivery struct {
	payload
	state
	handle string
}

// waiter is a long poll, which may last over many turns.
type waiter struct {
	*call
	ctx        context.Context
	queue      *queue
	max        int
	visibility *int // seconds, the queue's own when nil
	deadline   int64
	got        []delivery
}

// maxMovesPerReceive bounds how many messages one receive dead-letters, as they share a write. If there are more, a
// long poll continues at once and a short poll may return nothing.
const maxMovesPerReceive = 100

func (s *Service) receiveMessage(ctx context.Context, in receiveInput) (receiveOutput, error) {
	if err := in.check(); err != nil {
		return receiveOutput{}, err
	}
	w := &waiter{ctx: ctx, max: 1, visibility: in.VisibilityTimeout}
	if in.MaxNumberOfMessages != nil {
		w.max = *in.MaxNumberOfMessages
	}
	w.call = &call{reply: make(chan error, 1), run: func(t *turn) error {
		q, err := t.byURL(in.QueueUrl)
		if err != nil {
			return err
		}
		wait := q.settings.wait
		if in.WaitTimeSeconds != nil {
			wait = *in.WaitTimeSeconds
		}
		w.queue, w.deadline = q, t.now+t.span(wait)
		return t.receive(w, wait > 0)
	}}
	if err := s.enter(w.call); err != nil {
		return receiveOutput{}, err
	}
	if err := s.await(ctx, w); err != nil {
		return receiveOutput{}, err
	}
	return in.answer(w.got), nil
}

// await waits for the answer. A caller that goes away is removed from the waiters, so that it gets no message.
func (s *Service) await(ctx context.Context, w *waiter) error {
	select {
	case err := <-w.reply:
		return err
	case <-ctx.Done():
	}
	s.do(func(t *turn) error {
		if w.queue != nil {
			t.dismiss(w)
		}
		return nil
	})
	return <-w.reply
}

func (in receiveInput) check() error {
	bounds := []struct {
		name      string
		value     *int
		low, high int
	}{
		{"MaxNumberOfMessages", in.MaxNumberOfMessages, 1, 10},
		{"WaitTimeSeconds", in.WaitTimeSeconds, 0, 20},
		{"VisibilityTimeout", in.VisibilityTimeout, 0, 43_200},
	}
	for _, b := range bounds {
		if b.value != nil && (*b.value < b.low || *b.value > b.high) {
			return errOutOfRange(b.name, *b.value, b.low, b.high)
		}
	}
	for _, name := range slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames) {
		if !isSystemAttribute(name) {
			return errAttributeName(name)
		}
	}
	for _, name := range in.MessageAttributeNames {
		plain := strings.TrimSuffix(name, ".*")
		if name != ".*" && checkAttributeName(plain) != nil {
			return errInvalidParameter("Value %s for parameter MessageAttributeNames is invalid.", name)
		}
	}
	return nil
}

// isSystemAttribute reports whether AWS lists the name; standard queues never set the last three.
func isSystemAttribute(name string) bool {
	switch name {
	case "All", "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
		"MessageGroupId", "AWSTraceHeader", "DeadLetterQueueSourceArn",
		"SequenceNumber", "MessageDeduplicationId", "SqsManagedSseEnabled":
		return true
	}
	return false
}

// receive returns visible messages, or makes the caller wait.
func (t *turn) receive(w *waiter, long bool) error {
	if w.got = t.take(w.queue, w.max, w.visibility); len(w.got) > 0 {
		return nil
	}
	if long {
		w.queue.waiters = append(w.queue.waiters, w)
		return errWaiting
	}
	if w.queue.inFlight() >= t.limit {
		return errOverLimit()
	}
	return nil
}

// serveWaiters gives visible messages to the longest waiting polls, and ends those whose wait is over.
func (t *turn) serveWaiters() {
	for _, q := range t.byName() {
		if len(q.waiters) == 0 {
			continue
		}
		t.touch(q)
		for _, w := range slices.Clone(q.waiters) {
			if w.ctx.Err() != nil {
				t.dismiss(w)
				continue
			}
			w.got = t.take(q, w.max, w.visibility)
			if len(w.got) > 0 || w.deadline <= t.now {
				t.dismiss(w)
			}
		}
	}
}

// dismiss answers a waiter with its messages; it does nothing if the waiter is gone.
func (t *turn) dismiss(w *waiter) {
	if i := slices.Index(w.queue.waiters, w); i >= 0 {
		w.queue.waiters = slices.Delete(w.queue.waiters, i, i+1)
		t.end(w.call, nil)
	}
}

// take receives up to limit messages: counts them, hides them and records both.
func (t *turn) take(q *queue, limit int, visibility *int) []delivery {
	seconds := q.settings.visibility
	if visibility != nil {
		seconds = *visibility
	}
	var taken []*message
	var got []delivery
	for moves := 0; len(taken) < limit && q.ready.len() > 0 && q.inFlight()+len(taken) < t.limit; {
		m := q.ready.top()
		if to := t.deadLetterTarget(q, m); to != nil {
			if moves++; moves > maxMovesPerReceive {
				t.again = true
				break
			}
			t.deadLetter(q, to, m)
			continue
		}
		q.ready.pop()
		m.Receives, m.Here, m.Received, m.VisibleAt = m.Receives+1, m.Here+1, t.now, t.now+t.span(seconds)
		if m.FirstReceived == 0 {
			m.FirstReceived = t.now
		}
		taken = append(taken, m)
	}
	for _, m := range taken {
		q.settle(m, t.now) // only now: with a timeout of 0 it would be returned twice in one call
		t.saveState(q, m)
		handle := t.receipts.seal(receipt{Queue: q.id, Seq: m.seq, Receives: m.Receives})
		got = append(got, delivery{t.payload(q, m), m.state, handle})
	}
	return got
}

// deadLetterTarget is the queue to which this receive moves the message, nil to return the message. A deleted target
// gets nothing: the message stays.
func (t *turn) deadLetterTarget(q *queue, m *message) *queue {
	policy := q.settings.redrive
	if policy == nil || int(m.Here) < policy.maxReceives {
		return nil
	}
	return t.byARN(policy.target)
}

// answer returns each message with the requested attributes.
func (in receiveInput) answer(got []delivery) receiveOutput {
	var out receiveOutput
	system := slices.Concat(in.AttributeNames, in.MessageSystemAttributeNames)
	for _, d := range got {
		chosen := chooseMessageAttributes(d.Attributes, in.MessageAttributeNames)
		out.Messages = append(out.Messages, receivedMessage{
			MessageId: d.ID, ReceiptHandle: d.handle, Body: d.Body, MD5OfBody: d.BodyMD5,
			Attributes:        d.systemAttributes(system),
			MessageAttributes: chosen, MD5OfMessageAttributes: attributesMD5(chosen),
		})
	}
	return out
}

func (d delivery) systemAttributes(names []string) map[string]string {
	milliseconds := func(ns int64) string { return strconv.FormatInt(ns/int64(time.Millisecond), 10) }
	all := map[string]string{
		"SenderId":                         awsjson.Account,
		"SentTimestamp":                    milliseconds(d.Sent),
		"ApproximateReceiveCount":          strconv.FormatUint(uint64(d.Receives), 10),
		"ApproximateFirstReceiveTimestamp": milliseconds(d.FirstReceived),
		"MessageGroupId":                   d.Group,
		"AWSTraceHeader":                   d.Trace,
		"DeadLetterQueueSourceArn":         d.Source,
	}
	maps.DeleteFunc(all, func(name, value string) bool {
		return value == "" || !slices.Contains(names, "All") && !slices.Contains(names, name)
	})
	return all
}

// chooseMessageAttributes picks by name, by "prefix.*", or all by "All" or ".*".
func chooseMessageAttributes(all map[string]attribute, names []string) map[string]attribute {
	chosen := make(map[string]attribute)
	for name, a := range all {
		wanted := func(pattern string) bool {
			prefix, isPrefix := strings.CutSuffix(pattern, ".*")
			return pattern == "All" || pattern == name || isPrefix && strings.HasPrefix(name, prefix)
		}
		if slices.ContainsFunc(names, wanted) {
			chosen[name] = a
		}
	}
	return chosen
}
