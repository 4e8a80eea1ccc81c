package redrive

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/time/rate"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// DefaultRate is how many messages a second are sent unless the options name a rate: well
// below what the consumer handles, so that one outage's messages do not cause the next.
const DefaultRate = 20

// MaxRate bounds the rate, as SQS's own move does.
const MaxRate = 500

// mover is one move of messages of a plan.
type mover struct {
	*DLQ
	plan     *Plan
	most     int  // messages that may still be sent
	track    bool // note each message with its record, to tell its outcome later
	evidence bool // send only messages whose outcome can be known
	onSent   func(n int)
	limiter  *rate.Limiter
	result   *Result
}

// move moves messages of the plan: each is sent, and deleted only after that, so that a crash
// or a lost response can duplicate a message and never lose one; its record recognizes the
// duplicate. It ends with the plan, at its limit, when the queue returns no more, when a
// request fails, or between two batches when the context is cancelled, which is an error.
// What was not moved is shown again and stays in the plan.
func (m *mover) move(ctx context.Context, perSecond int) error {
	if m.most = min(cmp.Or(m.most, m.plan.Left()), m.plan.Left()); m.most == 0 {
		return nil
	}
	perSecond = min(cmp.Or(max(perSecond, 0), DefaultRate), MaxRate)
	batch := min(max(perSecond/2, 1), limits.SQSMaxBatch) // at least two batches a second
	m.limiter = rate.NewLimiter(rate.Limit(perSecond), batch)
	_, err := m.walk(ctx, MaxMessages, func(f *inFlight, received []Received) (bool, error) {
		err := m.batch(ctx, f, received)
		return m.most > 0, err
	})
	return stopped(ctx, "move", m.result.Moved, err)
}

// stopped describes how a pass that processed n messages ended.
func stopped(ctx context.Context, verb string, n int, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s dead letters: stopped after %d: %w", verb, n, ctx.Err())
	default:
		return fmt.Errorf("%s dead letters: failed after %d: %w", verb, n, err)
	}
}

// batch moves the planned ones of the received messages, at the rate.
func (m *mover) batch(ctx context.Context, f *inFlight, received []Received) error {
	selected, err := m.choose(ctx, received)
	if err != nil {
		return err
	}
	for _, part := range requests(selected, m.limiter.Burst()) {
		if err := m.limiter.WaitN(ctx, len(part)); err != nil {
			return err
		}
		if err := m.send(context.WithoutCancel(ctx), f, part); err != nil {
			return err
		}
	}
	return nil
}

// outgoing is a message that is going to be moved.
type outgoing struct {
	m    Received
	sent Sent
}

// choose returns the messages to move, with what their records are before.
func (m *mover) choose(ctx context.Context, received []Received) (chosen []outgoing, err error) {
	for _, r := range received {
		if m.plan.has(r) {
			chosen = append(chosen, outgoing{m: r})
		}
	}
	if m.track {
		if err := readBefore(ctx, m.Records, chosen); err != nil {
			return nil, err
		}
	}
	if m.evidence {
		chosen = slices.DeleteFunc(chosen, func(o outgoing) bool { return !o.sent.open() })
	}
	return chosen[:min(len(chosen), m.most)], nil
}

// requests splits messages into requests of at most n messages and limits.MaxQueueRequest bytes.
func requests(list []outgoing, n int) (all [][]outgoing) {
	start, bytes := 0, 0
	for i, o := range list {
		if i > start && (i-start == n || bytes+len(o.m.Body) > limits.MaxQueueRequest) {
			all = append(all, list[start:i])
			start, bytes = i, 0
		}
		bytes += len(o.m.Body)
	}
	if start < len(list) {
		all = append(all, list[start:])
	}
	return all
}

// send sends messages and then deletes those that are certainly stored.
func (m *mover) send(ctx context.Context, f *inFlight, part []outgoing) error {
	messages := make([]queue.Message, len(part))
	for i, o := range part {
		messages[i] = o.m.Message
	}
	refused, err := call(ctx, m.Mover.Send, messages)
	if err != nil {
		return err
	}
	var stored []queue.Message
	for _, o := range part {
		m.most--
		m.plan.processed(o.m)
		if err := refused[o.m.ID]; err != nil {
			m.result.Refused, m.result.Refusal = m.result.Refused+1, err.Error()
			continue
		}
		m.result.Moved++
		stored = append(stored, o.m.Message)
		if m.track {
			m.result.Sent = append(m.result.Sent, o.sent)
		}
	}
	if m.onSent != nil {
		m.onSent(len(stored))
	}
	kept, err := m.remove(ctx, f, stored)
	m.result.Undeleted += kept
	return err
}

// remove deletes messages, with one retry for those that were kept, and drops the deleted
// ones from f. It returns how many may still be there.
func (d *DLQ) remove(ctx context.Context, f *inFlight, messages []queue.Message) (kept int, err error) {
	for range 2 {
		if len(messages) == 0 {
			return 0, nil
		}
		var refused map[string]error
		refused, err = call(ctx, d.Mover.Delete, messages)
		if err != nil {
			continue
		}
		var rest []queue.Message
		for _, m := range messages {
			if refused[m.ID] != nil {
				rest = append(rest, m)
			} else {
				f.forget(m.ID)
			}
		}
		messages = rest
	}
	return len(messages), err
}

// call bounds a request for messages by its own timeout.
func call(ctx context.Context, f func(context.Context, []queue.Message) (map[string]error, error), messages []queue.Message) (map[string]error, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return f(ctx, messages)
}
