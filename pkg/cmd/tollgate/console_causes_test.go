package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/console"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/queue"
	"tollgate/pkg/reconcile"
)

// failsNow leaves an event whose attempt failed a moment ago.
func (s *system) failsNow(id, text string, left int) {
	s.t.Helper()
	now := time.Now()
	e := envelope(id, "invoice.paid")
	got, err := s.store.Claim(s.t.Context(), idempotency.ClaimRequest{Event: e, Owner: idempotency.NewOwner(), Now: now, Lease: now.Add(time.Minute), LeaseExpiredBefore: now, Receives: 1, ReceivesLeft: left})
	check(s.t, err)
	_, err = s.store.Fail(s.t.Context(), got.Claim, idempotency.Failure{
		Now: now, Err: text, Reason: "handler", ReceivesLeft: left, Fingerprint: queue.Fingerprint(e.Type, "handler", text), Frame: "handlers.paid invoice.go:42",
	})
	check(s.t, err)
	if left == 0 {
		s.deadLetter(e, "handler", text, 1)
	}
}

// TestConsoleCauses: a cause is shown before its events are dead, with where it fails and what to
// do; its report says what was done, and proves that nothing is missing or says why it cannot.
func TestConsoleCauses(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.withStripe(nil)
	const text = "no row yet <img src=x onerror=alert(1)>"
	for i := range 3 {
		s.failsNow(fmt.Sprintf("evt_%d", i), text, 5)
	}
	cause := "/causes/" + queue.Fingerprint("invoice.paid", "handler", text)
	p := s.console(console.Console{})
	p.until("/causes", text, "invoice.paid", "3 retrying", "Searched records of events that are not done: 3")
	if strings.Contains(p.get("/causes"), "<img") || strings.Contains(p.get(cause), "<img") || strings.Contains(p.get(cause+"/print"), "<img") {
		t.Error("an error's text is part of the page")
	}
	s.failsNow("evt_dead", text, 0)
	p.until(cause, "1 dead", "3 retrying", "handlers.paid invoice.go:42", "Attempts left 5", "Redrive them", "Pause the type", "redrive-after-a-bug-fix")

	report := func(want ...string) {
		t.Helper()
		page := shown(p.get(cause + "/print"))
		for _, w := range want {
			if !strings.Contains(page, w) {
				t.Errorf("the report lacks %q: %s", w, page)
			}
		}
	}
	report("fail with this cause now: 4", "invoice.paid 4 3 1", "No change of this system names the cause", "Not proven.", "Reconcile has compared nothing of this time", "tollgate backfill")
	note := reconcile.Covered{Tier: reconcile.Nightly, From: time.Now().Add(-26 * time.Hour), To: time.Now().Add(-time.Second), DoneAt: time.Now()}
	check(t, s.store.Cover(t.Context(), note))
	report("Proven.", "Compared: - test.")

	s.handle(func(string) bool { return false })
	s.tollgate("redrive", "--error", strings.TrimPrefix(cause, "/causes/"), "--wait", "--note", "fixed in 4.2").ok(t)
	report("fail with this cause now: 3", "redrive error "+strings.TrimPrefix(cause, "/causes/"), "fixed in 4.2", "redriven 1 of 1 dead letters; outcomes: 1 done")
	s.tollgate("pause", "charge.refunded", "--note", "unrelated").ok(t)
	report("Not proven.", "Types are paused", "charge.refunded is paused", "Other changes since then, not listed: 1")

	unknown := shown(p.get("/causes/0123456789ab")) + shown(p.get("/causes/0123456789ab/print"))
	if !strings.Contains(unknown, "No event fails with 0123456789ab now") || !strings.Contains(unknown, "No event fails with this cause now") {
		t.Errorf("an unknown cause: %s", unknown)
	}
}

// TestConsoleReportKnowsWhenItCannot prove it: the history of an account began after the incident.
func TestConsoleReportKnowsWhenItCannot(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.withStripe(nil)
	s.failsNow("evt_1", "no row yet", 3)
	p := s.console(console.Console{})
	begin := time.Now().Add(-time.Hour)
	day := begin.UTC().Truncate(24 * time.Hour)
	check(t, s.store.Cover(t.Context(), reconcile.Covered{Tier: reconcile.Configured, From: day, To: day.Add(-time.Second), DoneAt: time.Now(), Since: begin}))
	check(t, s.store.Cover(t.Context(), reconcile.Covered{Tier: reconcile.Nightly, From: begin, To: time.Now().Add(-time.Second), DoneAt: time.Now()}))
	page := "/causes/" + queue.Fingerprint("invoice.paid", "handler", "no row yet") + "/print"
	for since, want := range map[string]string{"": "Proven. From", "2h": "before its history begins", "40d": "The incident began over 29 days ago"} {
		if text := shown(p.get(page + "?since=" + since)); !strings.Contains(text, want) || strings.Contains(text, "Not proven.") == (since == "") {
			t.Errorf("since %q: %s", since, text)
		}
	}
}

// TestConsolePagesOnlyRead: no page changes anything, whatever it shows.
func TestConsolePagesOnlyRead(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.withStripe(nil)
	s.dead("evt_1", "invoice.paid", "no row yet")
	s.asked(1, "receipt", "old")
	cause := "/causes/" + queue.Fingerprint("invoice.paid", "handler", "no row yet")
	s.as("Reader")
	p := s.console(console.Console{})
	var mu sync.Mutex
	var called []string
	record := func(operation string) {
		mu.Lock()
		defer mu.Unlock()
		called = append(called, operation[strings.LastIndex(operation, ".")+1:])
	}
	s.called.Store(&record)
	for _, page := range []string{"/causes", cause, cause + "/print", "/dead", "/replay", "/mail", "/pause", "/jobs"} {
		p.get(page)
	}
	s.called.Store(nil)
	reads := []string{"", "GetItem", "Query", "Scan", "BatchGetItem", "GetQueueAttributes", "DescribeTable"}
	for _, operation := range called {
		if !slices.Contains(reads, operation) {
			t.Errorf("a page calls %s", operation)
		}
	}
	if len(called) == 0 {
		t.Error("no call is seen")
	}
}

// TestConsolePauses: a type is paused after the confirm, its held events are shown and counted,
// and a resume moves them back.
func TestConsolePauses(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	_, s.info.StripeURL = localtest.Stripe(t)
	s.writeInfo()
	p := s.console(console.Console{})
	job := p.submit("/pause", "/pause/set", "type=invoice.paid", "note=the tax service is down")
	p.until(job, "asking", "pause invoice.paid")
	if len(s.pauses().Paused) != 0 {
		t.Error("it is paused before the confirm")
	}
	p.confirm(job)
	p.until(job, "done", "invoice.paid is paused since")
	if m := s.pauses().Paused["invoice.paid"]; m.Why != "the tax service is down" {
		t.Errorf("the switch: %+v", m)
	}
	s.held("evt_1", "invoice.paid")
	s.held("evt_2", "invoice.paid")
	p.until("/pause", "invoice.paid paused", "the tax service is down", "2 held events", "Resume")
	p.until(p.submit("/pause", "/pause/list"), "done", "invoice.paid paused")
	job = p.submit("/pause", "/pause/resume", "type=invoice.paid", "rate=500", "note=it is back")
	p.until(job, "asking", "resume invoice.paid")
	p.confirm(job)
	p.until(job, "done", "2 held events sent to the queue", "Resumed: nothing is left to do.")
	p.until("/pause", "Nothing is paused.", "0 held events")
	if got := s.messages(); len(got) != 2 {
		t.Errorf("%d messages are in the queue, want 2", len(got))
	}
}
