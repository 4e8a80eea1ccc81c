package outbox

import (
	"context"
	"fmt"
)

// shard is one list in one run.
type shard struct {
	*run
	number int
	left   int             // messages that may still be taken
	fails  int             // messages that may still fail on the way from this end
	failed bool            // one did
	tried  map[string]bool // by key, as the list may lag behind the marks
}

// shard sends what one list holds, at most a share of the run's limit: the oldest first,
// and where these fail the newest. From either end half the share may fail.
func (r *run) shard(ctx context.Context, number, share int) error {
	s := &shard{run: r, number: number, left: share, fails: (share + 1) / 2, tried: map[string]bool{}}
	turns, err := s.walk(ctx, s.mayTurn, Query{Shard: number, Limit: pageSize})
	if err == nil && turns {
		s.fails = max(1, share/2)
		_, err = s.walk(ctx, func() bool { return false }, Query{Shard: number, Limit: pageSize, NewestFirst: true})
	}
	if err != nil {
		r.unfinished()
		return fmt.Errorf("list unsent messages of %s: %w", ListName(number), err)
	}
	return nil
}

// mayTurn reports whether the failures so far are enough to look at the other end.
func (s *shard) mayTurn() bool {
	return s.fails == 0 || s.failed && !s.o.Now().Before(s.turn)
}

// walk goes through the list until it ends, a bound is met or turn says so, which it
// reports.
func (s *shard) walk(ctx context.Context, turn func() bool, q Query) (turns bool, err error) {
	for {
		page, next, err := s.store.Unsent(ctx, q)
		if err != nil {
			return false, err
		}
		for _, m := range page {
			switch {
			case s.tried[m.Key]:
				continue
			case s.mayNotTry(ctx):
				return false, nil
			case turn():
				return true, nil
			case s.fails == 0:
				s.unfinished()
				return false, nil
			}
			s.try(ctx, m)
		}
		if next == "" {
			return false, nil
		}
		q.Cursor = next
	}
}

func (s *shard) try(ctx context.Context, m Message) {
	s.tried[m.Key] = true
	if s.one(ctx, m) {
		s.left--
	} else {
		s.fails--
		s.failed = true
	}
}

// mayNotTry reports, and notes, that the run's time or the shard's share is over.
func (s *shard) mayNotTry(ctx context.Context) bool {
	over := ctx.Err() != nil || !s.o.Now().Before(s.end) || s.left == 0
	if over {
		s.unfinished()
	}
	return over
}

func (r *run) unfinished() { r.note(func(is *Result) { is.Unfinished = true }) }
