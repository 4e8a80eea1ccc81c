package redrive_test

import (
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

// decoded plans a queue of one message.
func decoded(t *testing.T, m redrive.Received) (d redrive.DeadLetter, payload string) {
	t.Helper()
	_, err := dlq(&fakeQueue{entries: []*entry{{m: m}}}, nil, records{}).Plan(t.Context(), redrive.Selection{Each: func(got redrive.DeadLetter, p []byte) (bool, error) {
		d, payload = got, string(p)
		return false, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return d, payload
}

func TestDeadLetter(t *testing.T) {
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
		want    redrive.DeadLetter // without what all share
		payload string
	}{
		{
			"sent by the consumer", message(t, 1, envelope(1), ours.Attributes()),
			redrive.DeadLetter{Event: header(envelope(1)), Cause: ours, From: redrive.FromMessage}, `{"secret":1}`,
		},
		{
			"moved, with a stranger's attributes", message(t, 1, envelope(1), map[string]string{"color": "red"}),
			redrive.DeadLetter{Event: header(envelope(1)), From: redrive.FromQueue, Cause: queue.DeadLetter{
				Reason: redrive.ReasonMaxReceives, EventID: "evt_1", EventType: "invoice.paid",
				Fingerprint: queue.Fingerprint("invoice.paid", "", ""),
			}}, `{"secret":1}`,
		},
		{
			"id-only", message(t, 1, idOnly, ours.Attributes()),
			redrive.DeadLetter{Event: idOnly, Cause: ours, From: redrive.FromMessage, IDOnly: true}, "",
		},
		{
			"undecodable, sent by the consumer", marked,
			redrive.DeadLetter{Cause: lost, From: redrive.FromMessage, Undecodable: why}, "no message",
		},
		{
			"undecodable, moved by the queue", plain,
			redrive.DeadLetter{Undecodable: why, From: redrive.FromQueue, Cause: queue.DeadLetter{
				Reason: "undecodable", Error: why, Fingerprint: queue.Fingerprint("", "undecodable", why),
			}}, "no message",
		},
		{
			"of a newer release, moved by the queue", redrive.Received{Message: queue.Message{ID: "m1", Body: newer, SentAt: start.Add(time.Second)}, FirstReceived: start},
			redrive.DeadLetter{Undecodable: newerWhy, From: redrive.FromQueue, Cause: queue.DeadLetter{
				Reason: "newer_version", Error: newerWhy, EventID: "evt_1", EventType: "invoice.paid", Fingerprint: queue.Fingerprint("invoice.paid", "newer_version", newerWhy),
			}}, newer,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, payload := decoded(t, tt.m)
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

// TestCauseFromRecord: a message that the queue moved gets its cause from its event's record,
// if that has the event's identity.
func TestCauseFromRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, of := &fakeQueue{}, map[string]event.Envelope{}
		for i, id := range []string{"evt_failed", "evt_parked", "evt_done", "evt_unknown", "evt_another", "evt_odd", "evt_nameless", "evt_sent"} {
			e := envelope(i)
			e.ID = id
			of[id] = e
			q.add(message(t, i, e, map[string]map[string]string{"evt_sent": queue.DeadLetter{Reason: "handler"}.Attributes()}[id]))
		}
		q.add(redrive.Received{Message: queue.Message{ID: "odd", Body: "no message"}})
		ident := func(id string) string { return idempotency.Identity(of[id]) }
		table := records{
			"evt_failed":   {State: idempotency.Failed, Err: "timeout after 8 s", Attempt: 16, Identity: ident("evt_failed")},
			"evt_parked":   {State: idempotency.Failed, Err: "gone", Reason: "object_gone", Attempt: 2, Identity: ident("evt_parked")},
			"evt_done":     {State: idempotency.Done, Err: "earlier", Attempt: 4, Identity: ident("evt_done")},
			"evt_another":  {State: idempotency.Done, Err: "another's", Attempt: 4, Identity: ident("evt_done")},
			"evt_odd":      {State: idempotency.Done, Err: "odd", Attempt: 4, Identity: ident("evt_odd"), Broken: "att is not a number"},
			"evt_nameless": {State: idempotency.Done, Err: "another's", Attempt: 4},
			"evt_sent":     {State: idempotency.Failed, Err: "timeout", Attempt: 4, Identity: ident("evt_sent")},
		}
		type cause struct {
			From   redrive.From
			Done   bool
			Reason string
			Error  string
		}
		got := map[string]cause{}
		_, err := dlq(q, nil, table).Plan(t.Context(), redrive.Selection{Each: func(d redrive.DeadLetter, _ []byte) (bool, error) {
			c := cause{d.From, d.Done, d.Cause.Reason, d.Cause.Error}
			if d.From != redrive.FromMessage && d.Cause.Fingerprint != queue.Fingerprint(d.Type(), strings.TrimPrefix(c.Reason, redrive.ReasonMaxReceives), c.Error) {
				t.Errorf("fingerprint of %+v", d)
			}
			if d.Undecodable != "" {
				c.Error = ""
			}
			got[d.EventID()] = c
			return true, nil
		}})
		unknown := cause{redrive.FromQueue, false, "max_receives", ""}
		want := map[string]cause{
			"evt_failed": {redrive.FromRecord, false, "max_receives", "timeout after 8 s"}, "evt_parked": {redrive.FromRecord, false, "object_gone", "gone"},
			"evt_done": {redrive.FromRecord, true, "max_receives", "earlier"}, "evt_sent": {redrive.FromMessage, false, "handler", ""},
			"evt_unknown": unknown, "evt_another": unknown, "evt_nameless": unknown, "evt_odd": unknown, "": {redrive.FromQueue, false, "undecodable", ""},
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}

func TestGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, table := &fakeQueue{}, records{}
		add := func(typ, reason, text string, attempt int64, second int, done bool) {
			e := envelope(second)
			e.Type = typ
			if done {
				table[e.ID] = idempotency.Record{State: idempotency.Done, Identity: idempotency.Identity(e)}
			}
			q.add(message(t, second, e, queue.DeadLetter{Reason: reason, Error: text, Attempt: attempt, Fingerprint: queue.Fingerprint(typ, reason, text)}.Attributes()))
		}
		add("invoice.paid", "handler", "no row 1", 3, 20, false)
		add("charge.failed", "handler", "no row 9", 1, 5, false)
		add("invoice.paid", "handler", "no row 2", 7, 10, true)
		add("invoice.paid", "max_receives", "no row 3", 16, 50, false)
		add("invoice.paid", "handler", "no row 4", 2, 30, false)
		q.add(redrive.Received{Message: queue.Message{ID: "x", Body: "x", SentAt: start}, Attributes: queue.DeadLetter{Reason: "undecodable", Error: "x", Fingerprint: "f"}.Attributes()})
		at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
		fingerprint := queue.Fingerprint
		want := []redrive.Group{
			{3, "invoice.paid", "handler", "no row 4", fingerprint("invoice.paid", "handler", "no row 1"), 7, at(10), at(30), "evt_30", 1},
			{1, "", "undecodable", "x", "f", 0, start, start, "", 0},
			{1, "charge.failed", "handler", "no row 9", fingerprint("charge.failed", "handler", "no row 9"), 1, at(5), at(5), "evt_5", 0},
			{1, "invoice.paid", "max_receives", "no row 3", fingerprint("invoice.paid", "max_receives", "no row 3"), 16, at(50), at(50), "evt_50", 0},
		}
		if diff := cmp.Diff(want, planned(t, q, table, redrive.Filter{}).Groups); diff != "" {
			t.Error(diff)
		}
	})
}
