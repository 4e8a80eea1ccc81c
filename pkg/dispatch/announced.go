package dispatch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// SettleAfter is Input.Settle unless it is given.
const SettleAfter = 10 * time.Minute

// settleTries divides Input.Settle into the first wait for Stripe: 5 s of 10 min. Each
// further one is three times as long, so that the sixth attempt finds the event settled.
const settleTries = 120

// ShownCreated is the field of a kept row that says which events its object surely shows,
// whatever else it shows: those created, in seconds by Stripe's clock, before this one.
const ShownCreated = "shown_created"

// ErrNotShown says that Stripe does not show yet what an event announced. It ends by
// itself, so it counts as waiting and not as a failure.
var ErrNotShown = errors.New("not shown by Stripe yet")

// Announces says what the events of a type announce: shows reports whether an object, as
// Stripe has it now, shows it, as an invoice that is paid does for invoice.paid. An object
// that does not is fetched again until its event is settled (see [Input.NotYet]), as the
// answer may be older than the event; then the handler runs with Behind. For every type
// an object that is still as data.previous_attributes say does not show the event either.
func Announces[T any](shows func(now *T, in Input) bool) CurrentOption {
	return func(o *currentOptions) { o.shows = shows }
}

// NotYet returns err as [ErrNotShown], to try again, while Stripe may only be slow to show what
// the event announced, and nil once the event is settled: at least Settle old.
//
// The age is the longer of two spans, each of one clock: the queue's, from the message's
// sending to its first receive, and the consumer's, since the event's first claim. Both
// begin after the event was made, so neither is longer than its age; the distance from
// created would compare Stripe's clock with ours, and one that is ahead would end the
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

// shows reports whether the object shows what the event announced, and notes if that is
// proven: one that is neither as before the event nor as after it may be older or newer.
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
		value, there := is[name] // it may not be there in another API version
		unchanged = unchanged && there && within(before, value)
		changed = changed && there && within(became[name], value)
	}
	e.proven = changed || announced != nil
	return !unchanged
}

// within reports whether whole has all of part. Of a hash previous_attributes have only
// the members that changed, null for one that was added.
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
