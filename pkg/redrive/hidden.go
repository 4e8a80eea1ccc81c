package redrive

import (
	"context"
	"fmt"
	"time"
)

// countEvery is the time between two readings of the queue's counts, on AWS.
const countEvery = 2 * time.Second

// readings is how many counts, within 5 s, are read before a queue is reported as empty: one
// may be late.
const readings = 3

// seen is what a pass saw.
type seen struct {
	messages   int  // seen and still in the queue
	unreleased int  // of them, those that the pass left hidden
	more       bool // the pass ended before the queue did
	before     int  // hidden by other readers before the pass

	arriving bool // messages that were sent since the pass began do not count as unseen
	missed   int  // of an arriving selection: messages of before the pass that it did not see, at most
}

// countBefore counts the messages, and those that another reader, dead perhaps, hides. It waits for
// the hidden ones if the selection asks for it.
func (d *DLQ) countBefore(ctx context.Context, s Selection) (all, hidden int, err error) {
	timeout := 2 * d.Visibility()
	for end := time.Now().Add(timeout); ; {
		visible, hidden, err := d.Queue.Count(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("count dead letters: %w", err)
		}
		if !s.WaitHidden || hidden == 0 || !time.Now().Before(end) {
			return visible + hidden, hidden, nil
		}
		if s.OnHidden != nil {
			s.OnHidden(hidden, timeout)
		}
		if err := d.pause(ctx); err != nil {
			return 0, 0, fmt.Errorf("wait for hidden dead letters: %w", err)
		}
	}
}

// countHidden sets Hidden and Certain of a plan. It reads the counts once if the pass saw
// messages and the counts show no hidden one, else three times in 4 s. The last reading
// decides; an empty queue is certain only if all three are zero.
func (d *DLQ) countHidden(ctx context.Context, p *Plan, s seen) error {
	zeros := 0
	for n := range readings {
		if n > 0 {
			if err := d.pause(ctx); err != nil {
				return fmt.Errorf("count dead letters: %w", err)
			}
		}
		visible, hidden, err := d.Queue.Count(ctx)
		if err != nil {
			return fmt.Errorf("count dead letters: %w", err)
		}
		unseen := max(0, visible+hidden-s.messages)
		if s.arriving {
			unseen = min(unseen, s.missed)
		}
		p.Hidden = s.hiddenByOthers(hidden, unseen)
		if unseen == 0 {
			zeros++
		}
		if s.messages > 0 && p.Hidden == 0 {
			p.Certain = unseen == 0
			return nil
		}
	}
	p.Certain = zeros == readings
	return nil
}

// hiddenByOthers leaves out the pass's own messages, which late counts may still show as
// hidden: those it could not release, and as many as it has seen. A pass that ended early
// leaves messages unseen that no reader hides, so only what was hidden before it counts.
func (s seen) hiddenByOthers(hidden, unseen int) int {
	n := min(max(0, hidden-s.unreleased), unseen)
	if s.more {
		n = min(n, s.before)
	}
	return n
}

func (d *DLQ) pause(ctx context.Context) error {
	timer := time.NewTimer(countEvery / time.Duration(max(d.TimeScale, 1)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
