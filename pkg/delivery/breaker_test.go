package delivery_test

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/limits"
)

func bubble(t *testing.T, test func(f *fixture)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(newFixture(t)) })
}

// failed makes attempts of n messages that fail, one a second.
func (f *fixture) failed(from, n int) {
	f.target.answer = answers(unavailable())
	for i := from; i < from+n; i++ {
		f.handle(received(i, 1))
		time.Sleep(time.Second)
	}
}

// TestBreaker opens after five failures in a row and 30 s without a success; then one job probes.
func TestBreaker(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.failed(0, 8)
		if s := f.state(); s.Since.IsZero() || !s.Open.IsZero() {
			t.Fatalf("after 8 s: %+v", s)
		}
		time.Sleep(30 * time.Second)
		f.failed(8, 1)
		if s := f.state(); s.Open.IsZero() {
			t.Fatalf("after 38 s: %+v", s)
		}
		sent := len(f.target.got)
		other := f.process()
		for _, s := range []*delivery.Sender{f.sender, other} {
			if ack, delay := f.by(s, received(10, 1)); ack || len(f.target.got) != sent || delay < 20*time.Second {
				t.Errorf("while open: acknowledged %v, sent %v, back after %v", ack, len(f.target.got) != sent, delay)
			}
		}
		if _, delay := f.handle(received(10, 500)); delay > 16*time.Minute {
			t.Errorf("a job that waits is back after %v", delay)
		}

		time.Sleep(31 * time.Second)
		f.store.Fault = func(call string) (error, error) {
			if call == "SwapState" {
				time.Sleep(time.Second) // all of them find the breaker's time over
			}
			return nil, nil
		}
		var wg sync.WaitGroup
		for i, s := range []*delivery.Sender{f.sender, other, f.sender, other} {
			wg.Go(func() { f.by(s, received(11+i, 1)) })
		}
		wg.Wait()
		if len(f.target.got) != sent+1 {
			t.Fatalf("%d probes, want 1", len(f.target.got)-sent)
		}
		f.store.Fault = nil
		f.handle(received(15, 1))
		if len(f.target.got) != sent+1 {
			t.Error("a failed probe closes the breaker")
		}

		time.Sleep(31 * time.Second)
		f.target.answer = answers(delivery.Answer{Verdict: delivery.Done})
		f.handle(received(16, 1))
		if s := f.state(); !s.Open.IsZero() || !s.Since.IsZero() || !s.Seen.IsZero() {
			t.Errorf("after a success: %+v", s)
		}
		f.handle(received(17, 1))
		if len(f.target.got) != sent+3 {
			t.Errorf("%d sent after the breaker closed, want 2", len(f.target.got)-sent-1)
		}
	})
}

// TestBreakerStaysClosed for a receiver that answers between its failures, or refuses messages.
func TestBreakerStaysClosed(t *testing.T) {
	bubble(t, func(f *fixture) {
		for i := range 30 {
			f.target.answer = answers(unavailable())
			if i%5 == 4 {
				f.target.answer = answers(delivery.Answer{Verdict: delivery.Stop, Status: 400})
			}
			f.handle(received(i, 1))
			time.Sleep(10 * time.Second)
		}
		if s := f.state(); !s.Open.IsZero() || len(f.target.got) != 30 {
			t.Errorf("%d sent, state %+v", len(f.target.got), s)
		}
	})
}

// TestRefusalsCloseTheBreaker: a receiver that refuses the probe's message is up.
func TestRefusalsCloseTheBreaker(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.failed(0, 5)
		for n := 5; f.state().Open.IsZero(); n++ {
			f.failed(n, 1)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(limits.AWS().Sender.BreakerOpen)
		f.target.answer = answers(delivery.Answer{Verdict: delivery.Stop, Status: 422})
		f.handle(received(30, 1))
		if s := f.state(); !s.Open.IsZero() || s.Since.IsZero() {
			t.Errorf("after a refusal: state %+v", s)
		}
	})
}

// TestOwnRefusals: a message that a target refuses unsent tells nothing of the receiver, for
// however long: a mail without a template disables no mail.
func TestOwnRefusals(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.target.answer = answers(delivery.Answer{Verdict: delivery.Stop, Err: "the message has no mail template"})
		for n := range 30 {
			f.handle(received(n, 1))
			time.Sleep(6 * time.Hour)
		}
		if s := f.state(); s.Ver != 0 || len(f.queue.dead) != 30 {
			t.Errorf("state %+v, %d dead letters", s, len(f.queue.dead))
		}
	})
}

