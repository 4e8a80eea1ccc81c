package eventsource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// function is an invoker that sees the ids of its messages.
func function(t *testing.T, f func(ctx context.Context, ids []string) (string, error)) Invoker {
	return func(ctx context.Context, payload []byte) ([]byte, error) {
		var e events.SQSEvent
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Errorf("event is no JSON: %v", err)
		}
		var ids []string
		for _, r := range e.Records {
			ids = append(ids, r.MessageId)
		}
		answer, err := f(ctx, ids)
		return []byte(answer), err
	}
}

// started runs a source in the bubble until the returned function is called,
// which returns what Run did.
func started(t *testing.T, s *Source) (stop func() error) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	synctest.Wait()
	return func() error { cancel(); return <-done }
}

func TestBatchOutcomes(t *testing.T) {
	t.Parallel()
	boom := errors.New("boom")
	tests := []struct {
		name   string
		answer string
		err    error
		want   []string
	}{
		{"all done", `{"batchItemFailures":[]}`, nil, []string{"m0:1x", "m1:1x", "m2:1x"}},
		{"no answer", ``, nil, []string{"m0:1x", "m1:1x", "m2:1x"}},
		{"one failed", `{"batchItemFailures":[{"itemIdentifier":"m1"}]}`, nil, []string{"m0:1x", "m1:1", "m2:1x"}},
		{"each failed", `{"batchItemFailures":[{"itemIdentifier":"m0"},{"itemIdentifier":"m1"},{"itemIdentifier":"m2"}]}`, nil,
			[]string{"m0:1", "m1:1", "m2:1"}},
		{"unknown id", `{"batchItemFailures":[{"itemIdentifier":"m9"}]}`, nil, []string{"m0:1", "m1:1", "m2:1"}},
		{"function error", ``, boom, []string{"m0:1", "m1:1", "m2:1"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &fakeQueue{visibility: time.Hour}
				q.put(3, "body")
				calls := 0
				s := newSource(t, Options{Queue: q, Invoker: function(t, func(context.Context, []string) (string, error) {
					calls++
					return test.answer, test.err
				})})
				stop := started(t, s)
				time.Sleep(time.Minute)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(test.want, q.state()); diff != "" {
					t.Errorf("queue (-want +got):\n%s", diff)
				}
				if calls != 1 {
					t.Errorf("%d invocations", calls)
				}
			})
		})
	}
}

func TestFailedMessagesComeBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{visibility: time.Minute}
		q.put(1, "")
		var tries atomic.Int32
		s := newSource(t, Options{Queue: q, Invoker: function(t, func(context.Context, []string) (string, error) {
			switch tries.Add(1) {
			case 1:
				return "", errors.New("crash")
			case 2:
				return `{"batchItemFailures":[{"itemIdentifier":"m0"}]}`, nil
			}
			return `{}`, nil
		})})
		stop := started(t, s)
		time.Sleep(3 * time.Minute)
		stop()
		if diff := cmp.Diff([]string{"m0:3x"}, q.state()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

func TestLargeBatchIsCut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{visibility: time.Hour}
		q.put(8, strings.Repeat("x", 1<<20))
		var sizes []int
		began := time.Now()
		s := newSource(t, Options{Queue: q, MaxConcurrency: 1, Invoker: function(t, func(_ context.Context, ids []string) (string, error) {
			sizes = append(sizes, len(ids))
			if time.Since(began) > 0 {
				t.Errorf("invoked after %v", time.Since(began))
			}
			if len(sizes) == 1 {
				return "", errors.New("boom") // must not keep the rest from its turn
			}
			return "{}", nil
		})})
		stop := started(t, s)
		stop()
		if diff := cmp.Diff([]int{5, 3}, sizes); diff != "" {
			t.Errorf("invocations (-want +got):\n%s", diff)
		}
		want := []string{"m0:1", "m1:1", "m2:1", "m3:1", "m4:1", "m5:1x", "m6:1x", "m7:1x"}
		if diff := cmp.Diff(want, q.state()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

func TestThrottledInvocationIsRetried(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		free time.Duration // when the function is free again
		want string
	}{
		{"until it runs", 20 * time.Second, "m0:1x"},
		{"until the messages are visible again", time.Hour, "m0:1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &fakeQueue{visibility: time.Hour} // longer than the source thinks, to count one receive
				q.put(1, "")
				began := time.Now()
				var last time.Duration
				var calls int
				s := newSource(t, Options{Queue: q, VisibilityTimeout: 30 * time.Second, Invoker: function(t, func(context.Context, []string) (string, error) {
					last = time.Since(began)
					calls++
					if last < test.free {
						return "", fmt.Errorf("invoke: %w", ErrThrottled)
					}
					return "{}", nil
				})})
				stop := started(t, s)
				time.Sleep(10 * time.Minute)
				stop()
				if diff := cmp.Diff([]string{test.want}, q.state()); diff != "" {
					t.Errorf("queue (-want +got):\n%s", diff)
				}
				if calls < 5 || calls > 25 || last > 30*time.Second || last < 20*time.Second {
					t.Errorf("%d calls, the last after %v", calls, last)
				}
			})
		})
	}
}

