package handlers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/idempotency/idempotencytest"
)

// beginAt is the begin of every account's history; zero: none yet.
type beginAt time.Time

func (b beginAt) Begin(context.Context, bool, string) (time.Time, bool, error) {
	return time.Time(b), !time.Time(b).IsZero(), nil
}

// worldSince is a world whose history begins at a time.
func worldSince(begin time.Time) *world {
	w := &world{Memory: idempotencytest.NewMemory(nil), says: map[string]string{}}
	w.mux = dispatch.NewMux(dispatch.Config{APIVersion: stripe.APIVersion, Objects: w, Rows: w, Hold: dispatch.Hold{Begins: beginAt(begin)}})
	handlers.Register(w.mux)
	return w
}

// letter is one message of the queue: how its event came, when, and when it is handled.
type letter struct {
	src               event.Source
	received, handled time.Time
}

// listOf handles an event whose object Stripe shows as the event does, and returns how the
// one message that it asks for is listed: OUT#, or HELD# and why.
func (w *world) listOf(t *testing.T, body []byte, l letter) string {
	t.Helper()
	w.shows(t, body)
	env := parse(t, body)
	env.Source, env.ReceivedAt = l.src, l.received
	effects, err := w.mux.Dispatch(t.Context(), dispatch.Input{Envelope: env, Attempt: 1, Generation: 1, FirstAt: l.handled, Now: l.handled})
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for _, e := range effects {
		if e.Fields["kind"] != "outbox" {
			continue
		}
		if found != "" {
			t.Fatalf("%s asks for more than one message", env.Type)
		}
		found, _ = e.Fields["lst"].(string)
		found = found[:len(found)-1]
		if why, held := e.Fields["held"].(string); held {
			found += " " + why
		}
	}
	return found
}

// messageKinds are a golden event for each message, and when the state that its message tells
// of began, which is not when the event was made.
func messageKinds(t *testing.T) map[string]struct {
	body  []byte
	since int64
} {
	type kind = struct {
		body  []byte
		since int64
	}
	of := func(typ string, oldnew ...string) []byte { return golden(t, typ, oldnew...) }
	return map[string]kind{
		"receipt of an invoice":                  {of("invoice.paid"), 1795046463},
		"receipt of an invoice without paid_at":  {of("invoice.paid", `"paid_at": 1795046463`, `"paid_at": null`), 1795046464},
		"receipt of a payment":                   {of("payment_intent.succeeded"), 1795053664},
		"payment_failed of a payment":            {of("payment_intent.payment_failed"), 1795055403},
		"payment_failed of an invoice's attempt": {of("invoice.payment_failed"), 1797642064},
		"welcome":                                {of("customer.subscription.created"), 1795046460},
		"welcome to a subscription begun before": {of("customer.subscription.created", `"start_date": 1795046460`, `"start_date": 1790000000`), 1790000000},
		"dispute_opened":                         {of("charge.dispute.created"), 1795219200},
	}
}

