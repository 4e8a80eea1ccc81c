package sqs

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"tollgate/pkg/failpoint"
	"tollgate/pkg/local/aws/boltfile"
)

// engine owns all queues. One goroutine runs it, so operations are serialized; those that arrive while the file is
// being written share the next write.
type engine struct {
	opts     Options
	db       *bbolt.DB
	receipts receiptSealer
	queues   map[string]*queue
	deleted  map[string]int64 // name → when, for as long as the name is blocked
	limit    int              // messages in flight per queue
	broken   error            // error of the last write; memory may be ahead of the file until it is read again
	again    bool             // the last turn left work for another one at once
	shared   int              // calls of the last turn that had one
	calls    chan *call
	quit     chan struct{}
}

const (
	maxCallsPerTurn = 256
	maxInFlight     = 120_000
	minPause        = time.Millisecond
)

// call is one operation in the engine; reply has room for its only answer.
type call struct {
	run   func(*turn) error
	reply chan error
}

// errWaiting means that a call is answered in a later turn.
var errWaiting = errors.New("waiting")

// turn is one round of the engine: its operations, one transaction, then all answers.
// An operation that returns an error has changed nothing; an error of the file goes into err and fails all.
type turn struct {
	*engine
	now    int64
	tx     *bbolt.Tx
	err    error
	ended  []*call
	errors []error
}

func (e *engine) now() int64 { return e.opts.Now().UnixNano() }

// span is the real time of that many of the queues' seconds, in nanoseconds.
func (e *engine) span(seconds int) int64 {
	return int64(seconds) * int64(time.Second) / int64(e.opts.Speed)
}

// run works until quit is closed, then ends the long polls.
func (e *engine) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case c := <-e.calls:
			e.turn(c)
		case <-timer.C:
			e.turn(nil)
		case <-e.quit:
			e.release(nil)
			return
		}
		timer.Reset(e.pause())
	}
}

// release ends all long polls.
func (e *engine) release(err error) {
	for _, q := range e.queues {
		for _, w := range q.waiters {
			w.reply <- err
		}
		q.waiters = nil
	}
}

func (e *engine) turn(first *call) {
	e.recover()
	t := &turn{engine: e, now: e.now()}
	e.again = false
	if first != nil {
		expected := e.shared
		e.shared = 0
		for c := range boltfile.Gather(first, e.calls, expected, maxCallsPerTurn) {
			t.handle(c)
			e.shared++
		}
	}
	if e.broken == nil {
		t.serveWaiters()
	}
	t.finish()
}

// recover reads the file again after a failed write, as on a full disk, because memory is
// ahead of it. Until that succeeds all calls are refused.
func (e *engine) recover() {
	if e.broken == nil {
		return
	}
	e.queues, e.deleted = make(map[string]*queue), make(map[string]int64)
	if err := e.db.View(e.load); err != nil {
		e.broken = errUnavailable("the queues' file cannot be read: " + err.Error())
		return
	}
	e.broken = nil
}

func (t *turn) handle(c *call) {
	err := t.broken
	if err == nil {
		err = c.run(t)
	}
	if err != errWaiting {
		t.end(c, err)
	}
}

// end answers a call once the turn is on disk.
func (t *turn) end(c *call, err error) {
	t.ended, t.errors = append(t.ended, c), append(t.errors, err)
}

// finish commits and answers. After a failed write memory is ahead of the file: the turn's calls and the long polls
// fail, and the next turn reads the file again.
func (t *turn) finish() {
	switch {
	case t.tx != nil && t.err == nil:
		failpoint.At("sqs.commit.before")
		t.err = t.tx.Commit()
		failpoint.At("sqs.commit.after")
	case t.tx != nil:
		t.tx.Rollback()
	}
	if t.err != nil && t.broken == nil {
		t.broken = errUnavailable("the queues' file cannot be written: " + t.err.Error())
		t.release(t.broken)
	}
	for i, c := range t.ended {
		if t.err != nil {
			t.errors[i] = t.broken
		}
		c.reply <- t.errors[i]
	}
}

// begin starts the turn's transaction at its first write: most polls need none.
func (t *turn) begin() bool {
	if t.tx == nil && t.err == nil {
		t.tx, t.err = t.db.Begin(true)
	}
	return t.err == nil
}

func (t *turn) fail(err error) {
	if t.err == nil { // a nil err changes nothing
		t.err = err
	}
}

// put writes a value into a bucket of the file.
func (t *turn) put(bucket string, k, v []byte) {
	if t.begin() {
		t.fail(t.tx.Bucket([]byte(bucket)).Put(k, v))
	}
}

// remove deletes a key from a bucket of the file.
func (t *turn) remove(bucket string, k []byte) {
	if t.begin() {
		t.fail(t.tx.Bucket([]byte(bucket)).Delete(k))
	}
}

func (t *turn) putJSON(bucket string, k []byte, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		t.fail(err)
		return
	}
	t.put(bucket, k, b)
}

// next returns the next number of messages or queues; numbers are not reused.
func (t *turn) next(bucket string) uint64 {
	if !t.begin() {
		return 0
	}
	n, err := t.tx.Bucket([]byte(bucket)).NextSequence()
	t.fail(err)
	return n
}

// pause is how long the engine may sleep without a call.
func (e *engine) pause() time.Duration {
	const idle = time.Hour
	if e.broken != nil {
		return idle
	}
	if e.again {
		return 0
	}
	due := int64(math.MaxInt64)
	for _, q := range e.queues {
		if len(q.waiters) == 0 {
			continue
		}
		for _, w := range q.waiters {
			due = min(due, w.deadline)
		}
		if m := q.hidden.top(); m != nil {
			due = min(due, m.VisibleAt)
		}
	}
	return max(minPause, min(idle, time.Duration(due-e.now())))
}

// byName sorts the queues, so that lists and turns do not depend on a map's order.
func (e *engine) byName() []*queue {
	return slices.SortedFunc(maps.Values(e.queues), func(a, b *queue) int { return strings.Compare(a.Name, b.Name) })
}
