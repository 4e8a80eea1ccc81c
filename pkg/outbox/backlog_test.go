package outbox_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/outbox"
)

// backlogOf is a table with latency, and n messages in each shard.
func backlogOf(n int, queued time.Time) *table {
	t := tableOf(n)
	t.list, t.mark = 20*time.Millisecond, 5*time.Millisecond
	for shard := range t.shards {
		for i := range t.shards[shard] {
			t.shards[shard][i].Queued = queued
		}
	}
	return t
}

func wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// TestBacklogIsSentAtTheSendersRate: a run has no limit on the number of messages.
func TestBacklogIsSentAtTheSendersRate(t *testing.T) {
	const all = outbox.Shards * 7_700
	for _, c := range []struct {
		name     string
		takes    time.Duration // the sender, for one message
		runs     int           // a minute each
		firstRun int           // messages sent by it, at least
	}{
		{"a quick sender", 20 * time.Millisecond, 1, all},
		{"a slow sender", 100 * time.Millisecond, 3, 20_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := backlogOf(all/outbox.Shards, time.Now())
				s := &sender{send: func(ctx context.Context, _ outbox.Message) error { wait(ctx, c.takes); return nil }}
				total := 0
				for n := range c.runs {
					start := time.Now()
					r, err := outbox.Drain(t.Context(), store, s, outbox.Options{})
					if err != nil || r.Failed+r.Unmarked > 0 || r.Left == nil {
						t.Fatalf("run %d: %+v, %v", n, r, err)
					}
					total += r.Sent
					if took := time.Since(start); took > 50*time.Second || r.Left.Unsent != all-total || n == 0 && r.Sent < c.firstRun {
						t.Errorf("run %d: %d sent after %v, %d counted as left of %d", n, r.Sent, took, r.Left.Unsent, all-total)
					}
					<-time.After(time.Until(start.Add(time.Minute)))
				}
				if total != all || len(s.keys) != all {
					t.Errorf("%d sent, %d marked of %d in %d runs", len(s.keys), total, all, c.runs)
				}
			})
		})
	}
}

// TestTwoDrainsAtOnce: each message is sent once or twice and marked once.
func TestTwoDrainsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := tableOf(100), &sender{send: func(ctx context.Context, _ outbox.Message) error { wait(ctx, time.Second); return nil }}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := outbox.Drain(t.Context(), store, s, outbox.Options{}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if len(store.sent) != 100*outbox.Shards || len(s.keys) > 2*100*outbox.Shards {
			t.Errorf("%d marked, %d sent", len(store.sent), len(s.keys))
		}
	})
}

func TestLeft(t *testing.T) {
	refuse := func(context.Context, outbox.Message) error { return errors.New("no such mailbox") }
	slow := func(ctx context.Context, _ outbox.Message) error { wait(ctx, time.Second); return nil }
	for _, c := range []struct {
		name    string
		n       int // of each shard
		shards  []int
		held    [outbox.Shards]int
		send    func(context.Context, outbox.Message) error
		markErr error
		o       outbox.Options
		want    outbox.Left
	}{
		{name: "nothing", want: outbox.Left{}},
		{name: "all sent", n: 200, want: outbox.Left{}},
		{name: "held messages, bounded", held: [outbox.Shards]int{3: 17, 5: 4000}, want: outbox.Left{Held: 1017}},
		{name: "refused", n: 7, shards: []int{1, 2}, send: refuse, want: outbox.Left{Unsent: 14, Oldest: 10 * time.Minute}},
		{name: "sent, not marked", n: 2, shards: []int{4}, markErr: errors.New("throttled"), want: outbox.Left{Unsent: 2, Oldest: 10 * time.Minute}},
		// Ten were sent in ten seconds; the eleventh is ten seconds younger than the first.
		{name: "not started in time", n: 30, shards: []int{0}, send: slow, o: outbox.Options{Time: 10 * time.Second, Parallel: 8}, want: outbox.Left{Unsent: 20, Oldest: 10 * time.Minute}},
		{name: "not started, from the newest on", n: 30, shards: []int{0}, o: outbox.Options{Failures: 16, Parallel: 8}, want: outbox.Left{Unsent: 1, Oldest: 10 * time.Minute},
			send: func(_ context.Context, m outbox.Message) error {
				if place(m) == 0 {
					return errors.New("no")
				}
				return nil
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := tableOf(c.n, c.shards...)
				store.held = c.held
				if c.markErr != nil {
					store.markErr = func(string) error { return c.markErr }
				}
				for i := range store.shards {
					for j := range store.shards[i] {
						store.shards[i][j].Queued = time.Now().Add(-10*time.Minute + time.Duration(j)*time.Second)
					}
				}
				r, err := outbox.Drain(t.Context(), store, &sender{send: c.send}, c.o)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(&c.want, r.Left); diff != "" {
					t.Errorf("left (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestLeftWithoutACount: an unreadable list is not reported as empty.
func TestLeftWithoutACount(t *testing.T) {
	for name, c := range map[string]struct {
		store *table
		want  string
	}{
		"unsent list":   {&table{listErr: map[int]error{6: errors.New("throttled")}, sent: map[string]time.Time{}}, "OUT#6"},
		"held messages": {&table{heldErr: errors.New("throttled"), sent: map[string]time.Time{}}, "HELD#0"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := outbox.Drain(t.Context(), c.store, &sender{}, outbox.Options{})
			if r.Left != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("left %+v, error %v", r.Left, err)
			}
		})
	}
}

// TestCountingEnds: a list that is too long to count in time gives a lower bound.
func TestCountingEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := backlogOf(5_000, time.Now().Add(-time.Hour))
		store.list = time.Second
		s := &sender{send: func(context.Context, outbox.Message) error { return errors.New("down") }}
		r, err := outbox.Drain(t.Context(), store, s, outbox.Options{Failures: 8})
		if err != nil || r.Left == nil || r.Left.Unsent < 8_000 || r.Left.Unsent >= 40_000 || r.Left.Oldest < time.Hour {
			t.Errorf("left %+v, error %v", r.Left, err)
		}
		store.list = time.Minute // nothing can be counted
		if r, err := outbox.Drain(t.Context(), store, s, outbox.Options{Failures: 8}); err == nil || r.Left != nil {
			t.Errorf("left %+v, error %v", r.Left, err)
		}
	})
}
