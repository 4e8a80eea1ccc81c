package simulation

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/pause"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/redrive"
	"tollgate/pkg/sqsqueue"
)

// Operators pause and resume event types, and everything, at any step. Processes read the pauses
// through caches of different ages, and some run the release that knows none.

// pauseShare is n where one in n plans has pauses.
const pauseShare = 3

// pausePlan is the part of a plan for pauses.
type pausePlan struct {
	on    bool
	press float64 // that an operator pauses or resumes, at a step
	older float64 // that a process runs the release that knows no pauses
}

func newPausePlan(rng *rand.Rand) pausePlan {
	p := pausePlan{on: true, press: 0.1 * rng.Float64()}
	if rng.IntN(4) == 0 {
		p.older = 0.5 * rng.Float64()
	}
	return p
}

// pausing is the state of a scenario's pauses.
type pausing struct {
	state    pause.State          // as stored
	since    map[string]time.Time // when a name was paused in the table
	quiet    map[string]time.Time // when passes had to leave a name; it ends with the resumption
	ended    map[string]time.Time // when they could send it again
	disabled bool                 // the event source mapping
	idle     []*warm
	replays  []func() // refused meanwhile
}

// warm is a process of a function between its invocations, with its cache.
type warm struct {
	*pause.Cache
	sc *scenario
	p  *proc // of the current invocation
}

// warmed gives a process a cache, new or of an earlier invocation; nil for the release without pauses.
func (sc *scenario) warmed(p *proc, worker int) *warm {
	if !sc.plan.pauses.on || sc.faulty(sc.plan.pauses.older) {
		return nil
	}
	w := &warm{sc: sc}
	if n := len(sc.pausing.idle); n > 0 && sc.rng.IntN(4) > 0 {
		w, sc.pausing.idle = sc.pausing.idle[n-1], sc.pausing.idle[:n-1]
	} else {
		w.Cache = pause.NewCache(sc.pauses(sc.clients.rows).Pauses, sc.limits, func() time.Time {
			now := sc.clock(w.p)
			sc.mu.Lock()
			defer sc.mu.Unlock()
			return now.Add(sc.skews[worker])
		})
	}
	w.p, p.pauses = p, w
	return w
}

// cool keeps the cache of a process that has returned for the next invocation.
func (sc *scenario) cool(p *proc) {
	if p.pauses != nil && !p.dead && sc.rng.IntN(4) > 0 {
		sc.pausing.idle = append(sc.pausing.idle, p.pauses)
	}
}

// pauses reads the table with the retries of a client.
func (sc *scenario) pauses(c client) *dynamostore.Reader {
	r, err := dynamostore.NewReader(clientTable{sc.table, c}, "tollgate")
	if err != nil {
		panic(err)
	}
	return r
}

// clientTable is the table for a client with retries of its own.
type clientTable struct {
	*table
	c client
}

func (t clientTable) GetItem(ctx context.Context, in *dynamodb.GetItemInput, _ ...func(*dynamodb.Options)) (*dynamodb.GetItemOutput, error) {
	out := &dynamodb.GetItemOutput{}
	err := t.c.do(t.sc, ctx, opGet, keyOf(in.Key), func() error {
		if found, ok := t.items[keyOf(in.Key)]; ok {
			out.Item = toSDK(found)
		}
		return nil
	})
	return out, err
}

// pausedFor is what a replay asks.
func (sc *scenario) pausedFor(p *proc) func(context.Context, string) (bool, error) {
	if !sc.plan.pauses.on {
		return nil
	}
	cache := pause.NewCache(sc.pauses(sc.clients.operator).Pauses, sc.limits, func() time.Time { return sc.clock(p) })
	return func(ctx context.Context, eventType string) (bool, error) { return cache.Quiet(ctx, eventType, "") }
}

// Hold implements consumer.Pause.
func (w *warm) Hold(ctx context.Context, m queue.Message) error {
	q := sqsqueue.New(holder{sc: w.sc, m: m}, "", "", w.sc.limits)
	q.HoldURL = "hold"
	return q.Hold(ctx, m)
}

// holder is the SQS client for a copy to the hold queue.
type holder struct {
	sqsqueue.Client
	sc *scenario
	m  queue.Message
}

// SendMessage implements sqsqueue.Client.
func (h holder) SendMessage(ctx context.Context, _ *sqs.SendMessageInput, _ ...func(*sqs.Options)) (*sqs.SendMessageOutput, error) {
	sc := h.sc
	err := sc.clients.queues.do(sc, ctx, opHold, h.m.ID, func() error {
		p := procOf(ctx)
		t := p.of(h.m.ID)
		if t.verdict != policy.Accept || t.newer {
			sc.violate("%s: message %s is held, and its endpoint's policy says %s (newer: %v)", t.f.id, t.id, t.verdict, t.newer)
		}
		copied := sc.hold.add(sc.original(h.m), t.f.id, time.Now())
		copied.astray = p.halted || sc.plan.jump > 0 || time.Since(p.began) > sc.limits.ConsumerTimeout
		if m := sc.queue.find(h.m.ID); m != nil {
			m.held = sc.step
		}
		return nil
	})
	return &sqs.SendMessageOutput{MessageId: aws.String("copy")}, err
}

