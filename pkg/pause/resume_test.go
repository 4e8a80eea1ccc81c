package pause_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/pause"
	"tollgate/pkg/queue"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/redrive"
)

// world is a hold queue, a queue of events, a switch and passes. It notes what is done, in order, and
// fails where a test says.
type world struct {
	*memory
	held  map[string]queue.Received // by id
	sent  []string                  // types of the messages that were moved
	pass  func(reconcile.BackfillRequest) (reconcile.BackfillReport, error)
	steps []string
	calls int
	fail  int // the call that fails, from 1
	after bool
	made  int

	arrives func() // at each receive and count: other messages

	mu sync.Mutex // messages are shown again by several goroutines
}

var errAway = errors.New("away")

// call counts a call, and fails it: before or after it did something.
func (w *world) call(step string, do func()) error {
	if len(w.steps) == 0 || w.steps[len(w.steps)-1] != step {
		w.steps = append(w.steps, step)
	}
	w.calls++
	if w.calls == w.fail {
		if w.after {
			do()
		}
		return errAway
	}
	do()
	return nil
}

func (w *world) Pauses(ctx context.Context) (s pause.State, err error) {
	err = w.call("read", func() { s, _ = w.memory.Pauses(ctx) })
	return s, err
}

func (w *world) PutPauses(ctx context.Context, s pause.State) (ok bool, err error) {
	err = w.call("write", func() { ok, _ = w.memory.PutPauses(ctx, s) })
	return ok, err
}

func (w *world) Receive(_ context.Context, limit int, _ time.Duration) (got []queue.Received, err error) {
	w.others()
	err = w.call("receive", func() {
		for _, id := range slices.Sorted(maps.Keys(w.held)) {
			if m := w.held[id]; m.Receipt == "" && len(got) < limit {
				m.Receipt = id
				w.held[id] = m
				got = append(got, m)
			}
		}
	})
	return got, err
}

func (w *world) SetVisibility(_ context.Context, receipt string, _ time.Duration) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m, there := w.held[receipt]; there {
		m.Receipt = ""
		w.held[receipt] = m
	}
	return nil
}

func (w *world) others() {
	if w.arrives != nil {
		w.arrives()
	}
}

func (w *world) Count(context.Context) (visible, hidden int, err error) {
	w.others()
	for _, m := range w.held {
		if m.Receipt == "" {
			visible++
		} else {
			hidden++
		}
	}
	return visible, hidden, nil
}

func (w *world) Send(_ context.Context, messages []queue.Message) (map[string]error, error) {
	return nil, w.call("send", func() {
		for _, m := range messages {
			e, _ := queue.Decode(m.Body)
			w.sent = append(w.sent, e.Type)
		}
	})
}

func (w *world) Delete(_ context.Context, messages []queue.Message) (map[string]error, error) {
	return nil, w.call("delete", func() {
		for _, m := range messages {
			delete(w.held, m.ID)
		}
	})
}

func (w *world) Backfill(_ context.Context, req reconcile.BackfillRequest) (r reconcile.BackfillReport, err error) {
	if failed := w.call("pass", func() { r, err = w.pass(req) }); failed != nil {
		return r, failed
	}
	return r, err
}

func (w *world) enable(context.Context) error { return w.call("enable", func() {}) }

func (w *world) hold(t *testing.T, eventType string, n int) {
	t.Helper()
	for range n {
		id := fmt.Sprintf("m%d", w.made)
		w.made++
		body, err := queue.Encode(event.Envelope{ID: "evt_" + id, Object: event.ObjectSnapshot, Type: eventType, Endpoint: "default", Created: 1, ReceivedAt: at(1), Source: event.Webhook, Body: []byte("{}")})
		if err != nil {
			t.Fatal(err)
		}
		w.held[id] = queue.Received{Message: queue.Message{ID: id, Body: body, SentAt: time.Now()}}
	}
}

func newWorld(t *testing.T, paused map[string]pause.Mark) *world {
	w := &world{memory: newMemory(), held: map[string]queue.Received{}}
	w.Paused, w.Revision = paused, 1
	w.pass = func(reconcile.BackfillRequest) (reconcile.BackfillReport, error) {
		return reconcile.BackfillReport{}, nil
	}
	w.hold(t, "a.b", 12)
	w.hold(t, "c.d", 3)
	return w
}

func (w *world) resumption() *pause.Resumption {
	return &pause.Resumption{
		Store: w, Hold: redrive.DLQ{Queue: w, Mover: w, Limits: limits.AWS()}, Enable: w.enable, Passes: w, Limits: limits.AWS(), Rate: redrive.MaxRate,
	}
}

func (w *world) checkMoved(t *testing.T) {
	t.Helper()
	types := map[string]int{}
	for _, m := range w.held {
		e, _ := queue.Decode(m.Body)
		types[e.Type]++
	}
	if types["a.b"] != 0 || types["c.d"] != 3 || slices.Contains(w.sent, "c.d") {
		t.Errorf("held are %v, and sent %v", types, w.sent)
	}
}

