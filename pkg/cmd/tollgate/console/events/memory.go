package events

import (
	"crypto/rand"
	"sync"
	"time"
)

// memory keeps answers for a while. It is safe for concurrent use.
type memory[T any] struct {
	mu   sync.Mutex
	kept map[string]kept[T]
}

type kept[T any] struct {
	value T
	at    time.Time
}

// maxKept is how many answers are kept.
const maxKept = 32

// get returns the answer under a key if it is younger than age, else what load returns. An error is
// not kept.
func (m *memory[T]) get(key string, age time.Duration, load func() (T, error)) (T, error) {
	m.mu.Lock()
	old, found := m.kept[key]
	m.mu.Unlock()
	if found && time.Since(old.at) < age {
		return old.value, nil
	}
	v, err := load()
	if err == nil && age > 0 {
		m.put(key, v)
	}
	return v, err
}

func (m *memory[T]) put(key string, v T) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = map[string]kept[T]{}
	}
	for len(m.kept) >= maxKept {
		oldest := ""
		for k, e := range m.kept {
			if oldest == "" || e.at.Before(m.kept[oldest].at) {
				oldest = k
			}
		}
		delete(m.kept, oldest)
	}
	m.kept[key] = kept[T]{v, time.Now()}
}

// bodies keeps events' JSON for a few minutes, by a random key that leads to one event's only.
type bodies struct{ memory[body] }

type body struct {
	event, source, text string
}

const bodyAge = 10 * time.Minute

func (b *bodies) keep(v body) (key string) {
	key = rand.Text()
	b.put(key, v)
	return key
}

// of returns the JSON of an event under a key, and when it is forgotten.
func (b *bodies) of(event, key string) (v body, until time.Time, found bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k, e := range b.kept {
		if time.Since(e.at) > bodyAge {
			delete(b.kept, k)
		}
	}
	e, found := b.kept[key]
	if !found || e.value.event != event {
		return body{}, time.Time{}, false
	}
	return e.value, e.at.Add(bodyAge), true
}
