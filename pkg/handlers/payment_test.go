package handlers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const (
	customer = "cus_TollgateolKvYZ"
	listed   = "CUS#test#-#" + customer
	basil    = "2025-03-31.basil"
)

func TestPaymentIntentSucceeded(t *testing.T) {
	got, err := once(t, golden(t, "payment_intent.succeeded"))
	if err != nil {
		t.Fatal(err)
	}
	const key = "FACT#test#-#pi_3TollgatefEZrEHFEikFfLQt#succeeded"
	want := dispatch.Effects{
		dispatch.Insert(key, dispatch.Fields{
			"kind": "payment", "fact": "succeeded", "object": "payment_intent", "object_id": "pi_3TollgatefEZrEHFEikFfLQt", "mode": "test", "account": "",
			"amount": int64(4900), "currency": "eur", "customer": customer, "charge": "ch_3TollgateHKCDXCba9gRveya", "invoice": "",
			"event_id": "evt_3TollgateDb3Q4wtPFCuAroQ", "occurred": int64(1795053664),
			"lst": listed, "at": "2026-11-19T02:01:04Z", "outbox": []any{"OUT#" + key + "#receipt"},
		}),
		dispatch.Insert("OUT#"+key+"#receipt", dispatch.Fields{
			"kind": "outbox", "name": "receipt", "to": customer, "object": "payment_intent", "object_id": "pi_3TollgatefEZrEHFEikFfLQt", "mode": "test", "account": "",
			"amount": int64(4900), "currency": "eur", "event_id": "evt_3TollgateDb3Q4wtPFCuAroQ",
			"lst": "OUT#6", "at": "2026-11-19T02:01:04Z", "queued_at": int64(1795053664000),
		}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPaymentIntentFailed(t *testing.T) {
	got, err := once(t, golden(t, "payment_intent.payment_failed"))
	if err != nil {
		t.Fatal(err)
	}
	const fact = "failed#ch_3TollgateurDuJeSozlFYFvU"
	const key, message = "FACT#test#-#pi_3TollgatemJ1pOSao3BHsK2V#" + fact, "OUT#FACT#test#-#pi_3TollgatemJ1pOSao3BHsK2V#failed#payment_failed"
	want := dispatch.Effects{
		dispatch.Insert(key, dispatch.Fields{
			"kind": "payment_failure", "fact": fact, "object": "payment_intent", "object_id": "pi_3TollgatemJ1pOSao3BHsK2V", "mode": "test", "account": "",
			"amount": int64(12900), "currency": "eur", "customer": customer, "invoice": "",
			"charge": "ch_3TollgateurDuJeSozlFYFvU", "payment_method": "pm_1TollgateGbhYbdVbkrcFv0c", "code": "card_declined", "decline_code": "insufficient_funds",
			"event_id": "evt_3TollgatergU1nnXAAuf3QYK", "occurred": int64(1795055403),
			"lst": listed, "at": "2026-11-19T02:30:03Z", "outbox": []any{message},
		}),
		dispatch.Insert(message, dispatch.Fields{
			"kind": "outbox", "name": "payment_failed", "to": customer, "object": "payment_intent", "object_id": "pi_3TollgatemJ1pOSao3BHsK2V", "mode": "test", "account": "",
			"amount": int64(12900), "currency": "eur", "event_id": "evt_3TollgatergU1nnXAAuf3QYK", "code": "card_declined", "decline_code": "insufficient_funds",
			"lst": "OUT#7", "at": "2026-11-19T02:30:03Z", "queued_at": int64(1795055403000),
		}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The messages about a payment of an invoice come from the invoice's own event.
func TestPaymentOfAnInvoiceHasNoMessageOfItsOwn(t *testing.T) {
	for _, typ := range []string{"payment_intent.succeeded", "payment_intent.payment_failed"} {
		got, err := once(t, golden(t, typ, `"invoice": null`, `"invoice": "in_1"`))
		if err != nil || len(got) != 1 || got[0].Fields["invoice"] != "in_1" || got[0].Fields["outbox"] != nil {
			t.Errorf("%s: %v, %v; want the fact alone", typ, got, err)
		}
	}
}

// An event of another API version brings the current payment, which may have another failure or
// none. The fact's name comes from the event itself.
func TestFailureIsTheEventsOwn(t *testing.T) {
	const typ = "payment_intent.payment_failed"
	tests := []struct {
		name    string
		version string
		failure any            // last_payment_error of the event
		now     map[string]any // the current payment, for another version
		fact    string
		code    string
		effects int
	}{
		{"its charge", "", map[string]any{"charge": "ch_1", "code": "card_declined"}, nil, "failed#ch_1", "card_declined", 2},
		{"no charge", "", map[string]any{"code": "payment_intent_authentication_failure", "payment_method": map[string]any{"id": "pm_1", "object": "payment_method"}}, nil,
			"failed#pm_1#1795055403", "payment_intent_authentication_failure", 2},
		{"an earlier charge is another failure's", "", map[string]any{"charge": nil, "payment_method": nil}, nil, "failed#-#1795055403", "", 2},
		{"no error at all", "", nil, nil, "failed#-#1795055403", "", 2},
		{"another version, same failure now", basil, map[string]any{"charge": "ch_1", "code": "card_declined"},
			map[string]any{"last_payment_error": map[string]any{"charge": "ch_1", "code": "card_declined"}}, "failed#ch_1", "card_declined", 2},
		{"another version, a later failure now", basil, map[string]any{"charge": "ch_1", "code": "card_declined"},
			map[string]any{"last_payment_error": map[string]any{"charge": "ch_2", "code": "expired_card"}}, "failed#ch_1", "card_declined", 2},
		{"another version, succeeded since", basil, map[string]any{"charge": "ch_1", "code": "card_declined"},
			map[string]any{"status": "succeeded", "last_payment_error": nil, "latest_charge": "ch_3"}, "failed#ch_1", "card_declined", 1},
		{"another version, nothing known", basil, nil,
			map[string]any{"status": "succeeded", "last_payment_error": nil, "latest_charge": "ch_3"}, "failed#-#1795055403", "", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, body := newFixture(), golden(t, typ)
			if tt.version != "" {
				f.shows(t, with(t, body, tt.now))
				body = golden(t, typ, "2023-10-16", tt.version)
			}
			got, err := f.run(t, with(t, body, map[string]any{"last_payment_error": tt.failure}))
			if err != nil || len(got) != tt.effects {
				t.Fatalf("%d effects, %v; want %d", len(got), err, tt.effects)
			}
			fields := got[0].Fields
			if fields["fact"] != tt.fact || fields["code"] != tt.code || got[0].Key != "FACT#test#-#pi_3TollgatemJ1pOSao3BHsK2V#"+tt.fact || fields["amount"] != int64(12900) {
				t.Errorf("key %s, fact %v, code %v, amount %v; want %s, %s", got[0].Key, fields["fact"], fields["code"], fields["amount"], tt.fact, tt.code)
			}
		})
	}
}

func TestUnreadableFailureIsPermanent(t *testing.T) {
	_, err := once(t, golden(t, "payment_intent.payment_failed", `"code": "card_declined"`, `"code": 7`))
	if permanent(err) != dispatch.ReasonHandler {
		t.Errorf("error %v, want a permanent failure", err)
	}
}
