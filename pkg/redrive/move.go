package redrive

import (
	"cmp"
	"context"
	"fmt"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// Mover sends letters to the queue of events and takes them out of the dead-letter
// queue. No call gets more than limits.SQSMaxBatch messages, or bodies of more than
// limits.MaxQueueRequest bytes together.
type Mover interface {
	// Send stores messages, each with its body and group and nothing else. Refused says by
	// message id which of them are not stored. After an error any of them may be stored.
	Send(ctx context.Context, messages []queue.Message) (refused map[string]error, err error)
	Deleter
}

// Deleter takes received messages out of the dead-letter queue.
type Deleter interface {
	// Delete says by message id which of them may still be there; after an error any may.
	Delete(ctx context.Context, messages []queue.Message) (kept map[string]error, err error)
}

// DefaultRate is how many letters a second a move sends unless told otherwise: well
// below what the consumer takes, so that an outage's letters do not become the next one.
const DefaultRate = 20

// MaxRate bounds the rate, as the queue's own move does.
const MaxRate = 500

// Move says how letters are moved.
type Move struct {
	Queue Queue // required
	Mover Mover // required
	// Records, when given, is read before each letter is sent, so that [Await] can tell
	// what became of it. Default none: nobody is going to ask.
	Records Records
	// Rate is how many letters a second are sent at most. Defaults to DefaultRate.
	Rate int
	// Limit is how many letters are moved at most. Defaults to all that are left.
	Limit int
	// Proof moves only letters whose outcome proves something: of an event with a record
	// to read that is not done. It needs Records.
	Proof bool
	// Sent is told of letters as they are sent. Default none.
	Sent func(n int)
}

// Moved is what a move came to, also when it ended early.
type Moved struct {
	Sent       int   // stored in the queue of events
	Undeleted  int   // of them, those that may still be in the dead-letter queue: harmless
	Refused    int   // not stored, and still in the dead-letter queue
	Refusal    error // why, of the last one
	Unreleased int   // letters that stay hidden for up to Options.Visibility
	Letters    []Sent
}

// Run moves letters of the plan: each is sent, and deleted only after that, so that a crash
// or a lost answer can double a letter and never lose one; its record takes the double for
// what it is. It ends with the plan, at the limit, when the queue shows no more, when a
// request fails, or between two batches when the context is cancelled, which is an error.
// What was not moved is shown again and is left in the plan for another run.
func (m Move) Run(ctx context.Context, p *Plan, o Options) (done Moved, err error) {
	o = o.withDefaults()
	r := &mover{Move: m, plan: p, pace: newPace(cmp.Or(max(m.Rate, 0), DefaultRate)), most: p.Left()}
	if m.Limit > 0 {
		r.most = min(r.most, m.Limit)
	}
	if r.most == 0 {
		return r.done, nil
	}
	unreleased, err := walk(ctx, m.Queue, o, func(h *hold, batch []Received) (bool, error) { return r.batch(ctx, h, batch) })
	r.done.Unreleased = unreleased
	return r.done, ended(ctx, "move", r.done.Sent, err)
}

// ended says how a pass that did something to n letters ended.
func ended(ctx context.Context, verb string, n int, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s dead letters: stopped after %d: %w", verb, n, ctx.Err())
	default:
		return fmt.Errorf("%s dead letters: failed after %d: %w", verb, n, err)
	}
}

// mover is one run of a move.
type mover struct {
	Move
	plan *Plan
	pace *pace
	most int // letters that may still be tried
	done Moved
}

// batch moves what the plan has of the received letters, in parts of a size that one
// request holds and the pace likes.
func (r *mover) batch(ctx context.Context, h *hold, batch []Received) (more bool, err error) {
	picked, err := r.pick(ctx, batch)
	if err != nil {
		return false, err
	}
	for _, part := range parts(picked, r.pace.most()) {
		if err := r.pace.wait(ctx, len(part)); err != nil {
			return false, err
		}
		if err := r.part(context.WithoutCancel(ctx), h, part); err != nil {
			return false, err
		}
	}
	return r.most > 0, nil
}

// letter is one that is going to be moved.
type letter struct {
	m    Received
	sent Sent
}

// pick returns the letters to move, with what their records say before.
func (r *mover) pick(ctx context.Context, batch []Received) (picked []letter, err error) {
	for _, m := range batch {
		if r.plan.has(m) {
			picked = append(picked, letter{m: m})
		}
	}
	if r.Records != nil {
		if err := before(ctx, r.Records, picked); err != nil {
			return nil, err
		}
	}
	if r.Proof {
		proof := picked[:0]
		for _, l := range picked {
			if l.sent.open() {
				proof = append(proof, l)
			}
		}
		picked = proof
	}
	return picked[:min(len(picked), r.most)], nil
}

// parts cuts letters into requests of at most n letters and limits.MaxQueueRequest bytes.
func parts(letters []letter, n int) (all [][]letter) {
	start, bytes := 0, 0
	for i, l := range letters {
		if i > start && (i-start == n || bytes+len(l.m.Body) > limits.MaxQueueRequest) {
			all = append(all, letters[start:i])
			start, bytes = i, 0
		}
		bytes += len(l.m.Body)
	}
	if start < len(letters) {
		all = append(all, letters[start:])
	}
	return all
}

// part sends letters and then deletes those that are stored for certain.
func (r *mover) part(ctx context.Context, h *hold, part []letter) error {
	messages := make([]queue.Message, len(part))
	for i, l := range part {
		messages[i] = l.m.Message
	}
	refused, err := r.send(ctx, messages)
	if err != nil {
		return err
	}
	var stored []queue.Message
	for _, l := range part {
		r.most--
		r.plan.take(l.m)
		if err := refused[l.m.ID]; err != nil {
			r.done.Refused, r.done.Refusal = r.done.Refused+1, err
			continue
		}
		r.done.Sent++
		stored = append(stored, l.m.Message)
		if r.Records != nil {
			r.done.Letters = append(r.done.Letters, l.sent)
		}
	}
	if r.Sent != nil {
		r.Sent(len(stored))
	}
	kept, err := remove(ctx, r.Mover, h, stored)
	r.done.Undeleted += kept
	return err
}

func (r *mover) send(ctx context.Context, messages []queue.Message) (map[string]error, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return r.Mover.Send(ctx, messages)
}

// remove deletes messages, those that were kept once more, and lets the hold forget
// what is gone. It returns how many may still be there.
func remove(ctx context.Context, d Deleter, h *hold, messages []queue.Message) (kept int, err error) {
	for range 2 {
		if len(messages) == 0 {
			return 0, nil
		}
		messages, err = removeOnce(ctx, d, h, messages)
	}
	return len(messages), err
}

// removeOnce returns the messages that may still be there.
func removeOnce(ctx context.Context, d Deleter, h *hold, messages []queue.Message) (rest []queue.Message, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	kept, err := d.Delete(ctx, messages)
	if err != nil {
		return messages, err
	}
	for _, m := range messages {
		if kept[m.ID] != nil {
			rest = append(rest, m)
			continue
		}
		h.forget(m.ID)
	}
	return rest, nil
}
