// Package stdwebhooks signs and verifies messages by the Standard Webhooks specification
// (standardwebhooks.com): HMAC-SHA256 (v1), or ed25519 (v1a). README.md is for the developers
// of receivers.
//
// The specification's own Go library has one key, v1 only. Here a message is signed with each
// of several keys, so that a receiver can roll its key, and a timestamp has one spelling.
//
//	keys, err := stdwebhooks.Parse("whsec_… whsec_…")
//	err = keys.Sign(request.Header, stdwebhooks.Message{ID: id, At: now, Body: body})
//	message, err := keys.Verify(request.Header, body, now)
package stdwebhooks

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Headers of a message.
const (
	HeaderID        = "webhook-id"        // the same in every attempt
	HeaderTimestamp = "webhook-timestamp" // of the attempt, in seconds since 1970
	HeaderSignature = "webhook-signature" // separated by spaces
)

// Tolerance is how old, and how far ahead of the receiver's clock, a timestamp may be.
const Tolerance = 5 * time.Minute

// Versions of signatures.
const (
	v1  = "v1"  // HMAC-SHA256
	v1a = "v1a" // ed25519
)

// maxSignatures bounds the signatures that a receiver tries.
const maxSignatures = 16

// Why a message is not signed or not accepted.
var (
	ErrID        = errors.New("a message's id has 1 to 128 of A-Z, a-z, 0-9, _ and -")
	ErrPublic    = errors.New("a public key cannot sign")
	ErrHeaders   = errors.New("not one each of the headers webhook-id, webhook-timestamp and webhook-signature")
	ErrTimestamp = errors.New("the timestamp is not a number of seconds")
	ErrTooOld    = errors.New("the timestamp is too old")
	ErrTooNew    = errors.New("the timestamp is in the future")
	ErrNoMatch   = errors.New("no signature matches")
)

// Message is what is signed.
type Message struct {
	ID   string
	At   time.Time // of the attempt, to the second
	Body []byte    // the bytes as sent
}

// Sign sets the message's headers, with a signature for each key.
func (k Keys) Sign(h http.Header, m Message) error {
	if !validID(m.ID) {
		return ErrID
	}
	at := strconv.FormatInt(m.At.Unix(), 10)
	signed := content(m.ID, at, m.Body)
	var signatures []string
	for _, key := range k.list {
		switch {
		case key.secret != nil:
			signatures = append(signatures, v1+","+base64.StdEncoding.EncodeToString(mac(key.secret, signed)))
		case key.private != nil:
			signatures = append(signatures, v1a+","+base64.StdEncoding.EncodeToString(ed25519.Sign(key.private, signed)))
		default:
			return ErrPublic
		}
	}
	h.Set(HeaderID, m.ID)
	h.Set(HeaderTimestamp, at)
	h.Set(HeaderSignature, strings.Join(signatures, " "))
	return nil
}

// Verify returns the message if one of its signatures is by one of the keys and its time is
// within Tolerance of now. Body is the request's, before anything has parsed it.
func (k Keys) Verify(h http.Header, body []byte, now time.Time) (Message, error) {
	id, at, signature := one(h, HeaderID), one(h, HeaderTimestamp), one(h, HeaderSignature)
	if id == "" || at == "" || signature == "" {
		return Message{}, ErrHeaders
	}
	if !validID(id) {
		return Message{}, ErrID
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	if err != nil || strconv.FormatInt(seconds, 10) != at {
		return Message{}, ErrTimestamp
	}
	m := Message{ID: id, At: time.Unix(seconds, 0), Body: body}
	switch {
	case m.At.Before(now.Add(-Tolerance)):
		return Message{}, ErrTooOld
	case m.At.After(now.Add(Tolerance)):
		return Message{}, ErrTooNew
	case !k.match(content(id, at, body), signature):
		return Message{}, ErrNoMatch
	}
	return m, nil
}

func (k Keys) match(signed []byte, header string) bool {
	signatures := strings.SplitN(header, " ", maxSignatures+1)
	signatures = signatures[:min(len(signatures), maxSignatures)]
	for _, key := range k.list {
		matches := key.matchPublic
		if key.secret != nil {
			want := []byte(v1 + "," + base64.StdEncoding.EncodeToString(mac(key.secret, signed)))
			matches = func(_ []byte, signature string) bool { return hmac.Equal([]byte(signature), want) }
		}
		for _, s := range signatures {
			if matches(signed, s) {
				return true
			}
		}
	}
	return false
}

func (k key) matchPublic(signed []byte, signature string) bool {
	encoded, ok := strings.CutPrefix(signature, v1a+",")
	got, err := base64.StdEncoding.DecodeString(encoded)
	return ok && err == nil && ed25519.Verify(k.public, signed, got)
}

// one returns the only value of a header, else "".
func one(h http.Header, name string) string {
	if values := h.Values(name); len(values) == 1 {
		return values[0]
	}
	return ""
}

// validID excludes the full stop, which separates what is signed.
func validID(id string) bool {
	outside := func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}
	return id != "" && len(id) <= 128 && !strings.ContainsFunc(id, outside)
}

func content(id, at string, body []byte) []byte {
	signed := make([]byte, 0, len(id)+len(at)+len(body)+2)
	signed = append(append(signed, id...), '.')
	signed = append(append(signed, at...), '.')
	return append(signed, body...)
}

func mac(secret, signed []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write(signed)
	return h.Sum(nil)
}
