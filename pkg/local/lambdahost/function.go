package lambdahost

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
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

	starts, startFailures, crashes, timeouts, invocations atomic.Int64
}

// Result is a successful invocation.
type Result struct {
	Payload   []byte        // what the function returned, usually JSON
	RequestID string        // the UUID that the function's context had
	Duration  time.Duration // from giving the payload to the process to its answer
	ColdStart bool          // the invocation started the process
}

// Stats counts what a function did; the counters only grow.
type Stats struct {
	Starts        int64 // processes started
	StartFailures int64 // starts that failed, or processes that never asked for an invocation
	Crashes       int64 // processes that ended unexpectedly
	Timeouts      int64 // invocations that exceeded Options.Timeout
	Invocations   int64 // payloads given to a process
	Running       int   // processes now
	Idle          int   // of them, those that wait for an invocation
}

// invocation is one payload on its way through a process.
type invocation struct {
	id       string
	traceID  string
	payload  []byte
	deadline time.Time
	done     chan invocationEnd
}

type invocationEnd struct {
	result Result
	err    error
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
// [ErrClosed], [*StartError], [*FunctionError], or the
// context's. When the context ends early the function still runs to its end, as
// on Lambda, so the payload must not be changed after the call.
func (f *Function) Invoke(ctx context.Context, payload []byte) (Result, error) {
	return f.InvokeWait(ctx, payload, 0)
}

// InvokeWait is [Function.Invoke] that waits up to the given time for a free
// environment before it returns [ErrThrottled]. Callers are served in order.
func (f *Function) InvokeWait(ctx context.Context, payload []byte, wait time.Duration) (Result, error) {
	if len(payload) > MaxRequestBytes {
		return Result{}, fmt.Errorf("%d byte payload is too large for the RequestResponse invocation type (limit %d bytes)", len(payload), MaxRequestBytes)
	}
	if len(payload) == 0 {
		payload = []byte("{}")
	}
	if err := f.acquire(ctx, wait); err != nil {
		return Result{}, err
	}
	inv := &invocation{
		id:      newRequestID(),
		traceID: newTraceID(time.Now()),
		payload: payload,
		done:    make(chan invocationEnd, 1),
	}
	go f.run(inv)
	select {
	case end := <-inv.done:
		return end.result, end.err
	case <-ctx.Done():
		return Result{}, fmt.Errorf("wait for function %s: %w", f.options.Name, ctx.Err())
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
	var end invocationEnd
	for range maxHandovers {
		e, cold, err := f.environment()
		if err != nil {
			end.err = err
			break
		}
		var delivered bool
		if end, delivered = f.serve(e, inv); delivered {
			end.result.ColdStart = cold
			f.settle(e, inv, end)
			break
		}
		end.err = hostError(TypeExit, inv.id, "%s", e.howItEnded())
	}
	<-f.slots
	inv.finish(end)
}

// finish may be called by two goroutines; the first call counts.
func (inv *invocation) finish(end invocationEnd) {
	select {
	case inv.done <- end:
	default:
	}
}

func (f *Function) serve(e *environment, inv *invocation) (invocationEnd, bool) {
	began := time.Now()
	out, delivered := e.serve(inv)
	if !delivered {
		return invocationEnd{}, false
	}
	f.invocations.Add(1)
	if out.err != nil {
		if failed, ok := out.err.(*FunctionError); ok && failed.Type == TypeTimedOut {
			f.timeouts.Add(1)
		}
		return invocationEnd{err: out.err}, true
	}
	return invocationEnd{result: Result{
		Payload:   out.payload,
		RequestID: inv.id,
		Duration:  time.Since(began),
	}}, true
}

// settle waits until the environment can be used again and puts it back.
func (f *Function) settle(e *environment, inv *invocation, end invocationEnd) {
	late := time.AfterFunc(settleGrace, func() { inv.finish(end) })
	defer late.Stop()
	if e.awaitNext(inv.deadline) {
		f.putIdle(e)
	}
}

// environment returns a warm one, or a new one that has started.
func (f *Function) environment() (e *environment, cold bool, err error) {
	if e := f.takeIdle(nil); e != nil {
		return e, false, nil
	}
	if err := f.gate.enter(time.Now()); err != nil {
		return nil, false, err
	}
	e, err = f.start()
	if err != nil {
		f.startFailures.Add(1)
		err = &StartError{Function: f.options.Name, Err: err}
	}
	f.gate.leave(time.Now(), err)
	return e, true, err
}

func (f *Function) start() (*environment, error) {
	e, err := startEnvironment(&f.options, f.spawn, &f.output)
	if err != nil {
		return nil, err
	}
	f.starts.Add(1)
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
	if !e.stopping.Load() {
		f.crashes.Add(1)
	}
	f.takeIdle(e)
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.environments, e)
}

// Stats returns the counters as of now.
func (f *Function) Stats() Stats {
	s := Stats{
		Starts:        f.starts.Load(),
		StartFailures: f.startFailures.Load(),
		Crashes:       f.crashes.Load(),
		Timeouts:      f.timeouts.Load(),
		Invocations:   f.invocations.Load(),
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Running, s.Idle = len(f.environments), len(f.idle)
	return s
}
