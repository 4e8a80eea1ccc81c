package queue

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
	"tollgate/pkg/members"
)

// ErrUndecodable: a message body is not an envelope; a retry cannot fix it.
var ErrUndecodable = errors.New("undecodable message")

// ErrNewer: a newer release wrote the message: its version is higher than this
// reader's, or its source is unknown here. A newer reader can read it, so the message waits.
var ErrNewer = errors.New("message of a newer release")

var errMessage = errors.New("not the JSON of a message")

// version is the message format's version. A higher one is [ErrNewer]; any other is refused.
const version = 1

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
	out := appendMessage(make([]byte, 0, 1024+base64.StdEncoding.EncodedLen(len(body))), e, encoding, body)
	if len(out) > limits.MaxMessage {
		out = appendMessage(out[:0], e, encodingNone, nil)
	}
	return string(out), nil
}

// appendMessage writes the members in the order of the package comment.
func appendMessage(out []byte, e event.Envelope, encoding string, body []byte) []byte {
	text := func(before, s string) { out = appendText(append(out, before...), s) }
	maybe := func(before, s string) {
		if s != "" {
			text(before, s)
		}
	}
	number := func(before string, n int64) { out = strconv.AppendInt(append(out, before...), n, 10) }
	number(`{"v":`, version)
	text(`,"id":`, e.ID)
	text(`,"object":`, e.Object)
	text(`,"type":`, e.Type)
	maybe(`,"endpoint":`, e.Endpoint)
	maybe(`,"account":`, e.Account)
	if e.AccountFrom != event.FromAccount {
		out = append(out, `,"context":true`...)
	}
	out = strconv.AppendBool(append(out, `,"livemode":`...), e.Livemode)
	maybe(`,"api_version":`, e.APIVersion)
	number(`,"created":`, e.Created)
	maybe(`,"created_raw":`, e.CreatedRaw)
	number(`,"received_at":`, e.ReceivedAt.UnixMilli())
	maybe(`,"object_id":`, e.ObjectID)
	text(`,"src":`, string(e.Source))
	text(`,"body_encoding":`, encoding)
	if len(body) > 0 {
		out = append(base64.StdEncoding.AppendEncode(append(out, `,"body":"`...), body), '"')
	}
	return append(out, '}')
}

// appendText writes a JSON string in ASCII. Like encoding/json it escapes what HTML would
// read.
func appendText(out []byte, s string) []byte {
	out = append(out, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			out = append(out, '\\', byte(r))
		case r >= ' ' && r <= '~' && r != '<' && r != '>' && r != '&':
			out = append(out, byte(r))
		default:
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
		}
	}
	return append(out, '"')
}

// Members of a message, by their place in message.
const (
	memberVersion = iota
	memberID
	memberObject
	memberType
	memberEndpoint
	memberAccount
	memberContext
	memberLivemode
	memberAPIVersion
	memberCreated
	memberCreatedRaw
	memberReceivedAt
	memberObjectID
	memberSource
	memberBodyEncoding
	memberBody
)

type message []members.Member

func newMessage() message {
	return message{
		memberVersion:      {Name: "v"},
		memberID:           {Name: "id"},
		memberObject:       {Name: "object"},
		memberType:         {Name: "type"},
		memberEndpoint:     {Name: "endpoint"},
		memberAccount:      {Name: "account"},
		memberContext:      {Name: "context"},
		memberLivemode:     {Name: "livemode"},
		memberAPIVersion:   {Name: "api_version"},
		memberCreated:      {Name: "created"},
		memberCreatedRaw:   {Name: "created_raw"},
		memberReceivedAt:   {Name: "received_at"},
		memberObjectID:     {Name: "object_id"},
		memberSource:       {Name: "src"},
		memberBodyEncoding: {Name: "body_encoding"},
		memberBody:         {Name: "body"},
	}
}

