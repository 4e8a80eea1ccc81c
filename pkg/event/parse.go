package event

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// ErrNotEvent says that bytes are no Stripe event, whoever signed them.
var ErrNotEvent = errors.New("not a Stripe event")

// MaxNameBytes bounds an event's id, type, account, object id and API version:
// they become table keys and log attributes. Stripe's own ids end at 255.
const MaxNameBytes = 255

// Parse reads the header fields of one event from the bytes of a delivery or of
// Stripe's API. Keys match exactly, trailing bytes and a second occurrence of a key
// that is read here are refused, so that no two readers can see two events in one
// body. Body, Endpoint, Source and ReceivedAt are left to the caller. Every error
// wraps [ErrNotEvent].
func Parse(body []byte) (Envelope, error) {
	top, err := members(body, "id", "object", "type", "account", "context", "livemode",
		"api_version", "created", "data", "related_object")
	if err != nil {
		return Envelope{}, notEvent(err)
	}
	var e Envelope
	err = errors.Join(
		text(top, "id", &e.ID, required),
		text(top, "object", &e.Object, required),
		text(top, "type", &e.Type, required),
		text(top, "api_version", &e.APIVersion, optional),
		flag(top, "livemode", &e.Livemode),
	)
	if err != nil {
		return Envelope{}, notEvent(err)
	}
	switch e.Object {
	case ObjectSnapshot:
		err = e.readSnapshot(top)
	case ObjectThin:
		err = e.readThin(top)
	default:
		err = fmt.Errorf("object is %q", e.Object)
	}
	if err != nil {
		return Envelope{}, notEvent(err)
	}
	return e, nil
}

// Data returns data.object and data.previous_attributes of a snapshot event, as they
// were written; previous is nil when there are none. Keys match as in [Parse].
func Data(body []byte) (object, previous json.RawMessage, err error) {
	top, err := members(body, "data")
	if err != nil {
		return nil, nil, notEvent(err)
	}
	data, err := members(top["data"], "object", "previous_attributes")
	if err != nil {
		return nil, nil, notEvent(fmt.Errorf("data: %w", err))
	}
	return data["object"], data["previous_attributes"], nil
}

// ObjectName returns the member "object" of one Stripe object, for example "invoice".
func ObjectName(object json.RawMessage) (string, error) {
	fields, err := members(object, "object")
	if err != nil {
		return "", err
	}
	var name string
	err = text(fields, "object", &name, required)
	return name, err
}

func notEvent(err error) error { return fmt.Errorf("%w: %w", ErrNotEvent, err) }

func (e *Envelope) readSnapshot(top map[string]json.RawMessage) error {
	if err := text(top, "account", &e.Account, optional); err != nil {
		return err
	}
	if raw := top["created"]; raw != nil {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return errors.New("created is not a whole number of seconds")
		}
		e.Created = n
	}
	data, err := members(top["data"], "object")
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	object := data["object"]
	if object == nil || string(object) == "null" {
		return nil
	}
	fields, err := members(object, "id")
	if err != nil {
		return fmt.Errorf("data.object: %w", err)
	}
	return text(fields, "id", &e.ObjectID, optional)
}

func (e *Envelope) readThin(top map[string]json.RawMessage) error {
	err := errors.Join(
		text(top, "context", &e.Account, optional),
		text(top, "created", &e.CreatedRaw, optional),
	)
	if err != nil {
		return err
	}
	if e.CreatedRaw != "" {
		at, err := time.Parse(time.RFC3339Nano, e.CreatedRaw)
		if err != nil {
			return errors.New("created is not an RFC 3339 time")
		}
		e.Created = at.Unix()
	}
	related := top["related_object"]
	if related == nil || string(related) == "null" {
		return nil
	}
	fields, err := members(related, "id")
	if err != nil {
		return fmt.Errorf("related_object: %w", err)
	}
	return text(fields, "id", &e.ObjectID, optional)
}

// members returns the raw values of the wanted keys of one JSON object that fills
// raw completely. encoding/json's structs would match keys in any case and let the
// last of two equal keys win; both would let a body show us another event than it
// shows to the typed decoder.
func members(raw []byte, wanted ...string) (map[string]json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not a JSON object")
	}
	found := make(map[string]json.RawMessage, len(wanted))
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, errors.New("broken JSON")
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errors.New("broken JSON")
		}
		key, _ := t.(string)
		for _, w := range wanted {
			if key != w {
				continue
			}
			if _, twice := found[key]; twice {
				return nil, fmt.Errorf("%q stands twice", key)
			}
			found[key] = value
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errors.New("broken JSON")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("bytes follow the JSON object")
	}
	return found, nil
}

type presence bool

const (
	required presence = true
	optional presence = false
)

// text reads a string of at most MaxNameBytes visible ASCII characters; null counts as absent.
func text(from map[string]json.RawMessage, key string, to *string, p presence) error {
	raw := from[key]
	if raw == nil || string(raw) == "null" {
		if p == required {
			return fmt.Errorf("%s is missing", key)
		}
		return nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return fmt.Errorf("%s is not a string", key)
	}
	if s == "" && p == required {
		return fmt.Errorf("%s is empty", key)
	}
	if len(s) > MaxNameBytes {
		return fmt.Errorf("%s is longer than %d bytes", key, MaxNameBytes)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%s has characters other than visible ASCII", key)
		}
	}
	*to = s
	return nil
}

func flag(from map[string]json.RawMessage, key string, to *bool) error {
	switch string(from[key]) {
	case "true":
		*to = true
	case "false", "":
	default:
		return fmt.Errorf("%s is not true or false", key)
	}
	return nil
}
