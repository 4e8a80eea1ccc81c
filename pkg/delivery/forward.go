package delivery

import (
	"tollgate/pkg/destination"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// Forward makes a mux request a message for every event that a destination takes.
func Forward(mux *dispatch.Mux, all destination.Set) {
	mux.Forward(func(e event.Envelope) bool { return all.Forwards(e.Type, e.Livemode, e.Account) }, all.EventTypes()...)
}
