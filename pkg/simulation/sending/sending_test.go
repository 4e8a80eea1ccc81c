package sending

import (
	"context"
	"flag"
	"fmt"
	"hash/fnv"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/delivery/deliverytest"
	"tollgate/pkg/destination"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/dynamodb/value"
	"tollgate/pkg/outbox"
	"tollgate/pkg/queue"
)

var (
	worlds  = flag.Uint64("worlds", 150, "worlds of TestWorlds")
	oneSeed = flag.Uint64("seed", 0, "the seed of TestWorld")
)

// newWorld plans a world: destinations, receivers and messages.
func newWorld(seed uint64, trace func(string)) *world {
	w := &world{
		seed: seed, limits: limits.AWS(), trace: trace, start: time.Now(), counts: map[string]int{},
		all: destination.Set{}, receivers: map[string]*receiver{}, numbers: map[string]string{}, skews: map[string]time.Duration{},
	}
	w.table = &table{w: w, items: map[string]value.Item{}}
	w.queue = &queueOf{w: w, changed: make(chan struct{})}
	r := w.draw("plan")
	upTo := func(d time.Duration) time.Duration { return time.Duration(r.Int64N(int64(d))) }
	for n := range 1 + r.IntN(3) {
		name := fmt.Sprintf("d%d", n)
		w.all[name] = destination.Destination{
			Name: name, Type: destination.HTTP, Group: fmt.Sprintf("g%d", n/2), Messages: []string{"receipt"},
			Rate: float64(5 + r.IntN(50)), Concurrency: 1 + r.IntN(10), Timeout: time.Duration(1+r.IntN(20)) * time.Second,
		}
		rec := &receiver{w: w, name: name, got: map[string]int{}, ids: map[string]string{}, seqs: map[string]int64{}, slow: 50 * time.Millisecond}
		for _, trouble := range []func(){
			func() { rec.slow = 25 * time.Second },
			func() {
				rec.down[0] = w.start.Add(upTo(5 * time.Minute))
				rec.down[1] = rec.down[0].Add(upTo(2 * time.Hour))
			},
			func() { rec.down[0] = w.start; rec.down[1] = rec.down[0].Add(100 * 24 * time.Hour) },
			func() { rec.flaky = r.IntN(60) },
			func() { rec.throttle = r.IntN(60) },
			func() { rec.refuse = r.IntN(40) },
			func() { rec.gone = w.start.Add(upTo(15 * time.Minute)) },
		} {
			if r.IntN(6) == 0 {
				trouble()
			}
		}
		w.receivers[name] = rec
	}
	for n := range 1 + r.IntN(12) {
		key := fmt.Sprintf("OUT#FACT#live#-#in_%d#paid#%d#receipt", n/3, n)
		w.messages = append(w.messages, &sentMessage{at: w.start.Add(upTo(10 * time.Minute)), Message: outbox.Message{
			Key: key, Name: "receipt", Fields: map[string]any{"object_id": fmt.Sprintf("in_%d", n/3)},
		}})
	}
	return w
}

// run lets the world happen: messages, senders and the sweep, then the end of all faults, then the
// operator.
func (w *world) run() {
	store, err := dynamostore.New(w.table, "tollgate", dynamostore.Options{Limits: w.limits})
	if err != nil {
		panic(err)
	}
	router, err := delivery.NewRouter(w.all, w.queue, store)
	if err != nil {
		panic(err)
	}
	var background sync.WaitGroup
	for n := range 2 + w.draw("workers").IntN(2) {
		background.Go(func() { w.worker(fmt.Sprintf("sender %d", n)) })
	}
	for _, m := range w.messages {
		background.Go(func() {
			time.Sleep(time.Until(m.at))
			w.commit(m)
			_, ctx := w.spawn("consumer", 0)
			_ = outbox.HandOver(store, router)(ctx, dispatch.Effects{dispatch.Insert(m.Key, m.item)})
		})
	}
	background.Go(func() { w.sweep(router, store) })
	time.Sleep(30 * time.Minute)
	w.mu.Lock()
	w.healed = true
	w.log("faults end")
	w.mu.Unlock()
	w.settle()
	w.checkRest(false)
	for range 3 {
		if w.redrive() == 0 {
			break
		}
		w.settle()
	}
	w.checkRest(true)
	w.mu.Lock()
	w.over = true
	w.queue.change()
	w.mu.Unlock()
	background.Wait()
}

// commit puts a message into the outbox, as the transaction of its event does.
func (w *world) commit(m *sentMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.item = dispatch.Fields{
		"name": m.Name, "object_id": m.Fields["object_id"], dispatch.ListName: dispatch.OutboxList(dispatch.OutboxShard(m.Key)),
		dispatch.ListOrder: m.at.UTC().Format(time.RFC3339), dispatch.MessageQueued: m.at.UnixMilli(),
	}
	row := value.Item{"pk": value.Of(m.Key)}
	for name, v := range m.item {
		if row[name] = value.OfInt(m.at.UnixMilli()); name != dispatch.MessageQueued {
			row[name] = value.Of(v.(string))
		}
	}
	w.table.items[m.Key] = row
	w.log("%s is committed", m.Key)
}

