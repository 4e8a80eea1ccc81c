package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// event is one stored event.
type event struct {
	id      string
	thin    bool
	typ     string
	account string    // "" for the platform's own
	live    bool      // of live mode
	version string    // in which the body was given
	created int64     // seconds
	arrived uint64    // order in which events were given
	visible time.Time // hidden from readers before
	body    []byte
	sets    *state // what it says about its object, nil for nothing
	// pending counts the webhooks that are not delivered. Below zero it is unknown, as for an
	// event that was delivered by others, and the body's own number is served.
	pending int64
}

// parse reads what is needed to serve an event and copies its bytes.
func parse(body []byte) (*event, error) {
	if len(body) > MaxEventBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrNotEvent, MaxEventBytes)
	}
	// A map matches names exactly; a struct would accept "ID" for "id".
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotEvent, err)
	}
	e := &event{
		id: text(top["id"]), typ: text(top["type"]), live: string(top["livemode"]) == "true",
		version: text(top["api_version"]), body: bytes.Clone(body), pending: -1,
	}
	switch object := text(top["object"]); object {
	case "event":
		e.account = text(top["account"])
		if err := json.Unmarshal(top["created"], &e.created); err != nil {
			return nil, fmt.Errorf("%w: created is not a number of seconds", ErrNotEvent)
		}
	case "v2.core.event":
		e.thin, e.account = true, text(top["context"])
		created, err := time.Parse(time.RFC3339, text(top["created"]))
		if err != nil {
			return nil, fmt.Errorf("%w: created is not an RFC 3339 time", ErrNotEvent)
		}
		e.created = created.Unix()
	default:
		return nil, fmt.Errorf("%w: object is %.40q", ErrNotEvent, object)
	}
	if !strings.HasPrefix(e.id, "evt_") || e.typ == "" {
		return nil, fmt.Errorf("%w: id is %.80q, type is %.80q", ErrNotEvent, e.id, e.typ)
	}
	if !e.thin {
		e.sets = stateOf(e, top["data"])
	}
	return e, nil
}

// text returns a JSON string's value, and "" for anything else.
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
