package redrive

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Options of a pass over the dead letters. The zero value serves.
type Options struct {
	// Limit is how many letters are read at most. Defaults to MaxLetters, which also
	// bounds it: a queue gives out no more than 120,000 messages at once.
	Limit int
	// Visibility is how long a message is hidden at a time; it is extended while the
	// pass goes on. Defaults to 120 s.
	Visibility time.Duration
}

// Bounds of a pass.
const (
	MaxLetters        = 100_000
	defaultVisibility = 120 * time.Second
	receiveBatch      = 10
	requestTimeout    = 30 * time.Second
	emptyReceives     = 2 // without a new letter since: the end
)

func (o Options) withDefaults() Options {
	o.Limit = min(cmp.Or(max(o.Limit, 0), MaxLetters), MaxLetters)
	o.Visibility = cmp.Or(max(o.Visibility, 0), defaultVisibility)
	return o
}

// walk hands each dead letter once to visit, in batches of at most ten, until the queue
// gives no more, the limit is met or visit returns false. Then all letters that visit
// did not take out of the hold are shown again: also after an error, a panic of visit, or
// when the context is cancelled, which is an error. It returns how many stay hidden.
func walk(ctx context.Context, q Queue, o Options, visit func(h *hold, batch []Received) (more bool, err error)) (unreleased int, err error) {
	h := newHold(q, o.Visibility)
	// No request is cut by an interrupt: messages of a lost answer would stay hidden.
	own := context.WithoutCancel(ctx)
	defer func() {
		// What is not given back in this time comes back by itself.
		ctx, cancel := context.WithTimeout(own, h.visibility)
		defer cancel()
		unreleased = h.release(ctx)
	}()
	var dry streak
	read := 0
	for !dry.over(h) {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("stopped after %d: %w", read, err)
		}
		h.extend(own)
		batch, got, err := receive(own, h, min(receiveBatch, o.Limit-read))
		if err != nil {
			return 0, err
		}
		dry.count(len(batch), got)
		if len(batch) == 0 {
			continue
		}
		read += len(batch)
		if more, err := visit(h, batch); err != nil || !more || read >= o.Limit {
			return 0, err
		}
	}
	return 0, nil
}

// streak counts the receives in a row without a letter that is new.
type streak struct{ empty, again int }

func (s *streak) count(fresh, got int) {
	switch {
	case fresh > 0:
		*s = streak{}
	case got > 0:
		s.again++
	default:
		s.empty++
	}
}

// over reports whether the queue has shown all that it has. Letters that came back, as they
// could not be hidden on in time, are no sign of an end before each of them may have.
func (s *streak) over(h *hold) bool { return s.empty >= emptyReceives || s.again > len(h.latest) }

// receive returns those messages of one receive that were not received before, and how many
// it got in all.
func receive(ctx context.Context, h *hold, limit int) (fresh []Received, got int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	asked := time.Now()
	messages, err := h.queue.Receive(ctx, limit, h.visibility)
	for _, m := range messages {
		if h.keep(m, asked) {
			fresh = append(fresh, m)
		}
	}
	return fresh, len(messages), err
}
