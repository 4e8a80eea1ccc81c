package stripe

import (
	"bytes"
	"encoding/json"
)

// render returns an event's body in the version that this stand-in answers in.
func (s *StandIn) render(e *event) []byte {
	if s.apiVersion == "" {
		return e.body
	}
	start, end, found := topMember(e.body, "api_version")
	if !found {
		return e.body
	}
	version, _ := json.Marshal(s.apiVersion) // a string cannot fail
	return bytes.Join([][]byte{e.body[:start], version, e.body[end:]}, nil)
}

// topMember finds where the value of a top-level member of valid JSON begins and ends.
func topMember(body []byte, name string) (start, end int, found bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	if _, err := d.Token(); err != nil {
		return 0, 0, false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return 0, 0, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return 0, 0, false
		}
		if key == name {
			end = int(d.InputOffset())
			return end - len(value), end, true
		}
	}
	return 0, 0, false
}