// sweep hands over what the consumers left, as the outbox task does each minute.
func (w *world) sweep(router *delivery.Router, store *dynamostore.Store) {
	for {
		time.Sleep(time.Minute)
		w.mu.Lock()
		over, idle := w.over, w.healed && w.unsent() == 0
		w.mu.Unlock()
		switch {
		case over:
			return
		case idle:
			continue
		}
		_, ctx := w.spawn("sweep", 0)
		var run sync.WaitGroup
		run.Go(func() {
			// One message of a shard at once, so that their order is the seed's.
			if r, err := outbox.Drain(ctx, listed{store, w}, router, outbox.Options{MinAge: 2 * time.Minute, Parallel: outbox.Shards}); err == nil && r.Sent > 0 {
				w.mu.Lock()
				w.count("a message is swept")
				w.mu.Unlock()
			}
		})
		run.Wait()
	}
}

// listed is the outbox with the lists of the simulated table.
type listed struct {
	*dynamostore.Store
	w *world
}

func (l listed) Unsent(ctx context.Context, q outbox.Query) ([]outbox.Message, string, error) {
	list := dispatch.OutboxList(q.Shard)
	page, err := ask(l.w, ctx, "Query", list, func(*proc) (page []outbox.Message, _ error) {
		for _, m := range l.w.messages {
			if l.w.table.items[m.Key][dispatch.ListName].Text == list {
				one := m.Message
				one.Queued = m.at
				page = append(page, one)
			}
		}
		return page, nil
	})
	return page, "", err
}

func (listed) CountHeld(context.Context, int, int) (int, error) { return 0, nil }

// worker receives batches and runs the sender on them; after a kill another process follows.
func (w *world) worker(name string) {
	skew := time.Duration(w.draw("skew", name).Int64N(int64(2*maxSkew))) - maxSkew
	sender := w.sender(name, skew)
	for n := 0; ; n++ {
		w.mu.Lock()
		batch, next, changed := w.queue.receive(name, n)
		over := w.over
		w.mu.Unlock()
		if over {
			return
		}
		if len(batch) == 0 {
			timer := time.NewTimer(time.Until(next) + time.Duration(w.draw("poll", name, n).Int64N(int64(time.Second))))
			select {
			case <-changed:
			case <-timer.C:
			}
			timer.Stop()
			time.Sleep(time.Duration(1 + w.draw("pause", name, n).Int64N(int64(100*time.Millisecond))))
			continue
		}
		p, ctx := w.spawn(name, skew)
		if failed, ok := p.invoke(ctx, sender, batch); ok {
			for _, m := range batch {
				if !slices.Contains(failed, m.ID) {
					w.queue.acknowledge(p, m.ID)
				}
			}
		} else {
			sender = w.sender(name, skew)
		}
	}
}

// invoke runs one batch; false if the process died or ran out of time. Jobs begin one after the
// other, so that their order is the seed's.
func (p *proc) invoke(ctx context.Context, s *delivery.Sender, batch []queue.Message) (failed []string, ok bool) {
	timeout := p.limits.Sender.Timeout
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	p.mu.Lock()
	p.ends = time.Now().Add(timeout + 2*time.Second)
	p.mu.Unlock()
	var run sync.WaitGroup
	returned := 0
	for _, m := range batch {
		run.Go(func() {
			time.Sleep(latency(p.draw("starts", p.id, m.ID)))
			back, _ := s.Handle(ctx, []queue.Message{m})
			p.mu.Lock()
			defer p.mu.Unlock()
			failed = append(failed, back...)
			returned++
		})
	}
	run.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return failed, returned == len(batch) && !p.dead && time.Now().Before(p.ends)
}

// sender returns a new process of the sender.
func (w *world) sender(name string, skew time.Duration) *delivery.Sender {
	var owners atomic.Int64
	w.mu.Lock()
	w.procs++
	id := w.procs
	w.mu.Unlock()
	targets := map[string]delivery.Target{}
	for name, r := range w.receivers {
		targets[name] = r
	}
	s, err := delivery.New(delivery.Config{
		Store: w.deliveries(), Queue: w.queue, Destinations: w.all, Targets: targets, Limits: w.limits,
		Now:   func() time.Time { return time.Now().Add(skew) },
		Rand:  func() float64 { return 0.5 },
		Owner: func() string { return fmt.Sprintf("%s-%d-%d", name, id, owners.Add(1)) },
	})
	if err != nil {
		panic(err)
	}
	return s
}

// settle returns when no job is left, or after the time in which each must have ended.
func (w *world) settle() {
	for end := time.Now().Add(8 * 24 * time.Hour); time.Now().Before(end); time.Sleep(10 * time.Minute) {
		w.mu.Lock()
		left := len(w.queue.messages) + w.unsent()
		w.mu.Unlock()
		if left == 0 {
			return
		}
	}
}

