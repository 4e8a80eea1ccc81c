package handlers_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const paidInvoice = "in_1Tollgate2BiLApJU5DMLA8e"

func TestInvoicePaid(t *testing.T) {
	got, err := once(t, golden(t, "invoice.paid"))
	if err != nil {
		t.Fatal(err)
	}
	const (
		pi      = "pi_3TollgateEJo6uJZkiTqBoDc"
		name    = "paid#" + pi
		fact    = "FACT#test#-#" + paidInvoice + "#" + name
		receipt = "OUT#FACT#test#-#" + pi + "#succeeded#receipt"
		eventID = "evt_1TollgateE9ANXlWrBcs6Gw4"
		sub     = "sub_1TollgatenEWkc4VcXFgEE3H"
	)
	want := dispatch.Effects{
		dispatch.Swap("OBJ#test#-#"+paidInvoice, 0, dispatch.Fields{
			"kind": "invoice", "object": "invoice", "object_id": paidInvoice, "mode": "test", "account": "", "customer": customer, "event_id": eventID,
			"status": "paid", "amount_due": int64(4165), "amount_paid": int64(4165), "amount_remaining": int64(0), "total": int64(4165), "currency": "eur",
			"number": "7D1A4C0E-0001", "subscription": sub, "payment_intent": pi, "attempt_count": int64(1), "next_payment_attempt": int64(0),
			"billing_reason": "subscription_create", "paid_out_of_band": false,
			"created": int64(1795046460), "led": true, "outbox": []any{receipt}, "fetched_at": int64(1795046464000), "shown_created": int64(1795046464),
		}),
		dispatch.Insert(fact, dispatch.Fields{
			"kind": "invoice_paid", "fact": name, "object": "invoice", "object_id": paidInvoice, "mode": "test", "account": "",
			"amount": int64(4165), "total": int64(4165), "tax": int64(665), "currency": "eur", "customer": customer,
			"number": "7D1A4C0E-0001", "paid_out_of_band": false, "charge": "ch_3TollgatehsXXMdgMofmytUT", "payment_intent": pi, "subscription": sub,
			"event_id": eventID, "occurred": int64(1795046463), // its paid_at, a second before the event
			"lst": listed, "at": "2026-11-19T00:01:03Z", "outbox": []any{receipt, "OBJ#test#-#" + paidInvoice},
		}),
		dispatch.Insert(receipt, dispatch.Fields{
			"kind": "outbox", "name": "receipt", "to": customer, "object": "payment_intent", "object_id": pi, "mode": "test", "account": "",
			"amount": int64(4165), "currency": "eur", "invoice": paidInvoice, "number": "7D1A4C0E-0001", "subscription": sub, "paid_out_of_band": false, "event_id": eventID,
			"lst": "OUT#0", "at": "2026-11-19T00:01:03Z", "queued_at": int64(1795046464000),
		}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestInvoicePaymentFailed(t *testing.T) {
	f, body := newFixture(), golden(t, "invoice.payment_failed")
	f.shows(t, with(t, body, map[string]any{"payment_intent": map[string]any{
		"id": "pi_3TollgateNkpoHV7KLMto9eI", "object": "payment_intent", "status": "requires_payment_method",
		"last_payment_error": map[string]any{"code": "card_declined", "decline_code": "insufficient_funds"},
	}}))
	got, err := f.run(t, body)
	if err != nil {
		t.Fatal(err)
	}
	const (
		id      = "in_1TollgateeSJwyRy6eWu3ZSU"
		message = "OUT#FACT#test#-#" + id + "#payment_failed#1#payment_failed"
		eventID = "evt_1TollgateRvyQBPDgrs8ROp8"
		sub     = "sub_1TollgatenEWkc4VcXFgEE3H"
	)
	want := dispatch.Effects{
		dispatch.Swap("OBJ#test#-#"+id, 0, dispatch.Fields{
			"kind": "invoice", "object": "invoice", "object_id": id, "mode": "test", "account": "", "customer": customer, "event_id": eventID,
			"status": "open", "amount_due": int64(4165), "amount_paid": int64(0), "amount_remaining": int64(4165), "total": int64(4165), "currency": "eur",
			"number": "7D1A4C0E-0002", "subscription": sub, "payment_intent": "pi_3TollgateNkpoHV7KLMto9eI",
			"attempt_count": int64(1), "next_payment_attempt": int64(1797901260), "billing_reason": "subscription_cycle", "paid_out_of_band": false,
			"created": int64(1797638460), "lst": listed, "at": "2026-12-19T00:01:00Z", "outbox": []any{message}, "fetched_at": int64(1797642064000), "shown_created": int64(1797642064),
		}),
		dispatch.Insert(message, dispatch.Fields{
			"kind": "outbox", "name": "payment_failed", "to": customer, "object": "invoice", "object_id": id, "mode": "test", "account": "",
			"amount": int64(4165), "currency": "eur", "number": "7D1A4C0E-0002", "subscription": sub, "event_id": eventID,
			"billing_reason": "subscription_cycle", "next_payment_attempt": int64(1797901260), "code": "card_declined", "decline_code": "insufficient_funds",
			"lst": "OUT#6", "at": "2026-12-19T01:01:04Z", "queued_at": int64(1797642064000),
		}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A customer gets one message per failed attempt, and none once the invoice is settled.
func TestMessageAboutAFailedPayment(t *testing.T) {
	tests := []struct {
		name    string
		now     map[string]any
		message string // the attempt in its key, "" for none
	}{
		{"unpaid", map[string]any{"attempt_count": 1}, "1"},
		{"uncollectible", map[string]any{"status": "uncollectible", "attempt_count": 4, "next_payment_attempt": nil}, "4"},
		{"failed again since", map[string]any{"attempt_count": 2}, "2"},
		{"paid since", map[string]any{"status": "paid", "amount_remaining": 0}, ""},
		{"void since", map[string]any{"status": "void"}, ""},
		{"no customer", map[string]any{"customer": nil}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := once(t, with(t, golden(t, "invoice.payment_failed"), tt.now))
			if err != nil {
				t.Fatal(err)
			}
			keys := []string{}
			for _, e := range got[1:] {
				keys = append(keys, e.Key)
			}
			want := []string{}
			if tt.message != "" {
				want = append(want, "OUT#FACT#test#-#in_1TollgateeSJwyRy6eWu3ZSU#payment_failed#"+tt.message+"#payment_failed")
			}
			if diff := cmp.Diff(want, keys); diff != "" || got[0].Kind != dispatch.KindSwap {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
		})
	}
}

// An invoice that fails twice and is then paid ends the same in any order of its events: each
// event finds the invoice's current state.
func TestInvoiceEndsPaidInAnyOrder(t *testing.T) {
	const id = "in_1TollgateeSJwyRy6eWu3ZSU"
	failed := func(eventID string) []byte {
		return golden(t, "invoice.payment_failed", "evt_1TollgateRvyQBPDgrs8ROp8", eventID)
	}
	paid := golden(t, "invoice.payment_failed", "evt_1TollgateRvyQBPDgrs8ROp8", "evt_paid", `"type": "invoice.payment_failed"`, `"type": "invoice.paid"`)
	states := [][]byte{
		with(t, failed("x"), map[string]any{"attempt_count": 1}),
		with(t, failed("x"), map[string]any{"attempt_count": 2}),
		with(t, failed("x"), map[string]any{"attempt_count": 2, "status": "paid", "amount_paid": 4165, "amount_remaining": 0}),
	}
	for name, order := range map[string][]int{ // an event by its number, and -1: the invoice changes
		"as it happened": {0, -1, 1, -1, 2},
		"a step late":    {-1, 0, -1, 1, 2},
		"all at the end": {-1, -1, 0, 1, 2},
		"paid first":     {-1, -1, 2, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, state := newFixture(), 0
			f.shows(t, states[state])
			for _, step := range order {
				if step < 0 {
					state++
					f.shows(t, states[state])
					continue
				}
				f.handle(t, [][]byte{failed("evt_0"), failed("evt_1"), paid}[step])
			}
			row, fact := f.item(t, "OBJ#test#-#"+id), f.item(t, "FACT#test#-#"+id+"#paid#pi_3TollgateNkpoHV7KLMto9eI")
			if row["status"] != "paid" || row["amount_remaining"] != int64(0) || fact["amount"] != int64(4165) {
				t.Errorf("the row is %v, the fact %v", row, fact)
			}
			messages := []any{}
			for _, key := range f.Keys() {
				if key[:4] == "OUT#" {
					messages = append(messages, key)
				}
			}
			if diff := cmp.Diff(messages, sortedList(row["outbox"])); diff != "" {
				t.Errorf("messages and what the row names of them differ:\n%s", diff)
			}
		})
	}
}

// An invoice whose payment failed is closed by whatever ends it: the row has its final status and
// no next attempt, in either order of the two events.
func TestEveryOpenInvoiceIsClosed(t *testing.T) {
	failed := golden(t, "invoice.payment_failed")
	for _, c := range []struct {
		typ, status string
		members     map[string]any
	}{
		{"invoice.voided", "void", nil},
		{"invoice.marked_uncollectible", "uncollectible", nil},
		{"invoice.paid", "paid", map[string]any{"amount_paid": 4165, "amount_remaining": 0}},
		{"invoice.updated", "void", nil},
	} {
		for _, late := range []bool{false, true} {
			members := map[string]any{"status": c.status, "next_payment_attempt": nil}
			maps.Copy(members, c.members)
			closed := with(t, golden(t, "invoice.payment_failed", "evt_1TollgateRvyQBPDgrs8ROp8", "evt_closed", `"type": "invoice.payment_failed"`, `"type": "`+c.typ+`"`), members)
			f := newFixture()
			f.shows(t, map[bool][]byte{false: failed, true: closed}[late])
			f.handle(t, failed)
			f.shows(t, closed)
			f.handle(t, closed)
			row := f.item(t, "OBJ#test#-#in_1TollgateeSJwyRy6eWu3ZSU")
			if row["status"] != c.status || row["next_payment_attempt"] != int64(0) || row["billing_reason"] != "subscription_cycle" {
				t.Errorf("after %s (failure handled late: %t) the row has status %v and next attempt %v", c.typ, late, row["status"], row["next_payment_attempt"])
			}
			// A failure that is handled late tells only of what can still be paid.
			if told := len(f.keysWith("OUT#FACT#test#-#in_1TollgateeSJwyRy6eWu3ZSU#payment_failed")) == 1; told != (!late || c.status == "uncollectible") {
				t.Errorf("%s, failure handled late %t: a message about the failure %t", c.typ, late, told)
			}
		}
	}
}

// What marked an invoice uncollectible is shown by it even when it was paid or voided since.
func TestUncollectibleMayBePaidLater(t *testing.T) {
	const typ = "invoice.marked_uncollectible"
	for status, transitions := range map[string]any{"paid": map[string]any{"marked_uncollectible_at": 1798761600, "paid_at": 1798761700}, "void": nil} {
		f := newFixture()
		f.shows(t, with(t, golden(t, typ), map[string]any{"status": status, "status_transitions": transitions}))
		effects, err := f.run(t, golden(t, typ))
		if err != nil || len(effects) != 1 || effects[0].Fields["status"] != status {
			t.Errorf("%s: %v, %v; want the row alone", status, effects, err)
		}
	}
}

// A payment that waits for its customer has one message per attempt, while the invoice is open.
func TestActionRequired(t *testing.T) {
	const typ, prefix = "invoice.payment_action_required", "OUT#FACT#test#-#in_1TollgateP8kVd5ZwYtM3xLh#payment_action_required#"
	for _, c := range []struct {
		name    string
		now     map[string]any
		message string // the attempt in its key, "" for none
	}{
		{"open", nil, "1"},
		{"tried again since", map[string]any{"attempt_count": 2}, ""},
		{"paid since", map[string]any{"status": "paid"}, ""},
		{"void since", map[string]any{"status": "void"}, ""},
		{"uncollectible since", map[string]any{"status": "uncollectible"}, ""},
		{"no customer", map[string]any{"customer": nil}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, body := newFixture(), golden(t, typ)
			f.shows(t, with(t, body, c.now))
			f.handle(t, body)
			f.handle(t, another(t, typ, "evt_another"))
			want := []string{}
			if c.message != "" {
				want = append(want, prefix+c.message+"#payment_action_required")
			}
			if diff := cmp.Diff(want, f.keysWith("OUT#")); diff != "" {
				t.Errorf("messages (-want +got):\n%s", diff)
			}
			if row := f.item(t, "OBJ#test#-#in_1TollgateP8kVd5ZwYtM3xLh"); row["attempt_count"] == nil {
				t.Errorf("row %v", row)
			}
			for _, key := range want {
				if m := f.item(t, key); m["name"] != "payment_action_required" || m["to"] != customer || m["amount"] != int64(4165) || m["billing_reason"] != "subscription_cycle" {
					t.Errorf("message %v", m)
				}
			}
		})
	}
}

// A draft and an open invoice have no row: invoice.updated begins none, and keeps one that
// another type began.
func TestUpdatesBeginNoRow(t *testing.T) {
	f, body := newFixture(), golden(t, "invoice.updated")
	f.shows(t, body)
	in := dispatch.Input{Envelope: parse(t, body), Attempt: 1, Generation: 1}
	if _, err := f.mux.Dispatch(t.Context(), in); !errors.Is(err, dispatch.ErrCoalesced) {
		t.Errorf("without a row: %v, want it coalesced", err)
	}
	f.handle(t, golden(t, "invoice.updated", parse(t, body).ID, "evt_opens", `"type": "invoice.updated"`, `"type": "invoice.payment_failed"`))
	effects, err := f.mux.Dispatch(t.Context(), in)
	if err != nil || len(effects) != 1 || effects[0].Kind != dispatch.KindSwap || effects[0].Ver != 1 {
		t.Errorf("with a row: %v, %v; want the row alone", effects, err)
	}
}
