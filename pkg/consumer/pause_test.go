package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
)

// paused is a type that is paused, the error of every question and that of every copy.
type paused struct {
	eventType    string
	err, holdErr error
	*fakeQueue
}

func (p paused) Paused(_ context.Context, eventType string) (bool, error) {
	return eventType == p.eventType, p.err
}

func (p paused) Hold(_ context.Context, m queue.Message) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, "hold "+m.ID+" "+m.Body)
	return p.holdErr
}

// TestPaused has a row for every outcome of a message while a type is paused.
func TestPaused(t *testing.T) {
	boom := errors.New("boom")
	last := limits.AWS().MaxReceives
	held := want{acked: true, unclaimed: true}
	down := fmt.Errorf("%w: no answer", idempotency.ErrStoreDown)
	for _, c := range []struct {
		name     string
		pause    paused
		with     func(*bundle)
		receives int
		change   func(*event.Envelope)
		copied   bool
		want     want
	}{
		{name: "a paused type is copied, then acknowledged", pause: paused{eventType: "invoice.paid"}, copied: true, want: held},
		{name: "one without a handler too", pause: paused{eventType: "unhandled"}, change: func(e *event.Envelope) { e.Type = "unhandled" }, copied: true, want: held},
		{name: "one that would run without a claim too", pause: paused{eventType: "pure"}, change: func(e *event.Envelope) { e.Type = "pure" }, copied: true, want: held},
		{name: "at the last receive too", pause: paused{eventType: "invoice.paid"}, receives: last, copied: true, want: held},
		{name: "a replayed event too", pause: paused{eventType: "invoice.paid"}, change: func(e *event.Envelope) { e.Source = event.Replay }, copied: true, want: held},
		{name: "without the copy it comes back", pause: paused{eventType: "invoice.paid", holdErr: boom}, copied: true,
			want: want{delay: 28500 * time.Millisecond, unclaimed: true, err: consumer.ErrInfrastructure}},
		{name: "a copy that the queue refuses is not a fault of the queue", pause: paused{eventType: "invoice.paid", holdErr: queue.ErrRefused}, copied: true,
			want: want{delay: 28500 * time.Millisecond, unclaimed: true}},
		{name: "another type is handled", pause: paused{eventType: "invoice.created"}, want: want{acked: true, done: idempotency.Applied}},
		{name: "policy is asked first", pause: paused{eventType: "invoice.paid"}, with: policies(policy.Policy{Livemode: []bool{true}}),
			want: want{acked: true, calls: []string{"dead m1"}, unclaimed: true, parked: policy.ReasonLivemode}},
		{name: "while pauses cannot be read nothing runs", pause: paused{err: down}, want: want{delay: 28500 * time.Millisecond, unclaimed: true, err: consumer.ErrInfrastructure}},
		{name: "nor while they cannot be understood", pause: paused{err: boom}, receives: 4, want: want{delay: 228 * time.Second, unclaimed: true, err: consumer.ErrInfrastructure}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := setup(succeed)
				c.pause.fakeQueue = b.queue
				b.config.Pause = c.pause
				if c.with != nil {
					c.with(b)
				}
				m := message(t, "1", max(c.receives, 1), c.change)
				failed, err := b.handle(t, m)
				if c.copied {
					c.want.calls = append(c.want.calls, "hold m1 "+m.Body)
				}
				b.check(t, c.want, failed, err)
				if outcome := `"outcome":"held"`; strings.Contains(b.logs.String(), outcome) != (c.copied && c.want.acked) {
					t.Errorf("its line has %s: %s", outcome, b.logs)
				}
			})
		})
	}
}

// TestPausedBesideOthers: the rest of a batch is handled, and the copy of a message that may kill
// the process is made before its turn would come.
func TestPausedBesideOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ran []string
		b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
			ran = append(ran, in.Envelope.ID)
			return nil, nil
		})
		b.config.Pause = paused{eventType: "invoice.paused", fakeQueue: b.queue}
		pausedType := func(e *event.Envelope) { e.Type = "invoice.paused" }
		failed, err := b.handle(t, message(t, "1", 1, pausedType), message(t, "2", 1), message(t, "3", 5, pausedType))
		if err != nil || len(failed) > 0 || !slices.Equal(ran, []string{"evt_2"}) {
			t.Errorf("ran %v, failed %v, %v; want evt_2 alone, and all acknowledged", ran, failed, err)
		}
	})
}
