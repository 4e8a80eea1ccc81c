package redrive

import (
	"context"
	"fmt"
	"time"
)

// Queue is the dead-letter queue.
type Queue interface {
	// Receive returns up to limit messages, hidden for the given time. It waits about a
	// second for one, and may all the same miss messages that are there.
	Receive(ctx context.Context, limit int, hide time.Duration) ([]Received, error)
	// SetVisibility hides a received message for d from now; 0 shows it again. It is
	// called by several goroutines at once.
	SetVisibility(ctx context.Context, receipt string, d time.Duration) error
}

// Summary is what a browse came to.
type Summary struct {
	Letters    int  // visited
	More       bool // it ended before the queue did
	Unreleased int  // letters that stay hidden for up to Options.Visibility
}

// Browse visits each dead letter once until the queue gives no more, the limit is met
// or visit returns false, and then shows all letters again: also after an error, a
// panic of visit, or when the context is cancelled, which is an error. The payload is
// the event's body, or the whole message when that cannot be read, or nil when none
// travels with it.
func Browse(ctx context.Context, q Queue, o Options, visit func(l Letter, payload []byte) bool) (sum Summary, err error) {
	o = o.withDefaults()
	sum.Unreleased, err = walk(ctx, q, o, func(_ *hold, batch []Received) (bool, error) {
		for _, m := range batch {
			sum.Letters++
			if l, payload := letterOf(m); !visit(l, payload) || sum.Letters == o.Limit {
				sum.More = true
				return false, nil
			}
		}
		return true, nil
	})
	if err != nil {
		err = fmt.Errorf("browse dead letters: %w", err)
	}
	return sum, err
}
