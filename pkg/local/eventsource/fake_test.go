package eventsource

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// fakeQueue is a queue in memory with visibility, receive counts and faults.
type fakeQueue struct {
	visibility time.Duration
	instant    bool // does not wait when it is empty
	receiveErr func() error
	deleteErr  func() error

	mu       sync.Mutex
	messages []*fakeMessage
	receives int
	open     int // receives under way
	deletes  int
	arrival  chan struct{} // closed when messages come; set by put
}

type fakeMessage struct {
	id       string
	body     string
	receipt  string
	visible  time.Time
	receives int
	deleted  bool
}

// put adds n messages with the body.
func (q *fakeQueue) put(n int, body string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for range n {
		q.messages = append(q.messages, &fakeMessage{id: fmt.Sprint("m", len(q.messages)), body: body})
	}
	if q.arrival != nil {
		close(q.arrival)
		q.arrival = nil
	}
}

func (q *fakeQueue) Receive(ctx context.Context, most int, wait time.Duration) ([]events.SQSMessage, error) {
	q.mu.Lock()
	q.receives++
	q.open++
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.open--
	}()
	if q.receiveErr != nil {
		if err := q.receiveErr(); err != nil {
			return nil, err
		}
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	for {
		got, arrival, next := q.take(most)
		if len(got) > 0 || q.instant {
			return got, nil
		}
		again := time.NewTimer(next)
		select {
		case <-arrival:
		case <-again.C:
		case <-limit.C:
			return nil, nil
		case <-ctx.Done():
			return nil, fmt.Errorf("receive: %w", ctx.Err())
		}
		again.Stop()
	}
}

// waiting is how many receives are under way.
func (q *fakeQueue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.open
}

// take returns visible messages, or what to wait for.
func (q *fakeQueue) take(most int) (got []events.SQSMessage, arrival <-chan struct{}, next time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	next = time.Hour
	for _, m := range q.messages {
		if hidden := time.Until(m.visible); m.deleted || hidden > 0 {
			if !m.deleted {
				next = min(next, hidden)
			}
			continue
		}
		if len(got) == most {
			break
		}
		m.receives++
		m.receipt = fmt.Sprint(m.id, "-", m.receives)
		m.visible = time.Now().Add(q.visibility)
		got = append(got, events.SQSMessage{MessageId: m.id, ReceiptHandle: m.receipt, Body: m.body})
	}
	if q.arrival == nil {
		q.arrival = make(chan struct{})
	}
	return got, q.arrival, next
}

func (q *fakeQueue) Delete(_ context.Context, messages []events.SQSMessage) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.deletes++
	if q.deleteErr != nil {
		if err := q.deleteErr(); err != nil {
			return err
		}
	}
	for _, m := range messages {
		for _, own := range q.messages {
			if own.receipt == m.ReceiptHandle {
				own.deleted = true
			}
		}
	}
	return nil
}

// state lists each message as id:receives, with a cross for a deleted one.
func (q *fakeQueue) state() (list []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range q.messages {
		text := fmt.Sprint(m.id, ":", m.receives)
		if m.deleted {
			text += "x"
		}
		list = append(list, text)
	}
	return list
}

func (q *fakeQueue) receiveCount() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.receives
}
