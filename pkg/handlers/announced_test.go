package handlers_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
)

// announcement is an event type and an object that does not show yet what the event announced.
type announcement struct {
	typ     string
	behind  map[string]any // members of the object at Stripe; nil if the type announces no change
	kept    string         // a field of the row, and its value for this object
	value   any
	effects []string // kinds of the items written if the object is still the same after ten minutes
}

func announcements() []announcement {
	return []announcement{
		{"checkout.session.completed", map[string]any{"status": "open", "payment_status": "unpaid"}, "status", "open", []string{"checkout"}},
		{created, nil, "", nil, nil},
		{updated, map[string]any{"status": "incomplete", "default_payment_method": nil}, "status", "incomplete", []string{"subscription", "entitlement"}},
		{deleted, map[string]any{"status": "unpaid", "canceled_at": nil, "ended_at": nil}, "status", "unpaid", []string{"subscription", "entitlement"}},
		{paused, map[string]any{"status": "trialing"}, "status", "trialing", []string{"subscription", "entitlement", "outbox"}},
		{resumed, map[string]any{"status": "paused"}, "status", "paused", []string{"subscription", "entitlement"}},
		{trialWillEnd, nil, "", nil, nil},
		{"invoice.paid", map[string]any{"status": "open", "amount_paid": 0, "amount_remaining": 4165}, "status", "open", []string{"invoice", "invoice_paid"}},
		{"invoice.payment_failed", map[string]any{"attempt_count": 0}, "attempt_count", int64(0), []string{"invoice", "outbox"}},
		{"invoice.payment_action_required", map[string]any{"attempt_count": 0}, "attempt_count", int64(0), []string{"invoice", "outbox"}},
		{"invoice.voided", map[string]any{"status": "open"}, "status", "open", []string{"invoice"}},
		{"invoice.marked_uncollectible", map[string]any{"status": "open", "status_transitions": nil}, "status", "open", []string{"invoice"}},
		{"invoice.updated", map[string]any{"attempt_count": 1, "charge": "ch_3TollgateM4rQw9YtBxN6kVs", "next_payment_attempt": 1797901260}, "attempt_count", int64(1), []string{"invoice"}},
		{"charge.dispute.created", nil, "", nil, nil},
		{"charge.dispute.updated", map[string]any{"status": "needs_response", "evidence": map[string]any{"product_description": nil}, "evidence_details": map[string]any{"has_evidence": false, "submission_count": 0}}, "status", "needs_response", []string{"dispute", "dispute_funds_withdrawn", "outbox"}},
		{"charge.dispute.funds_withdrawn", map[string]any{"balance_transactions": []any{}}, "status", "needs_response", []string{"dispute", "outbox"}},
		{"charge.dispute.funds_reinstated", map[string]any{"balance_transactions": []any{}, "status": "under_review"}, "status", "under_review", []string{"dispute"}},
		{"charge.dispute.closed", map[string]any{"balance_transactions": []any{}, "status": "under_review"}, "status", "under_review", []string{"dispute"}},
		{"charge.refunded", map[string]any{"amount_refunded": 0, "receipt_number": nil}, "amount_refunded", int64(0), []string{"charge"}},
		{"refund.created", nil, "", nil, nil},
		{"refund.updated", map[string]any{"destination_details": map[string]any{"card": map[string]any{"reference": nil, "reference_status": "pending"}}}, "status", "succeeded", []string{"refund", "refund"}},
		{"charge.refund.updated", map[string]any{"status": "succeeded", "failure_reason": nil, "failure_balance_transaction": nil}, "status", "succeeded", []string{"refund", "refund"}},
		{"radar.early_fraud_warning.created", nil, "", nil, nil},
		{"radar.early_fraud_warning.updated", map[string]any{"actionable": true}, "actionable", true, []string{"early_fraud_warning", "outbox"}},
		{"checkout.session.async_payment_succeeded", map[string]any{"payment_status": "unpaid"}, "payment_status", "unpaid", []string{"checkout"}},
		{"checkout.session.async_payment_failed", map[string]any{"status": "open"}, "status", "open", []string{"checkout"}},
		{"checkout.session.expired", map[string]any{"status": "open"}, "status", "open", []string{"checkout"}},
		{"customer.deleted", nil, "", nil, nil}, // see TestCustomerDeleted
	}
}

// behind sets the object at Stripe to its state before the event.
func (f *fixture) behind(t *testing.T, a announcement) {
	t.Helper()
	f.shows(t, with(t, golden(t, a.typ), a.behind))
}

