package stripe

import (
	"bytes"
	"encoding/json"
	"strconv"

	"tollgate/pkg/local/aws/jsonscan"
)

// render returns an event's body with the deliveries that are outstanding, and for a
// version with that version. Everything else keeps its bytes.
func (e *event) render(version string) []byte {
	body := e.body
	if e.Pending != nil {
		body = splice(body, "pending_webhooks", func(json.RawMessage) json.RawMessage {
			return strconv.AppendInt(nil, *e.Pending, 10)
		})
	}
	if version == "" {
		return body
	}
	return splice(body, "api_version", func(json.RawMessage) json.RawMessage { return quoted(version) })
}

// indented formats a value as Stripe does.
func indented(value json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	if json.Indent(&b, value, "", "  ") != nil {
		return value
	}
	return b.Bytes()
}

// splice replaces the value of a top-level member, if there is one.
func splice(body []byte, name string, change func(json.RawMessage) json.RawMessage) []byte {
	start, end, found := jsonscan.Find(body, name)
	if !found {
		return body
	}
	return bytes.Join([][]byte{body[:start], change(body[start:end]), body[end:]}, nil)
}

// quoted is a text as JSON.
func quoted(s string) json.RawMessage {
	raw, _ := json.Marshal(s) // a string cannot fail
	return raw
}

// listJSON writes a list without white space of its own.
func listJSON(elements []json.RawMessage) json.RawMessage {
	b := []byte{'['}
	for i, element := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, element...)
	}
	return append(b, ']')
}
