package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// firstReceives returns n messages, m1 to mn.
func firstReceives(t *testing.T, n int) (all []queue.Message) {
	for i := range n {
		all = append(all, message(t, fmt.Sprint(i+1), 1))
	}
	return all
}

// comesBack handles a batch of which the messages with these ids must come back.
func (b *bundle) comesBack(t *testing.T, batch []queue.Message, want ...string) {
	t.Helper()
	failed, err := b.handle(t, batch...)
	if diff := cmp.Diff(want, failed); diff != "" || err != nil {
		t.Errorf("error %v, failed ids (-want +got):\n%s", err, diff)
	}
}

func TestEmptyBatchAnswersAnEmptyListNotNil(t *testing.T) {
	failed, err := setup(succeed).handle(t)
	if err != nil || failed == nil || len(failed) != 0 {
		t.Errorf("got %#v, %v; want an empty list", failed, err)
	}
}

func TestOneBadMessageLeavesTheOthersAlone(t *testing.T) {
	b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
		if in.ID == "evt_2" {
			return nil, errors.New("bad")
		}
		return nil, nil
	})
	b.comesBack(t, firstReceives(t, 3), "m2")
}

func TestPanicOfOurOwnCodeFailsOneMessage(t *testing.T) {
	b := setup(succeed)
	b.store.claim = func(r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
		if r.Event.ID == "evt_1" {
			panic("bug")
		}
		return claimed(r), nil
	}
	b.comesBack(t, firstReceives(t, 2), "m1")
	if !strings.Contains(b.logs.String(), "batch_test.go") {
		t.Errorf("the log does not say where: %s", b.logs)
	}
}

func TestMessagesRunAtOnceUpToTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var now, most atomic.Int32
		b := setup(func(ctx context.Context, _ dispatch.Input) (dispatch.Effects, error) {
			most.Store(max(most.Load(), now.Add(1)))
			<-time.After(time.Second)
			now.Add(-1)
			return nil, nil
		})
		batch, start := firstReceives(t, 10), time.Now()
		failed, err := b.handle(t, batch...)
		if err != nil || len(failed) != 0 || most.Load() != 5 || time.Since(start) != 2*time.Second {
			t.Errorf("failed %v, error %v, %d at once in %v; want 5 at once in 2s", failed, err, most.Load(), time.Since(start))
		}
	})
}

func TestSuspectsRunLastAndAloneAfterTheFinishedAreDeleted(t *testing.T) {
	var order []string
	b := setup(succeed)
	b.config.Handlers = handlers(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
		b.queue.mu.Lock()
		defer b.queue.mu.Unlock()
		order = append(order, in.ID+" after "+strings.Join(b.queue.calls, "; "))
		return nil, nil
	})
	b.config.Limits.BatchConcurrency = 1
	failed, err := b.handle(t, message(t, "9", 3), message(t, "1", 1), message(t, "8", 7), message(t, "2", 2))
	if err != nil || len(failed) != 0 {
		t.Fatalf("failed %v, error %v", failed, err)
	}
	want := []string{
		"evt_1 after ", "evt_2 after ",
		"evt_9 after visibility r8; delete r1,r2", "evt_8 after visibility r8; delete r1,r2; delete r9",
	}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	// Were the first to end the process, the other would come back at another time than it.
	if d := b.queue.visibility["r8"]; d != 114*time.Second {
		t.Errorf("hidden for %v, want the back-off of a third receive", d)
	}
}

func TestNothingIsClaimedWithoutTime(t *testing.T) {
	slow := func(ctx context.Context, _ dispatch.Input) (dispatch.Effects, error) {
		<-time.After(7900 * time.Millisecond)
		return nil, nil
	}
	synctest.Test(t, func(t *testing.T) {
		b := setup(slow)
		b.config.Limits.BatchConcurrency = 1
		// 30 s hold three runs of 7.9 s with 11 s left before each.
		b.comesBack(t, append(firstReceives(t, 4), message(t, "5", 2)), "m4", "m5")
		if len(b.store.claims) != 3 {
			t.Errorf("%d claims, want 3", len(b.store.claims))
		}
		if d := b.queue.visibility["r4"]; d != time.Second {
			t.Errorf("hidden for %v, want the middle of 0–2 s", d)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		b := setup(slow)
		b.config.Limits.ConsumerTimeout = 11*time.Second - 1
		b.config.Limits.HandlerBudget, b.config.Limits.StripeTry = 5*time.Second, time.Second // else the limits are refused
		c, err := consumer.New(b.config)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second-1)
		defer cancel()
		if _, err := c.Handle(ctx, []queue.Message{message(t, "1", 3)}); err != nil {
			t.Fatal(err)
		}
		if d := b.queue.visibility["r1"]; d != 114*time.Second || len(b.store.claims) != 0 {
			t.Errorf("hidden for %v after %d claims, want the back-off of a third receive and no claim", d, len(b.store.claims))
		}
	})
}

func TestStoreDownStopsClaiming(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(succeed)
		b.config.Limits.BatchConcurrency = 1
		b.store.claim = func(r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
			if r.Event.ID == "evt_1" {
				return claimed(r), nil
			}
			return idempotency.ClaimResult{}, idempotency.ErrStoreDown
		}
		b.comesBack(t, firstReceives(t, 4), "m2", "m3", "m4")
		if len(b.store.claims) != 2 {
			t.Errorf("%d claims, want 2", len(b.store.claims))
		}
		back := 28500 * time.Millisecond
		if diff := cmp.Diff(map[string]time.Duration{"r2": back, "r3": back, "r4": back}, b.queue.visibility); diff != "" {
			t.Errorf("hidden for (-want +got):\n%s", diff)
		}
	})
}

