package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/delivery/deliverytest"
	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
	"tollgate/pkg/queue"
)

// receiver is a target whose answers a test sets.
type receiver struct {
	mu     sync.Mutex
	answer func(d delivery.Delivery) delivery.Answer
	got    []delivery.Delivery
	at     []time.Time
}

func (r *receiver) Send(_ context.Context, d delivery.Delivery) delivery.Answer {
	r.mu.Lock()
	r.got, r.at = append(r.got, d), append(r.at, time.Now())
	answer := r.answer
	r.mu.Unlock()
	return answer(d)
}

func answers(a delivery.Answer) func(delivery.Delivery) delivery.Answer {
	return func(delivery.Delivery) delivery.Answer { return a }
}

var errBroken = errors.New("broken")

func unavailable() delivery.Answer {
	return delivery.Answer{Verdict: delivery.Retry, Status: 503, Err: "status 503"}
}

// fakeQueue keeps what a sender asks of its queue.
type fakeQueue struct {
	mu     sync.Mutex
	hidden map[string]time.Duration // by receipt
	dead   []queue.DeadLetter
	err    error // of DeadLetter
}

func (q *fakeQueue) SetVisibility(_ context.Context, receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hidden[receipt] = d
	return nil
}

func (q *fakeQueue) DeadLetter(_ context.Context, _ queue.Message, d queue.DeadLetter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.dead = append(q.dead, d)
	}
	return q.err
}

// fixture is a sender with one destination, crm, and its fakes.
type fixture struct {
	*testing.T
	cfg    delivery.Config
	sender *delivery.Sender
	store  *deliverytest.Memory
	queue  *fakeQueue
	target *receiver
	lines  *bytes.Buffer
	owners int
	mu     sync.Mutex
}

func message(n int) outbox.Message {
	return outbox.Message{
		Key: fmt.Sprintf("OUT#FACT#live#-#in_%d#paid#receipt", n), Name: "receipt", To: "cus_1",
		Queued: time.Now(), Fields: map[string]any{"object": "invoice", "object_id": fmt.Sprintf("in_%d", n), "amount": int64(500)},
	}
}

func newFixture(t *testing.T, change ...func(*delivery.Config)) *fixture {
	t.Helper()
	set, err := destination.Parse(`{"crm":{"type":"http","url":"https://crm.example.com/hooks?key=query","secret":"tollgate/crm","messages":["*"],"timeout":"20s"}}`, destination.Deployed)
	if err != nil {
		t.Fatal(err)
	}
	var messages []outbox.Message
	for n := range 40 {
		messages = append(messages, message(n))
	}
	f := &fixture{
		T: t, store: deliverytest.NewMemory(messages...), queue: &fakeQueue{hidden: map[string]time.Duration{}},
		target: &receiver{answer: answers(delivery.Answer{Verdict: delivery.Done, Status: 200})}, lines: &bytes.Buffer{},
	}
	f.cfg = delivery.Config{
		Store: f.store, Queue: f.queue, Destinations: set, Targets: map[string]delivery.Target{"crm": f.target}, Limits: limits.AWS(),
		Logger: slog.New(slog.NewJSONHandler(f.lines, nil)), Rand: func() float64 { return 1 }, Owner: f.owner,
	}
	for _, c := range change {
		c(&f.cfg)
	}
	f.sender = f.process()
	return f
}

func (f *fixture) owner() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.owners++
	return fmt.Sprintf("owner-%d", f.owners)
}

// process returns another process of the sender.
func (f *fixture) process() *delivery.Sender {
	f.Helper()
	s, err := delivery.New(f.cfg)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

func jobOf(n int) delivery.Job { return delivery.Job{Message: message(n).Key, Destination: "crm"} }

func received(n, receives int) queue.Message {
	id := fmt.Sprintf("m%d", n)
	return queue.Message{ID: id, Receipt: id, Body: jobOf(n).Encode(), Receives: receives}
}

// by handles one job by a process; delay is the time until it comes back.
func (f *fixture) by(s *delivery.Sender, m queue.Message) (ack bool, delay time.Duration) {
	f.Helper()
	failed, err := s.Handle(context.Background(), []queue.Message{m})
	if err != nil {
		f.Fatal(err)
	}
	f.queue.mu.Lock()
	defer f.queue.mu.Unlock()
	delay, hidden := f.queue.hidden[m.Receipt]
	delete(f.queue.hidden, m.Receipt)
	if ack = len(failed) == 0; hidden == ack {
		f.Errorf("acknowledged %v, visibility set %v", ack, hidden)
	}
	return ack, delay
}

func (f *fixture) handle(m queue.Message) (ack bool, delay time.Duration) {
	f.Helper()
	return f.by(f.sender, m)
}

func (f *fixture) row(n int) delivery.Row {
	r, _, _ := f.store.Row(context.Background(), jobOf(n))
	return r
}

func (f *fixture) state() delivery.State {
	s, _ := f.store.State(context.Background(), "crm")
	return s
}
