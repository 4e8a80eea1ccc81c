package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

func at(call int) func(int) bool { return func(n int) bool { return n == call } }

func always(int) bool { return true }

func only(id string) func(string) bool { return func(got string) bool { return got == id } }

// redriven sends the messages of a plan, without a lock and without records.
func redriven(t *testing.T, dead *fakeQueue, m *fakeMover, p *redrive.Plan, rate int) (redrive.Result, error) {
	t.Helper()
	return dlq(dead, m, records{}).Redrive(t.Context(), p, redrive.Options{Rate: rate})
}

// TestMoveNeverLoses: whatever step fails, each event is in at least one of the two queues,
// nothing stays hidden, and a second run moves the rest.
func TestMoveNeverLoses(t *testing.T) {
	const messages = 35
	tests := []struct {
		name    string
		faults  faults
		want    redrive.Result // of the first run
		err     error
		doubles int // messages sent more than once, after both runs
	}{
		{"nothing", faults{}, redrive.Result{Moved: 35}, nil, 0},
		{"a send fails", faults{sendFails: at(2)}, redrive.Result{Moved: 10}, errAway, 0},
		{"a send's response is lost", faults{sendLost: at(2)}, redrive.Result{Moved: 10}, errAway, 10},
		{"every send's response is lost", faults{sendLost: always}, redrive.Result{}, errAway, 10},
		{"a message is refused", faults{refuses: only("m7")}, redrive.Result{Moved: 34, Refused: 1, Refusal: "too odd"}, nil, 0},
		{"a delete fails once", faults{deleteFails: at(2)}, redrive.Result{Moved: 35}, nil, 0},
		{"a delete's response is lost", faults{deleteLost: at(2)}, redrive.Result{Moved: 35}, nil, 0},
		{"deletes fail", faults{deleteFails: always}, redrive.Result{Moved: 10, Undeleted: 10}, errAway, 10},
		{"a message cannot be deleted", faults{keeps: only("m7")}, redrive.Result{Moved: 35, Undeleted: 1}, nil, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dead := queueOf(t, messages)
				m := &fakeMover{dead: dead, faults: tt.faults}
				got, err := redriven(t, dead, m, planned(t, dead, records{}, redrive.Filter{}), 100)
				ignored := cmpopts.IgnoreFields(redrive.Result{}, "Left", "Seconds", "Sent")
				_, refused := errors.AsType[*redrive.RefusedError](err)
				if diff := cmp.Diff(tt.want, got, ignored); diff != "" || !errors.Is(err, tt.err) && !refused || refused != (tt.want.Refused > 0) {
					t.Errorf("%v %s", err, diff)
				}
				if n := distinct(dead.ids(), m.ids()); n != messages {
					t.Errorf("%d events are left of %d", n, messages)
				}
				if hidden := dead.hidden(); len(hidden) != 0 {
					t.Errorf("%v stay hidden", hidden)
				}
				m.faults = faults{}
				again, err := redriven(t, dead, m, planned(t, dead, records{}, redrive.Filter{}), 100)
				if err != nil || len(dead.ids()) != 0 || distinct(m.ids()) != messages || again.Undeleted+again.Refused != 0 {
					t.Errorf("the second run: %+v, %v; %d messages are left, %d events are live", again, err, len(dead.ids()), distinct(m.ids()))
				}
				if n := len(m.ids()) - messages; n != tt.doubles {
					t.Errorf("%d doubles, want %d", n, tt.doubles)
				}
			})
		})
	}
}

func TestMoveStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := queueOf(t, 95)
		m := &fakeMover{dead: dead}
		plan := planned(t, dead, records{}, redrive.Filter{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		got, err := dlq(dead, m, records{}).Redrive(ctx, plan, redrive.Options{Rate: 10, OnSent: func(int) {
			if len(m.times) == 20 {
				cancel() // between a send and its delete
			}
		}})
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "stopped after 20") || got.Moved != 20 || got.Undeleted != 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if len(dead.ids()) != 75 || len(dead.hidden()) != 0 || plan.Left() != 75 {
			t.Errorf("%d messages are left, %d of them hidden, %d planned", len(dead.ids()), len(dead.hidden()), plan.Left())
		}
		if got, err := redriven(t, dead, m, plan, 0); err != nil || got.Moved != 75 || distinct(m.ids()) != 95 || len(m.ids()) != 95 {
			t.Errorf("the second run: %+v, %v", got, err)
		}
	})
}

