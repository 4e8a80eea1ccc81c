package redrive

import (
	"errors"
	"strings"
	"time"

	"tollgate/pkg/event"
)

// Filter selects dead letters. The zero value selects all; what is set must all hold.
type Filter struct {
	Type        string // an event type, a pattern that ends in ".*", or "*" for any that is known
	Fingerprint string
	Reason      string
	Account     string // connected account
	ID          string // of an event, or of a message
	// Letters that were sent in [Since, Until). The queue keeps the time at which a
	// message that it moved itself was first sent.
	Since, Until time.Time
}

// Validate refuses a filter that no letter can pass.
func (f Filter) Validate() error {
	if !event.ValidPattern(f.Type) {
		return errors.New("a type is an event type, a pattern that ends in .* or *")
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return errors.New("since is not before until")
	}
	return nil
}

// Matches reports whether a letter, explained, passes the filter.
func (f Filter) Matches(l Letter) bool {
	switch {
	case f.Type != "" && (l.Type() == "" || !event.MatchType(f.Type, l.Type())),
		f.Fingerprint != "" && f.Fingerprint != l.Cause.Fingerprint,
		f.Reason != "" && f.Reason != l.Cause.Reason,
		f.Account != "" && f.Account != l.Event.Account,
		f.ID != "" && f.ID != l.EventID() && f.ID != l.MessageID,
		!f.Since.IsZero() && l.SentAt.Before(f.Since),
		!f.Until.IsZero() && !l.SentAt.Before(f.Until):
		return false
	}
	return true
}

// String says the filter in words.
func (f Filter) String() string {
	var words []string
	for _, w := range []struct{ name, value string }{
		{"type", f.Type}, {"error", f.Fingerprint}, {"reason", f.Reason}, {"account", f.Account}, {"id", f.ID},
		{"since", stampOf(f.Since)}, {"until", stampOf(f.Until)},
	} {
		if w.value != "" {
			words = append(words, w.name+" "+w.value)
		}
	}
	if len(words) == 0 {
		return "all"
	}
	return strings.Join(words, ", ")
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
