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

// Options of a run. The zero value is valid.
type Options struct {
	Time     time.Duration // no message is started after this; default 45 s, for a run every minute
	Parallel int           // maximum messages in flight, shared equally among shards, at least one each; default 64
	Failures int           // maximum failed messages, shared equally among shards, at least one each; default 1,000
	MinAge   time.Duration // messages requested less than this before are left to [HandOver]; default 0
	Logger   *slog.Logger  // one line per failed message; default none

	// HoldBefore is the end of a table's restore: a message queued before it may have been sent, and
	// is held by Holder instead. Default none. What is released later is sent.
	HoldBefore time.Time
	Holder     Holder
}

// Holder holds an unsent message that was queued before a time, until an operator releases it. One
// that was sent, or released since, is unchanged; that is not an error.
type Holder interface {
	Hold(ctx context.Context, key string, before time.Time) error
}

const (
	sendTime  = 10 * time.Second // for a Send
	markTime  = 3 * time.Second  // for a MarkSent
	countTime = 3 * time.Second  // for counting what is left
)

// Result is the result of a run.
type Result struct {
	Sent     int // accepted by the sender and marked
	Failed   int // rejected by the sender, or not held; retried in the next run
	Unmarked int // accepted by the sender, not marked: will be sent again
	// Unfinished means that some messages may not have been tried: the run reached its time
	// limit or its maximum of failures, or a list could not be read.
	Unfinished bool

	Left *Left // the outbox after the run, nil if it could not be counted
}

// Left describes the outbox after a run.
type Left struct {
	Unsent int           // messages to be sent, including failed ones; a lower bound if there are too many to count
	Oldest time.Duration // the longest wait among them since the request; 0 without any
	Held   int           // held messages, at most MaxHeld of each shard
}

// MaxHeld bounds how many held messages of a shard are counted, as they are read every minute
// and may never be released.
const MaxHeld = 1000

// Page sizes: of messages to be sent, which are fetched in vain if a run ends early, and of
// messages to be counted.
const (
	pageSize  = 100
	countSize = 1000
)

func (o Options) withDefaults() (Options, error) {
	if min(o.Time, o.MinAge) < 0 || min(o.Parallel, o.Failures) < 0 {
		return o, errors.New("outbox options must not be negative")
	}
	if !o.HoldBefore.IsZero() && o.Holder == nil {
		return o, errors.New("outbox needs a holder for the messages that it holds")
	}
	o.Time, o.Parallel, o.Failures = cmp.Or(o.Time, 45*time.Second), cmp.Or(o.Parallel, 64), cmp.Or(o.Failures, 1000)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Drain sends unsent messages that are at least MinAge old, the shards in parallel and each shard
// oldest first, until none is left or a limit of the options is reached. A message that fails is
// counted and skipped, so it delays no other. If the oldest messages of a shard fail, half its
// share of Failures or for half the time, the shard continues from its newest message: a backlog
// that cannot be sent does not block new messages. A sent message is marked even if ctx has ended.
//
// The error names the lists that could not be read, or the invalid options; the result is
// valid with an error, too.
func Drain(ctx context.Context, store Store, sender Sender, o Options) (Result, error) {
	if store == nil || sender == nil {
		return Result{}, errors.New("outbox needs a store and a sender")
	}
	o, err := o.withDefaults()
	if err != nil {
		return Result{}, err
	}
	begin := time.Now()
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
	left, err := r.countLeft(ctx, shards)
	if err == nil {
		r.result.Left = &left
	}
	return r.result, err
}

// run is a call of Drain.
type run struct {
	store  Store
	sender Sender
	o      Options
	turn   time.Time // when a shard with failures continues from its newest message
	end    time.Time

	mu     sync.Mutex
	result Result
}

// each calls do for every shard in parallel.
func (r *run) each(do func(shard int)) {
	var wg sync.WaitGroup
	for number := range Shards {
		wg.Go(func() { do(number) })
	}
	wg.Wait()
}

// share is a shard's share of the run's total, at least one.
func share(number, total int) int { return max(1, (total+Shards-1-number)/Shards) }

// process sends a message, then marks it. In the other order a crash in between would lose it.
func (r *run) process(ctx context.Context, m Message) (accepted, marked bool) {
	if m.Queued.Before(r.o.HoldBefore) {
		return r.hold(ctx, m)
	}
	if err := send(ctx, r.sender, m); err != nil {
		r.note(func(is *Result) { is.Failed++ })
		r.warn(ctx, "send outbox message failed", m, err)
		return false, false
	}
	mark, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTime)
	defer cancel()
	if err := r.store.MarkSent(mark, m.Key, time.Now()); err != nil {
		r.note(func(is *Result) { is.Unmarked++ })
		r.warn(ctx, "mark outbox message failed: it will be sent again", m, err)
		return true, false
	}
	r.note(func(is *Result) { is.Sent++ })
	return true, true
}

// hold takes a message off the list. One that cannot be held is not sent either.
func (r *run) hold(ctx context.Context, m Message) (held, off bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), markTime)
	defer cancel()
	if err := r.o.Holder.Hold(ctx, m.Key, r.o.HoldBefore); err != nil {
		r.note(func(is *Result) { is.Failed++ })
		r.warn(ctx, "hold outbox message failed", m, err)
		return false, false
	}
	return true, true
}

// send calls the sender and recovers its panic as an error.
func send(ctx context.Context, sender Sender, m Message) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("sender panicked: %v", v)
		}
	}()
	if m.Name == "" {
		return errors.New("the message has no name")
	}
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	return sender.Send(ctx, m)
}

func (r *run) note(change func(*Result)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change(&r.result)
}

func (r *run) warn(ctx context.Context, what string, m Message, err error) {
	r.o.Logger.WarnContext(ctx, what, "key", m.Key, "name", m.Name, "error", limits.Cut(err.Error(), limits.MaxErrorText))
}