// TestMoveLeavesOthers: messages that are not selected stay, and so do those that arrive
// meanwhile, also when they fail again at once: no run goes in a circle.
func TestMoveLeavesOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &fakeQueue{}
		for i := range 100 { // the first of them, and some between
			e := envelope(i)
			if i < 30 || i%7 == 0 {
				e.Type = "charge.failed"
			}
			dead.add(message(t, i, e, nil))
		}
		m := &fakeMover{dead: dead}
		next := 5000
		m.sent = func(one queue.Message) { // a handler that is as broken as before, and a new message
			again := redrive.Received{Message: one}
			again.ID = fmt.Sprint("again", next)
			dead.add(again)
			dead.add(message(t, next, envelope(next), nil))
			next++
		}
		got, err := redriven(t, dead, m, planned(t, dead, records{}, redrive.Filter{Type: "invoice.paid"}), 200)
		if err != nil || got.Moved != 60 || len(m.ids()) != 60 || distinct(m.ids()) != 60 {
			t.Errorf("%+v, %v; sent %d messages of %d events", got, err, len(m.ids()), distinct(m.ids()))
		}
		for _, one := range m.live {
			if e, err := queue.Decode(one.Body); err != nil || e.Type != "invoice.paid" || len(e.ID) > len("evt_99") {
				t.Errorf("sent %s of %s, %v", e.ID, e.Type, err)
			}
		}
		if n := len(dead.ids()); n != 160 || len(dead.hidden()) != 0 {
			t.Errorf("%d messages are left, %d of them hidden; want 160 and none", n, len(dead.hidden()))
		}
	})
}

func TestMoveKeepsItsPace(t *testing.T) {
	for rate, seconds := range map[int]int{1: 99, 7: 14, 20: 5, 500: 0} {
		synctest.Test(t, func(t *testing.T) {
			dead := queueOf(t, 100)
			m := &fakeMover{dead: dead}
			plan := planned(t, dead, records{}, redrive.Filter{})
			if _, err := redriven(t, dead, m, plan, rate); err != nil {
				t.Fatal(err)
			}
			last := m.times[len(m.times)-1].Sub(m.times[0])
			if low, high := time.Duration(seconds-1)*time.Second, time.Duration(seconds+1)*time.Second; last < low || last > high {
				t.Errorf("at %d a second, 100 messages take %s", rate, last)
			}
			perSecond := map[int64]int{}
			for _, at := range m.times {
				perSecond[int64(at.Sub(m.times[0])/time.Second)]++
			}
			for second, n := range perSecond {
				if n > rate+rate/2 {
					t.Errorf("at %d a second, %d go in second %d", rate, n, second)
				}
			}
		})
	}
}

// TestMoveMany: 10,000 messages among 2,000 others, longer than they can be hidden at a time:
// each is sent once, and little is kept of each.
func TestMoveMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const messages, rate = 10_000, 100
		dead := &fakeQueue{}
		for i := range messages + 2000 {
			e := envelope(i)
			if i%6 == 5 {
				e.Type = "charge.failed"
			}
			dead.add(message(t, i, e, nil))
		}
		m := &fakeMover{dead: dead}
		memory := func() int64 {
			runtime.GC()
			var s runtime.MemStats
			runtime.ReadMemStats(&s)
			return int64(s.HeapAlloc)
		}
		before := memory()
		plan := planned(t, dead, records{}, redrive.Filter{Type: "invoice.paid"})
		planned := memory() - before
		got, err := dlq(dead, m, records{}).Redrive(t.Context(), plan, redrive.Options{Rate: rate, Wait: true, Timeout: time.Millisecond})
		if _, waited := errors.AsType[*redrive.OutcomeError](err); !waited || got.Moved != messages || distinct(m.ids()) != messages || len(dead.ids()) != 2000 || len(dead.hidden()) != 0 {
			t.Fatalf("%v; sent %d of %d events, %d messages are left", err, got.Moved, distinct(m.ids()), len(dead.ids()))
		}
		tracked := len(got.Sent) * 32
		for _, s := range got.Sent {
			tracked += len(s.EventID)
		}
		if perMessage := (planned + int64(tracked)) / messages; perMessage > 120 {
			t.Errorf("%d bytes are kept of each message", perMessage)
		} else {
			t.Logf("%d bytes are kept of each message", perMessage)
		}
		runtime.KeepAlive(plan)
	})
}

// TestMoveRequestsFit: bodies of any size that a queue takes go in requests of a size that it
// takes.
func TestMoveRequestsFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := &fakeQueue{}
		for i := range 12 {
			dead.add(redrive.Received{Message: queue.Message{ID: fmt.Sprint("m", i), Body: strings.Repeat("x", 100_000*(i%4)+100_000)}})
		}
		dead.add(redrive.Received{Message: queue.Message{ID: "full", Body: strings.Repeat("x", limits.MaxQueueRequest)}})
		m := &fakeMover{dead: dead}
		got, err := redriven(t, dead, m, planned(t, dead, records{}, redrive.Filter{}), 0)
		if err != nil || got.Moved != 13 || m.most > limits.MaxQueueRequest {
			t.Errorf("%+v, %v, %d bytes in a request", got, err, m.most)
		}
	})
}

