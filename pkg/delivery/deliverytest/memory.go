package deliverytest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/outbox"
)

// Memory is a store in memory. It passes the suite.
type Memory struct {
	// Fault, if set, is the error of a call before or after it is applied.
	Fault func(call string) (before, after error)

	mu       sync.Mutex
	messages map[string]outbox.Message
	rows     map[delivery.Job]delivery.Row
	states   map[string]delivery.State
	numbers  map[string]int64
}

// NewMemory returns a store with messages.
func NewMemory(messages ...outbox.Message) *Memory {
	m := &Memory{messages: map[string]outbox.Message{}, rows: map[delivery.Job]delivery.Row{}, states: map[string]delivery.State{}, numbers: map[string]int64{}}
	for _, msg := range messages {
		m.messages[msg.Key] = msg
	}
	return m
}

// call runs a call under the lock, with its fault.
func (m *Memory) call(ctx context.Context, name string, do func()) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var before, after error
	if m.Fault != nil {
		before, after = m.Fault(name)
	}
	if before != nil {
		return before
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	do()
	return after
}

// Begin implements delivery.Store.
func (m *Memory) Begin(ctx context.Context, req delivery.BeginRequest) (begun delivery.Begun, err error) {
	err = m.call(ctx, "Begin", func() {
		r, found := m.rows[req.Job]
		if found && !(r.Status == delivery.Waiting && !r.Next.After(req.Now) || r.Status == delivery.Running && r.Lease.Before(req.Cutoff)) {
			var explained bool
			if begun, explained = delivery.ReadRefusal(req, r); !explained {
				panic(fmt.Sprintf("%+v does not explain a refusal", r))
			}
			return
		}
		if !found {
			r.First = req.Now
		}
		if r.Sequence == 0 && req.Object != "" {
			of := req.Job.Destination + "#" + req.Object
			m.numbers[of]++
			r.Sequence = m.numbers[of]
		}
		r.Status, r.Owner, r.Lease, r.Next, r.Attempt = delivery.Running, req.Owner, req.Lease, time.Time{}, r.Attempt+1
		m.rows[req.Job] = r
		begun = delivery.Begun{Started: r.Started(req.Job)}
	})
	return begun, err
}

// End implements delivery.Store.
func (m *Memory) End(ctx context.Context, s delivery.Started, result delivery.Result) (recorded bool, err error) {
	err = m.call(ctx, "End", func() {
		r := m.rows[s.Job]
		if recorded = r.Owner == s.Owner && r.Attempt == s.Attempt; recorded && r.Status == delivery.Running {
			r.Status, r.Next, r.Lease, r.History = result.Status, result.Next, time.Time{}, s.Ended(result.Attempt)
			m.rows[s.Job] = r
		}
	})
	return recorded && err == nil, err
}

// Message implements delivery.Store.
func (m *Memory) Message(ctx context.Context, key string) (msg outbox.Message, found bool, err error) {
	err = m.call(ctx, "Message", func() { msg, found = m.messages[key] })
	return msg, found, err
}

// State implements delivery.Store.
func (m *Memory) State(ctx context.Context, destination string) (s delivery.State, err error) {
	err = m.call(ctx, "State", func() { s = m.states[destination] })
	return s, err
}

// SwapState implements delivery.Store.
func (m *Memory) SwapState(ctx context.Context, destination string, next delivery.State) (won bool, err error) {
	err = m.call(ctx, "SwapState", func() {
		is := m.states[destination]
		if won = is.Ver == next.Ver || is.Ver == next.Ver+1 && is.By == next.By; won && is.Ver == next.Ver {
			next.Ver++
			m.states[destination] = next
		}
	})
	return won && err == nil, err
}

// Row returns a delivery's row, false if there is none.
func (m *Memory) Row(_ context.Context, j delivery.Job) (delivery.Row, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, found := m.rows[j]
	return r, found, nil
}

// Reopen lets a failed, disabled or waiting delivery be attempted again.
func (m *Memory) Reopen(_ context.Context, j delivery.Job, now time.Time) (delivery.Status, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, found := m.rows[j]
	if found && r.Status != delivery.Running && r.Status != delivery.Delivered {
		r.Status, r.First, r.Next = delivery.Waiting, now, now
		m.rows[j] = r
	}
	return r.Status, nil
}
