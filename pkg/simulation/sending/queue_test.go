package sending

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/queue"
)

// queueOf is the sender's queue: a standard queue, which delivers at least once.
type queueOf struct {
	w        *world
	messages []*job
	added    int
	changed  chan struct{} // closed and replaced by every change
}

// job is one message of the queue.
type job struct {
	id, body string
	receives int
	visible  time.Time
}

// visibility is the queue's visibility timeout: six times the function's.
func (w *world) visibility() time.Duration { return 6 * w.limits.Sender.Timeout }

func (q *queueOf) change() {
	close(q.changed)
	q.changed = make(chan struct{})
}

func (q *queueOf) add(body string) {
	q.added++
	q.messages = append(q.messages, &job{id: fmt.Sprintf("j%d", q.added), body: body, visible: time.Now()})
	q.change()
}

func (q *queueOf) find(id string) *job {
	for _, j := range q.messages {
		if j.id == id {
			return j
		}
	}
	return nil
}

// receive takes up to ten visible messages, some without hiding them, and returns when to look again.
func (q *queueOf) receive(worker string, n int) (out []queue.Message, next time.Time, changed chan struct{}) {
	now := time.Now()
	next = now.Add(time.Hour)
	for _, j := range slices.Clone(q.messages) {
		switch {
		case j.visible.After(now):
			if j.visible.Before(next) {
				next = j.visible
			}
		case len(out) < 10:
			if j.receives++; j.receives > 1000 {
				q.w.dead = append(q.w.dead, j.body)
				q.remove(j.id)
				continue
			}
			if q.w.healed || q.w.draw("twice", worker, n, j.id).IntN(15) > 0 {
				j.visible = now.Add(q.w.visibility())
			} else {
				j.visible = now.Add(time.Duration(q.w.draw("again", worker, n, j.id).Int64N(int64(30 * time.Second))))
				q.w.count("a job is received twice")
			}
			out = append(out, queue.Message{ID: j.id, Receipt: j.id, Body: j.body, Receives: j.receives})
		}
	}
	return out, next, q.changed
}

func (q *queueOf) remove(id string) {
	q.messages = slices.DeleteFunc(q.messages, func(j *job) bool { return j.id == id })
	q.change()
}

// SendJobs implements delivery.Jobs. A part of a batch may be refused.
func (q *queueOf) SendJobs(ctx context.Context, group string, bodies []string) error {
	return q.w.call(ctx, "SendJobs", group, func(p *proc) error {
		n := len(bodies)
		if r := q.w.draw("part", p.id, group, p.calls["SendJobs "+group]); !q.w.healed && r.IntN(10) == 0 {
			n = r.IntN(n + 1)
		}
		for _, b := range bodies[:n] {
			q.add(b)
		}
		if n < len(bodies) {
			return errors.New("a part of the batch is refused")
		}
		return nil
	})
}

// SetVisibility implements delivery.Queue.
func (q *queueOf) SetVisibility(ctx context.Context, receipt string, d time.Duration) error {
	return q.w.call(ctx, "SetVisibility", receipt, func(*proc) error {
		if d < 0 || d > 12*time.Hour {
			q.w.violate("a visibility of %v", d)
		}
		if j := q.find(receipt); j != nil {
			j.visible = time.Now().Add(d)
			q.change()
		}
		return nil
	})
}

// DeadLetter implements delivery.Queue.
func (q *queueOf) DeadLetter(ctx context.Context, m queue.Message, d queue.DeadLetter) error {
	return q.w.call(ctx, "DeadLetter", m.ID, func(*proc) error {
		q.w.count("dead letter: " + d.Reason)
		q.w.dead = append(q.w.dead, m.Body)
		return nil
	})
}

// acknowledge deletes a job, as Lambda's poller does after a batch response.
func (q *queueOf) acknowledge(p *proc, id string) {
	w := q.w
	w.mu.Lock()
	defer w.mu.Unlock()
	j := q.find(id)
	if j == nil {
		return
	}
	if !w.healed && w.draw("delete", p.id, id).IntN(20) == 0 {
		w.count("an acknowledged job comes back")
		return
	}
	w.acknowledged(p, j)
	w.log("process %d (%s): %s is acknowledged", p.id, p.name, id)
	q.remove(id)
}

var (
	_ delivery.Jobs  = (*queueOf)(nil)
	_ delivery.Queue = (*queueOf)(nil)
)
