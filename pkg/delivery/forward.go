package delivery

import (
	"tollgate/pkg/destination"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// Forward has a mux write a message for each event that at least one destination takes.
func Forward(mux *dispatch.Mux, all destination.Set) {
	mux.Forward(func(e event.Envelope) bool { return all.Forwards(e.Type, e.Livemode, e.Account) }, all.EventTypes()...)
}