func TestMessagesAboutOldStatesAreHeld(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	const sent, old, before = "OUT#", "HELD# old", "HELD# before_begin"
	for _, c := range []struct {
		name              string
		src               event.Source
		received, handled time.Duration // after the state; handled 0: at once
		begin             time.Duration // after the state
		began             bool
		want              string
	}{
		{name: "fresh webhook", src: event.Webhook, received: time.Second, want: sent},
		{name: "webhook 24 h late", src: event.Webhook, received: day, want: sent},
		{name: "webhook 25 h late", src: event.Webhook, received: 25 * hour, want: old},
		{name: "redrive after three days of what came fresh", src: event.Webhook, received: time.Second, handled: 3 * day, want: sent},
		{name: "redrive after 29 days of what came fresh, after the begin", src: event.Webhook, received: time.Second, handled: 29 * day, began: true, begin: -hour, want: sent},
		{name: "redrive of what came 25 h late", src: event.Webhook, received: 25 * hour, handled: 3 * day, want: old},
		{name: "reconciled within the hour", src: event.Reconcile, received: hour, want: sent},
		{name: "reconciled after 10 days", src: event.Reconcile, received: 10 * day, want: old},
		{name: "backfilled after 10 days", src: event.Backfill, received: 10 * day, want: old},
		{name: "backfilled within the hour, before the begin", src: event.Backfill, received: hour, began: true, begin: time.Second, want: before},
		{name: "fresh webhook, before the begin", src: event.Webhook, received: time.Second, began: true, begin: time.Second, want: before},
		{name: "fresh webhook, at the begin", src: event.Webhook, received: time.Second, began: true, want: sent},
		{name: "replayed after two days", src: event.Replay, received: 2 * day, want: old},
		{name: "replayed within the hour", src: event.Replay, received: hour, want: sent},
	} {
		for kind, m := range messageKinds(t) {
			t.Run(c.name+"/"+kind, func(t *testing.T) {
				state := time.Unix(m.since, 0)
				l := letter{src: c.src, received: state.Add(c.received), handled: state.Add(max(c.handled, c.received))}
				var begin time.Time
				if c.began {
					begin = state.Add(c.begin)
				}
				if got := worldSince(begin).listOf(t, m.body, l); got != c.want {
					t.Errorf("listed under %q, want %q", got, c.want)
				}
			})
		}
	}
}

// TestEmptyTableSendsNoOldReceipts: reconcile found six paid invoices of the last four
// weeks, when the history began just now.
func TestEmptyTableSendsNoOldReceipts(t *testing.T) {
	now := time.Unix(1795046464, 0)
	for name, c := range map[string]struct {
		begin time.Time
		sent  int
	}{
		"the begin is known":   {now, 0},
		"no begin is known":    {time.Time{}, 2}, // those of the last day
		"the begin is earlier": {now.Add(-10 * time.Hour), 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, sent, held := worldSince(c.begin), 0, 0
			for i, days := range []float64{0.05, 0.9, 3, 10, 20, 28} {
				paid := now.Add(-time.Duration(days * float64(24*time.Hour)))
				body := golden(t, "invoice.paid", `"paid_at": 1795046463`, fmt.Sprintf(`"paid_at": %d`, paid.Unix()))
				body = bytes.ReplaceAll(body, []byte(parse(t, body).ObjectID), fmt.Appendf(nil, "in_%d", i))
				switch list := w.listOf(t, body, letter{src: event.Reconcile, received: now, handled: now.Add(time.Second)}); list[:4] {
				case "OUT#":
					sent++
				case "HELD":
					held++
				}
			}
			if sent != c.sent || sent+held != 6 {
				t.Errorf("%d receipts to be sent, %d held; want %d sent of 6", sent, held, c.sent)
			}
		})
	}
}

// TestLateEventLeavesAnAttemptToItsOwn: the event of a failed attempt that comes weeks late
// finds a later attempt, and must not hold the message about that one.
func TestLateEventLeavesAnAttemptToItsOwn(t *testing.T) {
	const failed = "invoice.payment_failed"
	w := worldSince(time.Time{})
	first, now := golden(t, failed), with(t, golden(t, failed, "evt_1TollgateRvyQBPDgrs8ROp8", "evt_third"), map[string]any{"attempt_count": 3})
	w.shows(t, now)
	env := parse(t, first)
	received := time.Unix(env.Created, 0).Add(20 * 24 * time.Hour)
	env.ReceivedAt = received
	effects, err := w.mux.Dispatch(t.Context(), dispatch.Input{Envelope: env, Now: received})
	if err != nil || len(effects) != 1 || effects[0].Kind != dispatch.KindSwap {
		t.Fatalf("the late event: %v, error %v; want the row alone", effects, err)
	}
	if got := w.listOf(t, now, letter{src: event.Webhook, received: time.Unix(parse(t, now).Created, 0).Add(time.Second), handled: received}); got != "OUT#" {
		t.Errorf("the attempt's own event: listed under %q", got)
	}
	_, err = once(t, golden(t, failed, `"attempt_count": 1`, `"attempt_count": "one"`))
	if _, permanent := errors.AsType[*dispatch.PermanentError](err); !permanent {
		t.Errorf("an attempt that cannot be read: %v", err)
	}
}
