// Package pause has the stored switch that pauses event types, or everything.
//
// While a type is paused, the consumer moves its messages to the hold queue and touches no
// record; passes of reconcile and backfills enqueue none of its events. While everything is
// paused, the event source mapping is disabled, and passes enqueue nothing. A process reads the
// switch through a [Cache]: a change takes effect within its age, and reaches no attempt that
// has begun.
//
// To resume moves a name from Paused to Resuming, waits until no process has the switch as it
// was, moves the held messages back, and compares the span of the pause with Stripe's list. The
// name is Resuming until that comparison is complete, so a crash at any step is repaired by
// resuming again. [Resumption] does all of it.
package pause

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"tollgate/pkg/limits"
)

// All is the name of everything, among the names of event types.
const All = "*"

// MaxNames bounds the names in the switch, so that reading it stays cheap.
const MaxNames = 100

// State is the switch.
type State struct {
	Revision int64 // of the stored item, 0 for none
	Paused   map[string]Mark
	Resuming map[string]Span
}

// Mark is a pause.
type Mark struct {
	At  time.Time // the start of what the pass that ends the pause compares
	By  string
	Why string
}

// Span is a pause that ended, and whose events are not compared with Stripe's list yet.
type Span struct {
	From, Until time.Time
	By          string
}

// Errors of the switch.
var (
	// ErrUnreadable means that the stored switch is of a newer release or damaged. What it pauses is
	// unknown, so nothing may run.
	ErrUnreadable = errors.New("the stored pauses (item " + limits.KeyPause + ") cannot be read: deploy the newer release again, or correct the item")
	// ErrNotPaused means that there is nothing to resume.
	ErrNotPaused = errors.New("not paused")
	// ErrAllPaused means that a type cannot be resumed: no consumer would handle its messages, or no
	// pass enqueue its events.
	ErrAllPaused = errors.New("everything is paused or being resumed: resume everything first")
	// ErrPausedAgain means that the name was paused while it was being resumed.
	ErrPausedAgain = errors.New("paused again: the held messages that are left stay in the hold queue")
	// ErrTooMany means that MaxNames names are paused.
	ErrTooMany = errors.New("too many event types are paused: pause everything instead")
)

// Holds reports whether the consumer moves an event's message to the hold queue.
func (s State) Holds(eventType string) bool {
	_, paused := s.Paused[eventType]
	return paused
}

// Since returns when the oldest pause of a type began that is not resumed completely, zero if there
// is none: no held message is older.
func (s State) Since() (oldest time.Time) {
	earlier := func(name string, at time.Time) {
		if name != All && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	for name, m := range s.Paused {
		earlier(name, m.At)
	}
	for name, span := range s.Resuming {
		earlier(name, span.From)
	}
	return oldest
}

// Quiet reports whether a pass enqueues no event of a type: the type, or everything, is paused
// or being resumed. The pass that ends the pause of a name, "" for none, is not bound by the
// name's own resumption.
func (s State) Quiet(eventType, resumes string) bool {
	for _, name := range []string{eventType, All} {
		_, paused := s.Paused[name]
		_, resuming := s.Resuming[name]
		if paused || resuming && name != resumes {
			return true
		}
	}
	return false
}

// pause adds a name. One that is paused stays as it is. The pass that resumes the name or everything
// sends no more of it, so the pause begins with the span of that pass.
func (s *State) pause(name string, m Mark) error {
	if _, already := s.Paused[name]; already {
		return nil
	}
	for _, of := range []string{name, All} {
		if span, resuming := s.Resuming[of]; resuming && span.From.Before(m.At) {
			m.At = span.From
		}
	}
	delete(s.Resuming, name)
	if len(s.Paused)+len(s.Resuming) >= MaxNames && name != All {
		return ErrTooMany
	}
	s.Paused[name] = m
	return nil
}

// resume moves a name from Paused to Resuming. One that is being resumed stays as it is. The pass
// that resumes everything leaves out the types that are paused, so their pauses begin with its span.
func (s *State) resume(name string, now time.Time, by string) error {
	_, all := s.Paused[All]
	if _, resuming := s.Resuming[All]; (all || resuming) && name != All {
		return ErrAllPaused
	}
	m, paused := s.Paused[name]
	if paused {
		delete(s.Paused, name)
		s.Resuming[name] = Span{From: m.At, Until: now.Truncate(time.Millisecond), By: by} // as it is stored
		for other, o := range s.Paused {
			if name == All && m.At.Before(o.At) {
				o.At = m.At
				s.Paused[other] = o
			}
		}
		return nil
	}
	if _, resuming := s.Resuming[name]; !resuming {
		return ErrNotPaused
	}
	return nil
}

// finish removes a name whose span was resumed. Another run of the same resumption may have removed it.
func (s *State) finish(name string, span Span) error {
	if err := s.resumes(name, span); err != nil {
		return err
	}
	delete(s.Resuming, name)
	return nil
}

// resumes reports, as an error, that the name was paused since, and may be resumed again by now.
func (s *State) resumes(name string, span Span) error {
	_, paused := s.Paused[name]
	if now, resuming := s.Resuming[name]; paused || resuming && !now.Until.Equal(span.Until) {
		return ErrPausedAgain
	}
	return nil
}

// Store has the switch.
type Store interface {
	// Pauses reads the switch as it is now. Its error wraps ErrUnreadable, or is the table's.
	Pauses(context.Context) (State, error)
	// PutPauses replaces the switch whose revision is that of s; false when it has another one.
	PutPauses(ctx context.Context, s State) (written bool, err error)
}

// maxTries bounds the tries to change a switch that others change too.
const maxTries = 10

// Set pauses a name. A name that is paused already stays as it is, with its first mark.
func Set(ctx context.Context, store Store, name string, m Mark) (State, error) {
	return change(ctx, store, func(s *State) error { return s.pause(name, m) })
}

// change reads the switch, changes it and writes it, again if another writer came between. A write
// whose answer was lost is made again on what it wrote: every change may be repeated.
func change(ctx context.Context, store Store, f func(*State) error) (State, error) {
	for range maxTries {
		s, err := store.Pauses(ctx)
		if err != nil {
			return State{}, fmt.Errorf("change pauses: %w", err)
		}
		next := State{s.Revision, maps.Clone(s.Paused), maps.Clone(s.Resuming)}
		if err := f(&next); err != nil {
			return s, err
		}
		if maps.Equal(next.Paused, s.Paused) && maps.Equal(next.Resuming, s.Resuming) {
			return s, nil
		}
		written, err := store.PutPauses(ctx, next)
		if err != nil {
			return State{}, fmt.Errorf("change pauses: %w", err)
		}
		if written {
			next.Revision++
			return next, nil
		}
	}
	return State{}, fmt.Errorf("change pauses: others changed them %d times in between: try again", maxTries)
}
