package delivery_test

import (
	"testing"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/outbox"
)

func receipt() delivery.Delivery {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.FixedZone("", 3600))
	return delivery.Delivery{
		ID: "msg_1", Account: "acct_1", Sequence: 7, Attempt: 3,
		Message: outbox.Message{Key: "OUT#FACT#live#acct_1#pi_1#succeeded#receipt", Name: "receipt", To: "cus_1", Since: at, Queued: at.Add(time.Hour), Fields: map[string]any{
			"kind": "outbox", "mode": "live", "account": "acct_1", "amount": int64(9007199254740993), "currency": "eur", "event_id": "evt_1",
			"object": "payment_intent", "object_id": "pi_1", "sent_at": int64(1), "at": "x", "held": "old", "released_at": int64(2),
		}},
	}
}

func TestBody(t *testing.T) {
	const data = `"account":"acct_1","amount":9007199254740993,"currency":"eur","event_id":"evt_1","livemode":true,"object":"payment_intent","object_id":"pi_1"`
	bare := receipt()
	bare.Sequence, bare.Message.To, bare.Message.Since, bare.Attempt = 0, "", time.Time{}, 1
	thin := receipt()
	thin.Event = &delivery.Event{ID: "evt_1", Type: "invoice.paid", Object: "in_1"}
	thin.Message = outbox.Message{Key: "OUT#EVENT#test#-#evt_1#stripe.invoice.paid", Name: "stripe.invoice.paid", Since: time.Unix(1, 0), Fields: map[string]any{
		"kind": "outbox", "mode": "test", "account": "", "event": "evt_1", "type": "invoice.paid", "object": "in_1", "thin": false,
	}}
	thin.Account = ""
	whole := thin
	whole.Event = &delivery.Event{ID: "evt_1", Type: "invoice.paid", Object: "in_1", Body: []byte("{\"id\": \"evt_1\",\n \"big\": 9007199254740993}")}
	for name, c := range map[string]struct {
		d      delivery.Delivery
		want   string
		object string
	}{
		"message": {receipt(), `{"type":"receipt","timestamp":"2026-11-28T11:00:00Z","data":{` + data + `,"sequence":7,"to":"cus_1"}}`, "pi_1"},
		"bare":    {bare, `{"type":"receipt","timestamp":"2026-11-28T12:00:00Z","data":{` + data + `}}`, "pi_1"},
		"thin event": {thin, `{"type":"stripe.invoice.paid","timestamp":"1970-01-01T00:00:01Z","data":{"account":"","event":"evt_1","livemode":false,` +
			`"object":"in_1","sequence":7,"type":"invoice.paid"}}`, "in_1"},
		"whole event": {whole, `{"type":"stripe.invoice.paid","timestamp":"1970-01-01T00:00:01Z","sequence":7,"data":{"id":"evt_1","big":9007199254740993}}`, "in_1"},
	} {
		got, err := delivery.Body(c.d)
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n got %s (%v)\nwant %s", name, got, err, c.want)
		}
		if c.d.ObjectID() != c.object {
			t.Errorf("%s: object %q, want %q", name, c.d.ObjectID(), c.object)
		}
	}
	if receipt().Message.Fields["kind"] != "outbox" {
		t.Error("the message's own fields were changed")
	}
	whole.Event.Body = []byte("{")
	if _, err := delivery.Body(whole); err == nil {
		t.Error("a body that is not JSON was accepted")
	}
}
