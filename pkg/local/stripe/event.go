package stripe

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tollgate/pkg/local/aws/jsonscan"
)

// eventHead is what the file keeps of an event besides its body.
type eventHead struct {
	ID      string `json:"id"`
	Thin    bool   `json:"thin,omitempty"`
	Type    string `json:"type"`
	Account string `json:"account,omitempty"` // "" for the key's own
	Live    bool   `json:"live,omitempty"`    // of live mode
	Version string `json:"version,omitempty"` // in which the body was given
	Created int64  `json:"created"`           // seconds
	Visible int64  `json:"visible,omitempty"` // hidden from readers before, in nanoseconds
	// Pending counts the webhooks that are not delivered. It is null if unknown, as for an
	// event that was delivered by others; the body's own number is served then.
	Pending *int64 `json:"pending,omitempty"`
}

// event is one stored event.
type event struct {
	eventHead
	arrived uint64 // order in which events were given
	body    []byte
	sets    *state // what it says about its object, nil for nothing
}

// pending is how many webhooks are not delivered, 0 if unknown.
func (e *event) pending() int64 {
	if e.Pending == nil {
		return 0
	}
	return *e.Pending
}

// parse reads what is needed to serve an event and copies its bytes.
func parse(body []byte) (*event, error) {
	if len(body) > MaxEventBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrNotEvent, MaxEventBytes)
	}
	if !json.Valid(body) {
		return nil, fmt.Errorf("%w: not JSON", ErrNotEvent)
	}
	top := jsonscan.Map(body)
	e := &event{body: bytes.Clone(body), eventHead: eventHead{
		ID: text(top["id"]), Type: text(top["type"]), Live: string(top["livemode"]) == "true", Version: text(top["api_version"]),
	}}
	switch object := text(top["object"]); object {
	case "event":
		e.Account = cmp.Or(text(top["account"]), accountIn(text(top["context"])))
		if err := json.Unmarshal(top["created"], &e.Created); err != nil {
			return nil, fmt.Errorf("%w: created is not a number of seconds", ErrNotEvent)
		}
	case "v2.core.event":
		e.Thin, e.Account = true, accountIn(text(top["context"]))
		created, err := time.Parse(time.RFC3339, text(top["created"]))
		if err != nil {
			return nil, fmt.Errorf("%w: created is not an RFC 3339 time", ErrNotEvent)
		}
		e.Created = created.Unix()
	default:
		return nil, fmt.Errorf("%w: object is %.40q", ErrNotEvent, object)
	}
	if !strings.HasPrefix(e.ID, "evt_") || e.Type == "" {
		return nil, fmt.Errorf("%w: id is %.80q, type is %.80q", ErrNotEvent, e.ID, e.Type)
	}
	if !e.Thin {
		e.sets = stateOf(e, top["data"])
	}
	return e, nil
}

// accountIn returns the account that a context names: the end of its path.
func accountIn(context string) string {
	if last := context[strings.LastIndexByte(context, '/')+1:]; strings.HasPrefix(last, "acct_") {
		return last
	}
	return context
}

// text returns a JSON string's value, and "" for anything else.
func text(raw json.RawMessage) string { return jsonscan.Text(raw) }
