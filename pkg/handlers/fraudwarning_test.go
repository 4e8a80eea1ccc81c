package handlers_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
)

const warningID = "issfr_1TollgateWarnedLpKjHgFd"

func TestFraudWarning(t *testing.T) {
	const typ, eventID, message = "radar.early_fraud_warning.created", "evt_1TollgateFraudWarnedVr4bXnD", "OUT#OBJ#test#-#" + warningID + "#early_fraud_warning"
	got, err := once(t, with(t, golden(t, typ), map[string]any{"charge": aCharge(nil)}))
	if err != nil {
		t.Fatal(err)
	}
	want := dispatch.Effects{
		dispatch.Swap("OBJ#test#-#"+warningID, 0, dispatch.Fields{
			"kind": "early_fraud_warning", "object": "radar.early_fraud_warning", "object_id": warningID, "mode": "test", "account": "", "customer": customer,
			"event_id": eventID, "charge": chargeID, "payment_intent": paymentID, "fraud_type": "unauthorized_use_of_card", "actionable": true,
			"created": int64(1795132800), "outbox": []any{message}, "lst": listed, "at": "2026-11-20T00:00:00Z", "fetched_at": int64(1795132801000),
		}),
		dispatch.Insert(message, dispatch.Fields{
			"kind": "outbox", "name": "early_fraud_warning", "to": customer, "object": "radar.early_fraud_warning", "object_id": warningID, "mode": "test", "account": "",
			"amount": int64(4900), "currency": "eur", "charge": chargeID, "payment_intent": paymentID, "fraud_type": "unauthorized_use_of_card",
			"event_id": eventID, "lst": got[1].Fields["lst"], "at": "2026-11-20T00:00:00Z", "queued_at": int64(1795132801000),
		}),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// A warning is reported while a refund may still avoid a dispute, and once.
func TestFraudWarningIsReportedWhileActionable(t *testing.T) {
	created, changed := golden(t, "radar.early_fraud_warning.created"), golden(t, "radar.early_fraud_warning.updated")
	for _, c := range []struct {
		name     string
		events   [][]byte
		shows    []byte
		messages int
	}{
		{"actionable", [][]byte{created}, created, 1},
		{"actionable, twice", [][]byte{created, golden(t, "radar.early_fraud_warning.created", "evt_1TollgateFraudWarnedVr4bXnD", "evt_2")}, created, 1},
		{"refunded before it is handled", [][]byte{created, changed}, changed, 0},
		{"updated comes first", [][]byte{changed, created}, changed, 0},
	} {
		f := newFixture()
		f.shows(t, c.shows)
		for _, body := range c.events {
			f.handle(t, body)
		}
		messages := 0
		for _, key := range f.Keys() {
			if f.item(t, key)["kind"] == "outbox" {
				messages++
			}
		}
		if row := f.item(t, "OBJ#test#-#"+warningID); messages != c.messages || row["actionable"] != (c.messages > 0) || row["lst"] != "PAY#test#-#"+paymentID {
			t.Errorf("%s: %d messages, row %v", c.name, messages, row)
		}
	}
}
