package redrive

import (
	"errors"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/policy"
)

// Filter selects dead letters. The zero value selects all; all fields that are set must match.
type Filter struct {
	Type        string // an event type, a pattern that ends in ".*", or "*" for any known type
	Fingerprint string
	Reason      string
	Account     string // connected account
	ID          string // of an event, or of a message
	// Messages sent in [Since, Until). A message that the queue moved keeps the time at which
	// it was first sent.
	Since, Until time.Time
}

// Validate rejects a filter that no message can match.
func (f Filter) Validate() error {
	if !event.ValidPattern(f.Type) {
		return errors.New("a type is an event type, a pattern that ends in .* or *")
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return errors.New("since is not before until")
	}
	return nil
}

// Matches reports whether a dead letter, completed from its record, matches.
func (f Filter) Matches(d DeadLetter) bool {
	return f.matchesMessage(d) &&
		(f.Fingerprint == "" || f.Fingerprint == d.Cause.Fingerprint) &&
		(f.Reason == "" || f.Reason == d.Cause.Reason)
}

// matchesMessage checks what the message itself has: no record is read for one that fails.
func (f Filter) matchesMessage(d DeadLetter) bool {
	switch {
	case f.Type != "" && (d.Type() == "" || !event.MatchType(f.Type, d.Type())),
		f.Account != "" && f.Account != d.Event.Account,
		f.ID != "" && f.ID != d.EventID() && f.ID != d.MessageID,
		!f.Since.IsZero() && d.SentAt.Before(f.Since),
		!f.Until.IsZero() && !d.SentAt.Before(f.Until):
		return false
	}
	return true
}

// String describes the filter.
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

// KnownReason reports whether Tollgate itself dead-letters messages with a reason. Handlers may
// have others.
func KnownReason(reason string) bool {
	return slices.Contains([]string{
		ReasonMaxReceives, policy.ReasonLivemode, policy.ReasonAccount,
		dispatch.ReasonHandler, dispatch.ReasonAPIVersion, dispatch.ReasonNoAPIKey, dispatch.ReasonObjectGone,
		dispatch.ReasonAccountRevoked, dispatch.ReasonTooLarge, dispatch.ReasonNoFetch, dispatch.ReasonWrongObject,
		dispatch.ReasonUndecodable, dispatch.ReasonCorrupt, dispatch.ReasonRejected, dispatch.ReasonNewerVersion,
	}, reason)
}
