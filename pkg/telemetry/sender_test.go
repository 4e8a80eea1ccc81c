package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/delivery"
	"tollgate/pkg/delivery/deliverytest"
	"tollgate/pkg/destination"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
	"tollgate/pkg/queue"
	"tollgate/pkg/telemetry"
)

// sends is a store of one message, a target and a queue with scripted answers.
type sends struct {
	*deliverytest.Memory
	answer  delivery.Answer
	failing time.Duration // of the destination before the job
	open    time.Duration // its breaker, from the job
	broken  error
	noCopy  error // of the dead-letter queue
}

func (s *sends) Send(context.Context, delivery.Delivery) delivery.Answer           { return s.answer }
func (s *sends) SetVisibility(context.Context, string, time.Duration) error        { return nil }
func (s *sends) DeadLetter(context.Context, queue.Message, queue.DeadLetter) error { return s.noCopy }
func (s *sends) Begin(ctx context.Context, r delivery.BeginRequest) (delivery.Begun, error) {
	if s.broken != nil {
		return delivery.Begun{}, s.broken
	}
	return s.Memory.Begin(ctx, r)
}

// TestEveryOutcomeOfTheSenderIsCounted runs the sender, so that it fails if an outcome or a member
// is renamed there.
func TestEveryOutcomeOfTheSenderIsCounted(t *testing.T) {
	now := time.Now().Round(0)
	const key = "OUT#receipt#live#-#in_1"
	message := outbox.Message{Key: key, Name: "receipt", Queued: now.Add(-2 * time.Second)}
	for _, c := range []struct {
		name string
		s    sends
		body string
		want map[string]float64
	}{
		{"delivered", sends{answer: delivery.Answer{Verdict: delivery.Done}, failing: time.Hour}, "", map[string]float64{"Delivered": 1, "DeliveryAge": 2000}},
		{"a first failure", sends{answer: delivery.Answer{Verdict: delivery.Retry}}, "", map[string]float64{"DeliveryFailed": 1}},
		{"down", sends{answer: delivery.Answer{Verdict: delivery.Retry}, failing: time.Hour}, "", map[string]float64{"DeliveryFailed": 1, "DestinationDown": 1}},
		{"down a little shorter", sends{answer: delivery.Answer{Verdict: delivery.Retry}, failing: time.Hour - time.Millisecond}, "", map[string]float64{"DeliveryFailed": 1}},
		{"an open breaker", sends{failing: time.Hour, open: time.Second}, "", map[string]float64{"DeliveryWaiting": 1, "DestinationDown": 1}},
		{"final", sends{answer: delivery.Answer{Verdict: delivery.Stop}}, "", map[string]float64{"DeliveryDead": 1}},
		{"disabled", sends{answer: delivery.Answer{Verdict: delivery.Disable}}, "", map[string]float64{"DeliveryDead": 1, "DestinationDisabled": 1}},
		{"not a job", sends{}, "{}", map[string]float64{"DeliveryDead": 1}},
		{"final, without a copy", sends{answer: delivery.Answer{Verdict: delivery.Stop}, noCopy: errors.New("throttled")}, "", map[string]float64{}},
		{"store down", sends{broken: errors.New("throttled")}, "", map[string]float64{"StoreDown": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			s := &c.s
			s.Memory = deliverytest.NewMemory(message)
			if s.failing > 0 {
				state := delivery.State{Since: now.Add(-s.failing), Seen: now}
				if s.open > 0 {
					state.Open = now.Add(s.open)
				}
				if won, err := s.SwapState(t.Context(), "crm", state); !won || err != nil {
					t.Fatal(won, err)
				}
			}
			sender, err := delivery.New(delivery.Config{
				Store: s, Queue: s, Targets: map[string]delivery.Target{"crm": s},
				Destinations: destination.Set{"crm": {Name: "crm", Type: destination.HTTP, Rate: 10, Concurrency: 2, Timeout: time.Second}},
				Now:          func() time.Time { return now }, Limits: limits.AWS(), Logger: telemetry.Logger(&out, telemetry.Options{Stage: "live", Level: slog.LevelError}),
			})
			if err != nil {
				t.Fatal(err)
			}
			if c.body == "" {
				c.body = delivery.Job{Message: key, Destination: "crm"}.Encode()
			}
			if _, err := sender.Handle(t.Context(), []queue.Message{{ID: "m", Receipt: "r", Body: c.body, Receives: 1}}); err != nil {
				t.Fatal(err)
			}
			got := map[string]float64{}
			for line := range bytes.Lines(out.Bytes()) {
				maps.Copy(got, counted(t, line))
			}
			want := map[string]float64{}
			for name, n := range c.want {
				want[name+",stage=live"] = n
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("metrics (-want +got):\n%s\n%s", diff, &out)
			}
		})
	}
}
