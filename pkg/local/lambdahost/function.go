package lambdahost

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// settleGrace bounds how long the result of an invocation waits until the process asks
// for the next one, so that a caller that continues at once finds a free environment.
const settleGrace = 2 * time.Second

// maxHandovers bounds how many ended processes an invocation may meet before it runs.
const maxHandovers = 10

// Function is one Lambda function with its environments. All methods may be
// called concurrently.
type Function struct {
	options Options
	slots   chan struct{} // holds one token for each environment that starts or is busy
	spawn   *spawner
	gate    startGate
	output  sync.Mutex    // one log line at a time
	closing chan struct{} // closed when Close begins
	close   sync.Once
	closed  error // what Close returned

	mu           sync.Mutex
	shut         bool           // no invocation begins any more
	killing      bool           // Close's context is over: a process that has just started ends at once
	idle         []*environment // the last used one is at the end
	environments map[*environment]struct{}
}

// invocation is one payload on its way through a process.
type invocation struct {
	id       string
	traceID  string
	payload  []byte
	deadline time.Time
	done     chan outcome
}

// New checks the options and that the binary is there. It starts no process:
// the first invocation does. A missing binary is a [*StartError].
func New(options Options) (*Function, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Function{
		options:      o,
		slots:        make(chan struct{}, o.Concurrency),
		spawn:        newSpawner(),
		closing:      make(chan struct{}),
		environments: map[*environment]struct{}{},
	}, nil
}

// Invoke runs the function once with the payload (JSON; empty means "{}") on a
// warm environment or a new one. Errors: [ErrThrottled] at once if all are busy,
// [ErrClosed], [*StartError], [*FunctionError], or the context's. When the context ends early the function still runs to its end, as
// on Lambda, so the payload must not be changed after the call.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	return f.InvokeWait(ctx, payload, 0)
}

// InvokeWait is [Function.Invoke] that waits up to the given time for a free
// environment before it returns [ErrThrottled]. Callers are served in order.
func (f *Function) InvokeWait(ctx context.Context, payload []byte, wait time.Duration) ([]byte, error) {
	if len(payload) > MaxRequestBytes {
		return nil, fmt.Errorf("%d byte payload is too large for the RequestResponse invocation type (limit %d bytes)", len(payload), MaxRequestBytes)
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if err := f.acquire(ctx, wait); err != nil {
		return nil, err
	}
	inv := &invocation{
		id:      newRequestID(),
		traceID: newTraceID(time.Now()),
		payload: payload,
		done:    make(chan outcome, 1),
	}
	go f.run(inv)
	select {
	case end := <-inv.done:
		return end.payload, end.err
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for function %s: %w", f.options.Name, ctx.Err())
	}
}

// acquire takes a slot, which [Function.run] returns.
func (f *Function) acquire(ctx context.Context, wait time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("invoke function %s: %w", f.options.Name, err)
	}
	select {
	case f.slots <- struct{}{}:
	default:
		if err := f.waitForSlot(ctx, wait); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.shut {
		<-f.slots
		return ErrClosed
	}
	return nil
}

func (f *Function) waitForSlot(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return ErrThrottled
	}
	limit := time.NewTimer(wait)
	defer limit.Stop()
	select {
	case f.slots <- struct{}{}:
		return nil
	case <-limit.C:
		return ErrThrottled
	case <-f.closing:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("wait for function %s: %w", f.options.Name, ctx.Err())
	}
}

// run owns a slot and one environment.
func (f *Function) run(inv *invocation) {
	var end outcome
	for range maxHandovers {
		e, err := f.environment()
		if err != nil {
			end.err = err
			break
		}
		var delivered bool
		if end, delivered = e.serve(inv); delivered {
			f.settle(e, inv, end)
			break
		}
		end.err = hostError(TypeExit, inv.id, "%s", e.howItEnded())
	}
	<-f.slots
	inv.finish(end)
}

// finish may be called by two goroutines; the first call counts.
func (inv *invocation) finish(end outcome) {
	select {
	case inv.done <- end:
	default:
	}
}

// settle waits until the environment can be used again and puts it back.
func (f *Function) settle(e *environment, inv *invocation, end outcome) {
	late := time.AfterFunc(settleGrace, func() { inv.finish(end) })
	defer late.Stop()
	if e.awaitNext(inv.deadline) {
		f.putIdle(e)
	}
}

// environment returns a warm one, or a new one that has started.
func (f *Function) environment() (*environment, error) {
	if e := f.takeIdle(nil); e != nil {
		return e, nil
	}
	if err := f.gate.enter(time.Now()); err != nil {
		return nil, err
	}
	e, err := f.start()
	if err != nil {
		err = &StartError{Function: f.options.Name, Err: err}
	}
	f.gate.leave(time.Now(), err)
	return e, err
}

func (f *Function) start() (*environment, error) {
	e, err := startEnvironment(&f.options, f.spawn, &f.output)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.environments[e] = struct{}{}
	killing := f.killing
	f.mu.Unlock()
	go e.reap(f.forget)
	if killing {
		e.kill()
	}
	return e, e.awaitInit()
}

// takeIdle removes and returns an idle environment: the given one, or for nil the last
// used one. It returns nil if there is none.
func (f *Function) takeIdle(e *environment) *environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := len(f.idle) - 1
	if e != nil {
		i = slices.Index(f.idle, e)
	}
	if i < 0 {
		return nil
	}
	e = f.idle[i]
	f.idle = slices.Delete(f.idle, i, i+1)
	return e
}

func (f *Function) putIdle(e *environment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, alive := f.environments[e]; !alive {
		return
	}
	f.idle = append(f.idle, e)
}

// forget is called for each process that has ended.
func (f *Function) forget(e *environment) {
	f.takeIdle(e)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.environments, e)
}
