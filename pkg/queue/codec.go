package queue

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// ErrUndecodable: a message body is not an envelope; a retry cannot fix it.
var ErrUndecodable = errors.New("undecodable message")

// ErrNewer: a newer release wrote the message: its version is higher than this
// reader's, or its source is unknown here. A newer reader can read it, so the message waits.
var ErrNewer = errors.New("message of a newer release")

// version is the message format's version. A higher one is [ErrNewer]; any other is refused.
const version = 1

// wire is the JSON form of a message body. The pointers tell a missing member from a
// zero: a message without livemode must not read as one of test mode.
type wire struct {
	Version      int    `json:"v"`
	ID           string `json:"id"`
	Object       string `json:"object"`
	Type         string `json:"type"`
	Endpoint     string `json:"endpoint,omitempty"`
	Account      string `json:"account,omitempty"`
	Context      bool   `json:"context,omitempty"` // Account was read from the event's context
	Livemode     *bool  `json:"livemode"`
	APIVersion   string `json:"api_version,omitempty"`
	Created      *int64 `json:"created"`
	CreatedRaw   string `json:"created_raw,omitempty"`
	ReceivedAt   *int64 `json:"received_at"`
	ObjectID     string `json:"object_id,omitempty"`
	Source       string `json:"src"`
	BodyEncoding string `json:"body_encoding"`
	Body         string `json:"body,omitempty"`
}

// Encode returns the message body for e: one JSON object in ASCII, at most
// limits.MaxMessage bytes. A body over limits.CompressOver is compressed; where even
// that would make the message too large, where the body is over limits.MaxBody, or
// where e has none, the message is id-only. It fails only for an envelope that
// [Decode] would refuse. ReceivedAt is kept to the millisecond.
func Encode(e event.Envelope) (string, error) {
	if err := check(e); err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	encoding, body, err := pack(e.Body)
	if err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	receivedAt := e.ReceivedAt.UnixMilli()
	w := wire{
		Version: version, ID: e.ID, Object: e.Object, Type: e.Type, Endpoint: e.Endpoint,
		Account: e.Account, Context: e.AccountFrom != event.FromAccount, Livemode: &e.Livemode, APIVersion: e.APIVersion,
		Created: &e.Created, CreatedRaw: e.CreatedRaw, ReceivedAt: &receivedAt,
		ObjectID: e.ObjectID, Source: string(e.Source), BodyEncoding: encoding, Body: body,
	}
	out, err := marshalASCII(w)
	if err == nil && len(out) > limits.MaxMessage {
		w.BodyEncoding, w.Body = encodingNone, ""
		out, err = marshalASCII(w)
	}
	if err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	return out, nil
}

