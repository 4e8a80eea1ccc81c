package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"tollgate/pkg/policy"
)

// opName is the operation of a call.
type opName string

const (
	opUpdate     opName = "UpdateItem"
	opTransact   opName = "TransactWriteItems"
	opPut        opName = "PutItem of a record"
	opGet        opName = "GetItem"
	opSend       opName = "SendMessage"
	opReceive    opName = "ReceiveMessage"
	opVisibility opName = "ChangeMessageVisibility"
	opDelete     opName = "DeleteMessage"
	opDead       opName = "SendMessage to the DLQ"
	opHold       opName = "SendMessage to the hold queue"
	opDepth      opName = "GetQueueAttributes"
	opBatchGet   opName = "BatchGetItem"
	opCover      opName = "PutItem of a note"
	opCovered    opName = "Query of the notes"
	opOpen       opName = "Query of the open records"
	opList       opName = "a list of events"
	opFetch      opName = "a fetch of an event"
	opObject     opName = "a fetch of an object"
	opSecretGet  opName = "GetSecretValue"
	opSecretPut  opName = "PutSecretValue"
	opCount      opName = "GetQueueAttributes of the DLQ"
	opWork       opName = "a handler's own work"
)

// call is one request of a process to a service. Its apply runs in the scheduler's goroutine, so
// the scenario's state needs no locks.
type call struct {
	proc    *proc
	op      opName
	subject string
	after   time.Time // no answer before this time
	apply   func() error
	answer  chan verdict

	slowed    bool // the answer arrives at after
	silent    bool // never answered: the caller's context ends the wait
	abandoned bool // the caller has timed out
	kept      bool // the caller was paused, and still takes the answer after its timeout
}

// verdict is the scheduler's answer to a call.
type verdict struct {
	err  error
	kill bool
}

// errLost is the caller's error for a lost request or answer.
var errLost = errors.New("connection reset by peer")

// proc is one process: an invocation of a function or an operator's command.
type proc struct {
	id      int
	name    string
	started int       // step
	ends    time.Time // when Lambda kills it, zero for never
	finish  func()    // runs in the scheduler after it returned
	over    func()    // the same, also after it was killed

	policies  map[string]policy.Policy // at its start
	batch     []taken                  // a consumer's messages
	outcomes  []outcome                // from its log
	troubled  bool                     // at least one of its calls failed
	failing   bool                     // at least one of its store calls failed
	began     time.Time
	purging   *purging        // set for a purge
	seen      map[string]bool // dead letters that it received
	unseen    int             // dead letters hidden by others at its last count
	counted   bool            // it reports how many are hidden
	release   bool            // runs the next release
	pauses    *warm           // its cache of the pauses, nil for a release that knows none
	resumes   string          // the name that it resumes, "" for none
	compared  bool            // the pass over the span of its resumption is complete
	disturbed bool            // another process removed a dead letter meanwhile

	faultCounts
	refusedAccount map[string]bool // events for which Stripe refused the account
	tooLarge       map[string]bool // messages whose copy was too large for the DLQ
	failed         map[string]bool // events whose record shows a failure of its own

	dead   bool
	done   bool          // its main function has returned
	crash  bool          // it ended itself
	halted bool          // it was paused at some time
	resume chan struct{} // not nil while it is paused
	wakes  time.Time     // when it resumes
	sent   bool          // its calls from before the pause are answered meanwhile
}

type procKey struct{}

func procOf(ctx context.Context) *proc {
	p, _ := ctx.Value(procKey{}).(*proc)
	return p
}

// do makes a call for the process in ctx and waits for the scheduler's answer. A killed process
// ends here.
func do(sc *scenario, ctx context.Context, op opName, subject string, apply func() error) error {
	return doAfter(sc, ctx, time.Time{}, op, subject, apply)
}

// doAfter is do for a call that is answered at a given time or later.
func doAfter(sc *scenario, ctx context.Context, after time.Time, op opName, subject string, apply func() error) error {
	p := procOf(ctx)
	if p == nil {
		panic(fmt.Sprintf("%s %s is made by no process", op, subject))
	}
	c := &call{proc: p, op: op, subject: subject, after: after, apply: apply, answer: make(chan verdict, 1)}
	sc.mu.Lock()
	if p.dead {
		sc.mu.Unlock()
		runtime.Goexit()
	}
	sc.pending = append(sc.pending, c)
	sc.mu.Unlock()
	select {
	case sc.called <- struct{}{}:
	default:
	}
	var v verdict
	over := false
	select {
	case v = <-c.answer:
	case <-ctx.Done():
		over = true
	}
	sc.halt(p) // a paused process sees neither answers nor timers
	if !over {
		return c.take(v)
	}
	sc.mu.Lock()
	kept := c.kept
	c.abandoned = !kept
	p.failing, p.troubled = true, true
	p.faults[subject]++
	sc.mu.Unlock()
	if kept {
		return c.take(<-c.answer)
	}
	select {
	case v := <-c.answer: // killed meanwhile
		return c.take(v)
	default:
		return ctx.Err()
	}
}

// halt blocks while the process is paused.
func (sc *scenario) halt(p *proc) {
	sc.mu.Lock()
	stopped := p.resume
	sc.mu.Unlock()
	if stopped != nil {
		<-stopped
	}
}

func (c *call) take(v verdict) error {
	if v.kill {
		runtime.Goexit()
	}
	return v.err
}

