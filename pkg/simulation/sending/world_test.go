package sending

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/aws/smithy-go"

	"tollgate/pkg/destination"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/outbox"
)

// world is one seeded run. Its mutex guards everything that calls touch.
type world struct {
	seed   uint64
	limits limits.Limits
	trace  func(string)
	start  time.Time

	mu     sync.Mutex
	healed bool // no more faults
	over   bool
	wrong  string
	counts map[string]int
	procs  int

	table     *table
	queue     *queueOf
	dead      []string // bodies of dead letters
	all       destination.Set
	receivers map[string]*receiver
	messages  []*sentMessage
	numbers   map[string]string        // message by destination, object and number
	skews     map[string]time.Duration // of the clock of an attempt's owner
}

// sentMessage is an outbox message of the world.
type sentMessage struct {
	outbox.Message
	at   time.Time
	item dispatch.Fields
}

// draw returns random numbers for one decision, the same in every run of the seed.
func (w *world) draw(parts ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprint(h, parts...)
	return rand.New(rand.NewPCG(w.seed, h.Sum64()))
}

func (w *world) log(format string, args ...any) {
	if w.trace != nil {
		w.trace(fmt.Sprintf("%12v ", time.Since(w.start).Round(time.Millisecond)) + fmt.Sprintf(format, args...))
	}
}

// violate records the first violation. The mutex is held.
func (w *world) violate(format string, args ...any) {
	if w.wrong == "" {
		w.wrong = fmt.Sprintf(format, args...)
		w.log("WRONG: %s", w.wrong)
	}
}

func (w *world) count(what string) { w.counts[what]++ }

// proc is one process: an invocation of the sender, a hand-over or an operator's command.
type proc struct {
	*world
	id    int
	name  string
	skew  time.Duration
	calls map[string]int
	ends  time.Time // it is killed then, zero for never
	dead  bool
	until time.Time // it is paused until then
}

type procKey struct{}

func procOf(ctx context.Context) *proc {
	p, _ := ctx.Value(procKey{}).(*proc)
	return p
}

// spawn returns a process and its context.
func (w *world) spawn(name string, skew time.Duration) (*proc, context.Context) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.procs++
	p := &proc{world: w, id: w.procs, name: name, skew: skew, calls: map[string]int{}}
	return p, context.WithValue(context.Background(), procKey{}, p)
}

// errLost is the caller's error for a lost request or answer.
var errLost = errors.New("connection reset by peer")

// fault is what happens to a call.
type fault string

const (
	none        fault = "ok"
	lostRequest fault = "lost request"
	lostAnswer  fault = "lost answer"
	late        fault = "late request" // applied after its caller went on
	refused     fault = "refused"
	killed      fault = "killed before"
	killedAfter fault = "killed after"
	paused      fault = "paused before"
	pausedAfter fault = "paused after"
)

func (w *world) faultOf(r *rand.Rand) fault {
	if w.healed {
		return none
	}
	switch n := r.IntN(1000); {
	case n < 20:
		return lostRequest
	case n < 50:
		return lostAnswer
	case n < 65:
		return late
	case n < 85:
		return refused
	case n < 95:
		return killed
	case n < 110:
		return killedAfter
	case n < 125:
		return paused
	case n < 140:
		return pausedAfter
	}
	return none
}

// ask is a call that returns a value, which a late request must not write once its caller went on.
func ask[T any](w *world, ctx context.Context, op, subject string, apply func(p *proc) (T, error)) (v T, err error) {
	answer := make(chan T, 1)
	err = w.call(ctx, op, subject, func(p *proc) error {
		v, err := apply(p)
		answer <- v
		return err
	})
	if err == nil {
		v = <-answer
	}
	return v, err
}

// call makes a call for the process in ctx, at once without one. apply runs under the mutex.
func (w *world) call(ctx context.Context, op, subject string, apply func(p *proc) error) error {
	p, key := procOf(ctx), op+" "+subject
	if p == nil {
		return w.apply(&proc{name: "operator"}, key, none, apply)
	}
	w.mu.Lock()
	p.calls[key]++
	r := w.draw(p.id, key, p.calls[key])
	how := w.faultOf(r)
	if how != none {
		w.count(op + ": " + string(how))
	}
	w.mu.Unlock()
	if err := p.sleep(ctx, latency(r)); err != nil {
		return err
	}
	switch how {
	case lostRequest:
		return errLost
	case refused:
		return &smithy.GenericAPIError{Code: "ThrottlingException", Message: "simulated"}
	case late:
		time.AfterFunc(time.Duration(r.Int64N(int64(20*time.Second))), func() { _ = w.apply(p, key, late, apply) })
		return errLost
	case killed:
		p.kill()
	case paused:
		p.pause(r)
	}
	p.alive(latency(r))
	err := w.apply(p, key, how, apply)
	switch how {
	case lostAnswer:
		return errLost
	case killedAfter:
		p.kill()
	case pausedAfter:
		p.pause(r)
	}
	if err := p.sleep(ctx, latency(r)); err != nil {
		return err
	}
	return err
}

func (w *world) apply(p *proc, key string, how fault, apply func(p *proc) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	err := apply(p)
	w.log("process %d (%s): %s: %s, %v", p.id, p.name, key, how, err)
	return err
}

// latency has nanoseconds of its own: no two calls end at the same moment.
func latency(r *rand.Rand) time.Duration {
	return time.Millisecond + time.Duration(r.Int64N(int64(30*time.Millisecond)))
}

// sleep waits, longer while the process is paused. A killed process ends here.
func (p *proc) sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	var err error
	select {
	case <-timer.C:
	case <-ctx.Done():
		err = ctx.Err()
	}
	p.alive(d)
	return err
}

// alive returns when the process is not paused, some time after its end, and ends the goroutine of
// a killed one.
func (p *proc) alive(after time.Duration) {
	for {
		p.mu.Lock()
		dead, until := p.dead || !p.ends.IsZero() && !time.Now().Before(p.ends), p.until
		p.mu.Unlock()
		if dead {
			runtime.Goexit()
		}
		if !time.Now().Before(until) {
			return
		}
		<-time.After(time.Until(until) + after)
	}
}

func (p *proc) kill() {
	p.mu.Lock()
	p.dead = true
	p.mu.Unlock()
}

func (p *proc) pause(r *rand.Rand) {
	p.mu.Lock()
	p.until = time.Now().Add(time.Duration(r.Int64N(int64(90 * time.Second))))
	p.mu.Unlock()
}

// deliveries returns the store of deliveries over the simulated table.
func (w *world) deliveries() *dynamostore.Deliveries {
	d, err := dynamostore.NewDeliveries(w.table, "tollgate", dynamostore.Options{Limits: w.limits, Random: func() float64 { return 0.5 }})
	if err != nil {
		panic(err)
	}
	return d
}