// TestRetriesUntilStripeShowsTheEvent: every type that keeps a row is retried with growing
// delays until Stripe shows what the event announced or the event is ten minutes old.
func TestRetriesUntilStripeShowsTheEvent(t *testing.T) {
	var types []string
	for _, a := range announcements() {
		types = append(types, a.typ)
		if a.behind == nil {
			continue
		}
		t.Run(a.typ, func(t *testing.T) {
			f := newFixture()
			f.behind(t, a)
			for _, c := range []struct {
				age     time.Duration
				attempt int64
				wait    time.Duration // 0: handled
			}{
				{0, 1, 5 * time.Second}, {5 * time.Second, 2, 15 * time.Second}, {20 * time.Second, 3, 45 * time.Second}, {time.Minute, 4, 135 * time.Second},
				{-time.Hour, 9, 10 * time.Minute}, {10*time.Minute - 1, 5, 405 * time.Second}, {10 * time.Minute, 6, 0}, {time.Hour, 1, 0},
			} {
				f.age, f.attempt = c.age, c.attempt
				effects, err := f.run(t, golden(t, a.typ))
				if c.wait == 0 {
					if err != nil {
						t.Errorf("at %v: %v", c.age, err)
					}
					continue
				}
				after, _ := errors.AsType[*dispatch.RetryAfterError](err)
				if effects != nil || after == nil || after.Delay != c.wait || !errors.Is(err, dispatch.ErrNotShown) || !strings.Contains(err.Error(), "does not show what "+a.typ) {
					t.Errorf("at %v: %d effects, error %v (%+v); want another attempt after %v", c.age, len(effects), err, after, c.wait)
				}
			}
		})
	}
	for _, typ := range handlers.Types() {
		effects, err := once(t, golden(t, typ))
		keepsRow := slices.ContainsFunc(effects, func(e dispatch.Effect) bool { return e.Kind == dispatch.KindSwap })
		if err != nil || keepsRow && !slices.Contains(types, typ) {
			t.Errorf("%s keeps a row (%v): add it to announcements() with an object that does not show yet what it announces, nil if that is only its existence", typ, err)
		}
	}
}

// TestEveryRowHasAKeeper: without one, nothing compares the row with Stripe.
func TestEveryRowHasAKeeper(t *testing.T) {
	for _, typ := range handlers.Types() {
		f, body := newFixture(), golden(t, typ)
		if parse(t, body).ObjectID == "" {
			continue
		}
		f.shows(t, body)
		f.handle(t, body)
		if _, err := f.mux.Refresh(t.Context(), dispatch.Input{Envelope: parse(t, body)}); errors.Is(err, dispatch.ErrNoKeeper) {
			t.Errorf("%s keeps a row: register its keeper in registerKeepers", typ)
		}
	}
}

// TestSettledEventsKeepWhatStripeShows: the fact comes from the event, and an invoice that is
// open again has no receipt.
func TestSettledEventsKeepWhatStripeShows(t *testing.T) {
	for _, a := range announcements() {
		if a.behind == nil {
			continue
		}
		t.Run(a.typ, func(t *testing.T) {
			f := newFixture()
			f.behind(t, a)
			f.age = 10 * time.Minute
			effects, err := f.run(t, golden(t, a.typ))
			if err != nil {
				t.Fatal(err)
			}
			kinds := []string{}
			for _, e := range effects {
				kind, _ := e.Fields["kind"].(string)
				kinds = append(kinds, kind)
			}
			row := effects[0].Fields
			if diff := cmp.Diff(a.effects, kinds); diff != "" || row[a.kept] != a.value || row[dispatch.ShownCreated] != nil {
				t.Errorf("%s is %v in the row, want %v; proven %v; kinds (-want +got):\n%s", a.kept, row[a.kept], a.value, row[dispatch.ShownCreated], diff)
			}
			if a.typ == "invoice.paid" && effects[1].Fields["amount"] != int64(4165) {
				t.Errorf("the fact has amount %v, the event 4165", effects[1].Fields["amount"])
			}
		})
	}
}

// TestNoFactWithoutItsSnapshot: the event's snapshot has another version, or does not show the
// payment.
func TestNoFactWithoutItsSnapshot(t *testing.T) {
	void := map[string]any{"status": "void"}
	for name, c := range map[string]struct {
		typ    string
		oldnew []string
		behind map[string]any
		age    time.Duration
		reason string // of the permanent failure, "" for a retry
	}{
		"another version":                 {"invoice.paid", []string{"2023-10-16", basil}, void, 10 * time.Minute, dispatch.ReasonHandler},
		"another version, young":          {"invoice.paid", []string{"2023-10-16", basil}, void, time.Minute, ""},
		"the event says open":             {"invoice.paid", []string{`"status": "paid"`, `"status": "open"`}, void, time.Hour, dispatch.ReasonHandler},
		"payment of another version":      {"payment_intent.succeeded", []string{"2023-10-16", basil}, map[string]any{"status": "processing"}, 10 * time.Minute, dispatch.ReasonHandler},
		"payment of another version, new": {"payment_intent.succeeded", []string{"2023-10-16", basil}, map[string]any{"status": "processing"}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture()
			f.behind(t, announcement{typ: c.typ, behind: c.behind})
			f.age = c.age
			effects, err := f.run(t, golden(t, c.typ, c.oldnew...))
			if effects != nil || err == nil || permanent(err) != c.reason {
				t.Errorf("%d effects, error %v; want a failure for reason %q", len(effects), err, c.reason)
			}
		})
	}
}
