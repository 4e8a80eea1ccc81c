package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// status reads an event's status with the command.
func (s *system) status(id string) string {
	s.t.Helper()
	return lines[verb.RecordView](s.t, s.tollgate("events", "show", id, "--json").ok(s.t).out)[0].Status
}

// changedLine is what a verb that changes one record prints as JSON.
type changedLine struct{ ID, Result string }

func TestEventsPurge(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_waits", "invoice.paid", "", "no row", 9)
	s.claim("evt_died", "invoice.paid", 0, 15, after(30))
	s.claim("evt_runs", "invoice.paid", 0, 15, time.Now().Add(time.Hour))
	s.done("evt_done", "invoice.paid", idempotency.Applied, nil)
	for _, id := range []string{"evt_waits", "evt_died"} {
		got := s.tollgate("events", "purge", id, "--note=ticket 1204", "--json").ok(t)
		if v := lines[changedLine](t, got.out)[0]; v != (changedLine{id, "given_up"}) || s.status(id) != "purged" {
			t.Errorf("%+v, status %s", v, s.status(id))
		}
		s.tollgate("events", "purge", id, "--note=again").ok(t)
	}
	v := lines[verb.RecordView](t, s.tollgate("events", "show", "evt_waits", "--json").ok(t).out)[0]
	if v.PurgeBy != verb.Operator() || v.PurgeWhy != "again" {
		t.Errorf("%+v", v)
	}
	s.tollgate("events", "purge", "evt_runs", "--note=x").refused(t, verb.ExitFailed, "an attempt of it runs")
	s.tollgate("events", "purge", "evt_done", "--note=x").refused(t, verb.ExitFailed, "it is done")
	s.tollgate("events", "purge", "evt_unknown", "--note=x").refused(t, verb.ExitFailed, "is not known")
	s.tollgate("events", "purge", "evt_waits").refused(t, verb.ExitUsage, "--note")
	s.tollgate("events", "purge", "evt_waits", "--note= ").refused(t, verb.ExitUsage, "--note")
	if trail := s.tollgate("audit", "list", "--json", "--verb=events purge").ok(t).out; strings.Count(trail, `"outcome":"given_up"`) != 4 || !strings.Contains(trail, "ticket 1204") {
		t.Errorf("the audit trail is %s", trail)
	}
	// A claim of a message that still came undoes it.
	s.claim("evt_waits", "invoice.paid", 60, 8, time.Now().Add(time.Hour))
	if got := s.status("evt_waits"); got != "running" {
		t.Errorf("status %s after a claim", got)
	}
}

// TestReplayUndoesAPurge, also of an event whose last attempt died.
func TestReplayUndoesAPurge(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	withStripe(t, s, paid("evt_failed", "in_1"), paid("evt_died", "in_2"))
	c := s.claimed(paid("evt_failed", "in_1"), "")
	_, err := s.store.Fail(t.Context(), c, idempotency.Failure{Now: after(1), Err: "no row", Reason: "handler"})
	check(t, err)
	e, err := event.Parse([]byte(paid("evt_died", "in_2")))
	check(t, err)
	_, err = s.store.Claim(t.Context(), idempotency.ClaimRequest{Event: e, Owner: idempotency.NewOwner(), Now: time.Now(), Lease: time.Now().Add(-6 * time.Second), LeaseExpiredBefore: at, Receives: 16})
	check(t, err)
	for _, id := range []string{"evt_failed", "evt_died"} {
		s.tollgate("events", "purge", id, "--note=x").ok(t)
		if got := s.keyed("events", "replay", id, "--note=after all").ok(t); !strings.Contains(got.out, "the replay removes the mark") {
			t.Errorf("%+v", got)
		}
	}
	var sent []string
	for _, e := range s.messages() {
		sent = append(sent, e.ID)
	}
	slices.Sort(sent)
	if !slices.Equal(sent, []string{"evt_died", "evt_failed"}) {
		t.Errorf("sent %v", sent)
	}
}

// movedDeadLetters leaves events that the queue moved, of one account each, with their records.
func (s *system) movedDeadLetters(accounts ...string) {
	s.t.Helper()
	for i, account := range accounts {
		e := envelope(fmt.Sprint("evt_moved", i), "invoice.paid")
		e.Account, e.Endpoint = account, "connect"
		got, err := s.store.Claim(s.t.Context(), idempotency.ClaimRequest{Event: e, Owner: idempotency.NewOwner(), Now: at, Lease: after(30), LeaseExpiredBefore: at, Receives: 16})
		check(s.t, err)
		_, err = s.store.Fail(s.t.Context(), got.Claim, idempotency.Failure{Now: after(1), Err: "no row"})
		check(s.t, err)
		s.moved(encoded(s.t, e))
	}
}

const policiesOfTest = `{"connect":{"accounts":["acct_eu"]}}`

// TestPurgeAsksLambda for the policies that the consumer has, and keeps what it cannot decide on.
func TestPurgeAsksLambda(t *testing.T) {
	d := newDeployed(t)
	d.env["TOLLGATE_DLQ_URL"] = d.info.DLQURL
	d.movedDeadLetters("acct_eu", "acct_us")
	d.deadLetter(envelope("evt_ours", "invoice.paid"), "handler", "no row", 1)
	purge := func(name string) (answer, purgeReport) {
		got := tollgate(t.Context(), d.env, "dlq", "purge", "--all", "--note=x", "--yes", "--json", "--out="+filepath.Join(d.data, name))
		return got, lines[purgeReport](t, got.out)[0]
	}
	d.refuses["GetFunctionConfiguration"] = "AccessDeniedException"
	got, v := purge("denied")
	if got.failed(t, "policies are not known", "lambda:GetFunctionConfiguration"); v.NoPolicy != 2 || v.Deleted != 1 || v.NoRecord != 1 {
		t.Errorf("%+v", v)
	}
	d.refuses, d.variables = nil, map[string]string{"TOLLGATE_ENDPOINTS": policiesOfTest}
	if got, v = purge("allowed"); got.code != verb.ExitDone || v.Deleted != 2 || v.Marked != 1 || v.Excluded != 1 {
		t.Errorf("exit %d, %+v, %s", got.code, v, got.err)
	}
}
