package replay

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
)

// Handlers are the handlers of event types. They must not be able to write to the system.
type Handlers interface {
	Handles(event.Envelope) bool
	Dispatch(context.Context, dispatch.Input) (dispatch.Effects, error)
}

// Rows reads the table's items with consistent reads.
type Rows interface {
	// Item returns the attributes of the item under a key, false when there is none.
	Item(ctx context.Context, key string) (map[string]any, bool, error)
}

// Shadow runs an event's handler and compares its effects with the stored items. It has
// readers only, so it writes and sends nothing; a handler's own calls to other systems are not
// prevented.
type Shadow struct {
	Records  Records
	Rows     Rows
	Events   Events
	Handlers Handlers
	Endpoint string        // in the handler's input
	Accounts []string      // to fetch as, "" is the key's own; default: that one
	Budget   time.Duration // of the handler
	Now      func() time.Time
}

// Preview is what a replay would do now.
type Preview struct {
	Event      event.Envelope `json:"-"`       // without its body
	Known      bool           `json:"known"`   // the event has a record
	Attempt    int64          `json:"attempt"` // that the handler gets
	Generation int64          `json:"generation"`
	Writes     bool           `json:"writes"` // something would be written
	Changes    []Change       `json:"effects"`
}

// Verdicts on an effect.
const (
	WouldInsert   = "would_insert" // there is no item yet
	IsThere       = "is_there"     // the fact is stored: the effect is dropped
	WouldChange   = "would_change"
	Unchanged     = "unchanged"       // written again with the same fields
	WouldRunAgain = "would_run_again" // its version is not the one that the handler read
	Holds         = "holds"
	DoesNotHold   = "does_not_hold" // the attempt would fail with Error
)

// Change is one effect, compared with its item.
type Change struct {
	Key     string        `json:"key"`
	Kind    dispatch.Kind `json:"kind"`
	Verdict string        `json:"verdict"`
	Fields  []Field       `json:"fields,omitempty"` // that differ; of a new item all
	Error   string        `json:"error,omitempty"`  // of a check that does not hold: what the attempt would fail with
}

// Field is an attribute before and after; of an item that stays, its value and the handler's.
type Field struct {
	Name string `json:"name"`
	Was  bool   `json:"was"` // present before
	Is   bool   `json:"is"`  // present after
	Old  any    `json:"old"`
	New  any    `json:"new"`
}

// Event runs the handler of one event. A *RefusedError means that it did not run; the
// handler's own error is returned as it is.
func (s Shadow) Event(ctx context.Context, id string) (Preview, error) {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	record, known, err := s.Records.Get(ctx, id)
	if err != nil {
		return Preview{}, err
	}
	e, err := source{s.Events, s.Accounts}.open(ctx, id, record.Type, record.Identity)
	if err != nil {
		return Preview{}, err
	}
	e.Endpoint, e.Source, e.ReceivedAt = s.Endpoint, event.Replay, now()
	if !s.Handlers.Handles(e) {
		return Preview{}, &RefusedError{
			Reason: RefusedNoHandler, Text: "no handler is registered for " + e.Type + ": a replay would end as ignored", Hint: "is this command built from the code that is deployed?",
		}
	}
	in := inputOf(e, record, known, now())
	p := Preview{Event: e, Known: known, Attempt: in.Attempt, Generation: in.Generation}
	p.Event.Body = nil
	effects, err := s.run(ctx, in)
	if err != nil {
		return p, err
	}
	return p, s.compare(ctx, effects, &p)
}

// inputOf is the handler's input at its next attempt, except that it always fetches objects
// from Stripe.
func inputOf(e event.Envelope, r idempotency.Record, known bool, now time.Time) dispatch.Input {
	in := dispatch.Input{Envelope: e, Attempt: r.Attempt + 1, Generation: max(r.Generation, 1), FirstAt: r.FirstAt, Now: now, Settle: -1}
	if !known {
		in.FirstAt = now
	}
	if r.State == idempotency.Done {
		in.Generation = r.Generation + 1
	}
	return in
}

func (s Shadow) run(ctx context.Context, in dispatch.Input) (dispatch.Effects, error) {
	if s.Budget > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.Budget)
		defer cancel()
	}
	return s.Handlers.Dispatch(ctx, in)
}

func (s Shadow) compare(ctx context.Context, effects dispatch.Effects, p *Preview) error {
	for _, e := range effects {
		item, there, err := s.Rows.Item(ctx, e.Key)
		if err != nil {
			return fmt.Errorf("read item %s: %w", e.Key, err)
		}
		c := changeOf(e, item, there)
		p.Changes = append(p.Changes, c)
		p.Writes = p.Writes || c.Verdict == WouldInsert || c.Verdict == WouldChange || c.Verdict == Unchanged
	}
	return nil
}

// changeOf returns what a commit of one effect would do now.
func changeOf(e dispatch.Effect, item map[string]any, there bool) Change {
	c := Change{Key: e.Key, Kind: e.Kind}
	if e.Kind == dispatch.KindCheck {
		if c.Verdict = Holds; !holds(e, item, there) {
			c.Verdict, c.Error = DoesNotHold, e.Err.Error()
		}
		return c
	}
	after := dispatch.Fields{"pk": e.Key}
	maps.Copy(after, e.Fields)
	if e.Kind == dispatch.KindSwap {
		after["ver"] = e.Ver + 1
	}
	c.Fields = differences(item, after)
	ver, _ := item["ver"].(int64)
	switch {
	case e.Kind == dispatch.KindInsert && there:
		// Ignored: what was added to the item since, such as when it was sent, and when a
		// message was requested and how it is listed.
		listing := []string{dispatch.ListName, dispatch.MessageQueued, dispatch.MessageHeld}
		c.Verdict, c.Fields = IsThere, slices.DeleteFunc(c.Fields, func(f Field) bool {
			return !f.Was || !f.Is || slices.Contains(listing, f.Name)
		})
	case e.Kind == dispatch.KindSwap && (there != (e.Ver > 0) || ver != e.Ver):
		c.Verdict = WouldRunAgain
	case !there:
		c.Verdict = WouldInsert
	case bookkeeping(c.Fields):
		c.Verdict, c.Fields = Unchanged, nil
	default:
		c.Verdict = WouldChange
	}
	return c
}

// bookkeeping reports whether only fields differ that every run changes.
func bookkeeping(fields []Field) bool {
	return !slices.ContainsFunc(fields, func(f Field) bool { return !dispatch.Bookkeeping(f.Name) })
}

func holds(e dispatch.Effect, item map[string]any, there bool) bool {
	if e.Absent || !there {
		return e.Absent && !there
	}
	if ver, _ := item["ver"].(int64); e.Ver > 0 && ver != e.Ver {
		return false
	}
	for name, want := range e.Fields {
		if got, ok := item[name]; !ok || !reflect.DeepEqual(normal(got), normal(want)) {
			return false
		}
	}
	return true
}

// differences returns the attributes that differ, by name, without the key.
func differences(before, after map[string]any) []Field {
	all := map[string]any{}
	maps.Copy(all, before)
	maps.Copy(all, after)
	var list []Field
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := Field{Name: name}
		f.Old, f.Was = before[name]
		f.New, f.Is = after[name]
		if name != "pk" && (f.Was != f.Is || !reflect.DeepEqual(normal(f.Old), normal(f.New))) {
			list = append(list, f)
		}
	}
	return list
}

// normal converts a value to the type that the table returns for it.
func normal(v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case []byte:
		return append([]byte{}, v...)
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, e := range v {
			out[name] = normal(e)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = normal(v[i])
		}
		return out
	default:
		return v
	}
}
