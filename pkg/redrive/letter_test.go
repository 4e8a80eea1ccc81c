package redrive_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
	"tollgate/pkg/redrive"
)

// letter browses a queue of one message.
func letter(t *testing.T, m redrive.Received) (l redrive.Letter, payload string) {
	t.Helper()
	_, err := redrive.Browse(t.Context(), &fakeQueue{entries: []*entry{{m: m}}}, redrive.Options{}, func(got redrive.Letter, p []byte) bool {
		l, payload = got, string(p)
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return l, payload
}

func TestLetter(t *testing.T) {
	header := func(e event.Envelope) event.Envelope { e.Body = nil; return e }
	ours := queue.DeadLetter{
		Reason: "handler", Error: "card 4242 is gone", Fingerprint: "0123456789ab",
		EventID: "evt_1", EventType: "invoice.paid", Attempt: 3,
	}
	lost := queue.DeadLetter{Reason: "undecodable", Error: "undecodable message: body is not base64", Fingerprint: "ab"}
	idOnly := envelope(1)
	idOnly.Body = nil
	const newer, newerWhy = `{"v":2,"id":"evt_1","type":"invoice.paid"}`, "message of a newer release: version 2, this reader knows 1"
	plain := redrive.Received{Message: queue.Message{ID: "m1", Body: "no message", SentAt: start.Add(time.Second)}, FirstReceived: start}
	marked := plain
	marked.Attributes = lost.Attributes()
	const why = "undecodable message: not the JSON of a message"
	tests := []struct {
		name    string
		m       redrive.Received
		want    redrive.Letter // without what all share
		payload string
	}{
		{
			"sent by the consumer", message(t, 1, envelope(1), ours.Attributes()),
			redrive.Letter{Event: header(envelope(1)), Cause: ours, From: redrive.FromMessage}, `{"secret":1}`,
		},
		{
			"moved by the queue", message(t, 1, envelope(1), nil),
			redrive.Letter{Event: header(envelope(1)), From: redrive.FromQueue, Cause: queue.DeadLetter{
				Reason: redrive.ReasonMaxReceives, EventID: "evt_1", EventType: "invoice.paid",
				Fingerprint: queue.Fingerprint("invoice.paid", redrive.ReasonMaxReceives, ""),
			}}, `{"secret":1}`,
		},
		{
			"moved, with a stranger's attributes", message(t, 1, envelope(1), map[string]string{"color": "red"}),
			redrive.Letter{Event: header(envelope(1)), From: redrive.FromQueue, Cause: queue.DeadLetter{
				Reason: redrive.ReasonMaxReceives, EventID: "evt_1", EventType: "invoice.paid",
				Fingerprint: queue.Fingerprint("invoice.paid", redrive.ReasonMaxReceives, ""),
			}}, `{"secret":1}`,
		},
		{
			"id-only", message(t, 1, idOnly, ours.Attributes()),
			redrive.Letter{Event: idOnly, Cause: ours, From: redrive.FromMessage, IDOnly: true}, "",
		},
		{
			"undecodable, sent by the consumer", marked,
			redrive.Letter{Cause: lost, From: redrive.FromMessage, Undecodable: why}, "no message",
		},
		{
			"undecodable, moved by the queue", plain,
			redrive.Letter{Undecodable: why, From: redrive.FromQueue, Cause: queue.DeadLetter{
				Reason: "undecodable", Error: why, Fingerprint: queue.Fingerprint("", "undecodable", why),
			}}, "no message",
		},
		{
			"of a newer release, moved by the queue", redrive.Received{Message: queue.Message{ID: "m1", Body: newer, SentAt: start.Add(time.Second)}, FirstReceived: start},
			redrive.Letter{Undecodable: newerWhy, From: redrive.FromQueue, Cause: queue.DeadLetter{
				Reason: "newer_version", Error: newerWhy, EventID: "evt_1", EventType: "invoice.paid", Fingerprint: queue.Fingerprint("invoice.paid", "newer_version", newerWhy),
			}}, newer,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, payload := letter(t, tt.m)
				if strings.HasPrefix(got.Undecodable, why) { // what follows is the JSON reader's
					got.Undecodable = why
				}
				if strings.HasPrefix(got.Cause.Error, why) {
					got.Cause.Fingerprint = queue.Fingerprint("", "undecodable", why)
					got.Cause.Error = why
				}
				tt.want.MessageID, tt.want.Receives, tt.want.SentAt, tt.want.FirstReceived = "m1", 1, start.Add(time.Second), start
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Error(diff)
				}
				if payload != tt.payload {
					t.Errorf("payload is %q, want %q", payload, tt.payload)
				}
			})
		})
	}
}

