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

// settleTries divides Input.Settle into the first wait, 5 s of 10 min. Each further wait is
// three times as long, so the sixth attempt finds the event settled.
const settleTries = 120

// ShownCreated is the field of a kept row with a time in seconds by Stripe's clock: the row
// shows the changes of all events created before it.
const ShownCreated = "shown_created"

// ErrNotShown means that Stripe does not show yet what an event announced. A retry will see
// it, so the attempt counts as waiting, not as failed.
var ErrNotShown = errors.New("not shown by Stripe yet")

// Announces declares what the events of a type announce: shows reports whether the fetched
// object shows it, for invoice.paid that the invoice is paid. An object that does not may be
// older than the event, so it is fetched again until the event is settled (see
// [Input.NotYet]); then the handler runs with Behind. For every type, an object that still
// equals data.previous_attributes does not show the event either.
func Announces[T any](shows func(now *T, in Input) bool) CurrentOption {
	return func(o *currentOptions) { o.shows = shows }
}

// NotYet wraps err in [ErrNotShown] with a retry delay while Stripe may only lag behind the
// event, and returns nil once the event is settled: at least Settle old.
//
// The age is the longer of two spans, each measured on one clock: the queue's, from sending
// the message to its first receive, and the consumer's, since the event's first claim. Both
// start after the event was created, so neither exceeds its age. The time since created
// would compare Stripe's clock with ours: if ours ran ahead, the event would settle at once.
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
// is proven: an object that equals neither the state before the event nor the one after it
// may be older or newer.
func (e *Current[T]) shows(announced func(*T, Input) bool, snap, now snapshot) bool {
	if announced != nil && !announced(&e.Object, e.Input) {
		return false
	}
	was, ok := decodeAny(snap.previous).(map[string]any)
	if !ok || len(was) == 0 {
		e.proven = announced != nil
		return true
	}
	is, _ := decodeAny(now.object).(map[string]any)
	became, _ := decodeAny(snap.object).(map[string]any)
	unchanged, changed := true, true
	for name, before := range was {
		value, there := is[name] // absent in some API versions
		unchanged = unchanged && there && within(before, value)
		changed = changed && there && within(became[name], value)
	}
	e.proven = changed || announced != nil
	return !unchanged
}

// within reports whether whole contains part. In an object, previous_attributes has only the
// members that changed, with null for an added one. What an event names by its id is fetched
// expanded for some kinds of object.
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
		if w, ok := whole.(map[string]any); ok { // an object never contains null
			id, expanded := w["id"].(string)
			return expanded && part == id
		}
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
