package lambdahost

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Close rejects further invocations, waits for the running ones and ends all
// processes. If the context ends first, it kills the processes that still run,
// whose invocations fail, and returns the context's error. When it returns, no
// process and no goroutine of the function is left. Further calls return the same.
func (f *Function) Close(ctx context.Context) error {
	f.close.Do(func() { f.closed = f.shutDown(ctx) })
	return f.closed
}

func (f *Function) shutDown(ctx context.Context) error {
	f.mu.Lock()
	f.shut = true
	f.mu.Unlock()
	close(f.closing)

	err := f.drain(ctx)
	var wg sync.WaitGroup
	for _, e := range f.all() {
		wg.Go(e.stop)
	}
	wg.Wait()
	f.spawn.close()
	return err
}

// drain takes every slot: then no process starts and no invocation runs.
func (f *Function) drain(ctx context.Context) error {
	var err error
	expired := ctx.Done()
	for taken := 0; taken < cap(f.slots); {
		select {
		case f.slots <- struct{}{}:
			taken++
		case <-expired:
			expired = nil
			killed := f.killAll()
			err = fmt.Errorf("close function %s: killed %d processes: %w", f.options.Name, killed, ctx.Err())
		}
	}
	return err
}

func (f *Function) killAll() int {
	f.mu.Lock()
	f.killing = true
	f.mu.Unlock()
	all := f.all()
	var wg sync.WaitGroup
	for _, e := range all {
		wg.Go(e.kill)
	}
	wg.Wait()
	return len(all)
}

func (f *Function) all() []*environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.environments))
}