// TestStateIsWrittenOnChange: neither successes nor further failures write it.
func TestStateIsWrittenOnChange(t *testing.T) {
	bubble(t, func(f *fixture) {
		for i := range 5 {
			f.handle(received(i, 1))
		}
		if s := f.state(); s.Ver != 0 {
			t.Errorf("successes write %+v", s)
		}
		f.failed(5, 4)
		f.target.answer = answers(delivery.Answer{Verdict: delivery.Done})
		f.handle(received(9, 1))
		if s := f.state(); s.Ver != 2 {
			t.Errorf("four failures and a success make version %d, want 2", s.Ver)
		}
	})
}

// TestDisabledAfterDaysOfFailures: five days of nothing but failures, none a day apart.
func TestDisabledAfterDaysOfFailures(t *testing.T) {
	for name, c := range map[string]struct {
		every    time.Duration
		good     int // the attempt that succeeds, 0 for none
		disabled bool
	}{
		"failures":    {6 * time.Hour, 0, true},
		"one success": {6 * time.Hour, 12, false},
		"two a week":  {60 * time.Hour, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(f *fixture) {
				start := time.Now()
				for n := 0; time.Since(start) < 6*24*time.Hour; n++ {
					if f.target.answer = answers(unavailable()); c.good > 0 && n == c.good {
						f.target.answer = answers(delivery.Answer{Verdict: delivery.Done})
					}
					f.handle(received(n, 1))
					if s := f.state(); !s.Off.IsZero() && s.Off.Sub(start) < 5*24*time.Hour {
						t.Fatalf("disabled after %v", s.Off.Sub(start))
					}
					time.Sleep(c.every)
				}
				if s := f.state(); s.Off.IsZero() == c.disabled {
					t.Errorf("state %+v, want disabled %v", s, c.disabled)
				}
				if c.disabled != strings.Contains(f.lines.String(), "destination disabled") {
					t.Error("the log does not show it")
				}
			})
		})
	}
}

// TestDisabledDestination: its jobs go to the dead-letter queue without an attempt, until it is
// enabled again.
func TestDisabledDestination(t *testing.T) {
	bubble(t, func(f *fixture) {
		swap := func(s delivery.State) {
			s.Ver, s.By = f.state().Ver, f.owner()
			if won, err := f.store.SwapState(t.Context(), "crm", s); !won || err != nil {
				t.Fatalf("swap: %v, %v", won, err)
			}
		}
		swap(delivery.State{Off: time.Now(), Why: "by hand"})
		if ack, _ := f.handle(received(1, 1)); !ack || len(f.target.got) > 0 || len(f.queue.dead) != 1 || f.queue.dead[0].Reason != "disabled" {
			t.Errorf("acknowledged %v, sent %d, dead letters %+v", ack, len(f.target.got), f.queue.dead)
		}
		swap(delivery.State{})
		time.Sleep(limits.AWS().Sender.StateTTL)
		if ack, _ := f.handle(received(1, 1)); !ack || len(f.target.got) != 1 {
			t.Errorf("enabled again: acknowledged %v, sent %d", ack, len(f.target.got))
		}
	})
}

// TestPausedDestination: its jobs wait without an attempt, until it is resumed.
func TestPausedDestination(t *testing.T) {
	bubble(t, func(f *fixture) {
		swap := func(s delivery.State) {
			s.Ver, s.By = f.state().Ver, f.owner()
			if won, err := f.store.SwapState(t.Context(), "crm", s); !won || err != nil {
				t.Fatalf("swap: %v, %v", won, err)
			}
		}
		swap(delivery.State{Paused: time.Now(), PausedBy: "ann"})
		if ack, _ := f.handle(received(1, 1)); ack || len(f.target.got) > 0 || len(f.queue.dead) > 0 {
			t.Errorf("acknowledged %v, sent %d, dead letters %+v", ack, len(f.target.got), f.queue.dead)
		}
		swap(delivery.State{})
		time.Sleep(limits.AWS().Sender.StateTTL)
		if ack, _ := f.handle(received(1, 1)); !ack || len(f.target.got) != 1 {
			t.Errorf("resumed: acknowledged %v, sent %d", ack, len(f.target.got))
		}
	})
}

// TestDisablingIsNotLost when another process writes the state first.
func TestDisablingIsNotLost(t *testing.T) {
	bubble(t, func(f *fixture) {
		f.failed(1, 1) // the state is cached
		once := sync.OnceFunc(func() {
			f.store.Fault = nil
			if won, _ := f.store.SwapState(t.Context(), "crm", delivery.State{Ver: 1, Since: time.Now(), By: "other"}); !won {
				t.Error("the other process cannot write")
			}
		})
		f.store.Fault = func(call string) (error, error) {
			if call == "SwapState" {
				once()
			}
			return nil, nil
		}
		f.target.answer = answers(delivery.Answer{Verdict: delivery.Disable, Status: 410})
		f.handle(received(2, 1))
		if f.state().Off.IsZero() {
			t.Errorf("state %+v", f.state())
		}
	})
}
