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

// opName says what a call does.
type opName string

const (
	opUpdate     opName = "UpdateItem"
	opTransact   opName = "TransactWriteItems"
	opGet        opName = "GetItem"
	opSend       opName = "SendMessage"
	opReceive    opName = "ReceiveMessage"
	opVisibility opName = "ChangeMessageVisibility"
	opDelete     opName = "DeleteMessage"
	opDead       opName = "SendMessage to the DLQ"
	opDepth      opName = "GetQueueAttributes"
	opBatchGet   opName = "BatchGetItem"
	opCover      opName = "PutItem of a note"
	opCovered    opName = "Query of the notes"
	opList       opName = "a list of events"
	opFetch      opName = "a fetch of an event"
	opObject     opName = "a fetch of an object"
	opSecretGet  opName = "GetSecretValue"
	opSecretPut  opName = "PutSecretValue"
	opCount      opName = "GetQueueAttributes of the DLQ"
	opWork       opName = "a handler's own work"
)

// call is one request of a process to the world outside. Its apply runs in the
// scheduler's goroutine, so the world's state needs no locks.
type call struct {
	proc    *proc
	op      opName
	subject string
	after   time.Time // not answered before
	apply   func() error
	answer  chan verdict

	slowed    bool // its answer is on its way, until after
	silent    bool // no answer ever comes: the caller's context ends the wait
	abandoned bool // the caller has gone on
	kept      bool // the caller was stopped meanwhile, and waits on though its time was over
}

// verdict is what the scheduler says to a waiting call.
type verdict struct {
	err  error
	kill bool
}

// errLost is what a caller sees of a lost request, or of a lost answer.
var errLost = errors.New("connection reset by peer")

// proc is one process: an invocation of a function, or an operator's command.
type proc struct {
	id      int
	name    string
	started int       // step
	ends    time.Time // when Lambda kills it, zero for never
	finish  func()    // the scheduler's part after it has returned
	over    func()    // the same, and also after its death

	policies  map[string]policy.Policy // of its start
	batch     []taken                  // of a consumer
	outcomes  []outcome                // that it logged
	troubled  bool                     // a call of it was not answered
	failing   bool                     // nor one to the store
	began     time.Time
	purging   *purging        // of a purge
	seen      map[string]bool // letters that it received
	unseen    int             // letters that others hid at its last count
	counted   bool            // it says how many are hidden
	release   bool            // it is of the next one
	disturbed bool            // another removed a letter meanwhile

	suffered
	refusedAccount map[string]bool // events for which Stripe refused the account
	tooLarge       map[string]bool // messages whose copy was too large for the DLQ

	dead   bool
	done   bool          // its main function has returned
	crash  bool          // its own code asked for the end
	halted bool          // it was stopped at some time
	resume chan struct{} // not nil while the process is stopped
	wakes  time.Time     // when it goes on
	sent   bool          // what it asked for before is under way, and answered meanwhile
}

type procKey struct{}

func procOf(ctx context.Context) *proc {
	p, _ := ctx.Value(procKey{}).(*proc)
	return p
}

// do makes a call of the process in ctx and waits for what the scheduler decides. A
// dead process ends here.
func do(w *world, ctx context.Context, op opName, subject string, apply func() error) error {
	return doAfter(w, ctx, time.Time{}, op, subject, apply)
}

// doAfter is do for a call that takes until a given time.
func doAfter(w *world, ctx context.Context, after time.Time, op opName, subject string, apply func() error) error {
	p := procOf(ctx)
	if p == nil {
		panic(fmt.Sprintf("%s %s is made by no process", op, subject))
	}
	c := &call{proc: p, op: op, subject: subject, after: after, apply: apply, answer: make(chan verdict, 1)}
	w.mu.Lock()
	if p.dead {
		w.mu.Unlock()
		runtime.Goexit()
	}
	w.pending = append(w.pending, c)
	w.mu.Unlock()
	select {
	case w.called <- struct{}{}:
	default:
	}
	var v verdict
	over := false
	select {
	case v = <-c.answer:
	case <-ctx.Done():
		over = true
	}
	w.halt(p) // a stopped process sees neither answers nor its clock
	if !over {
		return c.take(v)
	}
	w.mu.Lock()
	kept := c.kept
	c.abandoned = !kept
	p.failing, p.troubled = true, true
	p.faults[subject]++
	w.mu.Unlock()
	if kept {
		return c.take(<-c.answer)
	}
	select {
	case v := <-c.answer: // it was killed meanwhile
		return c.take(v)
	default:
		return ctx.Err()
	}
}

