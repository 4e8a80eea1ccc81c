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
	Limit    int           // messages taken by the sender, the same share of each shard and one at least; as many may fail; default 1,000
	Time     time.Duration // no message is begun after this; default 50 s, for a run each minute
	SendTime time.Duration // for one message; default 10 s
	MarkTime time.Duration // for one mark; default 3 s

	Logger *slog.Logger     // one line for each message that failed; default none
	Now    func() time.Time // default time.Now
}

// Result is what a run came to.
type Result struct {
	Sent     int // taken by the sender, and marked
	Failed   int // refused by the sender: tried again in the next run
	Unmarked int // taken by the sender, but not marked: will be sent again
	// Unfinished says that messages may be left that were not tried: the run met its
	// limit or its time, or a list could not be read.
	Unfinished bool
}

// pageSize is how many messages a shard has at hand.
const pageSize = 25

// Drain sends what is unsent, each shard's oldest first and the shards beside each other,
// until nothing is left or a bound of the options is met. A message that fails is
// counted and passed over, so it holds up none but itself. A shard whose oldest messages
// fail, half its share of Limit or for half the time, goes on from its newest: however
// many wait that cannot be sent, a new one gets its turn. What was sent is marked even
// when ctx ends.
//
// The error tells which lists could not be read or which options cannot be; the result
// counts what was done all the same.
func Drain(ctx context.Context, store Store, sender Sender, o Options) (Result, error) {
	if store == nil || sender == nil {
		return Result{}, errors.New("outbox needs a store and a sender")
	}
	if o.Limit < 0 || o.Time < 0 || o.SendTime < 0 || o.MarkTime < 0 {
		return Result{}, errors.New("outbox takes no negative limit or time")
	}
	o.Limit, o.Time = cmp.Or(o.Limit, 1000), cmp.Or(o.Time, 50*time.Second)
	o.SendTime, o.MarkTime = cmp.Or(o.SendTime, 10*time.Second), cmp.Or(o.MarkTime, 3*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	begin := o.Now()
	r := &run{store: store, sender: sender, o: o, turn: begin.Add(o.Time / 2), end: begin.Add(o.Time)}
	errs := make([]error, Shards)
	var wg sync.WaitGroup
	for shard := range Shards {
		wg.Go(func() { errs[shard] = r.shard(ctx, shard, max(1, (o.Limit+Shards-1-shard)/Shards)) })
	}
	wg.Wait()
	return r.result, errors.Join(errs...)
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

// one sends a message, then marks it: the other way round a crash in between would lose it.
func (r *run) one(ctx context.Context, m Message) (taken bool) {
	if err := r.send(ctx, m); err != nil {
		r.note(func(is *Result) { is.Failed++ })
		r.warn(ctx, "send outbox message failed", m, err)
		return false
	}
	mark, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.MarkTime)
	defer cancel()
	if err := r.store.MarkSent(mark, m.Key, r.o.Now()); err != nil {
		r.note(func(is *Result) { is.Unmarked++ })
		r.warn(ctx, "mark outbox message failed: it will be sent again", m, err)
		return true
	}
	r.note(func(is *Result) { is.Sent++ })
	return true
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