func TestNeverAHotLoop(t *testing.T) {
	t.Parallel()
	broken := func() error { return errors.New("queue is down") }
	boom := function(t, func(context.Context, []string) (string, error) { return "", errors.New("boom") })
	good := function(t, func(context.Context, []string) (string, error) { return "{}", nil })
	tests := []struct {
		name     string
		queue    *fakeQueue
		invoker  Invoker
		messages int
		receives int // most in 10 minutes
	}{
		{"idle", &fakeQueue{}, good, 0, 2 * 31},
		{"queue that does not wait", &fakeQueue{instant: true}, good, 0, 2 * 602},
		{"queue that fails", &fakeQueue{receiveErr: broken}, good, 0, 2 * 75},
		{"function that fails", &fakeQueue{visibility: time.Millisecond}, boom, 1000, 2 * 60},
		{"queue that cannot delete", &fakeQueue{visibility: time.Hour, deleteErr: broken}, good, 10, 2 * 40},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := test.queue
				q.put(test.messages, "")
				s := newSource(t, Options{Queue: q, MaxConcurrency: 50, Invoker: test.invoker})
				stop := started(t, s)
				time.Sleep(10 * time.Minute)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if n := q.receiveCount(); n > test.receives || n < 10 {
					t.Errorf("%d receives in 10 minutes, want at most %d", n, test.receives)
				}
				if test.queue.deleteErr != nil && q.deletes != deleteTries {
					t.Errorf("%d deletes", q.deletes)
				}
			})
		})
	}
}

func TestQueueRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		down := func() error {
			if time.Since(began) < 5*time.Minute {
				return errors.New("down")
			}
			return nil
		}
		q := &fakeQueue{visibility: time.Hour, receiveErr: down}
		q.put(1, "")
		s := newSource(t, Options{Queue: q, Invoker: function(t, func(context.Context, []string) (string, error) { return "{}", nil })})
		stop := started(t, s)
		time.Sleep(5*time.Minute + 21*time.Second)
		stop()
		if diff := cmp.Diff([]string{"m0:1x"}, q.state()); diff != "" {
			t.Errorf("queue (-want +got):\n%s", diff)
		}
	})
}

func TestScaling(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &fakeQueue{visibility: time.Hour}
		var running, peak atomic.Int64
		s := newSource(t, Options{Queue: q, MaxConcurrency: 20, Invoker: function(t, func(context.Context, []string) (string, error) {
			peak.Store(max(peak.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Second)
			return "{}", nil
		})})
		stop := started(t, s)
		if n := q.waiting(); n != 2 {
			t.Errorf("%d pollers at the start", n)
		}
		q.put(1000, "")
		time.Sleep(10 * time.Second)
		if n := len(slices.DeleteFunc(q.state(), func(m string) bool { return !strings.HasSuffix(m, "x") })); n != 1000 {
			t.Errorf("%d of 1000 done after 10 s", n)
		}
		if peak.Load() != 20 {
			t.Errorf("%d invocations at a time, want 20", peak.Load())
		}
		time.Sleep(time.Minute)
		if n := q.waiting(); n != 2 {
			t.Errorf("%d pollers when it is quiet", n)
		}
		// Single messages that come while all pollers are busy do not wait for them.
		for range 5 {
			q.put(1, "")
			time.Sleep(time.Millisecond)
		}
		if n := running.Load(); n != 5 {
			t.Errorf("%d of 5 run at once", n)
		}
		stop()
	})
}

func TestDrain(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		takes time.Duration
		want  []string
		err   bool
	}{
		{"in time", 25 * time.Second, []string{"m0:1x", "m1:1"}, false},
		{"too long", time.Hour, []string{"m0:1", "m1:1"}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				q := &fakeQueue{visibility: 2 * time.Hour}
				q.put(2, "")
				s := newSource(t, Options{Queue: q, MaxConcurrency: 1, BatchSize: 1, DrainTimeout: 30 * time.Second,
					Invoker: function(t, func(ctx context.Context, ids []string) (string, error) {
						if ids[0] == "m1" {
							return "", errors.New("boom")
						}
						select {
						case <-time.After(test.takes):
							return "{}", nil
						case <-ctx.Done():
							return "", ctx.Err()
						}
					})})
				q.mu.Lock()
				q.messages[1].receives, q.messages[1].visible = 1, time.Now().Add(time.Hour) // somebody else has it
				q.mu.Unlock()
				stop := started(t, s)
				began := time.Now()
				err := stop()
				if took := time.Since(began); took != min(test.takes, 30*time.Second) {
					t.Errorf("drained in %v", took)
				}
				if (err != nil) != test.err || err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("error %v", err)
				}
				if diff := cmp.Diff(test.want, q.state()); diff != "" {
					t.Errorf("queue (-want +got):\n%s", diff)
				}
				if n := q.waiting(); n != 0 {
					t.Errorf("%d pollers are left", n)
				}
			})
		})
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	q := &fakeQueue{}
	f := function(t, nil)
	for name, o := range map[string]Options{
		"no queue":       {Invoker: f, QueueARN: testARN},
		"no invoker":     {Queue: q, QueueARN: testARN},
		"no ARN":         {Queue: q, Invoker: f},
		"ARN of a topic": {Queue: q, Invoker: f, QueueARN: "arn:aws:sns:eu-west-1:0:t"},
		"FIFO":           {Queue: q, Invoker: f, QueueARN: testARN + ".fifo"},
		"batch size":     {Queue: q, Invoker: f, QueueARN: testARN, BatchSize: 11},
		"concurrency":    {Queue: q, Invoker: f, QueueARN: testARN, MaxConcurrency: -1},
		"poll wait":      {Queue: q, Invoker: f, QueueARN: testARN, PollWait: time.Millisecond},
		"visibility":     {Queue: q, Invoker: f, QueueARN: testARN, VisibilityTimeout: -1},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
