package redrive_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// start is when a synctest bubble's clock starts.
var start = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// fakeQueue hides and shows messages as SQS does. Its receives take a second when
// they find nothing, and slow longer when they find something.
type fakeQueue struct {
	slow    time.Duration
	fail    func(call int) error // of a receive
	stuck   func(receipt string) bool
	mu      sync.Mutex
	entries []*entry
	index   map[string]*entry // of those that were added, by id
	calls   int
	most    int // asked for in one receive
}

type entry struct {
	m       redrive.Received
	visible time.Time
}

func (q *fakeQueue) Receive(ctx context.Context, limit int, hide time.Duration) ([]redrive.Received, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	q.calls++
	q.most = max(q.most, limit)
	if q.fail != nil {
		if err := q.fail(q.calls); err != nil {
			return nil, err
		}
	}
	var got []redrive.Received
	for _, e := range q.entries {
		if len(got) == limit {
			break
		}
		if !time.Now().Before(e.visible) {
			e.visible = time.Now().Add(hide)
			e.m.Receives++
			e.m.Receipt = fmt.Sprintf("%s/%d", e.m.ID, e.m.Receives)
			got = append(got, e.m)
		}
	}
	if len(got) == 0 && len(q.entries) > 0 {
		<-time.After(time.Second)
	}
	<-time.After(q.slow)
	return got, nil
}

func (q *fakeQueue) SetVisibility(ctx context.Context, receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.stuck != nil && q.stuck(receipt) {
		return fmt.Errorf("receipt %s is stuck", receipt)
	}
	id, _, _ := strings.Cut(receipt, "/")
	if e := q.find(id); e != nil && e.m.Receipt == receipt && time.Now().Before(e.visible) {
		e.visible = time.Now().Add(d)
		return nil
	}
	return fmt.Errorf("receipt %s is over", receipt)
}

func (q *fakeQueue) find(id string) *entry {
	if e := q.index[id]; e != nil {
		return e
	}
	for _, e := range q.entries {
		if e.m.ID == id {
			return e
		}
	}
	return nil
}

func (q *fakeQueue) Count(ctx context.Context) (visible, hidden int, err error) {
	hidden = len(q.hidden())
	return len(q.ids()) - hidden, hidden, ctx.Err()
}

// hidden returns the ids of messages that cannot be received now.
func (q *fakeQueue) hidden() (ids []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, e := range q.entries {
		if time.Now().Before(e.visible) {
			ids = append(ids, e.m.ID)
		}
	}
	return ids
}

func queueOf(t testing.TB, n int) *fakeQueue {
	q := &fakeQueue{}
	for i := range n {
		q.entries = append(q.entries, &entry{m: message(t, i, envelope(i), queue.DeadLetter{Reason: "handler", Error: "no"}.Attributes())})
	}
	return q
}

func envelope(i int) event.Envelope {
	return event.Envelope{
		ID: fmt.Sprintf("evt_%d", i), Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "default",
		Created: 946_684_000, ReceivedAt: start, Source: event.Webhook, Body: fmt.Appendf(nil, `{"secret":%d}`, i),
	}
}

func identOf(i int) string { return idempotency.Identity(envelope(i)) }

func message(t testing.TB, i int, e event.Envelope, attributes map[string]string) redrive.Received {
	t.Helper()
	body, err := queue.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return redrive.Received{
		Message:    queue.Message{ID: fmt.Sprintf("m%d", i), Body: body, SentAt: start.Add(time.Duration(i) * time.Second)},
		Attributes: attributes, FirstReceived: start,
	}
}

// records is a table of records.
type records map[string]idempotency.Record

func (r records) Get(_ context.Context, id string) (idempotency.Record, bool, error) {
	if id == "evt_broken" {
		return idempotency.Record{}, false, fmt.Errorf("table is away")
	}
	got, ok := r[id]
	return got, ok, nil
}
