package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// recordsFunc is a table that may be away.
type recordsFunc func(id string) error

func (f recordsFunc) Get(_ context.Context, id string) (idempotency.Record, bool, error) {
	return idempotency.Record{}, false, f(id)
}

// sentWith moves one message of evt_0 whose record is as given, and returns what is kept of it.
func sentWith(t *testing.T, before *idempotency.Record) redrive.Sent {
	t.Helper()
	dead, table := queueOf(t, 1), records{}
	if before != nil {
		table["evt_0"] = *before
	}
	p := planned(t, dead, records{}, redrive.Filter{})
	got, _ := dlq(dead, &fakeMover{dead: dead}, table).Redrive(t.Context(), p, redrive.Options{Wait: true, Timeout: time.Millisecond})
	if len(got.Sent) != 1 {
		t.Fatalf("%+v", got)
	}
	return got.Sent[0]
}

func TestOutcome(t *testing.T) {
	now := start.Add(time.Hour)
	failed := func(attempt, fails, left int64) idempotency.Record {
		return idempotency.Record{State: idempotency.Failed, Attempt: attempt, Fails: fails, ReceivesLeft: left, Generation: 1}
	}
	running := func(attempt, fails, left int64, lease time.Duration) idempotency.Record {
		return idempotency.Record{State: idempotency.Running, Attempt: attempt, Fails: fails, ReceivesLeft: left, Generation: 1, Lease: now.Add(lease)}
	}
	dead := failed(3, 3, 0)
	killed := running(16, 2, 0, -time.Hour) // it killed its process at the last receive
	replayed := failed(4, 0, -1)
	replayed.Generation = 2
	again := running(5, 0, 15, time.Minute)
	again.Generation = 2
	tests := []struct {
		name   string
		before *idempotency.Record
		after  idempotency.Record
		want   redrive.Outcome
	}{
		{"nothing has happened", &dead, dead, redrive.Waiting},
		{"nothing has happened after a killer", &killed, killed, redrive.Waiting},
		{"there was no record, and is none", nil, idempotency.Record{}, redrive.Waiting},
		{"an attempt runs", &dead, running(4, 3, 15, time.Minute), redrive.Waiting},
		{"the first attempt runs", nil, running(1, 0, 15, time.Minute), redrive.Waiting},
		{"the last receive's attempt runs", &dead, running(4, 3, 0, time.Minute), redrive.Waiting},
		{"its lease is over, but not for certain", &dead, running(4, 3, 0, -5*time.Second), redrive.Waiting},
		{"done", &dead, idempotency.Record{State: idempotency.Done, Attempt: 4, Fails: 3, Generation: 1, ReceivesLeft: -1}, redrive.Done},
		{"done after another failure", &dead, idempotency.Record{State: idempotency.Done, Attempt: 6, Fails: 5, Generation: 1, ReceivesLeft: -1}, redrive.Done},
		{"done by another's copy", &dead, idempotency.Record{State: idempotency.Done, Attempt: 3, Fails: 3, Generation: 1, ReceivesLeft: -1}, redrive.Done},
		{"done and replayed since", &dead, replayed, redrive.Done},
		{"done, replayed, and running", &dead, again, redrive.Done},
		{"done before", &idempotency.Record{State: idempotency.Done, Attempt: 3}, idempotency.Record{}, redrive.Done},
		{"failed, and comes again", &dead, failed(4, 4, 15), redrive.Failing},
		{"failed at its first attempt ever", nil, failed(1, 1, 15), redrive.Failing},
		{"failed, and runs again", &dead, running(5, 4, 14, time.Minute), redrive.Failing},
		{"died without a word, and runs again", &dead, running(5, 3, 14, time.Minute), redrive.Failing},
		{"died without a word", &dead, running(4, 3, 15, -time.Minute), redrive.Failing},
		{"failed for good", &dead, failed(4, 4, 0), redrive.Dead},
		{"failed for good at its first attempt ever", nil, failed(1, 1, 0), redrive.Dead},
		{"used up its receives", &dead, failed(19, 19, 0), redrive.Dead},
		{"killed its process at the last receive again", &killed, running(32, 2, 0, -time.Minute), redrive.Dead},
		{"a record that another event made since", nil, idempotency.Record{State: idempotency.Done, Identity: "another's"}, redrive.Untracked},
		{"a row that is broken since", nil, idempotency.Record{State: idempotency.Done, Broken: "att"}, redrive.Untracked},
		{"a row that was broken before", &idempotency.Record{State: idempotency.Done, Broken: "att"}, idempotency.Record{State: idempotency.Done}, redrive.Untracked},
		{"another event's record", &idempotency.Record{State: idempotency.Failed, Identity: "another's"}, idempotency.Record{State: idempotency.Done}, redrive.Untracked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if got := sentWith(t, tt.before).OutcomeOf(tt.after, now, limits.AWS()); got != tt.want {
					t.Errorf("is %s, want %s", got, tt.want)
				}
			})
		})
	}
}

