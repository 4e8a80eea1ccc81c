// Package queue turns an envelope into the body of a queue message and back, and
// says what a message is to its consumer. It knows no transport.
//
//	body, err := queue.Encode(env)
//	env, err := queue.Decode(msg.Body)   // errors.Is(err, queue.ErrUndecodable)
package queue

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// Message is one receive of a queue message.
type Message struct {
	ID       string // the queue's own id; a redriven message has a new one
	Receipt  string // proof of this receive
	Body     string
	Group    string // message group id, "" for none
	Receives int    // how often the message was received, this receive included; at least 1
	SentAt   time.Time
}

// ErrUndecodable says that a message body holds no envelope that this version can
// read; no later attempt can cure it.
var ErrUndecodable = errors.New("undecodable message")

// version is the message format's version. A reader refuses every other.
const version = 1

// How the bytes of an event stand in a message.
const (
	encodingBase64 = "base64"
	encodingZstd   = "zstd+base64"
	encodingNone   = "none" // id-only: the event is fetched from Stripe
)

// wire is the JSON form of a message body. encoding/json escapes what HTML needs,
// not what is outside ASCII, so every string here is ASCII by [event.Parse]'s rules.
type wire struct {
	Version      int    `json:"v"`
	ID           string `json:"id"`
	Object       string `json:"object"`
	Type         string `json:"type"`
	Endpoint     string `json:"endpoint,omitempty"`
	Account      string `json:"account,omitempty"`
	Livemode     bool   `json:"livemode"`
	APIVersion   string `json:"api_version,omitempty"`
	Created      int64  `json:"created"`
	CreatedRaw   string `json:"created_raw,omitempty"`
	ReceivedAt   int64  `json:"received_at"`
	ObjectID     string `json:"object_id,omitempty"`
	Source       string `json:"src"`
	BodyEncoding string `json:"body_encoding"`
	Body         string `json:"body,omitempty"`
}

// Encode returns the message body for e: one JSON object in ASCII, at most
// limits.MaxMessage bytes. A body over limits.CompressOver is compressed; where even
// that would make the message too large, or e has no body, the message is id-only.
// It fails only for an envelope that [Decode] would refuse.
func Encode(e event.Envelope) (string, error) {
	if err := check(e); err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	w := wire{
		Version: version, ID: e.ID, Object: e.Object, Type: e.Type, Endpoint: e.Endpoint,
		Account: e.Account, Livemode: e.Livemode, APIVersion: e.APIVersion,
		Created: e.Created, CreatedRaw: e.CreatedRaw, ReceivedAt: e.ReceivedAt.UnixMilli(),
		ObjectID: e.ObjectID, Source: string(e.Source), BodyEncoding: encodingNone,
	}
	switch {
	case e.Body == nil:
	case len(e.Body) <= limits.CompressOver:
		w.BodyEncoding, w.Body = encodingBase64, base64.StdEncoding.EncodeToString(e.Body)
	case len(e.Body) <= limits.MaxBody:
		packed, err := compress(e.Body)
		if err != nil {
			return "", fmt.Errorf("encode message: %w", err)
		}
		w.BodyEncoding, w.Body = encodingZstd, base64.StdEncoding.EncodeToString(packed)
	}
	out, err := json.Marshal(w)
	if err == nil && len(out) > limits.MaxMessage {
		w.BodyEncoding, w.Body = encodingNone, ""
		out, err = json.Marshal(w)
	}
	if err != nil {
		return "", fmt.Errorf("encode message: %w", err)
	}
	return string(out), nil
}

// Decode reads a message body. Its envelope's Body is nil when the message is
// id-only. Every error wraps [ErrUndecodable]; none quotes the body.
func Decode(body string) (event.Envelope, error) {
	e, err := decode(body)
	if err != nil {
		return event.Envelope{}, fmt.Errorf("%w: %w", ErrUndecodable, err)
	}
	return e, nil
}

func decode(body string) (event.Envelope, error) {
	if len(body) > limits.MaxQueueRequest {
		return event.Envelope{}, fmt.Errorf("body is over %d bytes", limits.MaxQueueRequest)
	}
	var w wire
	if err := json.Unmarshal([]byte(body), &w); err != nil {
		return event.Envelope{}, errors.New("body is not a message's JSON")
	}
	if w.Version != version {
		return event.Envelope{}, fmt.Errorf("message version %d, this reader knows %d", w.Version, version)
	}
	raw, err := unpack(w.BodyEncoding, w.Body)
	if err != nil {
		return event.Envelope{}, err
	}
	e := event.Envelope{
		ID: w.ID, Object: w.Object, Type: w.Type, Endpoint: w.Endpoint, Account: w.Account,
		Livemode: w.Livemode, APIVersion: w.APIVersion, Created: w.Created, CreatedRaw: w.CreatedRaw,
		ReceivedAt: time.UnixMilli(w.ReceivedAt).UTC(), ObjectID: w.ObjectID,
		Source: event.Source(w.Source), Body: raw,
	}
	return e, check(e)
}

// check holds for every envelope that travels: what a table key or a log line needs is there and is ASCII.
func check(e event.Envelope) error {
	if e.ID == "" || e.Type == "" {
		return errors.New("id or type is missing")
	}
	if e.Object != event.ObjectSnapshot && e.Object != event.ObjectThin {
		return fmt.Errorf("object %.40q is no event", e.Object)
	}
	if !e.Source.Valid() {
		return fmt.Errorf("source %.40q is unknown", e.Source)
	}
	for _, s := range []string{e.ID, e.Type, e.Endpoint, e.Account, e.APIVersion, e.CreatedRaw, e.ObjectID} {
		if len(s) > event.MaxNameBytes {
			return fmt.Errorf("a header field is over %d bytes", event.MaxNameBytes)
		}
		for i := range len(s) {
			if s[i] <= ' ' || s[i] > '~' {
				return errors.New("a header field has characters other than visible ASCII")
			}
		}
	}
	return nil
}

func unpack(encoding, body string) ([]byte, error) {
	switch encoding {
	case encodingNone:
		if body != "" {
			return nil, errors.New("id-only message with a body")
		}
		return nil, nil
	case encodingBase64, encodingZstd:
	default:
		return nil, fmt.Errorf("body encoding %.40q is unknown", encoding)
	}
	raw, err := base64.StdEncoding.DecodeString(body)
	if err != nil {
		return nil, errors.New("body is not base64")
	}
	if encoding == encodingBase64 {
		return raw, nil
	}
	return decompress(raw)
}

func compress(body []byte) ([]byte, error) {
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress body: %w", err)
	}
	defer w.Close()
	return w.EncodeAll(body, nil), nil
}

// decompress stops at limits.MaxBody, so that a small message cannot grow without bound.
func decompress(packed []byte) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(packed),
		zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*limits.MaxBody))
	if err != nil {
		return nil, fmt.Errorf("decompress body: %w", err)
	}
	defer r.Close()
	raw, err := io.ReadAll(io.LimitReader(r, limits.MaxBody+1))
	if err != nil {
		return nil, errors.New("body is not zstd")
	}
	if len(raw) > limits.MaxBody {
		return nil, fmt.Errorf("body is over %d bytes", limits.MaxBody)
	}
	return raw, nil
}