// Decode reads a message body. Its envelope's Body is nil when the message is
// id-only. Every error wraps [ErrUndecodable] or [ErrNewer]; none quotes the event's
// bytes. With ErrNewer the envelope has the message's ID and Type, where they are
// readable header fields, and nothing else.
func Decode(body string) (event.Envelope, error) {
	if len(body) > limits.MaxQueueRequest {
		return event.Envelope{}, fmt.Errorf("%w: message is over %d bytes", ErrUndecodable, limits.MaxQueueRequest)
	}
	m := newMessage()
	if members.FindLast([]byte(body), m) != nil {
		return event.Envelope{}, fmt.Errorf("%w: %w", ErrUndecodable, errMessage)
	}
	if m[memberVersion].Absent() {
		if form := partnerForm(); isPartner([]byte(body), form) {
			return decodePartner(form)
		}
	}
	if e, err := m.newer(); err != nil {
		return e, err
	}
	e, err := m.decode()
	if err != nil {
		return event.Envelope{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return e, nil
}

// newer reads the members that identify a newer release's message, whatever shape the others
// have. Its error is ErrNewer or nil.
func (m message) newer() (event.Envelope, error) {
	v, err := strconv.ParseInt(string(m[memberVersion].Raw), 10, 64)
	if err != nil || v < version {
		return event.Envelope{}, nil
	}
	e := event.Envelope{ID: headerText(m[memberID]), Type: headerText(m[memberType])}
	if v > version {
		return e, fmt.Errorf("%w: version %d, this reader knows %d", ErrNewer, v, version)
	}
	if src := headerText(m[memberSource]); src != "" && !event.Source(src).Valid() {
		return e, fmt.Errorf("%w: source %.40q is unknown", ErrNewer, src)
	}
	return event.Envelope{}, nil
}

// headerText reads a header field, "" when m is none.
func headerText(m members.Member) string {
	s, err := m.Text()
	if err != nil || checkText(s) != nil {
		return ""
	}
	return s
}

func (m message) decode() (event.Envelope, error) {
	var e event.Envelope
	var v, receivedAt int64
	var src, encoding string
	var context bool
	err := cmp.Or(
		m.number(memberVersion, &v), m.text(memberID, &e.ID), m.text(memberObject, &e.Object), m.text(memberType, &e.Type),
		m.text(memberEndpoint, &e.Endpoint), m.text(memberAccount, &e.Account), m.flag(memberContext, &context),
		m.flag(memberLivemode, &e.Livemode), m.text(memberAPIVersion, &e.APIVersion), m.number(memberCreated, &e.Created),
		m.text(memberCreatedRaw, &e.CreatedRaw), m.number(memberReceivedAt, &receivedAt), m.text(memberObjectID, &e.ObjectID),
		m.text(memberSource, &src), m.text(memberBodyEncoding, &encoding),
	)
	body, bodyErr := m[memberBody].Bytes()
	if cmp.Or(err, bodyErr) != nil {
		return event.Envelope{}, errMessage
	}
	if v != version {
		return event.Envelope{}, fmt.Errorf("message version %d, this reader knows %d", v, version)
	}
	// A message without livemode must not read as one of test mode.
	if m[memberLivemode].Absent() || m[memberCreated].Absent() || m[memberReceivedAt].Absent() {
		return event.Envelope{}, errors.New("livemode, created or received_at is missing")
	}
	e.ReceivedAt, e.Source = time.UnixMilli(receivedAt).UTC(), event.Source(src)
	if e.Body, err = unpack(encoding, body); err != nil {
		return event.Envelope{}, err
	}
	if context {
		e.AccountFrom = event.FromContext
	} else {
		readContext(&e)
	}
	return e, check(e)
}

func (m message) text(i int, to *string) (err error) {
	*to, err = m[i].Text()
	return err
}

func (m message) flag(i int, to *bool) (err error) {
	*to, err = m[i].Flag()
	return err
}

func (m message) number(i int, to *int64) (err error) {
	if !m[i].Absent() {
		*to, err = strconv.ParseInt(string(m[i].Raw), 10, 64)
	}
	return err
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
