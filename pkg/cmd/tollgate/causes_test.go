package main

import (
	"regexp"
	"strings"
	"testing"

	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/causes"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// failing puts events of three causes into the system: one whose record alone tells, before and
// after it is dead, and two that have a dead letter only.
func failing(t *testing.T, s *system) (fingerprint string) {
	s.failed("evt_1", "invoice.paid", "", "no row 17", 15)
	s.failed("evt_2", "invoice.paid", "", "no row 4", 0)
	s.moved(encoded(t, envelope("evt_2", "invoice.paid")))
	s.deadLetter(envelope("evt_3", "charge.failed"), "livemode", "test mode", 0)
	s.done("evt_4", "invoice.paid", idempotency.Applied, nil)
	s.moved(encoded(t, envelope("evt_4", "invoice.paid")))
	return queue.Fingerprint("invoice.paid", "", "no row 1")
}

// TestCauses: an event's failure is shown with its cause before it is dead, and a dead one once.
func TestCauses(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.tollgate("causes").ok(t)
	fingerprint := failing(t, s)
	s.as("Reader")

	got := s.tollgate("causes", "--json").ok(t)
	list := lines[causes.Cause](t, got.out)
	if !strings.Contains(got.err, `"letters":{"read":3,"hidden":0,"more":false,"certain":true},"more":false,"read":2`) || len(list) != 3 {
		t.Fatalf("%d causes, stderr %s", len(list), got.err)
	}
	c := list[0]
	if c.Fingerprint != fingerprint || c.Events != 2 || c.Dead != 1 || c.Retrying != 1 || c.Letters != 1 || c.LeftMin != 15 || c.Frame != "handlers.paid invoice.go:42" ||
		!c.First.Equal(after(0)) || !c.Last.Equal(after(1)) || len(c.IDs) != 2 || c.Alarm != "dead-letters" {
		t.Errorf("the cause of two events: %+v", c)
	}
	if p := list[1]; p.Type != "charge.failed" || p.Reason != "livemode" || p.Events != 1 {
		t.Errorf("the parked one's: %+v", p)
	}
	if p := list[2]; p.Events != 0 || p.Leftovers != 1 {
		t.Errorf("the leftover's: %+v", p)
	}

	alone := lines[causes.Cause](t, s.tollgate("causes", "--records", "--json").ok(t).out)
	grouped := s.tollgate("events", "list", "--group", "--limit=1", "--json").ok(t).out
	if len(alone) != 1 || alone[0].Events != 2 || alone[0].Letters != 0 || len(lines[causes.Cause](t, grouped)) != 1 {
		t.Errorf("of records: %+v\n%s", alone, grouped)
	}
	if one := lines[causes.Cause](t, s.tollgate("causes", "--type", "charge.*", "--json").ok(t).out); len(one) != 1 || one[0].Type != "charge.failed" {
		t.Errorf("of charges: %+v", one)
	}
	s.allVisible(3)
}

// TestCausesForPeople: the table, one cause in full, and what is wrong use.
func TestCausesForPeople(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	fingerprint := failing(t, s)
	table := s.tollgate("causes").ok(t)
	for _, want := range []string{`(?m)^EVENTS  DEAD  TYPE .*ALARM .*ERROR$`, `(?m)^2  +1  +invoice.paid .* 15 .*` + fingerprint + ` +evt_[12] +dead-letters +no row \d+ \(handlers.paid invoice.go:42\)$`} {
		if !regexp.MustCompile(want).MatchString(table.out) {
			t.Errorf("no %s in\n%s", want, table.out)
		}
	}
	if !strings.Contains(table.err, "2 records and 3 dead letters read") {
		t.Errorf("stderr %q", table.err)
	}
	one := s.tollgate("causes", fingerprint).ok(t).out
	for _, want := range []string{"2: 1 retrying, 1 dead", "handlers.paid invoice.go:42", "infra/README.md#redrive-after-a-bug-fix", "tollgate redrive --error " + fingerprint, "2023-11-14 22:13:20 UTC", "evt_1", "evt_2"} {
		if !strings.Contains(one, want) {
			t.Errorf("no %q in\n%s", want, one)
		}
	}
	s.tollgate("causes", "000000000000").refused(t, verb.ExitFailed, "no event fails with fingerprint 000000000000")
	s.tollgate("causes", "--type", "invoice*").refused(t, verb.ExitUsage, "--type")
	s.tollgate("causes", "--max-read", "200000").refused(t, verb.ExitUsage, "--max-read")
	s.tollgate("events", "list", "--group", "--status", "done").refused(t, verb.ExitUsage, "--group")
}

// TestCausesWithoutTheQueue: dead letters that cannot be read are counted, and records still tell.
func TestCausesWithoutTheQueue(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	failing(t, s)
	_, err := s.sqs.ReceiveMessage(t.Context(), &sdksqs.ReceiveMessageInput{QueueUrl: &s.info.DLQURL, MaxNumberOfMessages: 1, VisibilityTimeout: 600})
	check(t, err)
	if got := s.tollgate("causes"); got.code != verb.ExitFailed || !strings.Contains(got.out, "no row") || !strings.Contains(got.err, "1 dead letter is hidden by another reader and left out") {
		t.Errorf("with a hidden dead letter: %+v", got)
	}
	held, free := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		other := redrive.DLQ{Locks: s.writer, Operator: "bob", Verb: "redrive", Limits: limits.Scaled(scale), Queue: s.queue.DeadLetters()}
		_, err := other.Plan(t.Context(), redrive.Selection{Match: func(redrive.Received) bool { return false }, OnRead: func(int) {
			close(held)
			<-free
		}})
		done <- err
	}()
	<-held
	got := s.tollgate("causes", "--json")
	close(free)
	check(t, <-done)
	if list := lines[causes.Cause](t, got.out); got.code != verb.ExitFailed || len(list) != 1 || !strings.Contains(got.err, "bob") {
		t.Errorf("while another operator works on the queue: %+v", got)
	}
}

// TestShowAttempts: the failed attempts with their times and frames, what is not in the list, and
// none once the event is done.
func TestShowAttempts(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	for n := range 12 {
		c := s.claim("evt_1", "invoice.paid", 60*n, 15, after(60*n+30))
		if n == 10 {
			continue // killed
		}
		_, err := s.store.Fail(t.Context(), c, idempotency.Failure{Now: after(60*n + 2), Err: "503", ReceivesLeft: 4, Fingerprint: "0a1b2c3d4e5f", Frame: "stripeapi.get get.go:4"})
		check(t, err)
	}
	show := func() string { return s.tollgate("events", "show", "evt_1").ok(t).out }
	for _, want := range []string{
		`failed attempts, the last 10 of 11:`, `(?m)^2 +2023-11-14 22:14:20 UTC +2s +0a1b2c3d4e5f +stripeapi.get get.go:4$`, `(?m)^12 +2023-11-14 22:24:20 UTC`,
		`attempts 11 wrote no failure: killed`, `killed at a message's first receive has no number`,
	} {
		if got := show(); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	c := s.claim("evt_1", "invoice.paid", 1000, 3, after(1030))
	_, err := s.store.Complete(t.Context(), c, idempotency.Applied, dispatch.Effects{}, after(1001))
	check(t, err)
	if got := show(); !strings.Contains(got, "11 attempts failed before it was done; the completion removed the history") {
		t.Errorf("done:\n%s", got)
	}
}
