package pause_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/pause"
)

// memory is a store in memory.
type memory struct {
	pause.State
	between func() // before a write, once
	lost    int    // writes whose answer is lost, and which are repeated
	err     error
}

func (m *memory) Pauses(context.Context) (pause.State, error) {
	return pause.State{Revision: m.Revision, Paused: maps.Clone(m.Paused), Resuming: maps.Clone(m.Resuming)}, m.err
}

func (m *memory) PutPauses(_ context.Context, s pause.State) (bool, error) {
	if f := m.between; f != nil {
		m.between = nil
		f()
	}
	if s.Revision != m.Revision {
		return false, nil
	}
	m.State = s
	m.Revision++
	if m.lost > 0 {
		m.lost--
		return false, nil
	}
	return true, nil
}

func at(n int64) time.Time { return time.Unix(n, 0).UTC() }

func newMemory() *memory {
	return &memory{State: pause.State{Paused: map[string]pause.Mark{}, Resuming: map[string]pause.Span{}}}
}

func TestSet(t *testing.T) {
	m := newMemory()
	first, second := pause.Mark{At: at(1), By: "ann", Why: "one"}, pause.Mark{At: at(2), By: "bob", Why: "two"}
	m.lost = 1
	m.between = func() {
		if _, err := pause.Set(t.Context(), m, "c.d", second); err != nil {
			t.Error(err)
		}
	}
	s, err := pause.Set(t.Context(), m, "a.b", first)
	if err != nil || s.Revision != m.Revision {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := pause.Set(t.Context(), m, "a.b", second); err != nil {
		t.Fatal(err)
	}
	want := map[string]pause.Mark{"a.b": first, "c.d": second}
	if diff := cmp.Diff(want, m.Paused); diff != "" {
		t.Errorf("paused (-want +got):\n%s", diff)
	}
	if m.err = errors.New("away"); errIs(pause.Set(t.Context(), m, "e.f", first)) != m.err {
		t.Error("a store that is away")
	}
}

func errIs(_ pause.State, err error) error { return errors.Unwrap(err) }

func TestTooManyPauses(t *testing.T) {
	m := newMemory()
	for n := range pause.MaxNames {
		if _, err := pause.Set(t.Context(), m, fmt.Sprint("a.", n), pause.Mark{At: at(1)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := pause.Set(t.Context(), m, "b.c", pause.Mark{At: at(1)}); !errors.Is(err, pause.ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	if _, err := pause.Set(t.Context(), m, pause.All, pause.Mark{At: at(1)}); err != nil {
		t.Errorf("everything: %v", err)
	}
}

// TestStateTells: a type is held only while it is paused itself; a pass sends none of it either
// while it is being resumed, or while everything is.
func TestStateTells(t *testing.T) {
	mark, span := pause.Mark{At: at(1)}, pause.Span{From: at(1), Until: at(2)}
	for _, c := range []struct {
		name             string
		paused, resuming string
		resumes          string
		holds, quiet     bool
	}{
		{name: "nothing"},
		{name: "another type", paused: "c.d"},
		{name: "paused", paused: "a.b", holds: true, quiet: true},
		{name: "paused, for its own pass", paused: "a.b", resumes: "a.b", holds: true, quiet: true},
		{name: "everything paused", paused: pause.All, quiet: true},
		{name: "everything paused, for its own pass", paused: pause.All, resumes: pause.All, quiet: true},
		{name: "being resumed", resuming: "a.b", quiet: true},
		{name: "being resumed, for its own pass", resuming: "a.b", resumes: "a.b"},
		{name: "being resumed, for the pass of everything", resuming: "a.b", resumes: pause.All, quiet: true},
		{name: "everything being resumed", resuming: pause.All, quiet: true},
		{name: "everything being resumed, for its own pass", resuming: pause.All, resumes: pause.All},
		{name: "everything being resumed, for another's pass", resuming: pause.All, resumes: "a.b", quiet: true},
	} {
		s := pause.State{Paused: map[string]pause.Mark{}, Resuming: map[string]pause.Span{}}
		if c.paused != "" {
			s.Paused[c.paused] = mark
		}
		if c.resuming != "" {
			s.Resuming[c.resuming] = span
		}
		if got := s.Holds("a.b"); got != c.holds {
			t.Errorf("%s: held %v", c.name, got)
		}
		if got := s.Quiet("a.b", c.resumes); got != c.quiet {
			t.Errorf("%s: quiet %v", c.name, got)
		}
	}
	if (pause.State{}).Holds("a.b") || (pause.State{}).Quiet("a.b", "") {
		t.Error("an empty switch holds")
	}
}
