package stripe

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// event is one remembered event. But for pending it is not changed once stored.
type event struct {
	id      string
	thin    bool
	typ     string
	account string    // "" for the platform's own
	live    bool      // of live mode
	version string    // in which the body was given
	created int64     // seconds
	arrived uint64    // order in which events were given
	visible time.Time // nobody sees it before
	body    []byte
	sets    *state // what it says about its object, nil for nothing
	// pending counts the webhooks that have not been delivered; below zero it is unknown,
	// as for an event that came from elsewhere, and the body's own number holds.
	pending atomic.Int64
}

// parse reads what is needed to serve an event and copies its bytes.
func parse(body []byte) (*event, error) {
	if len(body) > MaxEventBytes {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrNotEvent, MaxEventBytes)
	}
	// A map matches names exactly, where a struct would take "ID" for "id".
	var top map[string]json.RawMessage
	if err := json.Unmarshal(body, &top); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotEvent, err)
	}
	e := &event{
		id: text(top["id"]), typ: text(top["type"]), live: string(top["livemode"]) == "true",
		version: text(top["api_version"]), body: bytes.Clone(body),
	}
	e.pending.Store(-1)
	switch object := text(top["object"]); object {
	case "event":
		e.account = text(top["account"])
		if err := json.Unmarshal(top["created"], &e.created); err != nil {
			return nil, fmt.Errorf("%w: created is no number of seconds", ErrNotEvent)
		}
	case "v2.core.event":
		e.thin, e.account = true, text(top["context"])
		created, err := time.Parse(time.RFC3339, text(top["created"]))
		if err != nil {
			return nil, fmt.Errorf("%w: created is no RFC 3339 time", ErrNotEvent)
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

// text is a JSON string's value, "" for null, for what is absent and for anything else.
func text(raw json.RawMessage) (s string) {
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// store holds events, bounded in number and bytes.
type store struct {
	maxEvents int
	maxBytes  int64

	byID    map[string]*event
	byTime  []*event // oldest first, those of one second in order of arrival
	arrived []*event // in order of arrival
	next    uint64
	bytes   int64
}

// add stores an event unless its id is known, and drops the first ones given if there
// are then too many. It reports whether the event is new.
func (s *store) add(e *event) bool {
	if s.byID == nil {
		s.byID = map[string]*event{}
	}
	if s.byID[e.id] != nil {
		return false
	}
	s.next++
	e.arrived = s.next
	s.byID[e.id] = e
	s.arrived = append(s.arrived, e)
	at, _ := slices.BinarySearchFunc(s.byTime, e, older)
	s.byTime = slices.Insert(s.byTime, at, e)
	s.bytes += int64(len(e.body))
	for len(s.arrived) > s.maxEvents || s.bytes > s.maxBytes && len(s.arrived) > 1 {
		s.dropFirst()
	}
	return true
}

func (s *store) dropFirst() {
	e := s.arrived[0]
	s.arrived[0] = nil // or its body would live as long as the array below
	s.arrived = s.arrived[1:]
	delete(s.byID, e.id)
	at, _ := slices.BinarySearchFunc(s.byTime, e, older)
	s.byTime = slices.Delete(s.byTime, at, at+1)
	s.bytes -= int64(len(e.body))
}

// older orders events by time, then by arrival.
func older(a, b *event) int {
	return cmp.Or(cmp.Compare(a.created, b.created), cmp.Compare(a.arrived, b.arrived))
}
