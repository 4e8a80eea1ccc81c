package sqs

// state is the part of a message that changes in a queue; every receive rewrites it.
// Times are Unix nanoseconds, 0 for never.
type state struct {
	Sent          int64 // first enqueue; the retention clock
	VisibleAt     int64 // end of the running delay or visibility timeout
	Received      int64 // the last receive; what the 12-hour limit counts from
	FirstReceived int64
	Receives      uint32 // in all queues
	Here          uint32 // in this queue; what its redrive policy counts
}

// message is the part of a message that stays in memory; payloads stay on disk.
type message struct {
	seq uint64 // arrival order over all queues, never used twice
	state
	hidden bool
	place  int // in ready or hidden
	expiry int // in byAge
}

// queue is one queue in memory. Only the engine's goroutine uses it.
type queue struct {
	id uint64
	queueRecord
	settings settings
	messages map[uint64]*message
	ready    messageHeap // visible, by arrival
	hidden   messageHeap // delayed or in flight, by the end of the timeout
	byAge    messageHeap // all, by enqueue time
	delayed  int         // how many of hidden were never received here
	waiters  []*waiter   // long polls, in order of arrival
}

// queueRecord is a queue as the file keeps it; times are Unix nanoseconds.
type queueRecord struct {
	Name       string
	Created    int64
	Modified   int64
	Purged     int64
	Attributes map[string]string
	Tags       map[string]string
}

func newQueue(id uint64, r queueRecord) (*queue, error) {
	set, err := parseSettings(r.Attributes)
	if err != nil {
		return nil, err
	}
	q := &queue{id: id, queueRecord: r, settings: set}
	q.empty()
	return q, nil
}

// empty drops all messages.
func (q *queue) empty() {
	q.messages, q.delayed = make(map[uint64]*message), 0
	place := func(m *message) *int { return &m.place }
	q.ready = newMessageHeap(func(a, b *message) bool { return a.seq < b.seq }, place)
	q.hidden = newMessageHeap(func(a, b *message) bool { return a.VisibleAt < b.VisibleAt }, place)
	q.byAge = newMessageHeap(func(a, b *message) bool { return a.Sent < b.Sent },
		func(m *message) *int { return &m.expiry })
}

// add adds a new message.
func (q *queue) add(m *message, now int64) {
	q.messages[m.seq] = m
	q.byAge.push(m)
	q.settle(m, now)
}

// settle puts a message into ready or hidden, by its VisibleAt.
func (q *queue) settle(m *message, now int64) {
	m.hidden = m.VisibleAt > now
	if !m.hidden {
		q.ready.push(m)
		return
	}
	q.hidden.push(m)
	if m.Here == 0 {
		q.delayed++
	}
}

// unsettle removes a message from ready or hidden, before its state changes.
func (q *queue) unsettle(m *message) {
	if !m.hidden {
		q.ready.remove(m)
		return
	}
	q.hidden.remove(m)
	if m.Here == 0 {
		q.delayed--
	}
}

// drop removes a message.
func (q *queue) drop(m *message) {
	q.unsettle(m)
	q.byAge.remove(m)
	delete(q.messages, m.seq)
}

// reveal makes messages visible whose timeout is over.
func (q *queue) reveal(now int64) {
	for m := q.hidden.top(); m != nil && m.VisibleAt <= now; m = q.hidden.top() {
		q.unsettle(m)
		q.settle(m, now)
	}
}

// inFlight counts messages that were received and whose visibility timeout runs.
func (q *queue) inFlight() int { return q.hidden.len() - q.delayed }
