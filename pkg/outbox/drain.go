package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tollgate/pkg/limits"
)

// Options of a run. The zero value serves.
type Options struct {
	Time     time.Duration // no message is started after this; default 45 s, for a run each minute
	SendTime time.Duration // for one message; default 10 s
	MarkTime time.Duration // for one mark; default 3 s
	LookTime time.Duration // for counting what is left; default 3 s

	Parallel int // messages in flight, the same share of each shard and one at least; default 64
	Failures int // messages that may fail, the same share of each shard and one at least; default 1,000

	Logger *slog.Logger     // one line for each message that failed; default none
	Now    func() time.Time // default time.Now
}

// Result is what a run came to.
type Result struct {
	Sent     int // taken by the sender, and marked
	Failed   int // refused by the sender: tried again in the next run
	Unmarked int // taken by the sender, but not marked: will be sent again
	// Unfinished says that messages may be left that were not tried: the run met its
	// time or its failures, or a list could not be read.
	Unfinished bool

	Left *Left // what the run left, nil when it could not be counted
}

// Left is what is in the outbox after a run.
type Left struct {
	Unsent int           // messages to be sent, failed ones included; a lower bound when LookTime was over
	Oldest time.Duration // the longest time that one of them has waited since it was requested; 0 without any
	Held   int           // held messages; MaxHeld at most of each shard
}

// MaxHeld bounds how many held messages of a shard are counted: they may never be released,
// and are read each minute.
const MaxHeld = 1000

// Sizes of pages: messages to be sent are read again when a run reaches its time limit.
const (
	pageSize  = 100
	countSize = 1000
)

func (o Options) withDefaults() (Options, error) {
	if min(o.Time, o.SendTime, o.MarkTime, o.LookTime) < 0 || min(o.Parallel, o.Failures) < 0 {
		return o, errors.New("outbox takes no negative time or number")
	}
	o.Time, o.SendTime = cmp.Or(o.Time, 45*time.Second), cmp.Or(o.SendTime, 10*time.Second)
	o.MarkTime, o.LookTime = cmp.Or(o.MarkTime, 3*time.Second), cmp.Or(o.LookTime, 3*time.Second)
	o.Parallel, o.Failures = cmp.Or(o.Parallel, 64), cmp.Or(o.Failures, 1000)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

// Drain sends unsent messages, each shard's oldest first and the shards in parallel, until
// nothing is left or a bound of the options is reached. A message that fails is counted and
// skipped, so it delays no other. A shard whose oldest messages fail, half its share of
// Failures or for half the time, continues from its newest: a backlog that cannot be sent
// does not block new messages. What was sent is marked even when ctx ends.
//
// The error tells which lists could not be read or which options cannot be; the result
// counts what was done all the same.
func Drain(ctx context.Context, store Store, sender Sender, o Options) (Result, error) {
	if store == nil || sender == nil {
		return Result{}, errors.New("outbox needs a store and a sender")
	}
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	begin := o.Now()
	r := &run{store: store, sender: sender, o: o, turn: begin.Add(o.Time / 2), end: begin.Add(o.Time)}
	errs := make([]error, Shards)
	shards := make([]*shard, Shards)
	r.each(func(number int) {
		shards[number] = r.shard(number)
		errs[number] = shards[number].drain(ctx)
	})
	if err = errors.Join(errs...); err != nil || ctx.Err() != nil {
		return r.result, err
	}
	left, err := r.look(ctx, shards)
	if err == nil {
		r.result.Left = &left
	}
	return r.result, err
}

// run is one Drain.
type run struct {
	store  Store
	sender Sender
	o      Options
	turn   time.Time // from which a shard with failures goes on from its newest
	end    time.Time

	mu     sync.Mutex
	result Result
}

// each runs something for every shard, in parallel.
func (r *run) each(do func(shard int)) {
	var wg sync.WaitGroup
	for number := range Shards {
		wg.Go(func() { do(number) })
	}
	wg.Wait()
}

// share is a shard's part of a number that is the run's, at least one.
func share(number, all int) int { return max(1, (all+Shards-1-number)/Shards) }

// one sends a message, then marks it: the other way round a crash in between would lose it.
func (r *run) one(ctx context.Context, m Message) (taken, marked bool) {
	if err := r.send(ctx, m); err != nil {
		r.note(func(is *Result) { is.Failed++ })
		r.warn(ctx, "send outbox message failed", m, err)
		return false, false
	}
	mark, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.MarkTime)
	defer cancel()
	if err := r.store.MarkSent(mark, m.Key, r.o.Now()); err != nil {
		r.note(func(is *Result) { is.Unmarked++ })
		r.warn(ctx, "mark outbox message failed: it will be sent again", m, err)
		return true, false
	}
	r.note(func(is *Result) { is.Sent++ })
	return true, true
}

// send turns a panic of the sender's into its error.
func (r *run) send(ctx context.Context, m Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("sender panicked: %v", v)
		}
	}()
	if m.Name == "" {
		return errors.New("the message has no name")
	}
	ctx, cancel := context.WithTimeout(ctx, r.o.SendTime)
	defer cancel()
	return r.sender.Send(ctx, m)
}

func (r *run) note(change func(*Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.result)
}

func (r *run) warn(ctx context.Context, what string, m Message, err error) {
	r.o.Logger.WarnContext(ctx, what, "key", m.Key, "name", m.Name, "error", limits.Cut(err.Error(), limits.MaxErrorText))
}
