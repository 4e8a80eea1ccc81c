package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/events"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// logged adds a line to a function's log.
func (s *system) logged(function string, when time.Time, line string, args ...any) {
	s.aws.Logs.Put(limits.LogGroup("events", function), when, fmt.Appendf(nil, line, args...))
}

// TestEventsShowStory tells an event that failed, was redriven and is done, in the order of time.
func TestEventsShowStory(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	now := time.Now().UTC().Truncate(time.Millisecond)
	s.done("evt_1", "invoice.paid", idempotency.Applied, dispatch.Effects{
		dispatch.Insert("FACT#live#acct_1#in_1#paid", dispatch.Fields{"amount": 1000, "event_id": "evt_1"}),
		dispatch.Swap("OBJ#live#acct_1#in_1", 0, dispatch.Fields{"event_id": "evt_2"}),
		dispatch.Message(dispatch.MessageKey("FACT#live#acct_1#in_1#paid", "receipt"), at, dispatch.Fields{"name": "receipt", "to": "cus_1"}),
	})
	s.logged("ingest", after(1), `{"message":"delivery","event_id":"evt_1","outcome":"enqueued","endpoint":"connect","verified_by":"1","message_id":"m-1","request_id":"r-1"}`)
	s.logged("ingest", after(1), `{"message":"delivery","event_id":"evt_2","outcome":"enqueued","endpoint":"other"}`)
	s.logged("consumer", after(2), `{"message":"event","event_id":"evt_1","outcome":"failed","attempt":1,"receives":1,"handler_ms":1000,"error":"no \u001b[31mrow","retry_in_ms":30000}`)
	s.logged("consumer", after(9), `{"message":"event","event_id":"evt_1","outcome":"duplicate","attempt":0,"receives":2}`)
	begin := func(e dynamostore.AuditEntry) {
		id, err := s.writer.BeginAudit(t.Context(), e)
		check(t, err)
		check(t, s.writer.EndAudit(t.Context(), id, "redriven 1 of 1", e.StartedAt.Add(time.Second)))
	}
	begin(dynamostore.AuditEntry{Verb: "redrive", By: "ann", Why: "fixed", Detail: "type invoice.*; 1 of 1 dead letters", StartedAt: after(1)})
	begin(dynamostore.AuditEntry{Verb: "redrive", By: "bob", Why: "other", Detail: "type charge.failed; 1 of 1 dead letters", StartedAt: after(1)})
	begin(dynamostore.AuditEntry{Verb: "events replay", By: "eve", Why: "rate", Detail: "1 event: evt_1", StartedAt: after(20)})
	begin(dynamostore.AuditEntry{Verb: "events replay", By: "joe", Why: "rate", Detail: "1 event: evt_10", StartedAt: after(20)})

	for _, caller := range []string{"Operator", "Reader"} {
		s.as(caller)
		text := s.tollgate("events", "show", "evt_1", "--story").ok(t).out
		rest := text
		for _, want := range []string{
			"Created at Stripe", "endpoint connect", "signing secret: 2 of the endpoint's list", "SQS message: m-1", "request: r-1",
			"Attempt 1: failed", "handler took: 1.0 s", "error: no ", "Redrive that may have included it", "by: ann", "because: fixed",
			"Done: applied", "2 items, 1 message", "Message receipt requested", "done before", "Replay", "by: eve",
		} {
			_, after, found := strings.Cut(rest, want)
			if !found {
				t.Fatalf("%s: no %q in its place in\n%s", caller, want, text)
			}
			rest = after
		}
		for _, never := range []string{"other", "bob", "joe", "evt_10", "\x1b"} {
			if strings.Contains(text, never) {
				t.Errorf("%s: %q in\n%s", caller, never, text)
			}
		}
	}
	var story events.Story
	check(t, json.Unmarshal([]byte(s.tollgate("events", "show", "evt_1", "--story", "--json").ok(t).out), &story))
	if story.Mode != "live" || story.Account != "acct_1" || len(story.Log.Deliveries) != 1 || len(story.Written) != 2 || len(story.Messages) != 1 || len(story.Changes) != 2 {
		t.Errorf("%+v", story)
	}
	if w := story.Written; !strings.HasPrefix(w[0].Before, "nothing") || w[1].Since != "evt_2" || !strings.Contains(w[1].Before, "later event") {
		t.Errorf("written %+v", w)
	}
	if refused := s.rights.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}

	s.logged("ingest", now, `{"message":"delivery","event_id":"evt_new","outcome":"enqueued","endpoint":"default"}`)
	if text := s.tollgate("events", "show", "evt_new", "--story").ok(t).out; !strings.Contains(text, "endpoint default") {
		t.Errorf("%s", text)
	}
	s.tollgate("events", "show", "evt_none", "--story").refused(t, verb.ExitFailed, "event evt_none is not known", "it never arrived")
}

// TestStoryWithoutLogs: without the right to search, the story comes from the record.
func TestStoryWithoutLogs(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	s.failed("evt_1", "invoice.paid", "handler", "no plan", 0)
	s.as("EraseRole")
	got := s.tollgate("events", "show", "evt_1", "--story").ok(t)
	if !strings.Contains(got.out, "Attempt 1: failed") || !strings.Contains(got.out, "no plan") || !strings.Contains(got.out, "No attempt follows") || !strings.Contains(got.err, "log group") {
		t.Errorf("%+v", got)
	}
}
