package event_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"tollgate/pkg/event"
)

// The functions of this file parse in two passes: encoding/json validates all, then a walk finds
// the members. FuzzAgainstTwoPasses compares Parse, Data and ReadObject with them.

func parseTwice(body []byte) (event.Envelope, error) {
	top, err := objectOf(body, "id", "object", "type", "account", "context", "livemode",
		"api_version", "created", "data", "related_object")
	if err != nil {
		return event.Envelope{}, notEvent(err)
	}
	var e event.Envelope
	err = cmp.Or(
		textOf(top, "object", &e.Object, required),
		textOf(top, "id", &e.ID, required),
		textOf(top, "type", &e.Type, required),
		textOf(top, "api_version", &e.APIVersion, optional),
		flagOf(top, "livemode", &e.Livemode),
	)
	if err != nil {
		return event.Envelope{}, notEvent(err)
	}
	switch e.Object {
	case event.ObjectSnapshot:
		err = readSnapshot(&e, top)
	case event.ObjectThin:
		err = readThin(&e, top)
	default:
		err = errors.New("object is not a kind of event")
	}
	if err != nil {
		return event.Envelope{}, notEvent(err)
	}
	return e, nil
}

func dataTwice(body []byte) (snapshot, previous json.RawMessage, err error) {
	top, err := objectOf(body, "data")
	if err != nil {
		return nil, nil, notEvent(err)
	}
	data, err := membersOf(top["data"], "object", "previous_attributes")
	if err != nil {
		return nil, nil, notEvent(fmt.Errorf("data: %w", err))
	}
	return data["object"], data["previous_attributes"], nil
}

func readObjectTwice(raw json.RawMessage) (o event.Object, err error) {
	fields, err := objectOf(raw, "id", "object", "deleted")
	if err != nil {
		return event.Object{}, err
	}
	o.ID, err = objectIDOf(fields)
	if err = cmp.Or(err, textOf(fields, "object", &o.Kind, optional), flagOf(fields, "deleted", &o.Deleted)); err != nil {
		return event.Object{}, err
	}
	return o, nil
}

func notEvent(err error) error { return fmt.Errorf("%w: %w", event.ErrNotEvent, err) }

func readSnapshot(e *event.Envelope, top map[string]json.RawMessage) error {
	var context string
	err := cmp.Or(
		textOf(top, "account", &e.Account, optional),
		textOf(top, "context", &context, optional),
	)
	if err != nil {
		return err
	}
	if e.Account == "" && context != "" { // an event of an organisation
		e.Account, e.AccountFrom = event.ContextAccount(context), event.FromContext
	}
	if raw := top["created"]; !absent(raw) {
		n, err := strconv.ParseInt(string(raw), 10, 64)
		if err != nil {
			return errors.New("created is not a whole number of seconds")
		}
		e.Created = n
	}
	data, err := membersOf(top["data"], "object", "previous_attributes")
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	return readObjectID(e, data["object"], "data.object")
}

