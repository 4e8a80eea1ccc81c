package consumer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// fakeStore answers as scripted; a nil function is the happy answer.
type fakeStore struct {
	claim    func(idempotency.ClaimRequest) (idempotency.ClaimResult, error)
	complete func(*idempotency.Claim, dispatch.Effects) (idempotency.CompleteResult, error)
	fail     func(idempotency.Failure) (idempotency.FailResult, error)

	mu       sync.Mutex
	claims   []idempotency.ClaimRequest
	outcomes []idempotency.Outcome
	failures []idempotency.Failure
}

func (s *fakeStore) Claim(_ context.Context, r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	s.mu.Lock()
	s.claims = append(s.claims, r)
	s.mu.Unlock()
	if s.claim != nil {
		return s.claim(r)
	}
	return claimed(r), nil
}

func claimed(r idempotency.ClaimRequest) idempotency.ClaimResult {
	return idempotency.ClaimResult{Verdict: idempotency.Claimed, Claim: &idempotency.Claim{
		EventID: r.Event.ID, Owner: r.Owner, Attempt: 1, Generation: 1, Lease: r.Lease, FirstAt: r.Now,
	}}
}

func (s *fakeStore) Complete(_ context.Context, c *idempotency.Claim, o idempotency.Outcome, e dispatch.Effects, _ time.Time) (idempotency.CompleteResult, error) {
	s.mu.Lock()
	s.outcomes = append(s.outcomes, o)
	s.mu.Unlock()
	if s.complete != nil {
		return s.complete(c, e)
	}
	return idempotency.CompleteResult{Verdict: idempotency.Completed, Outcome: o}, nil
}

func (s *fakeStore) Fail(_ context.Context, _ *idempotency.Claim, f idempotency.Failure) (idempotency.FailResult, error) {
	s.mu.Lock()
	s.failures = append(s.failures, f)
	s.mu.Unlock()
	if s.fail != nil {
		return s.fail(f)
	}
	return idempotency.FailResult{Verdict: idempotency.FailWritten}, nil
}

// fakeQueue notes what was asked of it, in order.
type fakeQueue struct {
	deadErr, visErr error

	mu         sync.Mutex
	calls      []string // "dead <id>", "hold <id> <body>", "delete <receipts>", "visibility <receipt>"
	visibility map[string]time.Duration
	dead       []queue.DeadLetter
}

func (q *fakeQueue) SetVisibility(_ context.Context, receipt string, d time.Duration) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = append(q.calls, "visibility "+receipt)
	if q.visibility == nil {
		q.visibility = map[string]time.Duration{}
	}
	q.visibility[receipt] = d
	return q.visErr
}

func (q *fakeQueue) Delete(_ context.Context, receipts []string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = append(q.calls, "delete "+strings.Join(receipts, ","))
	return nil
}

func (q *fakeQueue) DeadLetter(_ context.Context, m queue.Message, d queue.DeadLetter) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls = append(q.calls, "dead "+m.ID)
	if q.deadErr == nil {
		q.dead = append(q.dead, d)
	}
	return q.deadErr
}

// handlers is one function for every type but "unhandled".
type handlers func(context.Context, dispatch.Input) (dispatch.Effects, error)

func (h handlers) Handles(e event.Envelope) bool { return e.Type != "unhandled" }

func (h handlers) Pure(e event.Envelope) bool { return e.Type == "pure" }

func (h handlers) Dispatch(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
	return h(ctx, in)
}

func succeed(context.Context, dispatch.Input) (dispatch.Effects, error) { return nil, nil }

type fetcher func(id string) ([]byte, error)

func (f fetcher) FetchEvent(_ context.Context, _, id string, _ bool) ([]byte, error) { return f(id) }

func noFetch(string) ([]byte, error) { panic("nothing to fetch in this test") }

// bundle is a consumer with scripted surroundings; tests change it before start.
type bundle struct {
	store  *fakeStore
	queue  *fakeQueue
	exits  []int
	logs   *strings.Builder
	config consumer.Config
}

func setup(h handlers) *bundle {
	b := &bundle{store: &fakeStore{}, queue: &fakeQueue{}, logs: &strings.Builder{}}
	b.config = consumer.Config{
		Limits: limits.AWS(), Store: b.store, Queue: b.queue, Handlers: h, Fetcher: fetcher(noFetch),
		Logger: slog.New(slog.NewJSONHandler(b.logs, nil)),
		Rand:   func() float64 { return 0.5 },
		Owner:  func() string { return strings.Repeat("a", 32) },
		Exit:   func(code int) { b.exits = append(b.exits, code) },
	}
	return b
}

// handle runs one batch with Lambda's deadline.
func (b *bundle) handle(t *testing.T, messages ...queue.Message) ([]string, error) {
	t.Helper()
	c, err := consumer.New(b.config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), b.config.Limits.ConsumerTimeout)
	defer cancel()
	return c.Handle(ctx, messages)
}

func envelope(id string) event.Envelope {
	return event.Envelope{
		ID: id, Object: event.ObjectSnapshot, Type: "invoice.paid", Endpoint: "default",
		APIVersion: "2023-10-16", Created: 1_700_000_000, ReceivedAt: time.UnixMilli(1_700_000_000_500),
		ObjectID: "in_1", Source: event.Webhook,
	}
}

// bodyOf is the event that an envelope's fields say.
func bodyOf(e event.Envelope) []byte {
	return fmt.Appendf(nil, `{"id":%q,"object":"event","type":%q,"account":%q,"api_version":%q,"created":%d,"livemode":%t,"data":{"object":{"id":%q,"object":"invoice","secret":"payload"}}}`,
		e.ID, e.Type, e.Account, e.APIVersion, e.Created, e.Livemode, e.ObjectID)
}

func message(t *testing.T, n string, receives int, change ...func(*event.Envelope)) queue.Message {
	t.Helper()
	e := envelope("evt_" + n)
	own := []byte("a change may put another")
	e.Body = own
	for _, f := range change {
		if f != nil {
			f(&e)
		}
	}
	if bytes.Equal(e.Body, own) {
		e.Body = bodyOf(e)
	}
	body, err := queue.Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	return queue.Message{ID: "m" + n, Receipt: "r" + n, Body: body, Receives: receives}
}
