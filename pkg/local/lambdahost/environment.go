package lambdahost

import (
	"io"
	"log"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// stopGrace is the time between SIGTERM and SIGKILL; Lambda's is as short.
const stopGrace = 500 * time.Millisecond

// pipeGrace bounds how long output is still read after a process ended, if one of
// its children keeps the pipe open.
const pipeGrace = time.Second

// environment is one process of a function with its Runtime API. One goroutine at
// a time owns it: starts it, gives it invocations and stops it.
type environment struct {
	options *Options
	api     *runtimeAPI
	cmd     *exec.Cmd
	server  *http.Server
	output  [2]*lineWriter
	exited  chan struct{} // closed when the process is gone and reaped
}

// startEnvironment starts a process; the caller must run [environment.reap].
// The error is a *FunctionError.
func startEnvironment(o *Options, spawn *spawner, turn *sync.Mutex) (*environment, error) {
	if err := checkBinary(o.Path); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, hostError(TypeUnknown, "", "open the Runtime API: %v", err)
	}
	e := &environment{
		options: o,
		api:     newRuntimeAPI(o.arn()),
		output:  [2]*lineWriter{{out: o.Stdout, turn: turn}, {out: o.Stderr, turn: turn}},
		exited:  make(chan struct{}),
	}
	e.server = &http.Server{Handler: e.api.handler(), ErrorLog: log.New(io.Discard, "", 0)}
	e.cmd = &exec.Cmd{
		Path:        o.Path,
		Args:        []string{o.Path},
		Dir:         filepath.Dir(o.Path),
		Env:         o.environ(listener.Addr().String()+"/"+e.api.key, newLogStream(time.Now())),
		Stdout:      e.output[0],
		Stderr:      e.output[1],
		SysProcAttr: processAttributes(),
		WaitDelay:   pipeGrace,
	}
	if err := spawn.start(e.cmd); err != nil {
		listener.Close()
		return nil, hostError(TypeInvalidEntrypoint, "", "%v", err)
	}
	go e.server.Serve(listener)
	return e, nil
}

// reap waits for the process's end and cleans up. It calls onExit before it closes
// exited.
func (e *environment) reap(onExit func(*environment)) {
	e.cmd.Wait() // how it ended is in ProcessState
	e.server.Close()
	for _, w := range e.output {
		w.Close()
	}
	onExit(e)
	close(e.exited)
}

// awaitInit waits until the process asks for its first invocation. If it returns an
// error, a *FunctionError, the process has ended.
func (e *environment) awaitInit() error {
	limit := time.NewTimer(e.options.InitTimeout)
	defer limit.Stop()
	select {
	case <-e.api.parked:
		return nil
	case failed := <-e.api.initErr:
		e.kill()
		return failed
	case <-limit.C:
		e.kill()
		return hostError(TypeTimedOut, "", "init was not over after %v", e.options.InitTimeout)
	case <-e.exited:
	}
	select {
	case failed := <-e.api.initErr:
		return failed
	default:
		return hostError(TypeExit, "", "%s before it asked for an invocation", e.howItEnded())
	}
}

// serve runs one invocation. It returns false if the process ended before it got the
// invocation; another process can then run it.
func (e *environment) serve(inv *invocation) (outcome, bool) {
	inv.deadline = time.Now().Add(e.options.Timeout)
	limit := time.NewTimer(e.options.Timeout + e.options.Late)
	defer limit.Stop()
	select {
	case <-e.exited:
		return outcome{}, false
	case e.api.jobs <- inv:
	case <-limit.C:
		return e.timedOut(inv), true
	}
	select {
	case out := <-e.api.answers:
		return out, true
	case <-limit.C:
		return e.timedOut(inv), true
	case <-e.exited:
	}
	select {
	case out := <-e.api.answers: // answered, then ended
		return out, true
	default:
		return outcome{err: hostError(TypeExit, inv.id, "%s", e.howItEnded())}, true
	}
}

func (e *environment) timedOut(inv *invocation) outcome {
	e.kill()
	return outcome{err: hostError(TypeTimedOut, inv.id, "Task timed out after %.2f seconds", e.options.Timeout.Seconds())}
}

// awaitNext waits until the process asks for another invocation, at most until
// the deadline of the one it has answered; after that it is killed. It returns
// false if the process is gone.
func (e *environment) awaitNext(deadline time.Time) bool {
	limit := time.NewTimer(time.Until(deadline) + e.options.Late)
	defer limit.Stop()
	select {
	case <-e.api.parked:
		return true
	case <-e.exited:
		return false
	case <-limit.C:
		e.kill()
		return false
	}
}

// kill ends the process at once and waits for its end.
func (e *environment) kill() {
	if !e.gone() {
		kill(e.cmd.Process)
	}
	<-e.exited
}

// gone reports whether the process is reaped; its pid may then be reused.
func (e *environment) gone() bool {
	select {
	case <-e.exited:
		return true
	default:
		return false
	}
}

// stop asks the process to end, kills it if it does not, and waits for its end.
func (e *environment) stop() {
	if !e.gone() {
		terminate(e.cmd.Process)
	}
	limit := time.NewTimer(stopGrace)
	defer limit.Stop()
	select {
	case <-e.exited:
	case <-limit.C:
		e.kill()
	}
}

// howItEnded describes the exit of a process in Lambda's words.
func (e *environment) howItEnded() string {
	state := e.cmd.ProcessState
	if state == nil || state.Success() {
		return "Runtime exited without providing a reason"
	}
	return "Runtime exited with error: " + state.String()
}
