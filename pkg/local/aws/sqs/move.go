package sqs

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// moveStatus is where a move task stands: running, or ended in one of three ways.
type moveStatus string

const (
	moveRunning   moveStatus = "RUNNING"   // the only one that goes on, also after a restart
	moveCompleted moveStatus = "COMPLETED" // nothing visible was left of what was there at the start
	moveCancelled moveStatus = "CANCELLED" // by CancelMessageMoveTask
	moveFailed    moveStatus = "FAILED"    // FailureReason says why
)

const (
	maxMoveRate    = 500 // messages a second
	maxMovesKept   = 10  // tasks per source
	maxMovedATurn  = 100
	moveCatchUp    = int64(100 * time.Millisecond) // how much of a pause is made up for
	reasonNoSource = "CouldNotDetermineMessageSource"
	reasonNoQueue  = queryPrefix + "NonExistentQueue"
)

// moveRecord is a move task as the file keeps it.
type moveRecord struct {
	Source         string // queue name
	Handle         string
	DestinationArn string
	Rate           int // 0: not given
	Status         moveStatus
	FailureReason  string
	Moved          int64
	ToMove         int64
	Started        int64  // Unix nanoseconds
	UpTo           uint64 // the last message that was there at the start
}

// move is a move task in memory.
type move struct {
	ID uint64
	moveRecord
	due int64 // when the next message may move
}

func (e *engine) loadMove(v []byte) error {
	var m move
	if err := json.Unmarshal(v, &m); err != nil {
		return fmt.Errorf("read a move task: %w", err)
	}
	q := e.queues[m.Source]
	if q == nil {
		return fmt.Errorf("read a move task: no queue %s", m.Source)
	}
	m.due = e.now()
	e.moves[q.id] = append(e.moves[q.id], &m)
	return nil
}

func (t *turn) saveMove(m *move) { t.putJSON(bucketMoves, key(m.ID), m) }

// forgetMoves drops the tasks of a queue that is gone.
func (t *turn) forgetMoves(q *queue) {
	for _, m := range t.moves[q.id] {
		t.remove(bucketMoves, key(m.ID))
	}
	delete(t.moves, q.id)
}

// activeMove is the running task of a source, nil if none runs.
func (e *engine) activeMove(q *queue) *move {
	for _, m := range e.moves[q.id] {
		if m.Status == moveRunning {
			return m
		}
	}
	return nil
}

// nextMove is when the next message of any task may move.
func (e *engine) nextMove() int64 {
	due := int64(math.MaxInt64)
	for _, q := range e.queues {
		if m := e.activeMove(q); m != nil {
			due = min(due, m.due)
		}
	}
	return due
}

// moveMessages lets every running task do what its rate allows by now.
func (t *turn) moveMessages() {
	if len(t.moves) == 0 {
		return
	}
	for _, q := range t.byName() {
		if m := t.activeMove(q); m != nil && m.due <= t.now {
			t.touch(q)
			t.advance(q, m)
			t.saveMove(m)
		}
	}
}

// interval is the time between two messages of a task.
func (e *engine) interval(m *move) int64 {
	rate := m.Rate
	if rate == 0 {
		rate = maxMoveRate
	}
	return int64(time.Second) / int64(rate) / int64(e.opts.Speed)
}

func (t *turn) advance(q *queue, m *move) {
	m.due = max(m.due, t.now-moveCatchUp)
	for n := 0; n < maxMovedATurn && m.due <= t.now && m.Status == moveRunning; n++ {
		top := q.ready.top()
		if top == nil || top.seq > m.UpTo {
			t.endMove(m, moveCompleted, "")
			return
		}
		t.moveOne(q, m, top)
		m.due += max(1, t.interval(m))
	}
}

// moveOne sends a copy of the message under a new id and takes the message away, both in this turn's transaction.
func (t *turn) moveOne(q *queue, m *move, top *message) {
	p := t.payload(q, top)
	arn := m.DestinationArn
	if arn == "" {
		arn = p.Source
	}
	to := t.byARN(arn)
	switch {
	case arn == "":
		t.endMove(m, moveFailed, reasonNoSource)
		return
	case to == nil:
		t.endMove(m, moveFailed, reasonNoQueue)
		return
	}
	p.ID, p.Source = newMessageID(), ""
	encoded, err := p.encode()
	t.fail(err)
	t.deleteMessage(q, top)
	t.insert(to, state{Sent: t.now, VisibleAt: t.now + t.span(to.settings.delay)}, encoded)
	m.Moved++
}

func (t *turn) endMove(m *move, status moveStatus, reason string) {
	m.Status, m.FailureReason = status, reason
	t.opts.Logger.Info("move task ended", "source", m.Source, "status", status, "moved", m.Moved, "reason", reason)
}
