package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tollgate/pkg/dispatch"
)

// countLeft counts the messages that the run left. It reads a shard's list only if the run
// has not sent all of it.
func (r *run) countLeft(ctx context.Context, shards []*shard) (Left, error) {
	ctx, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	lefts, errs := make([]Left, Shards), make([]error, Shards)
	r.each(func(number int) {
		held, err := r.store.CountHeld(ctx, number, MaxHeld)
		if err != nil {
			errs[number] = fmt.Errorf("count held messages of %s: %w", dispatch.HeldList(number), err)
			return
		}
		lefts[number], errs[number] = shards[number].left(ctx)
		lefts[number].Held = held
	})
	var all Left
	for _, l := range lefts {
		all.Unsent, all.Held, all.Oldest = all.Unsent+l.Unsent, all.Held+l.Held, max(all.Oldest, l.Oldest)
	}
	return all, errors.Join(errs...)
}

// left counts the shard's messages that this run did not mark, until countTime is over.
func (s *shard) left(ctx context.Context) (l Left, err error) {
	if s.clean {
		return l, nil
	}
	q := Query{Shard: s.number, Limit: countSize}
	for {
		page, next, err := s.store.Unsent(ctx, q)
		if err != nil && ctx.Err() != nil && l.Unsent > 0 {
			return l, nil
		}
		if err != nil {
			return l, fmt.Errorf("count unsent messages of %s: %w", dispatch.OutboxList(s.number), err)
		}
		for _, m := range page {
			if s.marked[m.Key] {
				continue
			}
			l.Unsent++
			if !m.Queued.IsZero() {
				l.Oldest = max(l.Oldest, time.Since(m.Queued))
			}
		}
		if q.Cursor = next; next == "" {
			return l, nil
		}
	}
}
