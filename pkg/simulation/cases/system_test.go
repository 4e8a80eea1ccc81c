package cases_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/local/stripe"
	"tollgate/pkg/queue"
	"tollgate/pkg/simulation/cases"
	"tollgate/pkg/stripeapi"
)

// system is the real parser, consumer, handlers and Stripe client with a fake Stripe, a table in
// memory and a clock of its own.
type system struct {
	t        *testing.T
	fake     *stripe.Fake
	store    *idempotencytest.Memory
	consumer *consumer.Consumer
	clock    time.Time
	sent     int
	dead     map[string]string // reasons of dead letters, by event
}

// listed is the table as the ledger reads it.
type listed struct{ *idempotencytest.Memory }

func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, store: idempotencytest.NewMemory(nil), clock: time.Unix(1_795_877_600, 0), dead: map[string]string{}}
	var err error
	s.fake, err = stripe.Open(stripe.Options{Now: func() time.Time { return s.clock }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.fake.Close() })
	client, err := stripeapi.New(stripeapi.Options{
		URL: "http://127.0.0.1", Transport: s, Unlimited: true,
		Key: func(context.Context) (string, error) { return "sk_test_fake", nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: client, Rows: s.store})
	handlers.Register(mux)
	s.consumer, err = consumer.New(consumer.Config{
		Store: s.store, Queue: s, Handlers: mux, Fetcher: client, Now: func() time.Time { return s.clock },
		Exit: func(int) { panic("a handler outlived its context") },
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// RoundTrip is the client's way to the fake Stripe, without a socket.
func (s *system) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	s.fake.ServeHTTP(w, r)
	return w.Result(), nil
}

// put puts the objects of a step at the fake Stripe.
func (s *system) put(step cases.Step) {
	s.t.Helper()
	if len(step.Objects) == 0 {
		return
	}
	body, err := json.Marshal(step.Objects)
	if err != nil {
		s.t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodPut, "/_fake/objects", bytes.NewReader(body))
	r.Header.Set("Authorization", "Bearer sk_test_fake")
	if step.Account != "" {
		r.Header.Set("Stripe-Account", step.Account)
	}
	w := httptest.NewRecorder()
	s.fake.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		s.t.Fatalf("put %s: %d %s", body, w.Code, w.Body)
	}
}

// handle delivers events, each until it is done or dead. The clock moves 2 s with each delivery,
// and a minute before each further receive.
func (s *system) handle(list ...cases.Object) {
	s.t.Helper()
	pending := []queue.Message{}
	for _, e := range list {
		s.clock = s.clock.Add(2 * time.Second)
		pending = append(pending, s.message(e))
	}
	for receive := 1; len(pending) > 0; receive++ {
		if receive > 16 {
			s.t.Fatalf("%d events are neither done nor dead after 16 receives", len(pending))
		}
		var failed []queue.Message
		for _, m := range pending {
			s.clock = s.clock.Add(2 * time.Second)
			m.Receives, m.FirstReceivedAt = m.Receives+1, m.SentAt
			back, err := s.consumer.Handle(s.t.Context(), []queue.Message{m})
			if err != nil {
				s.t.Fatal(err)
			}
			if len(back) > 0 {
				failed = append(failed, m)
			}
		}
		if pending = failed; len(pending) > 0 {
			s.clock = s.clock.Add(time.Minute)
		}
	}
}

// message is an event as ingest enqueues it.
func (s *system) message(e cases.Object) queue.Message {
	s.t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		s.t.Fatal(err)
	}
	env, err := event.Parse(body)
	if err != nil {
		s.t.Fatalf("%v: %s", err, body)
	}
	env.Endpoint, env.Source, env.ReceivedAt, env.Body = "default", event.Webhook, s.clock, body
	text, err := queue.Encode(env)
	if err != nil {
		s.t.Fatal(err)
	}
	s.sent++
	id := fmt.Sprint("m", s.sent)
	return queue.Message{ID: id, Receipt: id, Body: text, SentAt: s.clock}
}

// SetVisibility, Delete and DeadLetter are the queue.
func (s *system) SetVisibility(context.Context, string, time.Duration) error { return nil }

func (s *system) Delete(context.Context, []string) error { return nil }

func (s *system) DeadLetter(_ context.Context, _ queue.Message, d queue.DeadLetter) error {
	s.dead[d.EventID] = d.Reason
	return nil
}