// unsent counts the messages that were not handed over. The mutex is held.
func (w *world) unsent() (n int) {
	for _, m := range w.messages {
		if w.table.items[m.Key]["sent_at"].Type == "" {
			n++
		}
	}
	return n
}

// redrive repairs the receivers, enables their destinations and sends all dead letters again, once
// no process has the old state.
func (w *world) redrive() (n int) {
	_, ctx := w.spawn("operator", 0)
	store := w.deliveries()
	for _, name := range slices.Sorted(maps.Keys(w.receivers)) {
		w.mu.Lock()
		w.receivers[name].fixed, w.receivers[name].slow = true, 50*time.Millisecond
		w.mu.Unlock()
		state, err := store.State(ctx, name)
		if err == nil && !state.Off.IsZero() {
			state.Off, state.Since, state.Seen, state.Open, state.Why = time.Time{}, time.Time{}, time.Time{}, time.Time{}, ""
			_, err = store.SwapState(ctx, name, state)
		}
		if err != nil {
			panic(err)
		}
	}
	time.Sleep(time.Minute)
	w.mu.Lock()
	letters := w.dead
	w.dead = nil
	w.mu.Unlock()
	for _, body := range letters {
		job, err := delivery.DecodeJob(body)
		if err != nil {
			panic(err)
		}
		if status, err := store.Reopen(ctx, job, time.Now()); err != nil {
			panic(err)
		} else if status == delivery.Delivered {
			continue
		}
		w.mu.Lock()
		w.queue.add(body)
		w.mu.Unlock()
	}
	return len(letters)
}

func simulate(t *testing.T, seed uint64, trace func(string)) (w *world) {
	synctest.Test(t, func(*testing.T) {
		w = newWorld(seed, trace)
		w.run()
	})
	return w
}

// TestWorlds runs many worlds, and wants every fault and every outcome in them.
func TestWorlds(t *testing.T) {
	start, counts := time.Now(), map[string]int{}
	var mu sync.Mutex
	var next, done atomic.Uint64
	var failed atomic.Bool
	t.Run("run", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for seed := next.Add(1); seed <= *worlds && !failed.Load(); seed = next.Add(1) {
					w := simulate(t, seed, nil)
					mu.Lock()
					for what, n := range w.counts {
						counts[what] += n
					}
					mu.Unlock()
					if w.wrong != "" {
						failed.Store(true)
						t.Errorf("seed %d: %s\nsee its steps with: go test ./pkg/simulation/sending -run TestWorld$ -seed %d -v", seed, w.wrong, seed)
						return
					}
					done.Add(1)
				}
			})
		}
	})
	if testing.Verbose() {
		for _, what := range slices.Sorted(maps.Keys(counts)) {
			t.Logf("%8d %s", counts[what], what)
		}
	}
	for _, what := range wanted() {
		if !t.Failed() && counts[what] == 0 {
			t.Errorf("never happened: %s", what)
		}
	}
	if !t.Failed() {
		t.Logf("figure: make sim WORLDS=%d | %d worlds of the sender, %d sends in %v on %d CPUs: nothing lost", *worlds, done.Load(), counts["send"], time.Since(start).Round(time.Millisecond), runtime.NumCPU())
	}
}

// wanted is what must happen in some world.
func wanted() []string {
	all := []string{
		"take-over", "a job is received twice", "an acknowledged job comes back", "a message is swept", "accepted more than once",
		"dead letter: stopped", "dead letter: disabled", "dead letter: exhausted", "answer: 410", "answer: 429", "answer: 503",
	}
	for _, op := range []string{"Begin", "End", "Number", "GetItem", "Send", "SendJobs", "SetVisibility"} {
		for _, f := range []fault{lostRequest, lostAnswer, late, refused, killed, killedAfter, paused, pausedAfter} {
			all = append(all, op+": "+string(f))
		}
	}
	return all
}

// TestStore runs the suite of stores on the worlds' own: a simulated table without faults.
func TestStore(t *testing.T) {
	deliverytest.Run(t, func(*testing.T) deliverytest.Store {
		w := newWorld(1, nil)
		return w.deliveries()
	})
}

// TestWorld prints the steps of one world.
func TestWorld(t *testing.T) {
	if *oneSeed == 0 {
		t.Skip("no -seed is given")
	}
	if w := simulate(t, *oneSeed, func(line string) { fmt.Println(line) }); w.wrong != "" {
		t.Error(w.wrong)
	}
}

// TestSeedsReplay: a seed gives the same steps in every run.
func TestSeedsReplay(t *testing.T) {
	for seed := uint64(1); seed <= 25; seed++ {
		var sums [3]uint64
		for i := range sums {
			sum := fnv.New64a()
			simulate(t, seed, func(line string) { fmt.Fprintln(sum, line) })
			sums[i] = sum.Sum64()
		}
		if sums[0] != sums[1] || sums[1] != sums[2] {
			t.Errorf("seed %d has several runs: %x", seed, sums)
		}
	}
}
