package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// script says what goes wrong with one message: each byte picks an answer.
type script struct{ body, receives, claim, handler, complete, fail, queue, pause byte }

const scriptBytes = 8

// scripted is a store, a queue and a handler that answer as scripts say. It notes which
// events are done for certain and which have a copy in the dead-letter or the hold queue: only their
// messages may be acknowledged.
type scripted struct {
	scripts map[string]script // by event id

	mu       sync.Mutex
	finished map[string]bool // by event id
}

func (s *scripted) finish(id string, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finished[id] = s.finished[id] || is
}

// pick returns the answer that a byte selects.
func pick[T any](b byte, of ...T) T { return of[int(b)%len(of)] }

var errScripted = errors.New("scripted")

func (s *scripted) Claim(_ context.Context, r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	verdict := pick(s.scripts[r.Event.ID].claim, idempotency.Claimed, idempotency.Claimed, idempotency.Claimed,
		idempotency.Duplicate, idempotency.Busy, idempotency.Corrupt, "", "panic")
	switch verdict {
	case "panic":
		panic("scripted")
	case "":
		return idempotency.ClaimResult{}, fmt.Errorf("%w: scripted", idempotency.ErrStoreDown)
	case idempotency.Claimed:
		return claimed(r), nil
	}
	s.finish(r.Event.ID, verdict == idempotency.Duplicate)
	return idempotency.ClaimResult{Verdict: verdict, Lease: r.Lease}, nil
}

func (s *scripted) Complete(_ context.Context, c *idempotency.Claim, o idempotency.Outcome, _ dispatch.Effects, now time.Time) (idempotency.CompleteResult, error) {
	verdict := pick(s.scripts[c.EventID].complete, idempotency.Completed, idempotency.Completed, idempotency.SupersededDone, idempotency.Superseded,
		idempotency.SwapRefused, idempotency.CheckRefused, idempotency.Rejected, "down", "unknown")
	switch verdict {
	case "down":
		return idempotency.CompleteResult{}, idempotency.ErrStoreDown
	case "unknown":
		return idempotency.CompleteResult{}, idempotency.ErrUnknown
	}
	s.finish(c.EventID, verdict == idempotency.Completed || verdict == idempotency.SupersededDone)
	return idempotency.CompleteResult{Verdict: verdict, Outcome: o, Lease: now.Add(time.Second), Err: errScripted}, nil
}

func (s *scripted) Fail(_ context.Context, c *idempotency.Claim, f idempotency.Failure) (idempotency.FailResult, error) {
	verdict := pick(s.scripts[c.EventID].fail, idempotency.FailWritten, idempotency.FailWritten, idempotency.FailDone, idempotency.FailSuperseded, "")
	if verdict == "" {
		return idempotency.FailResult{}, idempotency.ErrStoreDown
	}
	s.finish(c.EventID, verdict == idempotency.FailDone)
	return idempotency.FailResult{Verdict: verdict, Lease: f.Now.Add(time.Second)}, nil
}

func (s *scripted) SetVisibility(_ context.Context, receipt string, _ time.Duration) error {
	return pick(s.scripts["evt_"+receipt].queue, nil, errScripted)
}

func (s *scripted) Delete(context.Context, []string) error { return errScripted }

func (s *scripted) DeadLetter(_ context.Context, m queue.Message, _ queue.DeadLetter) error {
	err := pick(s.scripts["evt_"+m.ID].queue, nil, nil, errScripted)
	s.finish("evt_"+m.ID, err == nil)
	return err
}

// Paused answers for the type's event: every event of a batch has a type of its own.
func (s *scripted) Paused(_ context.Context, eventType string) (bool, error) {
	err := pick(s.scripts[eventType].pause, nil, nil, nil, errScripted, fmt.Errorf("%w: scripted", idempotency.ErrStoreDown))
	return s.scripts[eventType].pause%2 == 1, err
}

func (s *scripted) Hold(ctx context.Context, m queue.Message) error {
	return s.DeadLetter(ctx, m, queue.DeadLetter{})
}

// handle is every handler.
func (s *scripted) handle(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
	switch pick(s.scripts[in.ID].handler, "ok", "error", "panic", "permanent", "later", "coalesced", "slow", "stuck") {
	case "error":
		return nil, errScripted
	case "panic":
		return nil, &dispatch.PanicError{Value: "scripted"}
	case "permanent":
		return nil, dispatch.Permanent(errScripted)
	case "later":
		return nil, dispatch.RetryAfter(time.Minute, errScripted)
	case "coalesced":
		return nil, dispatch.ErrCoalesced
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "stuck":
		time.Sleep(time.Minute)
	}
	return nil, nil
}

// records returns the batch as Lambda hands it over.
func (s *scripted) records(t *testing.T, raw []byte) (batch events.SQSEvent) {
	for n := 0; len(raw) >= scriptBytes && n < 10; n++ {
		c := script{raw[0], raw[1], raw[2], raw[3], raw[4], raw[5], raw[6], raw[7]}
		raw = raw[scriptBytes:]
		id := fmt.Sprint(n)
		s.scripts["evt_"+id] = c
		body := message(t, id, 1, func(e *event.Envelope) { e.Type = e.ID }).Body
		batch.Records = append(batch.Records, events.SQSMessage{
			MessageId: id, ReceiptHandle: id, Body: pick(c.body, body, body, body, "", "{}", body[:len(body)/2]),
			Attributes: map[string]string{"ApproximateReceiveCount": fmt.Sprint(c.receives % 20)},
		})
	}
	return batch
}

// FuzzBatch holds, whatever the store, the queue and handlers answer: a message whose
// event is neither done nor a dead letter comes back, and no other does.
func FuzzBatch(f *testing.F) {
	f.Add([]byte{})
	f.Add(make([]byte, 10*scriptBytes))
	for n := range byte(9) {
		one := []byte{n, n, 0, 0, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 0, 0, n, 0, 0, 0, 0, 0, 1, 0, n, 0, 0, 3, 0, 3, 0, n, n}
		f.Add(one)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		synctest.Test(t, func(t *testing.T) { batchAnswersRight(t, raw) })
	})
}

func batchAnswersRight(t *testing.T, raw []byte) {
	s := &scripted{scripts: map[string]script{}, finished: map[string]bool{}}
	b := setup(s.handle)
	b.config.Store, b.config.Queue, b.config.Pause = s, s, s
	c, err := consumer.New(b.config)
	if err != nil {
		t.Fatal(err)
	}
	batch := s.records(t, raw)
	payload, err := json.Marshal(batch)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), b.config.Limits.ConsumerTimeout)
	defer cancel()
	answer, err := sqsqueue.NewLambdaHandler(c).Invoke(ctx, payload)
	time.Sleep(2 * time.Minute) // for handlers that are stuck: the process would be gone
	if err != nil {
		return // the whole batch comes back
	}
	var response struct {
		Failures []struct {
			ID string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if err := json.Unmarshal(answer, &response); err != nil || response.Failures == nil {
		t.Fatalf("answer %s, %v", answer, err)
	}
	var got, want []string
	for _, f := range response.Failures {
		got = append(got, f.ID)
	}
	for _, m := range batch.Records {
		if !s.finished["evt_"+m.MessageId] {
			want = append(want, m.MessageId)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%v come back, want %v\n%s", got, want, b.logs)
	}
}
