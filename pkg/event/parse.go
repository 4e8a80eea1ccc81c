package event

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrNotEvent means that bytes are not a Stripe event, whoever signed them.
var ErrNotEvent = errors.New("not a Stripe event")

// Limits of what becomes a table key or a log attribute.
const (
	// MaxNameBytes limits an event's id, type, account and API version. Stripe generates
	// them in visible ASCII; its ids have at most 255 characters.
	MaxNameBytes = 255
	// MaxObjectIDBytes limits an object's id. Users choose those of coupons, plans and
	// products: up to 255 characters of any script.
	MaxObjectIDBytes = 4 * 255
)

// Parse parses the header fields of an event from a delivery or from Stripe's API. Keys match
// exactly. Trailing bytes are an error, and so is a key that encoding/json would match with
// one read here (a duplicate, or in another case), at the top, in data, in data.object (id,
// object) and in related_object: a handler decodes the event that the header names. null
// counts as absent. The caller sets Body, Endpoint, Source and ReceivedAt. Every error wraps
// [ErrNotEvent], is one line and quotes no data.
func Parse(body []byte) (Envelope, error) {
	top, err := object(body, "id", "object", "type", "account", "context", "livemode",
		"api_version", "created", "data", "related_object")
	if err != nil {
		return Envelope{}, notEvent(err)
	}
	var e Envelope
	err = cmp.Or(
		text(top, "object", &e.Object, required),
		text(top, "id", &e.ID, required),
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
		err = errors.New("object is not a kind of event")
	}
	if err != nil {
		return Envelope{}, notEvent(err)
	}
	return e, nil
}

// Data returns the raw data.object and data.previous_attributes of a snapshot event; previous
// is nil if absent. Keys match as in [Parse]; both alias body.
func Data(body []byte) (snapshot, previous json.RawMessage, err error) {
	top, err := object(body, "data")
	if err != nil {
		return nil, nil, notEvent(err)
	}
	data, err := members(top["data"], "object", "previous_attributes")
	if err != nil {
		return nil, nil, notEvent(fmt.Errorf("data: %w", err))
	}
	return data["object"], data["previous_attributes"], nil
}

// Object is the identity of one Stripe object.
type Object struct {
	ID      string // "" without one
	Kind    string // its member "object", such as "invoice"; "" without one
	Deleted bool
}

// ReadObject parses a Stripe object, of an event or fetched, by the rules of [Parse].
func ReadObject(raw json.RawMessage) (o Object, err error) {
	fields, err := object(raw, "id", "object", "deleted")
	if err != nil {
		return Object{}, err
	}
	o.ID, err = objectID(fields)
	if err = cmp.Or(err, text(fields, "object", &o.Kind, optional), flag(fields, "deleted", &o.Deleted)); err != nil {
		return Object{}, err
	}
	return o, nil
}

func notEvent(err error) error { return fmt.Errorf("%w: %w", ErrNotEvent, err) }

func (e *Envelope) readSnapshot(top map[string]json.RawMessage) error {
	var context string
	err := cmp.Or(
		text(top, "account", &e.Account, optional),
		text(top, "context", &context, optional),
	)
	if err != nil {
		return err
	}
	if e.Account == "" && context != "" { // an event of an organisation
		e.Account, e.AccountFrom = ContextAccount(context), FromContext
	}
	if raw := top["created"]; !absent(raw) {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return errors.New("created is not a whole number of seconds")
		}
		e.Created = n
	}
	data, err := members(top["data"], "object", "previous_attributes")
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return e.readObjectID(data["object"], "data.object")
}

func (e *Envelope) readThin(top map[string]json.RawMessage) error {
	err := cmp.Or(
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
	return e.readObjectID(top["related_object"], "related_object")
}

func (e *Envelope) readObjectID(raw json.RawMessage, where string) error {
	if absent(raw) {
		return nil
	}
	fields, err := members(raw, "id", "object")
	if err == nil {
		e.ObjectID, err = objectID(fields)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

func objectID(fields map[string]json.RawMessage) (string, error) {
	id, err := str(fields, "id")
	if err != nil {
		return "", err
	}
	if len(id) > MaxObjectIDBytes {
		return "", fmt.Errorf("id is longer than %d bytes", MaxObjectIDBytes)
	}
	if strings.ContainsRune(id, utf8.RuneError) && !isUnicode(fields["id"]) {
		return "", errors.New("id is not Unicode text")
	}
	return id, nil
}

type presence bool

const (
	required presence = true
	optional presence = false
)

func absent(raw json.RawMessage) bool { return raw == nil || string(raw) == "null" }

// str reads a string, "" if absent.
func str(from map[string]json.RawMessage, key string) (string, error) {
	var s string
	if raw := from[key]; !absent(raw) && json.Unmarshal(raw, &s) != nil {
		return "", fmt.Errorf("%s is not a string", key)
	}
	return s, nil
}

// text reads a string of at most MaxNameBytes visible ASCII characters.
func text(from map[string]json.RawMessage, key string, to *string, p presence) error {
	s, err := str(from, key)
	if err != nil {
		return err
	}
	if s == "" && p == required {
		return fmt.Errorf("%s is missing or empty", key)
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
	switch raw := from[key]; {
	case string(raw) == "true":
		*to = true
	case string(raw) != "false" && !absent(raw):
		return fmt.Errorf("%s is not true or false", key)
	}
	return nil
}
