package dispatch

import (
	"slices"
	"strings"
	"time"

	"tollgate/pkg/event"
)

// Fields of a message that forwards an event. It never has the payload.
const (
	ForwardedEvent  = "event"  // the event's id
	ForwardedType   = "type"   // the event's type
	ForwardedObject = "object" // id of the object that it is about, "" without one
	ForwardedThin   = "thin"   // whether it is a thin event
)

// forwarding has the arguments of Forward.
type forwarding struct {
	match func(event.Envelope) bool
	types []string
}

// Forward adds a message to the effects of each event for which match returns true. Such an event
// needs no handler. Endpoints subscribe to types, which have no wildcards; match may also select
// others that arrive. Call Forward once, before the first Dispatch. match must be safe for
// concurrent use.
func (m *Mux) Forward(match func(event.Envelope) bool, types ...string) {
	if match == nil || m.forward.match != nil {
		panic("dispatch: nil match or a second Forward")
	}
	m.forward = forwarding{match, types}
}

func (m *Mux) forwards(e event.Envelope) bool { return m.forward.match != nil && m.forward.match(e) }

// typesWith returns the types of handlers and those that are forwarded, sorted.
func (f forwarding) typesWith(handled []string, thin bool) []string {
	for _, typ := range f.types {
		if thin == isThinType(typ) {
			handled = append(handled, typ)
		}
	}
	slices.Sort(handled)
	return slices.Compact(handled)
}

// isThinType reports whether events of a type are thin: their types begin with a version.
func isThinType(typ string) bool {
	return strings.HasPrefix(typ, "v1.") || strings.HasPrefix(typ, "v2.")
}

// forwarded returns the message that forwards an event. Its key is the same in a replay.
func forwarded(in Input) Effect {
	name := event.ForwardedPrefix + in.Type
	return Message(MessageKey(Key("EVENT", in.Envelope, in.ID), name), time.Unix(in.Created, 0), Fields{
		"kind": "outbox", "name": name, "mode": in.Mode(), "account": in.Account,
		ForwardedEvent: in.ID, ForwardedType: in.Type, ForwardedObject: in.ObjectID, ForwardedThin: in.Thin(),
	})
}
