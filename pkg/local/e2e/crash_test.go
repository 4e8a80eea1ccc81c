//go:build unix

package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// load delivers events as Stripe does: each until it is answered 200, some twice more.
type load struct {
	events  int
	secret  string
	url     atomic.Pointer[string] // of the system that runs now
	refused atomic.Int64           // deliveries not answered 200
	extra   atomic.Int64           // deliveries after a 200
	reached chan struct{}          // one token for each event that was answered 200
}

const (
	loadWorkers = 16
	redelivery  = 20 * time.Millisecond // Stripe's hours, in short
)

func newLoad(s *system, events int) *load {
	l := &load{events: events, secret: s.info.Secret, reached: make(chan struct{}, events)}
	l.to(s)
	return l
}

// to directs the next deliveries to a system.
func (l *load) to(s *system) { l.url.Store(&s.info.URL) }

// id is the part of an event's ids that is specific to it.
func (l *load) id(n int) string { return fmt.Sprintf("load_%04d", n) }

// run delivers all events; it returns when each was answered 200.
func (l *load) run() {
	next := make(chan int)
	var wg sync.WaitGroup
	for range loadWorkers {
		wg.Go(func() {
			for n := range next {
				l.deliver(n)
			}
		})
	}
	for n := range l.events {
		next <- n
	}
	close(next)
	wg.Wait()
}

func (l *load) deliver(n int) {
	body := trial(l.id(n), "takes_time")
	post := func() bool {
		status, _ := request(http.MethodPost, *l.url.Load(), body, deliveryHeaders(body, l.secret))
		return status == http.StatusOK
	}
	for !post() {
		l.refused.Add(1)
		<-time.After(redelivery)
	}
	l.reached <- struct{}{}
	for range n % 5 / 3 * 2 { // two of five events come twice more
		post()
		l.extra.Add(1)
	}
}

// wait waits until that many more events were answered 200.
func (l *load) wait(t *testing.T, events int) {
	t.Helper()
	limit := time.After(patience)
	for range events {
		select {
		case <-l.reached:
		case <-limit:
			t.Fatalf("no %d more events were answered 200 within %v", events, patience)
		}
	}
}

// check compares the table with the answers: every event done, its effects applied once.
func (l *load) check(s *system) {
	s.t.Helper()
	s.drained()
	records, facts := s.items("EVT#"), s.items("FACT#")
	lost, undone, retried := 0, 0, 0
	for n := range l.events {
		r := records["EVT#evt_"+l.id(n)]
		switch {
		case r == nil:
			lost++
		case r["st"] != "DONE" || r["outcome"] != "applied":
			undone++
		case r["att"] != "1":
			retried++
		}
		// A fact's key ends in the attempt that wrote it.
		if key := fmt.Sprintf("FACT#test#-#in_%s#trial#%s", l.id(n), r["att"]); facts[key] == nil {
			s.t.Errorf("event %s: no fact of its last attempt", l.id(n))
		}
	}
	if lost > 0 || undone > 0 || len(records) != l.events || len(facts) != l.events {
		s.t.Errorf("of %d events answered 200: %d lost, %d not done; %d records and %d facts, want %d of each", l.events, lost, undone, len(records), len(facts), l.events)
	}
	if n := s.depth(s.info.DLQURL); n != 0 {
		s.t.Errorf("%d dead letters, want none: nothing was wrong with an event", n)
	}
	s.t.Logf("%d events answered 200 after %d refused deliveries, delivered %d times more: %d lost, %d not done, %d done by a later attempt, %d facts",
		l.events, l.refused.Load(), l.extra.Load(), lost, undone, retried, len(facts))
}

// TestKillOfTheWholeSystemLosesNothing kills the system with kill -9 during deliveries and
// handlers several times, and restarts it on the same folder each time.
func TestKillOfTheWholeSystemLosesNothing(t *testing.T) {
	t.Parallel()
	const events, kills = 600, 5
	data := t.TempDir()
	s := start(t, data, failureArgs()...)
	l := newLoad(s, events)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run()
	}()
	for range kills {
		l.wait(t, events/(kills+1))
		functions := s.children("ingest", "consumer")
		s.kill()
		gone(t, functions) // even if the host was killed
		s = start(t, data, failureArgs()...)
		l.to(s)
	}
	<-done
	l.check(s)
	s.interrupt()
}

// TestKilledFunctionsLoseNothing kills the function processes at any moment; the host starts
// new ones.
func TestKilledFunctionsLoseNothing(t *testing.T) {
	needsProc(t)
	t.Parallel()
	const events, every = 600, 250 * time.Millisecond
	s := start(t, t.TempDir(), failureArgs()...)
	l := newLoad(s, events)
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.run()
	}()
	kills := map[string]int{}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-tick.C:
			for _, name := range []string{"ingest", "consumer"} {
				if pids := s.children(name); len(pids) > 0 && syscall.Kill(pids[rand.IntN(len(pids))], syscall.SIGKILL) == nil {
					kills[name]++
				}
			}
		}
	}
	t.Logf("killed %v", kills)
	if kills["ingest"] == 0 || kills["consumer"] == 0 {
		t.Errorf("killed %v, want some of each", kills)
	}
	l.check(s)
	if n := len(s.log.lines("outcome=store_down")); n > 0 {
		t.Logf("%d messages met a store that was too slow", n)
	}
	if strings.Contains(s.log.String(), "panic") {
		t.Error("the log has a panic")
	}
}