func TestExplain(t *testing.T) {
	moved := func(id string) redrive.Letter {
		return redrive.Letter{
			Event: event.Envelope{ID: id, Type: "invoice.paid"}, From: redrive.FromQueue,
			Cause: queue.DeadLetter{Reason: redrive.ReasonMaxReceives, EventID: id, EventType: "invoice.paid", Fingerprint: "f"},
		}
	}
	sent := redrive.Letter{Event: event.Envelope{ID: "evt_failed"}, From: redrive.FromMessage, Cause: queue.DeadLetter{Reason: "handler"}}
	ident := func(id string) string { return idempotency.Ident(moved(id).Event) }
	table := records{
		"evt_failed":   {State: idempotency.Failed, Err: "timeout after 8 s", Attempt: 16, Ident: ident("evt_failed")},
		"evt_parked":   {State: idempotency.Failed, Err: "gone", Reason: "object_gone", Attempt: 2, Ident: ident("evt_parked")},
		"evt_done":     {State: idempotency.Done, Err: "earlier", Attempt: 4, Ident: ident("evt_done")},
		"evt_another":  {State: idempotency.Done, Err: "another's", Attempt: 4, Ident: ident("evt_done")},
		"evt_odd":      {State: idempotency.Done, Err: "odd", Attempt: 4, Ident: ident("evt_odd"), Broken: "att is no number"},
		"evt_nameless": {State: idempotency.Done, Err: "another's", Attempt: 4},
	}
	told := func(id string, done bool, reason, text string, attempt int64) redrive.Letter {
		l := moved(id)
		l.From, l.Done = redrive.FromRecord, done
		l.Cause.Reason, l.Cause.Error, l.Cause.Attempt = reason, text, attempt
		l.Cause.Fingerprint = queue.Fingerprint("invoice.paid", reason, text)
		return l
	}
	letters := []redrive.Letter{moved("evt_failed"), moved("evt_parked"), moved("evt_done"), moved("evt_unknown"), moved("evt_another"), moved("evt_nameless"), moved("evt_odd"), sent, {From: redrive.FromQueue}}
	want := []redrive.Letter{
		told("evt_failed", false, "max_receives", "timeout after 8 s", 16), told("evt_parked", false, "object_gone", "gone", 2),
		told("evt_done", true, "max_receives", "earlier", 4), moved("evt_unknown"), moved("evt_another"), moved("evt_nameless"), moved("evt_odd"), sent, {From: redrive.FromQueue},
	}
	if err := redrive.Explain(t.Context(), table, letters); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, letters); diff != "" {
		t.Error(diff)
	}

	if err := redrive.Explain(t.Context(), table, []redrive.Letter{moved("evt_broken")}); err == nil || !strings.Contains(err.Error(), "table is away") {
		t.Errorf("error is %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := redrive.Explain(cancelled, table, letters); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestGroupLetters(t *testing.T) {
	one := func(typ, reason, text string, attempt int64, second int, done bool) redrive.Letter {
		id := typ + "-" + text
		return redrive.Letter{
			Event: event.Envelope{ID: id, Type: typ}, SentAt: start.Add(time.Duration(second) * time.Second), Done: done,
			Cause: queue.DeadLetter{Reason: reason, Error: text, Attempt: attempt, Fingerprint: queue.Fingerprint(typ, reason, text)},
		}
	}
	got := redrive.GroupLetters([]redrive.Letter{
		one("invoice.paid", "handler", "no row 1", 3, 20, false),
		one("charge.failed", "handler", "no row 9", 1, 5, false),
		one("invoice.paid", "handler", "no row 2", 7, 10, true),
		one("invoice.paid", "max_receives", "no row 3", 16, 50, false),
		one("invoice.paid", "handler", "no row 4", 2, 30, false),
		{SentAt: start, Cause: queue.DeadLetter{Reason: "undecodable", Error: "x", Fingerprint: "f"}},
	})
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	want := []redrive.Group{
		{"invoice.paid", "handler", queue.Fingerprint("invoice.paid", "handler", "no row 1"), 3, 1, "no row 4", "invoice.paid-no row 4", 7, at(10), at(30)},
		{"", "undecodable", "f", 1, 0, "x", "", 0, start, start},
		{"charge.failed", "handler", queue.Fingerprint("charge.failed", "handler", "no row 9"), 1, 0, "no row 9", "charge.failed-no row 9", 1, at(5), at(5)},
		{"invoice.paid", "max_receives", queue.Fingerprint("invoice.paid", "max_receives", "no row 3"), 1, 0, "no row 3", "invoice.paid-no row 3", 16, at(50), at(50)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := redrive.GroupLetters(nil); len(got) != 0 {
		t.Errorf("no letters make %v", got)
	}
}
