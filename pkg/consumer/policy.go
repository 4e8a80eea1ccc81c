package consumer

import (
	"fmt"
	"slices"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// Policy says which events an endpoint takes. Connect sends test events to live
// endpoints, and a test event must never touch a live row.
type Policy struct {
	Livemode []bool   // modes that are taken; nil: both
	Accounts []string // accounts that are taken, "" for the platform's own; nil: all
	Ignore   bool     // complete what does not fit as ignored; default: park it
}

// check returns nil, or the park that an event which does not fit deserves.
func (p Policy) check(e event.Envelope) error {
	if p.Livemode != nil && !slices.Contains(p.Livemode, e.Livemode) {
		return dispatch.Park(dispatch.ReasonLivemode, fmt.Errorf("endpoint %q does not take %s events", e.Endpoint, e.Mode()))
	}
	if p.Accounts != nil && !slices.Contains(p.Accounts, e.Account) {
		return dispatch.Park(dispatch.ReasonAccount, fmt.Errorf("endpoint %q does not take events of account %q", e.Endpoint, e.Account))
	}
	return nil
}
