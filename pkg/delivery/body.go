package delivery

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"tollgate/pkg/dispatch"
)

// ObjectID returns the id of the Stripe object that the delivery is about, "" without one.
func (d Delivery) ObjectID() string {
	if d.Event != nil {
		return d.Event.Object
	}
	id, _ := d.Message.Fields["object_id"].(string)
	return id
}

// Body returns what a destination receives: JSON with type, timestamp and data. It is the same
// bytes in every attempt. timestamp is when the reported state began at Stripe. data has the
// message's fields or, for a forwarded event, its references or the event as Stripe has it.
func Body(d Delivery) ([]byte, error) {
	body := struct {
		Type      string    `json:"type"`
		Timestamp time.Time `json:"timestamp"`
		Sequence  int64     `json:"sequence,omitempty"` // only of a whole event, whose data is Stripe's
		Data      any       `json:"data"`
	}{Type: d.Message.Name, Timestamp: cmp.Or(d.Message.Since, d.Message.Queued).UTC()}
	if d.Event != nil && d.Event.Body != nil {
		body.Data, body.Sequence = json.RawMessage(d.Event.Body), d.Sequence
	} else {
		body.Data = dataOf(d)
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return raw, nil
}

// ownFields are an outbox item's attributes for Tollgate itself.
var ownFields = []string{
	"pk", "kind", "name", "mode", "sent_at", "released_at", "exp", "ver", "upd", "open",
	dispatch.ListName, dispatch.ListOrder, dispatch.MessageQueued, dispatch.MessageHeld, dispatch.ForwardedThin,
}

func dataOf(d Delivery) map[string]any {
	data := maps.Clone(d.Message.Fields)
	if data == nil {
		data = map[string]any{}
	}
	for _, name := range ownFields {
		delete(data, name)
	}
	data["livemode"], data["account"] = d.Message.Live(), d.Account
	if d.Message.To != "" {
		data["to"] = d.Message.To
	}
	if d.Sequence > 0 {
		data["sequence"] = d.Sequence
	}
	return data
}
