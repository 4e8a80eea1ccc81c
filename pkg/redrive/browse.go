package redrive

import (
	"cmp"
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

// Options of a browse. The zero value serves.
type Options struct {
	// Limit is how many letters are read at most. Defaults to MaxLetters, which also
	// bounds it: a queue gives out no more than 120,000 messages at once.
	Limit int
	// Visibility is how long a message is hidden at a time; it is extended while the
	// browse goes on. Defaults to 120 s.
	Visibility time.Duration
}

// Bounds of a browse.
const (
	MaxLetters        = 100_000
	defaultVisibility = 120 * time.Second
	receiveBatch      = 10
	receiveTimeout    = 30 * time.Second
	emptyReceives     = 2 // in a row without a new letter: the end
)

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
	limit := min(cmp.Or(max(o.Limit, 0), MaxLetters), MaxLetters)
	h := newHold(q, cmp.Or(max(o.Visibility, 0), defaultVisibility))
	// No request is cut by an interrupt: messages of a lost answer would stay hidden.
	own := context.WithoutCancel(ctx)
	defer func() {
		// What is not given back in this time comes back by itself.
		ctx, cancel := context.WithTimeout(own, h.visibility)
		defer cancel()
		sum.Unreleased = h.release(ctx)
	}()
	for empty := 0; empty < emptyReceives; empty++ {
		if err := ctx.Err(); err != nil {
			return sum, fmt.Errorf("browse dead letters: stopped after %d: %w", sum.Letters, err)
		}
		h.extend(own)
		messages, err := receive(own, h, min(receiveBatch, limit-sum.Letters))
		if err != nil {
			return sum, fmt.Errorf("browse dead letters: %w", err)
		}
		for _, m := range messages {
			empty = -1
			sum.Letters++
			if l, payload := letterOf(m); !visit(l, payload) || sum.Letters == limit {
				sum.More = true
				return sum, nil
			}
		}
	}
	return sum, nil
}

// receive returns the messages of one receive that were not received before.
func receive(ctx context.Context, h *hold, limit int) ([]Received, error) {
	ctx, cancel := context.WithTimeout(ctx, receiveTimeout)
	defer cancel()
	asked := time.Now()
	messages, err := h.queue.Receive(ctx, limit, h.visibility)
	fresh := messages[:0:0]
	for _, m := range messages {
		if h.keep(m, asked) {
			fresh = append(fresh, m)
		}
	}
	return fresh, err
}
