package main

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// sentEvents are the events that a backfill enqueued. Safe for concurrent use.
type sentEvents struct {
	app    *app
	target target

	mu  sync.Mutex
	ids []string
}

func (s *sentEvents) add(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids = append(s.ids, id)
}

// follow waits up to the given time for the events to be done or dead, and records how many
// are neither and how many of their messages are held.
func (s *sentEvents) follow(ctx context.Context, wait time.Duration, done *backfilled) error {
	if done.Open = len(s.ids); len(s.ids) == 0 {
		return nil
	}
	if wait > 0 {
		open, err := s.settle(ctx, time.Now().Add(wait))
		if err != nil {
			return err
		}
		done.Open = open
	}
	if n, err := s.app.countHeld(ctx, s.target, s.ids); err == nil {
		done.Held = &n
	}
	return nil
}

// settle returns how many events are neither done nor dead when the time is up.
func (s *sentEvents) settle(ctx context.Context, end time.Time) (open int, err error) {
	reader, err := s.target.reader()
	if err != nil {
		return 0, err
	}
	bar := s.app.progress("settled", len(s.ids))
	defer bar.done()
	for _, id := range s.ids {
		last, found, err := awaitRecord(ctx, reader, id, end, s.target.settled)
		if err != nil {
			return 0, err
		}
		if !found || !s.target.settled(last) {
			open++
		}
		bar.add(1)
	}
	return open, nil
}

// heldText describes the held messages in a backfill's result.
func (d backfilled) heldText() string {
	if d.Held == nil {
		return ""
	}
	text := ", " + heldText(*d.Held, d.Open == 0)
	if d.Open > 0 && d.Open < d.Enqueued {
		text += fmt.Sprintf(", %d events not done", d.Open)
	}
	return text
}
