package consumer

import (
	"fmt"
	"slices"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// PlatformAccount is the word for the platform's own account in a policy's list.
const PlatformAccount = "-"

// Policy says which events an endpoint takes. Connect sends test events to live
// endpoints, and a test event must never touch a live row.
type Policy struct {
	Livemode []bool   // modes that are taken; empty: both
	Accounts []string // connected accounts that are taken, PlatformAccount for one's own; empty: all
	Ignore   bool     // complete what does not fit as ignored; default: park it
}

// check returns nil, or the park that an event which does not fit deserves.
func (p Policy) check(e event.Envelope) error {
	if len(p.Livemode) > 0 && !slices.Contains(p.Livemode, e.Livemode) {
		return dispatch.Park(dispatch.ReasonLivemode, fmt.Errorf("endpoint %q does not take %s events", e.Endpoint, e.Mode()))
	}
	account := e.Account
	if account == "" {
		account = PlatformAccount
	}
	if len(p.Accounts) > 0 && !slices.Contains(p.Accounts, account) {
		return dispatch.Park(dispatch.ReasonAccount, fmt.Errorf("endpoint %q does not take events of account %q", e.Endpoint, account))
	}
	return nil
}