// table is records that change with time.
type table struct {
	mu   sync.Mutex
	rows map[string]idempotency.Record
	err  error
	gets map[string]int
	now  int // reads under way
	most int
}

func (r *table) Get(_ context.Context, id string) (idempotency.Record, bool, error) {
	r.mu.Lock()
	r.now++
	r.most = max(r.most, r.now)
	r.mu.Unlock()
	<-time.After(10 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now--
	r.gets[id]++
	got, ok := r.rows[id]
	return got, ok, r.err
}

func (r *table) set(id string, record idempotency.Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rows[id] = record
}

func (r *table) away(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func newTable(n int) *table {
	r := &table{rows: map[string]idempotency.Record{}, gets: map[string]int{}}
	for i := range n {
		r.rows[fmt.Sprint("evt_", i)] = idempotency.Record{State: idempotency.Failed, Attempt: 3, Fails: 3, Generation: 1}
	}
	return r
}

func doneNow() idempotency.Record {
	return idempotency.Record{State: idempotency.Done, Attempt: 4, Fails: 3, Generation: 1, ReceivesLeft: -1}
}

func failedNow(left int64) idempotency.Record {
	return idempotency.Record{State: idempotency.Failed, Attempt: 4, Fails: 4, Generation: 1, ReceivesLeft: left, Err: "no row yet"}
}

func TestWait(t *testing.T) {
	tests := []struct {
		name    string
		becomes func(r *table, i int) // at second i+1
		options redrive.Options
		want    redrive.Outcomes
		took    time.Duration
		err     error
	}{
		{
			"all are done", func(r *table, i int) { r.set(fmt.Sprint("evt_", i), doneNow()) },
			redrive.Options{Wait: true}, redrive.Outcomes{Done: 20}, 20 * time.Second, nil,
		},
		{
			"one is dead again", func(r *table, i int) {
				r.set(fmt.Sprint("evt_", i), map[bool]idempotency.Record{false: doneNow(), true: failedNow(0)}[i == 7])
			},
			redrive.Options{Wait: true}, redrive.Outcomes{Done: 19, Dead: 1, FailedID: "evt_7", FailedError: "no row yet"}, 20 * time.Second, nil,
		},
		{
			"the first failure ends a canary", func(r *table, i int) {
				r.set(fmt.Sprint("evt_", i), map[bool]idempotency.Record{false: doneNow(), true: failedNow(15)}[i == 7])
			},
			redrive.Options{Canary: 20}, redrive.Outcomes{Done: 7, Failing: 1, Waiting: 12, FailedID: "evt_7", FailedError: "no row yet"}, 8 * time.Second, nil,
		},
		{
			"a failure may be made good", func(r *table, i int) {
				r.set(fmt.Sprint("evt_", i), failedNow(15))
				if i == 19 {
					for n := range 20 {
						r.set(fmt.Sprint("evt_", n), doneNow())
					}
				}
			},
			redrive.Options{Wait: true}, redrive.Outcomes{Done: 20}, 20 * time.Second, nil,
		},
		{
			"its time is over", func(r *table, i int) {
				if i < 2 {
					r.set(fmt.Sprint("evt_", i), failedNow(15))
				}
			},
			redrive.Options{Wait: true, Timeout: 30 * time.Second}, redrive.Outcomes{Failing: 2, Waiting: 18, FailedError: "no row yet"}, 30 * time.Second, nil,
		},
		{
			"the table is away for a moment", func(r *table, i int) {
				r.away(map[bool]error{true: errAway}[i >= 4 && i < 7])
				r.set(fmt.Sprint("evt_", i), doneNow())
			},
			redrive.Options{Wait: true}, redrive.Outcomes{Done: 20}, 20 * time.Second, nil,
		},
		{
			"the table is away", func(r *table, i int) { r.away(errAway) },
			redrive.Options{Wait: true}, redrive.Outcomes{Waiting: 20}, 6 * time.Second, errAway,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, dead := newTable(20), queueOf(t, 20)
				p := planned(t, dead, records{}, redrive.Filter{})
				began, looks := time.Now(), 0
				go func() {
					for i := range 20 {
						<-time.After(time.Second)
						tt.becomes(r, i)
					}
				}()
				tt.options.Rate = 500
				tt.options.OnOutcomes = func(redrive.Stage, redrive.Outcomes) { looks++ }
				result, err := dlq(dead, &fakeMover{dead: dead}, r).Redrive(t.Context(), p, tt.options)
				got := *either(result)
				outcome, unfinished := errors.AsType[*redrive.OutcomeError](err)
				if all := got.Failed()+got.Waiting == 0; unfinished != !all && tt.err == nil || unfinished && outcome.Outcomes != got {
					t.Errorf("%+v ended with %v", got, err)
				}
				if got.Failing > 1 {
					got.FailedID = ""
				}
				if diff := cmp.Diff(tt.want, got); diff != "" || tt.err != nil && !errors.Is(err, tt.err) {
					t.Errorf("%v %s", err, diff)
				}
				if took := time.Since(began); took < tt.took-time.Second || took > tt.took+2*time.Second {
					t.Errorf("took %s, want about %s", took, tt.took)
				}
				if r.most > 8 || looks < 3 {
					t.Errorf("%d reads at once, %d looks", r.most, looks)
				}
				<-time.After(time.Minute)
			})
		})
	}
}