// names are what can be paused.
func (sc *scenario) names() []string {
	types := []string{pause.All}
	for _, f := range sc.facts {
		if !slices.Contains(types, f.env.Type) {
			types = append(types, f.env.Type)
		}
	}
	return types
}

// press is an operator's action: to pause or to resume something.
func (sc *scenario) press() {
	names := sc.names()
	if name := names[sc.rng.IntN(len(names))]; sc.rng.IntN(2) == 0 {
		sc.pause(name)
	} else {
		sc.resume(name)
	}
}

// switchStore is the store of an operator's command.
func (sc *scenario) switchStore() pause.Store {
	return struct {
		*dynamostore.Reader
		*dynamostore.Operator
	}{sc.pauses(sc.clients.operator), sc.operator}
}

// pause runs the command. It disables the mapping once the switch is set.
func (sc *scenario) pause(name string) {
	p := &proc{name: "pause of " + name}
	failure := errors.New("it died")
	p.finish = func() {
		sc.log("%s: %v", p.name, failure)
		if sc.count(fmt.Sprintf("pause: %v", failure == nil)); failure == nil && name == pause.All {
			sc.pausing.disabled = true
		}
	}
	sc.spawn(p, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		_, failure = pause.Set(ctx, sc.switchStore(), name, pause.Mark{At: time.Now(), By: "op", Why: "a test"})
	})
}

// resume runs the command; an operator repeats one that did not finish.
func (sc *scenario) resume(name string) {
	p := &proc{name: "reconcile, resume of " + name, resumes: name}
	held := deadLetters{sc, sc.hold}
	r := &pause.Resumption{
		Store: sc.switchStore(), Hold: redrive.DLQ{Queue: held, Mover: held, Limits: sc.limits}, Limits: sc.limits, Rate: redrive.MaxRate,
		Passes: passesOf{sc, p}, Enable: func(ctx context.Context) error {
			return do(sc, ctx, opWork, name, func() error {
				sc.pausing.disabled = false
				return nil
			})
		},
	}
	var done pause.Resumed
	failure := errors.New("it died")
	p.finish = func() {
		sc.log("%s: %d moved, pass %+v, %v", p.name, done.Moved, done.Pass.Report, failure)
		sc.checkResumed(name, done, failure)
	}
	p.over = func() {
		over := errors.Is(failure, pause.ErrNotPaused) || errors.Is(failure, pause.ErrAllPaused) || errors.Is(failure, pause.ErrPausedAgain)
		if failure != nil && !over {
			sc.background = append(sc.background, appointment{time.Now().Add(sc.upTo(comeBack)), func() { sc.resume(name) }})
		}
	}
	sc.spawn(p, func(ctx context.Context) { done, failure = r.Run(ctx, name, "op") })
}

// passesOf are the passes of a resumption; without reconcile there is nothing to compare.
type passesOf struct {
	sc *scenario
	p  *proc
}

func (o passesOf) Backfill(ctx context.Context, b reconcile.BackfillRequest) (r reconcile.BackfillReport, err error) {
	if o.sc.reconciler != nil {
		var backfill *reconcile.Reconciler
		if err := do(o.sc, ctx, opWork, "a backfill", func() error {
			backfill = o.sc.reconciler.reconcilerOf(o.p)
			return nil
		}); err != nil {
			return r, err
		}
		r, err = backfill.Backfill(ctx, b)
	}
	o.p.compared = err == nil && (r.Complete() || r.Nothing)
	return r, err
}

