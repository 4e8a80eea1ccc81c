package pause_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/pause"
)

// source is a switch with one answer, and counts how often it is read.
type source struct {
	state pause.State
	err   error
	mu    sync.Mutex
	reads int
}

func (s *source) read(ctx context.Context) (pause.State, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	if errors.Is(s.err, context.DeadlineExceeded) {
		<-ctx.Done()
		return pause.State{}, ctx.Err()
	}
	return s.state, s.err
}

func pausing(types ...string) pause.State {
	s := pause.State{Revision: 1, Paused: map[string]pause.Mark{}, Resuming: map[string]pause.Span{}}
	for _, t := range types {
		s.Paused[t] = pause.Mark{At: time.Unix(1, 0)}
	}
	return s
}

// TestCache: the switch is read once in PauseAge, by one reader; while it cannot be read the last
// answer serves for PauseStale, and then nothing is known.
func TestCache(t *testing.T) {
	l := limits.AWS()
	down, damaged := errors.New("throttled"), fmt.Errorf("%w: form 2", pause.ErrUnreadable)
	for _, c := range []struct {
		name  string
		first error // of the read at 0 s
		then  error // of later ones; nil: the switch is empty by then
		after time.Duration
		want  bool
		err   error
		reads int
	}{
		{"at once", nil, nil, 0, true, nil, 1},
		{"just before its age", nil, nil, l.PauseAge - 1, true, nil, 1},
		{"at its age", nil, nil, l.PauseAge, false, nil, 2},
		{"not read again, just before it is stale", nil, down, l.PauseStale - 1, true, nil, 2},
		{"not read again, and stale", nil, down, l.PauseStale, false, idempotency.ErrStoreDown, 2},
		{"an answer that does not come", nil, context.DeadlineExceeded, l.PauseAge, true, nil, 2},
		{"never read", down, down, 0, false, idempotency.ErrStoreDown, 2},
		{"never read, at first", down, nil, 0, false, nil, 2},
		{"damaged", damaged, nil, 0, false, pause.ErrUnreadable, 1},
		{"damaged meanwhile", nil, damaged, l.PauseAge, false, pause.ErrUnreadable, 2},
		{"damaged, and not read since", damaged, down, l.PauseAge, false, idempotency.ErrStoreDown, 2},
		{"mended", damaged, nil, l.PauseAge, false, nil, 2},
		{"a clock that went back", nil, nil, -time.Second, false, nil, 2},
		{"a clock that went back, not read again", nil, down, -time.Second, false, idempotency.ErrStoreDown, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := &source{state: pausing("a.b"), err: c.first}
				now := time.Now()
				cache := pause.NewCache(src.read, l, func() time.Time { return now })
				if got, err := cache.Paused(t.Context(), "a.b"); got != (c.first == nil) || !errors.Is(err, c.first) {
					t.Fatalf("at 0 s paused %v, %v", got, err)
				}
				if c.then == nil {
					src.state = pausing()
				}
				src.err, now = c.then, now.Add(c.after)
				got, err := cache.Paused(t.Context(), "a.b")
				if got != c.want || !errors.Is(err, c.err) || c.err == nil && err != nil || src.reads != c.reads {
					t.Errorf("paused %v, %v, after %d reads; want %v, %v, after %d", got, err, src.reads, c.want, c.err, c.reads)
				}
				// Another question a moment later costs no read if this one had an answer.
				if err == nil {
					if _, err := cache.Quiet(t.Context(), "a.b", ""); err != nil || src.reads != c.reads {
						t.Errorf("asked again: %v, %d reads", err, src.reads)
					}
				}
			})
		})
	}
}

// TestCacheIsNeverStale: an answer that serves just before it is stale does not serve longer.
func TestCacheIsNeverStale(t *testing.T) {
	src, l := &source{state: pausing("a.b")}, limits.AWS()
	now := time.Now()
	cache := pause.NewCache(src.read, l, func() time.Time { return now })
	for _, step := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {l.PauseStale - 1, true}, {1, false}} {
		now = now.Add(step.after)
		if got, err := cache.Paused(t.Context(), "a.b"); got != step.want || (err == nil) != step.want {
			t.Errorf("%v later: paused %v, %v", step.after, got, err)
		}
		src.err = errors.New("throttled")
	}
}

// TestCacheIsReadOnce: messages that ask at once wait for one read and share its result, for
// RecordBudget at most.
func TestCacheIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limits.AWS()
		for _, c := range []struct {
			name  string
			takes time.Duration // of a read
			want  error
		}{{"no answer", time.Hour, idempotency.ErrStoreDown}, {"an answer", time.Second, nil}} {
			reads := 0
			cache := pause.NewCache(func(ctx context.Context) (pause.State, error) {
				reads++
				select {
				case <-ctx.Done():
					return pause.State{}, ctx.Err()
				case <-time.After(c.takes):
					return pausing("a.b"), nil
				}
			}, l, nil)
			began := time.Now()
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					got, err := cache.Paused(t.Context(), "a.b")
					if got != (c.want == nil) || !errors.Is(err, c.want) || time.Since(began) != min(c.takes, l.RecordBudget) {
						t.Errorf("%s: paused %v, %v, after %v", c.name, got, err, time.Since(began))
					}
				})
			}
			synctest.Wait()
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
				defer cancel()
				if _, err := cache.Paused(ctx, "a.b"); !errors.Is(err, idempotency.ErrStoreDown) {
					t.Errorf("%s: whose context ends first: %v", c.name, err)
				}
			})
			if wg.Wait(); reads != 1 {
				t.Errorf("%s: %d reads", c.name, reads)
			}
		}
	})
}
