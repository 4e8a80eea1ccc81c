package redrive_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/redrive"
)

// read plans all and collects the ids of the visited messages.
func read(ctx context.Context, q redrive.Queue, s redrive.Selection) (ids []string, p *redrive.Plan, unreleased int, err error) {
	d := dlq(q, nil, records{})
	d.OnUnreleased = func(n int) { unreleased = n }
	s.Each = func(m redrive.DeadLetter, _ []byte) (bool, error) {
		ids = append(ids, m.MessageID)
		return true, nil
	}
	p, err = d.Plan(ctx, s)
	return ids, p, unreleased, err
}

func TestWalk(t *testing.T) {
	tests := []struct {
		name      string
		messages  int
		slow      time.Duration
		timeScale int
		limit     int
		want      int
		more      bool
	}{
		{name: "an empty queue"},
		{name: "a few", messages: 3, want: 3},
		{name: "many receives", messages: 57, want: 57},
		{name: "up to the limit", messages: 57, limit: 25, want: 25, more: true},
		{name: "less than the limit", messages: 7, limit: 8, want: 7},
		{name: "longer than they are hidden", messages: 100, slow: 50 * time.Second, want: 100},
		{name: "a shorter visibility", messages: 20, slow: 4 * time.Second, timeScale: 60, want: 20},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queueOf(t, tt.messages)
				q.slow = tt.slow
				d, ids := dlq(q, nil, records{}), []string{}
				d.TimeScale = tt.timeScale
				p, err := d.Plan(t.Context(), redrive.Selection{MaxRead: tt.limit, Each: func(m redrive.DeadLetter, _ []byte) (bool, error) {
					ids = append(ids, m.MessageID)
					return true, nil
				}})
				if err != nil || p.Read != tt.want || p.More != tt.more {
					t.Errorf("%v, read %d, more %v", err, p.Read, p.More)
				}
				if n := len(slices.Compact(slices.Sorted(slices.Values(ids)))); n != tt.want || n != len(ids) {
					t.Errorf("visited %d messages, %d different ones", len(ids), n)
				}
				if hidden := q.hidden(); len(hidden) != 0 {
					t.Errorf("%d messages stay hidden", len(hidden))
				}
				for _, e := range q.entries[:tt.want] {
					if e.m.Receives != 1 {
						t.Errorf("%s was received %d times: it became visible during the walk", e.m.ID, e.m.Receives)
					}
				}
				if q.most > 10 {
					t.Errorf("asked for %d messages at once", q.most)
				}
			})
		})
	}
}

// TestWalkVisitsOnce: messages that cannot be kept hidden are received again and visited once,
// and none is missed.
func TestWalkVisitsOnce(t *testing.T) {
	for _, tt := range []struct {
		name     string
		messages int
		slow     time.Duration
		stuck    func(receipt string) bool
		again    int // the message that must come back
	}{
		{"one message", 30, 70 * time.Second, func(r string) bool { return strings.HasPrefix(r, "m3/") && r < "m3/3" }, 3},
		{"all, for a while", 100, 30 * time.Second, func(string) bool { return time.Since(start) < 4*time.Minute }, 30},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queueOf(t, tt.messages)
				q.slow, q.stuck = tt.slow, tt.stuck
				ids, p, unreleased, err := read(t.Context(), q, redrive.Selection{})
				if err != nil || len(ids) != tt.messages || p.Read != tt.messages {
					t.Errorf("visited %d messages of %d, counted %d: %v", len(ids), tt.messages, p.Read, err)
				}
				if q.entries[tt.again].m.Receives < 2 {
					t.Error("the message never came back: this test shows nothing")
				}
				if hidden := q.hidden(); len(hidden) != unreleased {
					t.Errorf("%v stay hidden, %d are reported", hidden, unreleased)
				}
			})
		})
	}
}

// misses finds nothing at every other receive.
type misses struct {
	*fakeQueue
	n int
}