// halt waits while the process is stopped: its code does not run.
func (w *world) halt(p *proc) {
	w.mu.Lock()
	stopped := p.resume
	w.mu.Unlock()
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
func (w *world) spawn(p *proc, main func(ctx context.Context)) {
	w.nextProc++
	p.id, p.started, p.began, p.policies, p.release = w.nextProc, w.step, time.Now(), w.policies, w.plan.versions.consumes
	p.suffered = newSuffered()
	w.procs = append(w.procs, p)
	w.stirred = true
	w.log("process %d starts: %s", p.id, p.name)
	ctx := context.WithValue(context.Background(), procKey{}, p)
	var over sync.WaitGroup
	over.Go(func() {
		defer func() { // also when it is killed
			w.mu.Lock()
			p.done = true
			w.mu.Unlock()
		}()
		main(ctx)
	})
}

// kill ends a process at once: nothing that it still asks for is answered. What it had
// sent before may still arrive, see settle.
func (w *world) kill(p *proc, why string) {
	if p.dead {
		return
	}
	w.log("process %d is killed: %s", p.id, why)
	w.met("killed: " + why)
	w.stirred = true
	w.mu.Lock()
	p.dead = true
	var mine []*call
	w.pending = slices.DeleteFunc(w.pending, func(c *call) bool {
		if c.proc == p {
			mine = append(mine, c)
		}
		return c.proc == p
	})
	resume := p.resume
	p.resume = nil
	w.mu.Unlock()
	slices.SortFunc(mine, byName)
	for _, c := range mine {
		if c.op != opWork && !c.silent && w.faulty(w.plan.late) {
			w.later(c)
		}
		c.answer <- verdict{kill: true}
	}
	if resume != nil {
		close(resume)
	}
}

// stop halts a process for d: it does nothing, and hears nothing, while its leases run out.
func (w *world) stop(p *proc, d time.Duration) {
	w.log("process %d is stopped for %v", p.id, d)
	w.met("stopped")
	sent := w.rng.IntN(2) == 0
	w.mu.Lock()
	p.resume, p.wakes, p.halted, p.sent = make(chan struct{}), time.Now().Add(d), true, sent
	w.mu.Unlock()
}

// wake lets a stopped process go on. Which came first, the answer of what it had asked
// for or the end of its patience, is up to chance: it may have been stopped before it
// looked at the clock.
func (w *world) wake(p *proc) {
	w.log("process %d goes on", p.id)
	w.met("goes on")
	w.stirred = true
	keep := w.rng.IntN(2) == 0 && !p.ends.IsZero()
	w.mu.Lock()
	for _, c := range w.pending {
		c.kept = c.kept || c.proc == p && keep && !c.silent
	}
	close(p.resume)
	p.resume = nil
	w.mu.Unlock()
}

// later lets a request apply after its caller has given up on it.
func (w *world) later(c *call) {
	at := time.Now().Add(w.upTo(w.plan.lateness))
	w.log("%s %s of process %d will arrive late", c.op, c.subject, c.proc.id)
	w.late = append(w.late, late{at: at, c: c})
}

type late struct {
	at time.Time
	c  *call
}

// byName orders calls that were made at the same moment.
func byName(a, b *call) int {
	return cmp.Or(cmp.Compare(a.proc.id, b.proc.id), cmp.Compare(a.op, b.op), cmp.Compare(a.subject, b.subject))
}

// eligible returns the calls that may be answered now, in an order that does not depend
// on goroutines, and forgets those whose callers have gone on.
func (w *world) eligible() []*call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var gone, open []*call
	for _, c := range w.pending {
		if c.abandoned {
			gone = append(gone, c)
		} else {
			open = append(open, c)
		}
	}
	slices.SortFunc(gone, byName)
	for _, c := range gone {
		if c.op != opWork && !c.silent && w.faulty(0.5) {
			w.later(c)
		}
	}
	slices.SortFunc(open, byName)
	w.pending = open
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(open), func(c *call) bool {
		return c.silent || c.proc.resume != nil && !c.proc.sent || c.after.After(now)
	})
}

// reply answers one call, or lets it go wrong.
func (w *world) reply(c *call) {
	w.mu.Lock()
	w.pending = slices.DeleteFunc(w.pending, func(o *call) bool { return o == c })
	w.mu.Unlock()
	how := w.fate(c)
	if how != fateAnswered {
		part, can := c.op.part()
		w.mu.Lock()
		c.proc.troubled, c.proc.failing = c.proc.troubled || how != fateSlow, c.proc.failing || can && part == store
		w.mu.Unlock()
		w.hurts(c, how)
	}
	w.log("%s %s of process %d: %s", c.op, c.subject, c.proc.id, how)
	w.met(met(c.op, how))
	var err error
	switch how {
	case fateLostRequest:
		err = errLost
	case fateLate:
		w.later(c)
		err = errLost
	case fateLostAnswer:
		_ = c.apply()
		err = errLost
	case fateRefused:
		err = w.refusal(c)
	case fateDenied:
		err = &smithy.GenericAPIError{Code: "AccessDeniedException", Message: "simulated"}
	case fateExpired:
		err = signatureExpired()
	case fateThrottled:
		err = throttled(c.op)
	case fateSlow:
		c.after, c.slowed = time.Now().Add(3*time.Second+w.upTo(4*time.Second)), true
		w.mu.Lock()
		w.pending = append(w.pending, c)
		w.mu.Unlock()
		return
	case fateSilent, fateSilentApplied:
		if how == fateSilentApplied {
			_ = c.apply()
		}
		c.silent = true
		w.mu.Lock()
		w.pending = append(w.pending, c)
		w.mu.Unlock()
		return
	default:
		if err = c.apply(); err != nil {
			w.log("%s %s: %v", c.op, c.subject, err)
		}
	}
	c.answer <- verdict{err: err}
}
