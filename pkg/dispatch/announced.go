package dispatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SettleAfter is the default of Input.Settle.
const SettleAfter = 10 * time.Minute

// settleTries divides Input.Settle into the first wait for Stripe: 5 s of 10 min. Each
// further one is three times as long, so that the sixth attempt finds the event settled.
const settleTries = 120

// ShownCreated is the field of a kept row with a time, in seconds by Stripe's clock: the
// row's object surely shows every event created before it.
const ShownCreated = "shown_created"

// ErrNotShown says that Stripe does not show yet what an event announced. Time cures it, so
// it counts as waiting and not as a failure.
var ErrNotShown = errors.New("not shown by Stripe yet")

// Announces declares what the events of a type announce: shows reports whether an object, as
// Stripe has it now, shows it; for invoice.paid, that the invoice is paid. An object that
// does not show it may be older than the event, so it is fetched again until the event is
// settled (see [Input.NotYet]); then the handler runs with Behind. For every type, an object
// that is still as data.previous_attributes say does not show the event either.
func Announces[T any](shows func(now *T, in Input) bool) CurrentOption {
	return func(o *currentOptions) { o.shows = shows }
}

// NotYet returns err as [ErrNotShown], to try again, while Stripe may only be slow to show what
// the event announced, and nil once the event is settled: at least Settle old.
//
// The age is the longer of two spans, each measured on one clock: the queue's, from the
// message's sending to its first receive, and the consumer's, since the event's first claim.
// Both begin after the event was made, so neither is longer than its age. The time since
// created would compare Stripe's clock with ours: a clock of ours that is ahead would end the
// attempts at once. Waiting too long costs a few fetches.
func (in Input) NotYet(err error) error {
	settle := in.Settle
	if settle == 0 {
		settle = SettleAfter
	}
	var age time.Duration
	if !in.SentAt.IsZero() && !in.FirstReceived.IsZero() {
		age = in.FirstReceived.Sub(in.SentAt)
	}
	if !in.FirstAt.IsZero() {
		age = max(age, in.Now.Sub(in.FirstAt))
	}
	if age >= settle {
		return nil
	}
	wait := settle / settleTries
	for n := int64(1); n < in.Attempt && wait < settle; n++ {
		wait *= 3
	}
	return RetryAfter(min(wait, settle), fmt.Errorf("%w: %w", ErrNotShown, err))
}

// shows reports whether the object shows what the event announced, and records whether that
// is proven: an object that matches neither the state before the event nor the one after it
// may be older or newer.
func (e *Current[T]) shows(announced func(*T, Input) bool, told, now snapshot) bool {
	if announced != nil && !announced(&e.Object, e.Input) {
		return false
	}
	was, ok := decodeAny(told.previous).(map[string]any)
	if !ok || len(was) == 0 {
		e.proven = announced != nil
		return true
	}
	is, _ := decodeAny(now.object).(map[string]any)
	became, _ := decodeAny(told.object).(map[string]any)
	unchanged, changed := true, true
	for name, before := range was {
		value, there := is[name] // absent in some API versions
		unchanged = unchanged && there && within(before, value)
		changed = changed && there && within(became[name], value)
	}
	e.proven = changed || announced != nil
	return !unchanged
}

// within reports whether whole contains all of part. For a hash, previous_attributes has only
// the members that changed, with null for an added one.
func within(part, whole any) bool {
	switch p := part.(type) {
	case map[string]any:
		w, ok := whole.(map[string]any)
		for name, v := range p {
			if !ok || !within(v, w[name]) {
				return false
			}
		}
		return ok
	case []any:
		w, ok := whole.([]any)
		if !ok || len(w) != len(p) {
			return false
		}
		for i, v := range p {
			if !within(v, w[i]) {
				return false
			}
		}
		return true
	default:
		return part == whole
	}
}

func decodeAny(raw json.RawMessage) (v any) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&v) != nil {
		return nil
	}
	return v
}
