package httptarget

import (
	"bytes"
	"encoding/json"
	"maps"
	"time"

	"tollgate/pkg/delivery"
)

// payload is the body of a request. It is the same in every attempt.
type payload struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`          // when the state that it reports began
	Sequence  int64  `json:"sequence,omitempty"` // only where data is a whole event
	Data      any    `json:"data"`
}

func encode(d delivery.Delivery) ([]byte, error) {
	p := payload{Type: d.Message.Name, Timestamp: d.Message.Since.UTC().Format(time.RFC3339)}
	if d.Event != nil && d.Event.Body != nil {
		p.Data, p.Sequence = json.RawMessage(d.Event.Body), d.Sequence
	} else {
		p.Data = fields(d)
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	if err := e.Encode(p); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), nil
}

// fields are the message's own and those that every message has. Names of this system's storage
// are left out.
func fields(d delivery.Delivery) map[string]any {
	data := make(map[string]any, len(d.Message.Fields)+8)
	maps.Copy(data, d.Message.Fields)
	delete(data, "kind")
	delete(data, "mode")
	delete(data, "account")
	data["livemode"] = d.Message.Live()
	if d.Message.To != "" {
		data["to"] = d.Message.To
	}
	if d.Account != "" {
		data["account"] = d.Account
	}
	if d.Sequence != 0 {
		data["sequence"] = d.Sequence
	}
	if d.Event != nil {
		data["event"], data["type"], data["object"] = d.Event.ID, d.Event.Type, d.Event.Object
	}
	return data
}