// TestResume: first the switch, then the wait, then all messages of the type and no others, then the
// pass, and the name is forgotten last.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]pause.Mark{"a.b": {At: at(100_000)}, "c.d": {At: at(2)}})
		began := time.Now()
		w.pass = func(req reconcile.BackfillRequest) (reconcile.BackfillReport, error) {
			w.checkMoved(t)
			if s := w.memory.State; len(s.Resuming) != 1 || s.Holds("a.b") || !s.Quiet("a.b", "") || s.Quiet("a.b", "a.b") {
				t.Errorf("during the pass the switch is %+v", s)
			}
			want := reconcile.BackfillRequest{Since: at(100_000).Add(-3 * time.Hour), Until: time.Now(), Types: []string{"a.b"}, Rate: redrive.MaxRate, Resumes: "a.b"}
			if diff := cmp.Diff(want, req); diff != "" {
				t.Errorf("pass (-want +got):\n%s", diff)
			}
			return reconcile.BackfillReport{}, nil
		}
		r := w.resumption()
		var steps []pause.Step
		r.OnStep = func(s pause.Step) {
			if steps = append(steps, s); s == pause.StepMove && time.Since(began) < limits.AWS().PauseStale+limits.AWS().ConsumerTimeout {
				t.Errorf("messages are moved after %v, while a process may hold more", time.Since(began))
			}
		}
		done, err := r.Run(t.Context(), "a.b", "ann")
		if err != nil || done.Moved != 12 || done.Span.By != "ann" || !slices.Equal(steps, []pause.Step{pause.StepWait, pause.StepMove, pause.StepPass}) {
			t.Errorf("%+v, %v, steps %v", done, err, steps)
		}
		if s := w.memory.State; len(s.Resuming) > 0 || len(s.Paused) != 1 {
			t.Errorf("at the end the switch is %+v", s)
		}
	})
}

// TestResumeWhileOthersAreHeld: messages of another paused type, which arrive all the time, keep no
// resumption from its end.
func TestResumeWhileOthersAreHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]pause.Mark{"a.b": {At: at(100_000)}, "c.d": {At: at(2)}})
		w.arrives = func() {
			time.Sleep(time.Second / 4)
			w.hold(t, "c.d", 1)
		}
		done, err := w.resumption().Run(t.Context(), "a.b", "ann")
		if err != nil || done.Moved != 12 || slices.Contains(w.sent, "c.d") || len(w.Resuming) > 0 || w.made > 1000 {
			t.Errorf("%+v, %v; sent are %v, %d messages were held", done, err, w.sent, w.made)
		}
	})
}

// TestResumeAgain: a resumption that failed at any call, and may have done what it asked for, is run
// again and does the rest. Until then the switch has the name.
func TestResumeAgain(t *testing.T) {
	for _, name := range []string{"a.b", pause.All} {
		for fail := 1; ; fail++ {
			calls := 0
			for _, after := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, map[string]pause.Mark{name: {At: at(100_000)}})
					passed := false
					w.pass = func(reconcile.BackfillRequest) (reconcile.BackfillReport, error) {
						passed = true
						return reconcile.BackfillReport{}, nil
					}
					w.fail, w.after = fail, after
					_, err := w.resumption().Run(t.Context(), name, "ann")
					_, paused := w.Paused[name]
					_, resuming := w.Resuming[name]
					if calls = w.calls; err != nil && !errors.Is(err, errAway) || err != nil && !paused && !resuming && !passed {
						t.Fatalf("call %d fails: %v, and the switch is %+v", fail, err, w.memory.State)
					}
					if err == nil {
						passed = false
						return
					}
					if _, err = w.resumption().Run(t.Context(), name, "ann"); err != nil && !(after && passed && errors.Is(err, pause.ErrNotPaused)) {
						t.Fatalf("again after call %d failed: %v", fail, err)
					}
					if name != pause.All {
						w.checkMoved(t)
					}
					if !passed || len(w.Paused)+len(w.Resuming) > 0 {
						t.Errorf("after call %d failed: pass %v, the switch is %+v", fail, passed, w.memory.State)
					}
				})
			}
			if calls < fail {
				break
			}
		}
	}
}

