package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"tollgate/pkg/dispatch"
)

// shard is a list during a run.
type shard struct {
	*run
	number int
	slots  chan struct{}   // one per message in flight
	tried  map[string]bool // by key, as the list may lag behind the marks

	mu     sync.Mutex
	fails  int             // failures left for the walk in this direction
	failed bool            // a message failed
	young  bool            // a message was left for its age
	clean  bool            // the whole list was read, sent and marked
	marked map[string]bool // by key
}

func (r *run) shard(number int) *shard {
	return &shard{
		run: r, number: number, slots: make(chan struct{}, share(number, r.o.Parallel)),
		tried: map[string]bool{}, marked: map[string]bool{},
	}
}

// drain sends the list's messages oldest first and, if those fail, newest first. Each direction
// has half the shard's share of failures.
func (s *shard) drain(ctx context.Context) error {
	fails := share(s.number, s.o.Failures)
	s.fails = (fails + 1) / 2
	end, err := s.walk(ctx, s.mayTurn, Query{Shard: s.number, Limit: pageSize})
	s.clean = err == nil && end == listEnd && !s.young && len(s.marked) == len(s.tried)
	if err == nil && end == turned {
		s.fails = max(1, fails/2)
		_, err = s.walk(ctx, func() bool { return false }, Query{Shard: s.number, Limit: pageSize, NewestFirst: true})
	}
	if err != nil {
		s.unfinished()
		return fmt.Errorf("list unsent messages of %s: %w", dispatch.OutboxList(s.number), err)
	}
	return nil
}

// mayTurn reports whether the walk should continue from the newest message.
func (s *shard) mayTurn() bool {
	return s.fails == 0 || s.failed && !time.Now().Before(s.turn)
}

// ending is the reason why a walk ended.
type ending int

const (
	listEnd ending = iota // the list has no more messages
	limited               // the run reached a limit
	turned                // the walk should continue from the newest message
)

// walk tries the list's messages until the list ends, a limit is reached or turn returns true.
// It returns when no message is in flight.
func (s *shard) walk(ctx context.Context, turn func() bool, q Query) (ending, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		page, next, err := s.store.Unsent(ctx, q)
		if err != nil {
			return limited, err
		}
		for _, m := range page {
			if s.tried[m.Key] {
				continue
			}
			if s.o.MinAge > 0 && time.Since(m.Queued) < s.o.MinAge {
				s.young = true
				continue
			}
			s.slots <- struct{}{}
			if end := s.mayTry(ctx, turn); end != listEnd {
				<-s.slots
				return end, nil
			}
			s.tried[m.Key] = true
			wg.Go(func() {
				defer func() { <-s.slots }()
				s.try(ctx, m)
			})
		}
		if next == "" {
			return listEnd, nil
		}
		q.Cursor = next
	}
}

// mayTry returns listEnd if the next message may be tried, else the reason why not. It records
// that a limit was reached.
func (s *shard) mayTry(ctx context.Context, turn func() bool) ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	over := ctx.Err() != nil || !time.Now().Before(s.end)
	switch {
	case !over && turn():
		return turned
	case over || s.fails == 0:
		s.unfinished()
		return limited
	}
	return listEnd
}

func (s *shard) try(ctx context.Context, m Message) {
	accepted, marked := s.process(ctx, m)
	s.mu.Lock()
	defer s.mu.Unlock()
	if marked {
		s.marked[m.Key] = true
	}
	if !accepted {
		s.fails, s.failed = max(0, s.fails-1), true
	}
}

func (r *run) unfinished() { r.note(func(is *Result) { is.Unfinished = true }) }