func readThin(e *event.Envelope, top map[string]json.RawMessage) error {
	err := cmp.Or(
		textOf(top, "context", &e.Account, optional),
		textOf(top, "created", &e.CreatedRaw, optional),
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
	return readObjectID(e, top["related_object"], "related_object")
}

func readObjectID(e *event.Envelope, raw json.RawMessage, where string) error {
	if absent(raw) {
		return nil
	}
	fields, err := membersOf(raw, "id", "object")
	if err == nil {
		e.ObjectID, err = objectIDOf(fields)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

func objectIDOf(fields map[string]json.RawMessage) (string, error) {
	id, err := str(fields, "id")
	if err != nil {
		return "", err
	}
	if len(id) > event.MaxObjectIDBytes {
		return "", fmt.Errorf("id is longer than %d bytes", event.MaxObjectIDBytes)
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

// text reads a string of at most event.MaxNameBytes visible ASCII characters.
func textOf(from map[string]json.RawMessage, key string, to *string, p presence) error {
	s, err := str(from, key)
	if err != nil {
		return err
	}
	if s == "" && p == required {
		return fmt.Errorf("%s is missing or empty", key)
	}
	if len(s) > event.MaxNameBytes {
		return fmt.Errorf("%s is longer than %d bytes", key, event.MaxNameBytes)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return fmt.Errorf("%s has characters other than visible ASCII", key)
		}
	}
	*to = s
	return nil
}

func flagOf(from map[string]json.RawMessage, key string, to *bool) error {
	switch raw := from[key]; {
	case string(raw) == "true":
		*to = true
	case string(raw) != "false" && !absent(raw):
		return fmt.Errorf("%s is not true or false", key)
	}
	return nil
}

// object returns the raw values of the wanted keys of a JSON object without trailing bytes.
// The values alias raw.
func objectOf(raw []byte, wanted ...string) (map[string]json.RawMessage, error) {
	if !json.Valid(raw) {
		return nil, errors.New("not JSON, or cut off, or followed by other bytes")
	}
	return membersOf(raw, wanted...)
}

// members is [object] for valid JSON: the whole body is checked only once. encoding/json
// matches a struct's keys under simple case folding ("ID" and, with U+017F for s,
// "api_verſion" too), and the last match wins. So a second match of a wanted key, or an
// inexact one, is an error: handlers decode with encoding/json and must not see another
// object.
func membersOf(raw []byte, wanted ...string) (map[string]json.RawMessage, error) {
	i := skipSpace(raw, 0)
	if i == len(raw) || raw[i] != '{' {
		return nil, errors.New("not a JSON object")
	}
	found := make(map[string]json.RawMessage, len(wanted))
	for i = skipSpace(raw, i+1); raw[i] != '}'; {
		keyEnd := skipString(raw, i)
		start := skipSpace(raw, skipSpace(raw, keyEnd)+1) // +1: the colon
		end := skipValue(raw, start)
		key := unquote(raw[i:keyEnd])
		for _, w := range wanted {
			if !folds(key, w) {
				continue
			}
			if string(key) != w {
				return nil, fmt.Errorf("a key differs from %q in case alone", w)
			}
			if _, twice := found[w]; twice {
				return nil, fmt.Errorf("duplicate key %q", w)
			}
			found[w] = json.RawMessage(raw[start:end:end])
		}
		if i = skipSpace(raw, end); raw[i] == ',' {
			i = skipSpace(raw, i+1)
		}
	}
	return found, nil
}

// unquote decodes a JSON string: id for "\u0069d". It aliases quoted if it can.
func unquote(quoted []byte) []byte {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal(quoted, &s) // quoted is valid JSON
	return []byte(s)
}

// folds reports whether encoding/json matches a key with the ASCII name. A letter folds to at
// most three bytes (U+212A for k), so most keys need no comparison.
func folds(key []byte, name string) bool {
	return len(key) >= len(name) && len(key) <= 3*len(name) && strings.EqualFold(string(key), name)
}

// isUnicode reports whether a quoted JSON string is valid text. Decoders replace invalid
// UTF-8 and half a surrogate pair by U+FFFD, which could make two ids equal.
func isUnicode(quoted []byte) bool {
	if !utf8.Valid(quoted) {
		return false
	}
	for i := 0; i < len(quoted); i++ {
		if quoted[i] != '\\' {
			continue
		}
		i++ // the escaped character, also a backslash
		if unit := escaped(quoted[i:]); utf16.IsSurrogate(unit) {
			i += len("uXXXX")
			if quoted[i] != '\\' || utf16.DecodeRune(unit, escaped(quoted[i+1:])) == utf8.RuneError {
				return false
			}
			i += len("uXXXX")
		}
	}
	return true
}

// escaped returns the UTF-16 unit of the uXXXX that b begins with, 0 for another escape.
func escaped(b []byte) rune {
	if len(b) < len("uXXXX") || b[0] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(b[1:5]), 16, 16) // four hex digits: it is valid JSON
	return rune(unit)
}

// The skip functions return the index behind the token at i. raw is valid JSON.

func skipSpace(raw []byte, i int) int {
	for i < len(raw) && (raw[i] == ' ' || raw[i] == '\n' || raw[i] == '\r' || raw[i] == '\t') {
		i++
	}
	return i
}

func skipString(raw []byte, i int) int {
	for i++; raw[i] != '"'; i++ {
		if raw[i] == '\\' {
			i++
		}
	}
	return i + 1
}

func skipValue(raw []byte, i int) int {
	switch raw[i] {
	case '"':
		return skipString(raw, i)
	case '{', '[':
		return skipNested(raw, i)
	}
	for i < len(raw) && raw[i] != ',' && raw[i] != '}' && raw[i] != ']' && raw[i] > ' ' {
		i++
	}
	return i
}

func skipNested(raw []byte, i int) int {
	for depth := 0; ; i++ {
		switch raw[i] {
		case '"':
			i = skipString(raw, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
}