// TestResumeDoesNotFinish: what was not compared, or is held again, keeps the name in the switch.
func TestResumeDoesNotFinish(t *testing.T) {
	report := func(change func(*reconcile.BackfillReport)) func(*world) {
		return func(w *world) {
			w.pass = func(reconcile.BackfillRequest) (r reconcile.BackfillReport, err error) {
				change(&r)
				return r, nil
			}
		}
	}
	again := func(w *world) { // another operator, during the pass
		w.pass = func(reconcile.BackfillRequest) (reconcile.BackfillReport, error) {
			_, err := pause.Set(context.Background(), w.memory, "a.b", pause.Mark{At: at(200_000)})
			return reconcile.BackfillReport{}, err
		}
	}
	for _, c := range []struct {
		name   string
		change func(*world)
		err    error
		paused bool
	}{
		{"deferred", report(func(r *reconcile.BackfillReport) { r.Deferred = 1 }), pause.ErrNotCompared, false},
		{"unfinished", report(func(r *reconcile.BackfillReport) { r.Slices = 1 }), pause.ErrNotCompared, false},
		{"paused events", report(func(r *reconcile.BackfillReport) { r.Paused = 1 }), pause.ErrNotCompared, false},
		{"paused again", again, pause.ErrPausedAgain, true},
		{"a reader that hides the rest", func(w *world) {
			m := w.held["m3"]
			m.Receipt = "another's"
			w.held["m3"] = m
		}, pause.ErrHeld, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, map[string]pause.Mark{"a.b": {At: at(100_000)}})
				c.change(w)
				if _, err := w.resumption().Run(t.Context(), "a.b", "ann"); !errors.Is(err, c.err) {
					t.Errorf("%v, want %v", err, c.err)
				}
				m, paused := w.Paused["a.b"]
				if paused != c.paused || paused && !m.At.Equal(at(100_000)) || !paused && w.Resuming["a.b"].From != at(100_000) {
					t.Errorf("the switch is %+v", w.memory.State)
				}
			})
		})
	}
}

// TestResumeWithoutAPass: a system without a key for Stripe's API, or whose policies exclude every
// account, has nothing to compare.
func TestResumeWithoutAPass(t *testing.T) {
	for _, name := range []string{"a.b", pause.All} {
		for _, key := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, map[string]pause.Mark{name: {At: at(100_000)}})
				w.pass = func(reconcile.BackfillRequest) (r reconcile.BackfillReport, err error) {
					r.Nothing = true
					return r, nil
				}
				r := w.resumption()
				if !key {
					r.Passes = nil
				}
				if _, err := r.Run(t.Context(), name, "ann"); err != nil || len(w.Paused)+len(w.Resuming) > 0 {
					t.Errorf("%s, with a key %v: %v, the switch is %+v", name, key, err, w.memory.State)
				}
			})
		}
	}
}

// TestSpans: a pause that another's pass leaves out begins no later than the span of that pass.
func TestSpans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]pause.Mark{pause.All: {At: at(10)}, "a.b": {At: at(20)}, "c.d": {At: at(5)}})
		w.held = map[string]queue.Received{}
		refused := func(when string) {
			if _, err := w.resumption().Run(t.Context(), "a.b", "ann"); !errors.Is(err, pause.ErrAllPaused) {
				t.Errorf("a type while everything is %s: %v", when, err)
			}
		}
		refused("paused")
		began := time.Now()
		w.pass = func(req reconcile.BackfillRequest) (reconcile.BackfillReport, error) {
			if time.Since(began) < limits.AWS().PauseSettle() {
				t.Error("the pass begins while its own process may have the old switch")
			}
			refused("being resumed")
			_, err := pause.Set(context.Background(), w.memory, "e.f", pause.Mark{At: at(30)})
			r := reconcile.BackfillReport{}
			r.Paused = 7 // of the types that are paused themselves
			if req.Types != nil || req.Resumes != pause.All {
				t.Errorf("pass %+v", req)
			}
			return r, err
		}
		if _, err := w.resumption().Run(t.Context(), pause.All, "ann"); err != nil {
			t.Error(err)
		}
		want := map[string]pause.Mark{"a.b": {At: at(10)}, "c.d": {At: at(5)}, "e.f": {At: at(10)}}
		if diff := cmp.Diff(want, w.Paused); diff != "" || len(w.Resuming) > 0 {
			t.Errorf("the switch is %+v (-want +got):\n%s", w.memory.State, diff)
		}
		if _, err := w.resumption().Run(t.Context(), "x.y", "ann"); !errors.Is(err, pause.ErrNotPaused) {
			t.Errorf("a type that is not paused: %v", err)
		}
	})
}

// TestResumedByTwo: a resumption that another one overtook, after another pause, forgets nothing of
// the later one.
func TestResumedByTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, map[string]pause.Mark{"a.b": {At: at(100_000)}})
		first := true
		w.pass = func(reconcile.BackfillRequest) (reconcile.BackfillReport, error) {
			if !first {
				return reconcile.BackfillReport{}, nil
			}
			first = false
			if _, err := pause.Set(context.Background(), w.memory, "a.b", pause.Mark{At: at(200_000)}); err != nil {
				t.Error(err)
			}
			w.fail = w.calls + 3 // the second one dies after its write of the switch
			if _, err := w.resumption().Run(context.Background(), "a.b", "bob"); !errors.Is(err, errAway) {
				t.Errorf("the second resumption: %v", err)
			}
			return reconcile.BackfillReport{}, nil
		}
		if _, err := w.resumption().Run(t.Context(), "a.b", "ann"); !errors.Is(err, pause.ErrPausedAgain) || w.Resuming["a.b"].By != "bob" {
			t.Errorf("the first resumption: %v, the switch is %+v", err, w.memory.State)
		}
		if _, err := w.resumption().Run(t.Context(), "a.b", "ann"); err != nil || len(w.Resuming) > 0 {
			t.Errorf("again: %v, the switch is %+v", err, w.memory.State)
		}
	})
}