// marshalASCII escapes what encoding/json leaves as it is: DEL and all beyond it.
func marshalASCII(w wire) (string, error) {
	raw, err := json.Marshal(w)
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(raw, func(c byte) bool { return c >= 0x7f }) {
		return string(raw), nil
	}
	out := make([]byte, 0, len(raw)+64)
	for _, r := range string(raw) {
		if r < 0x7f {
			out = append(out, byte(r))
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return string(out), nil
}

// Decode reads a message body. Its envelope's Body is nil when the message is
// id-only. Every error wraps [ErrUndecodable] or [ErrNewer]; none quotes the event's
// bytes. With ErrNewer the envelope has the message's ID and Type, where they are
// readable header fields, and nothing else.
func Decode(body string) (event.Envelope, error) {
	if len(body) > limits.MaxQueueRequest {
		return event.Envelope{}, fmt.Errorf("%w: message is over %d bytes", ErrUndecodable, limits.MaxQueueRequest)
	}
	if e, err := newer(body); err != nil {
		return e, err
	}
	e, err := decode(body)
	if err != nil {
		return event.Envelope{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return e, nil
}

// newer reads the members that identify a newer release's message, whatever shape the others
// have. Its error is ErrNewer or nil.
func newer(body string) (event.Envelope, error) {
	var is struct {
		Version json.RawMessage `json:"v"`
		Source  json.RawMessage `json:"src"`
		ID      json.RawMessage `json:"id"`
		Type    json.RawMessage `json:"type"`
	}
	if json.Unmarshal([]byte(body), &is) != nil {
		return event.Envelope{}, nil
	}
	v, err := strconv.ParseInt(string(is.Version), 10, 64)
	if err != nil || v < version {
		return event.Envelope{}, nil
	}
	e := event.Envelope{ID: headerText(is.ID), Type: headerText(is.Type)}
	if v > version {
		return e, fmt.Errorf("%w: version %d, this reader knows %d", ErrNewer, v, version)
	}
	if src := headerText(is.Source); src != "" && !event.Source(src).Valid() {
		return e, fmt.Errorf("%w: source %.40q is unknown", ErrNewer, src)
	}
	return event.Envelope{}, nil
}

// headerText reads a header field, "" when raw is none.
func headerText(raw json.RawMessage) string {
	var s string
	if len(raw) == 0 || json.Unmarshal(raw, &s) != nil || checkText(s) != nil {
		return ""
	}
	return s
}

func decode(body string) (event.Envelope, error) {
	var w wire
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		return event.Envelope{}, errors.New("not the JSON of a message")
	}
	if w.Version != version {
		return event.Envelope{}, fmt.Errorf("message version %d, this reader knows %d", w.Version, version)
	}
	if w.Livemode == nil || w.Created == nil || w.ReceivedAt == nil {
		return event.Envelope{}, errors.New("livemode, created or received_at is missing")
	}
	raw, err := unpack(w.BodyEncoding, w.Body)
	if err != nil {
		return event.Envelope{}, err
	}
	e := event.Envelope{
		ID: w.ID, Object: w.Object, Type: w.Type, Endpoint: w.Endpoint, Account: w.Account,
		Livemode: *w.Livemode, APIVersion: w.APIVersion, Created: *w.Created, CreatedRaw: w.CreatedRaw,
		ReceivedAt: time.UnixMilli(*w.ReceivedAt).UTC(), ObjectID: w.ObjectID,
		Source: event.Source(w.Source), Body: raw,
	}
	if w.Context {
		e.AccountFrom = event.FromContext
	} else {
		readContext(&e)
	}
	return e, check(e)
}

// readContext takes the account from the body, if that has a context and the message is of a
// release that ignored it. The header has the account if reconcile or a replay asked as it.
func readContext(e *event.Envelope) {
	if e.Thin() || !bytes.Contains(e.Body, []byte("context")) {
		return
	}
	inside, err := event.Parse(e.Body)
	switch {
	case err != nil || inside.AccountFrom != event.FromContext:
	case e.Account == "":
		e.Account, e.AccountFrom = inside.Account, event.FromBody
	case e.Account == inside.Account:
		e.AccountFrom = event.FromContext
	}
}

// check is for both directions: what a table key or a log line needs is present, bounded, and
// ASCII except for the object's id.
func check(e event.Envelope) error {
	if e.ID == "" || e.Type == "" {
		return errors.New("id or type is missing")
	}
	if e.Object != event.ObjectSnapshot && e.Object != event.ObjectThin {
		return fmt.Errorf("object %+.40q is no event", e.Object)
	}
	if !e.Source.Valid() {
		return fmt.Errorf("source %+.40q is unknown", e.Source)
	}
	if len(e.ObjectID) > event.MaxObjectIDBytes || !utf8.ValidString(e.ObjectID) {
		return fmt.Errorf("object id is over %d bytes or no UTF-8", event.MaxObjectIDBytes)
	}
	for _, s := range []string{e.ID, e.Type, e.Endpoint, e.Account, e.APIVersion, e.CreatedRaw} {
		if err := checkText(s); err != nil {
			return err
		}
	}
	if e.Body != nil && len(e.Body) == 0 {
		return errors.New("body is empty")
	}
	return nil
}

func checkText(s string) error {
	if len(s) > event.MaxNameBytes {
		return fmt.Errorf("a header field is over %d bytes", event.MaxNameBytes)
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return errors.New("a header field has characters other than visible ASCII")
		}
	}
	return nil
}