// spawn starts a process. main's calls carry it in their context.
func (sc *scenario) spawn(p *proc, main func(ctx context.Context)) {
	sc.nextProc++
	p.id, p.started, p.began, p.policies, p.release = sc.nextProc, sc.step, time.Now(), sc.policies, sc.plan.versions.consumes
	p.faultCounts, p.failed = newFaultCounts(), map[string]bool{}
	sc.procs = append(sc.procs, p)
	sc.stirred = true
	sc.log("process %d starts: %s", p.id, p.name)
	ctx := context.WithValue(context.Background(), procKey{}, p)
	var over sync.WaitGroup
	over.Go(func() {
		defer func() { // also after a kill
			sc.mu.Lock()
			p.done = true
			sc.mu.Unlock()
		}()
		main(ctx)
	})
}

// kill ends a process at once. Requests that it had sent may still arrive; see later.
func (sc *scenario) kill(p *proc, why string) {
	if p.dead {
		return
	}
	sc.log("process %d is killed: %s", p.id, why)
	sc.count("killed: " + why)
	sc.stirred = true
	sc.mu.Lock()
	p.dead = true
	var mine []*call
	sc.pending = slices.DeleteFunc(sc.pending, func(c *call) bool {
		if c.proc == p {
			mine = append(mine, c)
		}
		return c.proc == p
	})
	resume := p.resume
	p.resume = nil
	sc.mu.Unlock()
	slices.SortFunc(mine, byName)
	for _, c := range mine {
		if c.op != opWork && !c.silent && sc.faulty(sc.plan.late) {
			sc.later(c)
		}
		c.answer <- verdict{kill: true}
	}
	if resume != nil {
		close(resume)
	}
}

// stop pauses a process for d, while its leases expire.
func (sc *scenario) stop(p *proc, d time.Duration) {
	sc.log("process %d is stopped for %v", p.id, d)
	sc.count("stopped")
	sent := sc.rng.IntN(2) == 0
	sc.mu.Lock()
	p.resume, p.wakes, p.halted, p.sent = make(chan struct{}), time.Now().Add(d), true, sent
	sc.mu.Unlock()
}

// wake resumes a paused process. Whether it sees a pending answer or its timeout first is drawn:
// it may have been paused before it read the clock.
func (sc *scenario) wake(p *proc) {
	sc.log("process %d resumes", p.id)
	sc.count("resumed")
	sc.stirred = true
	keep := sc.rng.IntN(2) == 0 && !p.ends.IsZero()
	sc.mu.Lock()
	for _, c := range sc.pending {
		c.kept = c.kept || c.proc == p && keep && !c.silent
	}
	close(p.resume)
	p.resume = nil
	sc.mu.Unlock()
}

// later applies a request after its caller has timed out.
func (sc *scenario) later(c *call) {
	at := time.Now().Add(sc.upTo(sc.plan.lateness))
	sc.log("%s %s of process %d will arrive late", c.op, c.subject, c.proc.id)
	sc.late = append(sc.late, late{at: at, c: c})
}

type late struct {
	at time.Time
	c  *call
}

// byName is the order of calls made at the same moment.
func byName(a, b *call) int {
	return cmp.Or(cmp.Compare(a.proc.id, b.proc.id), cmp.Compare(a.op, b.op), cmp.Compare(a.subject, b.subject))
}

// eligible returns the calls that may be answered now, in an order that does not depend on
// goroutines, and drops those whose callers have timed out.
func (sc *scenario) eligible() []*call {
	sc.mu.Lock()
	defer sc.mu.Unlock()
	var gone, open []*call
	for _, c := range sc.pending {
		if c.abandoned {
			gone = append(gone, c)
		} else {
			open = append(open, c)
		}
	}
	slices.SortFunc(gone, byName)
	for _, c := range gone {
		if c.op != opWork && !c.silent && sc.faulty(0.5) {
			sc.later(c)
		}
	}
	slices.SortFunc(open, byName)
	sc.pending = open
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(open), func(c *call) bool {
		return c.silent || c.proc.resume != nil && !c.proc.sent || c.after.After(now)
	})
}

// reply answers one call, or injects a fault.
func (sc *scenario) reply(c *call) {
	sc.mu.Lock()
	sc.pending = slices.DeleteFunc(sc.pending, func(o *call) bool { return o == c })
	sc.mu.Unlock()
	how := sc.callResult(c)
	if how != callAnswered {
		part, can := c.op.part()
		sc.mu.Lock()
		c.proc.troubled, c.proc.failing = c.proc.troubled || how != callSlow, c.proc.failing || can && part == store
		sc.mu.Unlock()
		sc.noteFault(c, how)
	}
	sc.log("%s %s of process %d: %s", c.op, c.subject, c.proc.id, how)
	sc.count(countName(c.op, how))
	var err error
	switch how {
	case callLostRequest:
		err = errLost
	case callLate:
		sc.later(c)
		err = errLost
	case callLostAnswer:
		_ = c.apply()
		err = errLost
	case callRefused:
		err = sc.refusal(c)
	case callDenied:
		err = &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "simulated"}
	case callExpired:
		err = signatureExpired()
	case callThrottled:
		err = throttled(c.op)
	case callSlow:
		c.after, c.slowed = time.Now().Add(3*time.Second+sc.upTo(4*time.Second)), true
		sc.mu.Lock()
		sc.pending = append(sc.pending, c)
		sc.mu.Unlock()
		return
	case callSilent, callSilentApplied:
		if how == callSilentApplied {
			_ = c.apply()
		}
		c.silent = true
		sc.mu.Lock()
		sc.pending = append(sc.pending, c)
		sc.mu.Unlock()
		return
	default:
		if err = c.apply(); err != nil {
			sc.log("%s %s: %v", c.op, c.subject, err)
		}
	}
	c.answer <- verdict{err: err}
}
