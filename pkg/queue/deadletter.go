package queue

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"tollgate/pkg/limits"
)

// DeadLetter is why a message was put into the dead-letter queue, sent as message attributes
// with the unchanged body. Messages that the queue moved after too many receives have none;
// the record has the cause.
type DeadLetter struct {
	Reason      string
	Error       string
	Fingerprint string // the same for failures of one kind; see [Fingerprint]
	EventID     string
	EventType   string
	Attempt     int64
	Destination string // of a delivery
}

// Names of the attributes.
const (
	attrReason      = "reason"
	attrError       = "error"
	attrFingerprint = "fingerprint"
	attrEventID     = "event_id"
	attrEventType   = "event_type"
	attrAttempt     = "attempt"
	attrDestination = "destination"
)

// Attributes returns the message attributes, without the empty ones that a queue
// would refuse; values are ASCII and at most limits.MaxErrorText bytes.
func (d DeadLetter) Attributes() map[string]string {
	all := map[string]string{
		attrReason: d.Reason, attrError: d.Error, attrFingerprint: d.Fingerprint,
		attrEventID: d.EventID, attrEventType: d.EventType, attrDestination: d.Destination,
	}
	if d.Attempt > 0 {
		all[attrAttempt] = strconv.FormatInt(d.Attempt, 10)
	}
	for name, value := range all {
		if all[name] = ascii(value); all[name] == "" {
			delete(all, name)
		}
	}
	return all
}

// DeadLetterOf reads attributes; ok is false when a consumer did not write them.
func DeadLetterOf(attributes map[string]string) (d DeadLetter, ok bool) {
	n, _ := strconv.ParseInt(attributes[attrAttempt], 10, 64)
	d = DeadLetter{
		Reason: attributes[attrReason], Error: attributes[attrError], Fingerprint: attributes[attrFingerprint],
		EventID: attributes[attrEventID], EventType: attributes[attrEventType], Attempt: n, Destination: attributes[attrDestination],
	}
	return d, d.Reason != ""
}

// variables are what differs between failures of one kind, with what it becomes. They are
// compiled at the first failure, not at every start.
var variables = sync.OnceValue(func() [3]variable {
	return [3]variable{
		{regexp.MustCompile("\"[^\"]*\"|'[^']*'|`[^`]*`"), "<text>"},
		{regexp.MustCompile(`\b[A-Za-z]+(?:_[A-Za-z]+)*_[A-Za-z0-9]{6,}\b|\b[0-9a-fA-F]{8,}(?:-[0-9a-fA-F]{4,})*\b`), "<id>"},
		{regexp.MustCompile(`(\.go:[0-9]+)|[0-9]+`), "$1<n>"}, // source positions stay: they identify the fault
	}
})

type variable struct {
	pattern *regexp.Regexp
	becomes string
}

// ErrRefused: the queue refuses a message even without attributes.
var ErrRefused = errors.New("the queue refuses this message")

// Fingerprint groups failures that differ only in numbers, ids and quoted text: the
// first 12 hex digits of a digest over the event type, the reason and the error so reduced.
func Fingerprint(eventType, reason, errText string) string {
	for _, v := range variables() {
		errText = v.pattern.ReplaceAllString(errText, v.becomes)
	}
	sum := sha256.Sum256([]byte(eventType + "\n" + reason + "\n" + errText))
	return hex.EncodeToString(sum[:])[:12]
}

// ascii replaces what an attribute may not carry and cuts the rest.
func ascii(s string) string {
	if len(s) > limits.MaxErrorText {
		s = s[:limits.MaxErrorText]
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r > '~':
			return '?'
		default:
			return r
		}
	}, s))
}