// pausesWritten follows the switch. A name is forgotten only by a process that has compared its span,
// or when it is paused again.
func (sc *scenario) pausesWritten(p *proc, row item) {
	old := sc.pausing.state
	now := pause.State{Paused: map[string]pause.Mark{}, Resuming: map[string]pause.Span{}}
	for name := range row["paused"].Map {
		now.Paused[name] = pause.Mark{}
	}
	for name := range row["resuming"].Map {
		now.Resuming[name] = pause.Span{}
	}
	sc.pausing.state = now
	sc.log("pauses: paused %v, resuming %v", slices.Sorted(maps.Keys(now.Paused)), slices.Sorted(maps.Keys(now.Resuming)))
	for name := range old.Resuming {
		_, paused := now.Paused[name]
		if _, still := now.Resuming[name]; !still && !paused && !p.compared {
			sc.violate("%s is forgotten by %s, which did not compare the time of its pause", name, p.name)
		}
	}
	since, quiet := map[string]time.Time{}, map[string]time.Time{}
	keep := func(into, from map[string]time.Time, name string) {
		if into[name] = time.Now(); !from[name].IsZero() {
			into[name] = from[name]
		}
	}
	for name := range now.Paused {
		keep(since, sc.pausing.since, name)
		keep(quiet, sc.pausing.quiet, name)
	}
	for name := range now.Resuming {
		keep(quiet, sc.pausing.quiet, name)
	}
	if sc.pausing.ended == nil {
		sc.pausing.ended = map[string]time.Time{}
	}
	for name := range sc.pausing.quiet {
		if quiet[name].IsZero() {
			sc.pausing.ended[name] = time.Now()
		}
	}
	sc.pausing.since, sc.pausing.quiet = since, quiet
}

// long reports whether a name has been paused, by one of the two, for so long that a process which
// began at a time must know it.
func (sc *scenario) long(by map[string]time.Time, name string, began time.Time) bool {
	at, is := by[name]
	return is && began.Sub(at) > sc.limits.PauseStale && sc.plan.jump == 0
}

// checkNotPaused: a consumer begins no attempt at an event whose type is paused.
func (sc *scenario) checkNotPaused(p *proc, f *fact) {
	if p.batch != nil && p.pauses != nil && sc.long(sc.pausing.since, f.env.Type, p.began) {
		sc.violate("%s: its record is written, and its type has been paused since %s", f.id, sc.pausing.since[f.env.Type].Format(time.TimeOnly))
	}
}

// checkQuiet: a pass sends no event whose type, or everything, is paused or being resumed by another
// process.
func (sc *scenario) checkQuiet(p *proc, f *fact) {
	for _, name := range []string{f.env.Type, pause.All} {
		_, resuming := sc.pausing.state.Resuming[name]
		if own := resuming && p.resumes == name; p.pauses != nil && !own && sc.long(sc.pausing.quiet, name, p.began) {
			sc.violate("%s: %s sends it, and %s has been paused since %s", f.id, p.name, name, sc.pausing.quiet[name].Format(time.TimeOnly))
		}
	}
}

// leftByPause reports whether a pass may have left an event because of a pause.
func (sc *scenario) leftByPause(p *proc, f *fact) bool {
	for _, name := range []string{f.env.Type, pause.All} {
		if ended, was := sc.pausing.ended[name]; was && (sc.plan.jump > 0 || !p.began.After(ended.Add(sc.limits.PauseStale))) {
			return true
		}
	}
	return sc.pausing.state.Quiet(f.env.Type, p.resumes)
}

// checkResumed: what was held before the resumption began is moved, unless it is paused again.
func (sc *scenario) checkResumed(name string, done pause.Resumed, failure error) {
	outcome := "resumed"
	for _, known := range []error{pause.ErrNotPaused, pause.ErrAllPaused, pause.ErrPausedAgain, pause.ErrHeld, pause.ErrNotCompared} {
		if errors.Is(failure, known) {
			outcome = known.Error()
		}
	}
	if failure != nil && outcome == "resumed" {
		outcome = "an error"
	}
	if sc.count("resume: " + outcome); failure != nil {
		return
	}
	for _, m := range sc.hold.messages {
		if sc.fact(m.event).env.Type == name && m.sent.Before(done.Span.Until) {
			sc.violate("%s: %s is resumed, and message %s stays in the hold queue", m.event, name, m.id)
		}
	}
}

// resumeAll ends all pauses once nothing is pending. A message that is held though its type is not
// paused was held by a process that did not know; no other process may do so.
func (sc *scenario) resumeAll() bool {
	s := sc.pausing.state
	names := slices.Sorted(maps.Keys(s.Paused))
	if names = append(names, slices.Sorted(maps.Keys(s.Resuming))...); len(names) > 0 {
		slices.Sort(names)
		sc.resume(names[0]) // everything comes first
		return true
	}
	if sc.pausing.disabled { // set by a command that was overtaken
		sc.pausing.disabled = false
		return true
	}
	if n := len(sc.pausing.replays); n > 0 {
		sc.pausing.replays[n-1]()
		sc.pausing.replays = sc.pausing.replays[:n-1]
		return true
	}
	sc.hold.expire()
	if len(sc.hold.messages) == 0 {
		return false
	}
	m := sc.hold.messages[0]
	if !m.astray {
		sc.violate("%s: message %s is held, and its type is not paused", m.event, m.id)
	}
	sc.count("a held message astray")
	sc.pause(sc.fact(m.event).env.Type)
	return true
}