// TestThrottledItems: one throttled item fails its own message alone, a second one stops the batch.
func TestThrottledItems(t *testing.T) {
	hot := func(ids ...string) func(idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
		return func(r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
			if slices.Contains(ids, r.Event.ID) {
				return idempotency.ClaimResult{}, fmt.Errorf("%w: scripted", idempotency.ErrThrottled)
			}
			return claimed(r), nil
		}
	}
	for name, c := range map[string]struct {
		hot    []string
		want   []string
		claims int
	}{
		"one":           {[]string{"evt_1"}, []string{"m1"}, 4},
		"the last one":  {[]string{"evt_4"}, []string{"m4"}, 4},
		"two":           {[]string{"evt_1", "evt_2"}, []string{"m1", "m2", "m3", "m4"}, 2},
		"two, one late": {[]string{"evt_1", "evt_3"}, []string{"m1", "m3", "m4"}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(succeed)
			b.config.Limits.BatchConcurrency = 1
			b.store.claim = hot(c.hot...)
			failed, err := b.handle(t, firstReceives(t, 4)...)
			if diff := cmp.Diff(c.want, failed); diff != "" && len(c.want) < 4 || len(b.store.claims) != c.claims {
				t.Errorf("%d claims, want %d; failed ids (-want +got):\n%s", len(b.store.claims), c.claims, diff)
			}
			if whole := len(c.want) == 4; errors.Is(err, consumer.ErrInfrastructure) != whole {
				t.Errorf("error %v", err)
			}
			if d := b.queue.visibility["r"+c.want[0][1:]]; d != 28500*time.Millisecond {
				t.Errorf("hidden for %v, want the back-off of a first receive", d)
			}
			if !strings.Contains(b.logs.String(), `"outcome":"throttled"`) {
				t.Errorf("no line reports it: %s", b.logs)
			}
		})
	}
	t.Run("alone in its batch", func(t *testing.T) {
		b := setup(succeed)
		b.store.claim = hot("evt_1")
		if failed, err := b.handle(t, message(t, "1", 1)); len(failed) != 1 || err != nil {
			t.Errorf("failed %v, error %v; want its message alone", failed, err)
		}
	})
	t.Run("its failure cannot be written", func(t *testing.T) {
		b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
			if in.ID == "evt_1" {
				return nil, errors.New("boom")
			}
			return nil, nil
		})
		b.config.Limits.BatchConcurrency = 1
		b.store.fail = func(idempotency.Failure) (idempotency.FailResult, error) {
			return idempotency.FailResult{}, idempotency.ErrThrottled
		}
		b.comesBack(t, firstReceives(t, 2), "m1")
	})
}

func TestHandlerOutOfTimeIsATransientFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := setup(func(ctx context.Context, _ dispatch.Input) (dispatch.Effects, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		start := time.Now()
		failed, err := b.handle(t, message(t, "1", 1))
		if err != nil || len(failed) != 1 || time.Since(start) != 8*time.Second || len(b.exits) != 0 || len(b.store.failures) != 1 {
			t.Errorf("failed %v, error %v after %v, exits %v, %d failures", failed, err, time.Since(start), b.exits, len(b.store.failures))
		}
		if d := b.queue.visibility["r1"]; d != 28500*time.Millisecond {
			t.Errorf("hidden for %v, want the back-off of a first receive", d)
		}
	})
}

// TestStuckHandlerEndsTheProcess: its record is failed under its own fence, every
// visibility is set, what was finished is deleted, and then the process exits.
func TestStuckHandlerEndsTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		b := setup(func(_ context.Context, in dispatch.Input) (dispatch.Effects, error) {
			if in.ID == "evt_2" {
				<-release
			}
			return nil, nil
		})
		var callsAtExit []string
		b.config.Exit = func(code int) {
			b.exits = append(b.exits, code)
			callsAtExit = slices.Clone(b.queue.calls)
		}
		start := time.Now()
		_, err := b.handle(t, message(t, "1", 1), message(t, "2", 1), message(t, "3", 3))
		if !errors.Is(err, consumer.ErrStuck) || time.Since(start) != 9*time.Second {
			t.Errorf("error %v after %v, want ErrStuck after the budget and the grace", err, time.Since(start))
		}
		if diff := cmp.Diff([]int{1}, b.exits); diff != "" {
			t.Errorf("exits (-want +got):\n%s", diff)
		}
		want := []string{"visibility r2", "delete r1", "visibility r3"}
		if diff := cmp.Diff(want, callsAtExit); diff != "" {
			t.Errorf("queue calls before the exit (-want +got):\n%s", diff)
		}
		if len(b.store.failures) != 1 || len(b.store.claims) != 2 {
			t.Errorf("%d failures and %d claims, want the stuck one failed and the suspect not claimed", len(b.store.failures), len(b.store.claims))
		}
	})
}

func TestVisibilityFailureChangesNothing(t *testing.T) {
	b := setup(func(context.Context, dispatch.Input) (dispatch.Effects, error) { return nil, errors.New("bad") })
	b.queue.visErr = errors.New("throttled")
	b.comesBack(t, []queue.Message{message(t, "1", 1), message(t, "2", 1, func(e *event.Envelope) { e.Type = "unhandled" })}, "m1")
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*consumer.Config){
		"no store":      func(c *consumer.Config) { c.Store = nil },
		"no queue":      func(c *consumer.Config) { c.Queue = nil },
		"no handlers":   func(c *consumer.Config) { c.Handlers = nil },
		"no fetcher":    func(c *consumer.Config) { c.Fetcher = nil },
		"broken limits": func(c *consumer.Config) { c.Limits.Visibility = time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(succeed)
			change(&b.config)
			if _, err := consumer.New(b.config); err == nil {
				t.Error("accepted")
			}
		})
	}
}