func (q *misses) Receive(ctx context.Context, limit int, hide time.Duration) ([]redrive.Received, error) {
	if q.n++; q.n%2 == 1 {
		return nil, nil
	}
	return q.fakeQueue.Receive(ctx, limit, hide)
}

// again hides nothing.
type again struct{ *fakeQueue }

func (q again) Receive(ctx context.Context, limit int, _ time.Duration) ([]redrive.Received, error) {
	return q.fakeQueue.Receive(ctx, limit, 0)
}

// TestWalkOddQueues: a queue of many servers may return nothing though it has something, and
// a broken one returns the same message again and again.
func TestWalkOddQueues(t *testing.T) {
	for name, tt := range map[string]struct {
		queue func(q *fakeQueue) redrive.Queue
		want  int
	}{
		"misses":        {func(q *fakeQueue) redrive.Queue { return &misses{fakeQueue: q} }, 25},
		"hides nothing": {func(q *fakeQueue) redrive.Queue { q.slow = time.Second; return again{q} }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				ids, _, _, err := read(ctx, tt.queue(queueOf(t, tt.want)), redrive.Selection{})
				if err != nil || len(ids) != tt.want {
					t.Errorf("visited %d messages of %d: %v", len(ids), tt.want, err)
				}
			})
		})
	}
}

func TestWalkReleases(t *testing.T) {
	down := errors.New("queue is away")
	tests := []struct {
		name    string
		change  func(q *fakeQueue)
		visit   func(n int) bool
		want    error
		visited int
		hidden  int
	}{
		{
			name:   "when a receive fails",
			change: func(q *fakeQueue) { q.fail = failAt(3, down) },
			want:   down, visited: 20,
		},
		{
			name: "when the visitor has seen enough", visited: 4,
			visit: func(n int) bool { return n < 4 },
		},
		{
			name: "all but those that cannot be shown", visited: 30, hidden: 1,
			change: func(q *fakeQueue) { q.stuck = func(r string) bool { return r == "m7/1" } },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, n, unreleased := queueOf(t, 30), 0, 0
				if tt.change != nil {
					tt.change(q)
				}
				d := dlq(q, nil, records{})
				d.OnUnreleased = func(n int) { unreleased = n }
				_, err := d.Plan(t.Context(), redrive.Selection{Each: func(redrive.DeadLetter, []byte) (bool, error) {
					n++
					return tt.visit == nil || tt.visit(n), nil
				}})
				if !errors.Is(err, tt.want) || n != tt.visited || unreleased != tt.hidden {
					t.Errorf("%v after %d visits, %d not released; want %v after %d, %d", err, n, unreleased, tt.want, tt.visited, tt.hidden)
				}
				if hidden := q.hidden(); len(hidden) != tt.hidden {
					t.Errorf("%v stay hidden", hidden)
				}
			})
		})
	}
}

// TestWalkCancelledInAReceive: its messages are released too.
func TestWalkCancelledInAReceive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q := queueOf(t, 30)
		q.fail = func(call int) error {
			if call == 2 {
				cancel()
			}
			return nil
		}
		if _, _, _, err := read(ctx, q, redrive.Selection{}); !errors.Is(err, context.Canceled) || q.calls != 2 || len(q.hidden()) != 0 {
			t.Errorf("%v after %d receives, %v stay hidden", err, q.calls, q.hidden())
		}
	})
}

func failAt(call int, err error) func(int) error {
	return func(n int) error {
		if n == call {
			return err
		}
		return nil
	}
}

func TestWalkReleasesAfterPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(t, 12)
		defer func() {
			if r := recover(); r != "visitor fell" {
				t.Errorf("recovered %v", r)
			}
			if hidden := q.hidden(); len(hidden) != 0 {
				t.Errorf("%v stay hidden", hidden)
			}
		}()
		dlq(q, nil, records{}).Plan(t.Context(), redrive.Selection{Each: func(redrive.DeadLetter, []byte) (bool, error) { panic("visitor fell") }})
	})
}