// TestWaitReadsNoMore of what is done than it must, and stops when it is cancelled.
func TestWaitReadsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, dead := newTable(2), queueOf(t, 2)
		p := planned(t, dead, records{}, redrive.Filter{})
		m := &fakeMover{dead: dead, sent: func(queue.Message) { r.set("evt_0", doneNow()) }}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(10*time.Second, cancel)
		got, err := dlq(dead, m, r).Redrive(ctx, p, redrive.Options{Wait: true})
		if diff := cmp.Diff(&redrive.Outcomes{Done: 1, Waiting: 1}, got.Outcomes); diff != "" || !errors.Is(err, context.Canceled) {
			t.Errorf("%v %s", err, diff)
		}
		if r.gets["evt_0"] != 2 || r.gets["evt_1"] < 9 {
			t.Errorf("read %v times", r.gets)
		}
	})
}

// TestWaitFindsReparked: a message that the consumer dead-letters again without a record ends
// the wait long before its timeout; one that was there before does not.
func TestWaitFindsReparked(t *testing.T) {
	for _, options := range []redrive.Options{{Wait: true}, {Canary: 2}} {
		synctest.Test(t, func(t *testing.T) {
			dead := queueOf(t, 2)
			p := planned(t, dead, records{}, redrive.Filter{})
			cause := queue.DeadLetter{Reason: "livemode", Error: "takes no test events"}
			for _, id := range []string{"evt_0", "evt_1"} {
				cause.EventID = id
				dead.add(redrive.Received{Message: queue.Message{ID: "early " + id, Body: "x", SentAt: start.Add(-time.Hour)}, Attributes: cause.Attributes()})
			}
			m := &fakeMover{dead: dead, sent: func(one queue.Message) {
				if eventID(one.Body) == "evt_1" {
					dead.add(redrive.Received{Message: queue.Message{ID: "again", Body: one.Body, SentAt: time.Now()}, Attributes: cause.Attributes()})
				}
			}}
			r := newTable(1)
			r.set("evt_1", idempotency.Record{Attempt: 3, Generation: 1})
			time.AfterFunc(5*time.Second, func() { r.set("evt_0", doneNow()) })
			began := time.Now()
			got, err := dlq(dead, m, r).Redrive(t.Context(), p, options)
			want := redrive.Outcomes{Done: 1, Dead: 1, FailedID: "evt_1", FailedError: "livemode: takes no test events"}
			if diff := cmp.Diff(&want, either(got)); diff != "" || time.Since(began) > time.Minute {
				t.Errorf("after %s: %v %s", time.Since(began), err, diff)
			}
		})
	}
}

// either are the outcomes of the wait that a redrive ended in.
func either(r redrive.Result) *redrive.Outcomes {
	if r.Outcomes != nil {
		return r.Outcomes
	}
	return r.Canary
}
