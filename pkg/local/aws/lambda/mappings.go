package lambda

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Mapping is an event source mapping.
type Mapping struct {
	UUID, EventSourceARN, FunctionARN string
	BatchSize, MaximumConcurrency     int
}

// Mappings are some event source mappings. Their methods may be called concurrently.
type Mappings struct {
	path string

	mu  sync.Mutex
	all []*mapping
}

type mapping struct {
	Mapping
	enabled  bool          // what was asked for
	running  bool          // its batches
	switched chan struct{} // closed when enabled changes
	modified time.Time
}

// Open reads the states that the file at path has of these mappings; without it they are enabled.
func Open(path string, mappings ...Mapping) (*Mappings, error) {
	disabled := map[string]bool{}
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &disabled)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read event source mappings from %s: %w: delete the file to enable all", path, err)
	}
	m := &Mappings{path: path}
	for _, one := range mappings {
		m.all = append(m.all, &mapping{Mapping: one, enabled: !disabled[one.UUID], switched: make(chan struct{}), modified: time.Now()})
	}
	return m, nil
}

// Run runs the source of a mapping while it is enabled, until the context ends. The source returns
// when its context has ended and its last batch with it; its error then only says that batches
// were cut.
func (m *Mappings) Run(ctx context.Context, uuid string, source func(context.Context) error) error {
	one := m.find(uuid)
	if one == nil {
		return fmt.Errorf("run event source mapping %s: there is none", uuid)
	}
	for {
		enabled, switched := m.begin(one)
		if !enabled {
			select {
			case <-ctx.Done():
				return nil
			case <-switched:
				continue
			}
		}
		if err := run(ctx, switched, source); ctx.Err() != nil || err != nil {
			m.ended(one)
			return err
		}
		m.ended(one)
	}
}

// run returns the source's error unless it was switched off.
func run(ctx context.Context, switched <-chan struct{}, source func(context.Context) error) error {
	poll, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() { done <- source(poll) }()
	select {
	case err := <-done:
		return err
	case <-switched:
		stop()
		<-done
		return nil
	}
}

// begin reports whether a mapping is enabled, and returns what is closed when that changes.
func (m *Mappings) begin(one *mapping) (enabled bool, switched <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one.running = one.enabled
	return one.enabled, one.switched
}

func (m *Mappings) ended(one *mapping) {
	m.mu.Lock()
	defer m.mu.Unlock()
	one.running = false
}

// find returns a mapping, nil if there is none.
func (m *Mappings) find(uuid string) *mapping {
	for _, one := range m.all {
		if one.UUID == uuid {
			return one
		}
	}
	return nil
}

// state is as Lambda names it. m.mu is held.
func (one *mapping) state() string {
	switch {
	case one.enabled && one.running:
		return "Enabled"
	case one.enabled:
		return "Enabling"
	case one.running:
		return "Disabling"
	}
	return "Disabled"
}

// set switches a mapping once its state is in the file. m.mu is held.
func (m *Mappings) set(one *mapping, enabled bool) error {
	if one.enabled == enabled {
		return nil
	}
	disabled := map[string]bool{}
	for _, other := range m.all {
		if other != one && !other.enabled || other == one && !enabled {
			disabled[other.UUID] = true
		}
	}
	if err := write(m.path, disabled); err != nil {
		return err
	}
	one.enabled, one.modified = enabled, time.Now()
	close(one.switched)
	one.switched = make(chan struct{})
	return nil
}

// write replaces the file in one step.
func write(path string, disabled map[string]bool) error {
	raw, err := json.Marshal(disabled)
	if err != nil {
		return fmt.Errorf("write event source mappings: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write event source mappings: %w", err)
	}
	_, err = f.Write(raw)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write event source mappings: %w", err)
	}
	return nil
}