// TestCanaryOnlyEvidence: no canary is of a done event, of an unreadable message or of
// another event than its record's.
func TestCanaryOnlyEvidence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := queueOf(t, 9)
		dead.add(redrive.Received{Message: queue.Message{ID: "odd", Body: "no message"}})
		table := records{"evt_1": {State: "DONE", Attempt: 2}, "evt_2": {State: "FAILED", Attempt: 3, Identity: "another's"}}
		m := &fakeMover{dead: dead}
		p := planned(t, dead, table, redrive.Filter{})
		got, err := dlq(dead, m, table).Redrive(t.Context(), p, redrive.Options{Canary: 4, Timeout: time.Second})
		if _, waited := errors.AsType[*redrive.OutcomeError](err); !waited || len(got.Sent) != 4 || p.Left() != 6 || got.Left != 6 {
			t.Errorf("%v, %d sent, %d left", err, len(got.Sent), p.Left())
		}
		if diff := cmp.Diff([]string{"evt_0", "evt_3", "evt_4", "evt_5"}, m.ids()); diff != "" {
			t.Error(diff)
		}
		rest, err := dlq(dead, m, table).Redrive(t.Context(), p, redrive.Options{Wait: true, Timeout: time.Second})
		want := []redrive.Sent{{}, {}, {EventID: "evt_1", Done: true}, {EventID: "evt_6"}, {EventID: "evt_7"}, {EventID: "evt_8"}}
		byID := func(a, b redrive.Sent) int { return strings.Compare(a.EventID, b.EventID) }
		if diff := cmp.Diff(want, slices.SortedFunc(slices.Values(rest.Sent), byID), cmpopts.IgnoreUnexported(redrive.Sent{})); diff != "" || p.Left() != 0 {
			t.Errorf("%v, %d left %s", err, p.Left(), diff)
		}
	})
}

// TestMoveSendsNothing without a message for the canary, or when records cannot be read.
func TestMoveSendsNothing(t *testing.T) {
	for _, tt := range []struct {
		records redrive.Records
		o       redrive.Options
		want    error
	}{
		{records{"evt_0": {State: "DONE", Attempt: 2}}, redrive.Options{Canary: 4}, redrive.ErrNoCanary},
		{recordsFunc(func(string) error { return errAway }), redrive.Options{Wait: true}, errAway},
	} {
		synctest.Test(t, func(t *testing.T) {
			dead := queueOf(t, 1)
			m := &fakeMover{dead: dead}
			_, err := dlq(dead, m, tt.records).Redrive(t.Context(), planned(t, dead, records{}, redrive.Filter{}), tt.o)
			if !errors.Is(err, tt.want) || len(m.ids()) != 0 || len(dead.hidden()) != 0 {
				t.Errorf("%v, sent %v, hidden %v", err, m.ids(), dead.hidden())
			}
		})
	}
}

// TestCanaryThenRest: a canary whose events are done is followed by the rest, up to the limit.
func TestCanaryThenRest(t *testing.T) {
	for limit, want := range map[int]int{0: 9, 2: 2, 5: 5} {
		synctest.Test(t, func(t *testing.T) {
			dead, table := queueOf(t, 9), newTable(9)
			m := &fakeMover{dead: dead, sent: func(one queue.Message) { table.set(eventID(one.Body), doneNow()) }}
			p := planned(t, dead, records{}, redrive.Filter{})
			got, err := dlq(dead, m, table).Redrive(t.Context(), p, redrive.Options{Canary: 2, Limit: limit, Wait: true})
			if err != nil || got.Moved != want || got.Canary.Done != 2 || got.Outcomes.Done != want || len(m.ids()) != want {
				t.Errorf("limit %d: %+v, %v", limit, got, err)
			}
		})
	}
}

// TestMoveMisses messages of the plan that another reader hides.
func TestMoveMisses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dead := queueOf(t, 9)
		p := planned(t, dead, records{}, redrive.Filter{})
		if _, err := dead.Receive(t.Context(), 2, time.Hour); err != nil {
			t.Fatal(err)
		}
		_, err := redriven(t, dead, &fakeMover{dead: dead}, p, 0)
		if left, ok := errors.AsType[*redrive.LeftError](err); !ok || left.Messages != 2 {
			t.Error(err)
		}
	})
}
