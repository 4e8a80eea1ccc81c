package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

var errAway = errors.New("queue is away")

// faults are what goes wrong at the n-th call, from 1; a fault that is nil does not.
type faults struct {
	sendFails   func(call int) bool // nothing is stored
	sendLost    func(call int) bool // all is stored, and the response is lost
	refuses     func(id string) bool
	deleteFails func(call int) bool
	deleteLost  func(call int) bool
	keeps       func(id string) bool // by a delete's response
}

// fakeMover deletes from a fake queue and keeps what it sends.
type fakeMover struct {
	faults
	dead *fakeQueue
	sent func(m queue.Message) // is called with each, for a consumer

	mu             sync.Mutex
	live           []queue.Message
	times          []time.Time // of sends, one for each message
	sends, deletes int
	most           int // bytes in one send
}

func (m *fakeMover) Send(ctx context.Context, messages []queue.Message) (map[string]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.sends++; m.sendFails != nil && m.sendFails(m.sends) {
		return nil, errAway
	}
	if len(messages) == 0 || len(messages) > limits.SQSMaxBatch {
		return nil, fmt.Errorf("a request of %d messages", len(messages))
	}
	refused, bytes := map[string]error{}, 0
	for _, one := range messages {
		bytes += len(one.Body)
		if m.refuses != nil && m.refuses(one.ID) {
			refused[one.ID] = errors.New("too odd")
			continue
		}
		m.live, m.times = append(m.live, one), append(m.times, time.Now())
		if m.sent != nil {
			m.sent(one)
		}
	}
	m.most = max(m.most, bytes)
	if m.sendLost != nil && m.sendLost(m.sends) {
		return nil, errAway
	}
	return refused, nil
}

func (m *fakeMover) Delete(ctx context.Context, messages []queue.Message) (map[string]error, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if m.deletes++; m.deleteFails != nil && m.deleteFails(m.deletes) {
		return nil, errAway
	}
	kept := map[string]error{}
	for _, one := range messages {
		if m.keeps != nil && m.keeps(one.ID) {
			kept[one.ID] = errors.New("not now")
			continue
		}
		m.dead.remove(one.ID)
	}
	if m.deleteLost != nil && m.deleteLost(m.deletes) {
		return nil, errAway
	}
	return kept, nil
}

func (q *fakeQueue) remove(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.Index(q.entries, q.find(id)); i >= 0 {
		q.entries = slices.Delete(q.entries, i, i+1)
	}
	delete(q.index, id)
}

func (q *fakeQueue) add(m redrive.Received) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.index == nil {
		q.index = map[string]*entry{}
	}
	q.index[m.ID] = &entry{m: m}
	q.entries = append(q.entries, q.index[m.ID])
}

// ids are the events of the messages.
func (q *fakeQueue) ids() (ids []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.entries {
		ids = append(ids, eventID(e.m.Body))
	}
	return ids
}

func (m *fakeMover) ids() (ids []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, one := range m.live {
		ids = append(ids, eventID(one.Body))
	}
	return ids
}

func eventID(body string) string {
	e, err := queue.Decode(body)
	if err != nil {
		return body
	}
	return e.ID
}

// distinct is how many different ids there are in all of the lists.
func distinct(lists ...[]string) int {
	seen := map[string]bool{}
	for _, list := range lists {
		for _, id := range list {
			seen[id] = true
		}
	}
	return len(seen)
}

// dlq is a dead-letter queue without a lock.
func dlq(q redrive.Queue, m redrive.Mover, r redrive.Records) *redrive.DLQ {
	return &redrive.DLQ{Queue: q, Mover: m, Records: r, Limits: limits.AWS()}
}

// planned selects what the filter matches.
func planned(t testing.TB, q redrive.Queue, r redrive.Records, f redrive.Filter) *redrive.Plan {
	t.Helper()
	d := dlq(q, nil, r)
	d.OnUnreleased = func(n int) { t.Errorf("plan: %d messages stay hidden", n) }
	p, err := d.Plan(t.Context(), redrive.Selection{Filter: f})
	if err != nil {
		t.Fatalf("plan: %v", err)
	}
	return p
}
