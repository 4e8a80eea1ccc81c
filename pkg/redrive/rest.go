package redrive

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// Counter counts the messages of the dead-letter queue.
type Counter interface {
	// Count returns how many messages can be received and how many are hidden by their
	// readers. SQS counts roughly, and up to a minute late.
	Count(ctx context.Context) (visible, hidden int, err error)
}

// Rest is what a pass over the dead letters has not seen.
type Rest struct {
	Hidden  int  // letters that another reader hides
	Certain bool // the queue is empty, hidden letters included
}

// Seen is the result of a pass over the dead letters.
type Seen struct {
	Letters    int  // that were seen and are still in the queue
	Unreleased int  // of them, those that the pass left hidden
	More       bool // the pass ended before the queue did
}

// Watch finds letters that a pass cannot see because another reader, dead perhaps, hides
// them. Begin is called before the pass and Rest after it has shown its letters again.
type Watch struct {
	Counter Counter // required
	// Every is the time between two readings. Defaults to 2 s.
	Every time.Duration

	before int // hidden when the pass began
}

// readings is how many counts, within 5 s, are read before a queue is reported as empty.
const readings = 3

// Begin waits up to timeout for letters that another reader hides, none for 0. Waiting, if
// set, is called with their number after each reading that finds some.
func (w *Watch) Begin(ctx context.Context, timeout time.Duration, waiting func(hidden int)) error {
	end := time.Now().Add(timeout)
	for {
		_, hidden, err := w.Counter.Count(ctx)
		if err != nil {
			return fmt.Errorf("count dead letters: %w", err)
		}
		if w.before = hidden; hidden == 0 || !time.Now().Before(end) {
			return nil
		}
		if waiting != nil {
			waiting(hidden)
		}
		if err := w.pause(ctx); err != nil {
			return fmt.Errorf("wait for hidden dead letters: %w", err)
		}
	}
}

// Rest reads the counts: once if the pass saw letters and the counts show no hidden one, else
// three times in 4 s, as one reading may be late. It returns what the last one shows; a queue
// is certainly empty only if all three show nothing.
func (w *Watch) Rest(ctx context.Context, s Seen) (rest Rest, err error) {
	zeros := 0
	for n := range readings {
		if n > 0 {
			if err := w.pause(ctx); err != nil {
				return rest, fmt.Errorf("count dead letters: %w", err)
			}
		}
		visible, hidden, err := w.Counter.Count(ctx)
		if err != nil {
			return rest, fmt.Errorf("count dead letters: %w", err)
		}
		unseen := max(0, visible+hidden-s.Letters)
		rest = Rest{Hidden: w.hiddenByOthers(hidden, unseen, s)}
		if unseen == 0 {
			zeros++
		}
		if s.Letters > 0 && rest.Hidden == 0 {
			rest.Certain = unseen == 0
			return rest, nil
		}
	}
	rest.Certain = zeros == readings
	return rest, nil
}

// hiddenByOthers leaves out the pass's own letters, which late counts may still show as
// hidden: those it could not release, and as many as it has seen. A pass that ended early
// leaves letters unseen that no reader hides, so only what was hidden before it counts.
func (w *Watch) hiddenByOthers(hidden, unseen int, s Seen) int {
	n := min(max(0, hidden-s.Unreleased), unseen)
	if s.More {
		n = min(n, w.before)
	}
	return n
}

func (w *Watch) pause(ctx context.Context) error {
	timer := time.NewTimer(cmp.Or(max(w.Every, 0), 2*time.Second))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
