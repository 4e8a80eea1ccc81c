package overview

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// patience is how long a page waits in all for what is being read before it shows the rest.
const patience = 150 * time.Millisecond

// errPending means that a first answer is on its way.
var errPending = errors.New("it is being read")

// recent reads something at most once in a time, however many pages ask for it, and only while some
// do. An error keeps the value before it.
type recent[T any] struct {
	every, timeout time.Duration
	read           func(context.Context) (T, error)

	mu      sync.Mutex
	value   T
	err     error
	at      time.Time // of the value or its error
	running chan struct{}
}

// start begins to read if it is time, and returns what ends then, nil if nothing is being read.
func (r *recent[T]) start(ctx context.Context) (running chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil && time.Since(r.at) >= r.every {
		r.running = make(chan struct{})
		go r.refresh(context.WithoutCancel(ctx), r.running)
	}
	return r.running
}

// get returns the value and when it was read. It waits until ctx ends for one that is being read,
// and returns the one before it then. After a long time without a caller there is none.
func (r *recent[T]) get(ctx context.Context) (value T, at time.Time, err error) {
	if running := r.start(ctx); running != nil {
		select {
		case <-running:
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.at) > 10*r.every+r.timeout {
		return value, r.at, errPending
	}
	return r.value, r.at, r.err
}

func (r *recent[T]) refresh(ctx context.Context, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	value, err := r.recovered(ctx)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err = err; err == nil {
		r.value = value
	}
	r.at, r.running = time.Now(), nil
	close(done)
}

// recovered reads. No page's request would catch a panic here, and it would end the process.
func (r *recent[T]) recovered(ctx context.Context) (value T, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it panicked: %v", v)
		}
	}()
	return r.read(ctx)
}
