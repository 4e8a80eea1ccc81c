package sqs

import (
	"encoding/binary"

	"go.etcd.io/bbolt"
)

func (t *turn) inQueue(bucket string, q *queue) *bbolt.Bucket {
	return t.tx.Bucket([]byte(bucket)).Bucket(key(q.id))
}

// insert puts a new message into a queue; state is complete.
func (t *turn) insert(q *queue, st state, encoded []byte) {
	m := &message{seq: t.next(bucketPayload), state: st}
	if t.err != nil {
		return
	}
	t.fail(t.inQueue(bucketPayload, q).Put(key(m.seq), encoded))
	q.add(m, t.now)
	t.saveState(q, m)
}

func (t *turn) saveState(q *queue, m *message) {
	if !t.begin() {
		return
	}
	b, err := binary.Append(nil, binary.BigEndian, m.state)
	t.fail(err)
	t.fail(t.inQueue(bucketState, q).Put(key(m.seq), b))
}

func (t *turn) payload(q *queue, m *message) payload {
	if !t.begin() {
		return payload{}
	}
	p, err := decodePayload(t.inQueue(bucketPayload, q).Get(key(m.seq)))
	t.fail(err)
	return p
}

func (t *turn) deleteMessage(q *queue, m *message) {
	q.drop(m)
	if t.begin() {
		t.fail(t.inQueue(bucketPayload, q).Delete(key(m.seq)))
		t.fail(t.inQueue(bucketState, q).Delete(key(m.seq)))
	}
}

// deadLetter moves a message to a dead-letter queue: id, receive count and enqueue time stay.
func (t *turn) deadLetter(from, to *queue, m *message) {
	p := t.payload(from, m)
	p.Source = t.arn(from.Name)
	encoded, err := p.encode()
	t.fail(err)
	st := m.state
	st.Here, st.VisibleAt, st.Received = 0, 0, 0
	t.deleteMessage(from, m)
	t.insert(to, st, encoded)
	if len(to.waiters) > 0 {
		t.again = true // their long polls may have been served in this turn already
	}
}
