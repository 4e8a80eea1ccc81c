// Package policy decides which events an endpoint accepts. One event may arrive through
// several endpoints and has one record, so the decision depends on the endpoint and the event
// alone: it is made before the record is read and never written into it.
//
//	switch v := policies["connect"].Judge(e); v.Action {
//	case policy.Ignore: // acknowledge
//	case policy.Park:   // dead-letter with v.Reason
//	}
package policy

import (
	"fmt"
	"slices"
	"time"

	"tollgate/pkg/event"
)

// Action is what a policy does with an event at its endpoint.
type Action string

const (
	Accept Action = "accept" // the endpoint accepts the event
	Ignore Action = "ignore" // acknowledge it without a record
	Park   Action = "park"   // put a copy into the dead-letter queue, then acknowledge it
)

// Reasons for which an endpoint excludes an event, as dead letters have them.
const (
	ReasonLivemode = "livemode" // its mode
	ReasonAccount  = "account"  // its account
)

// Policy selects the events that an endpoint accepts. The zero value accepts all.
type Policy struct {
	Livemode []bool   // accepted modes; nil: both
	Accounts []string // accepted accounts, "" for the platform's own; nil: all
	// OnMismatch is Park or Ignore for every excluded event. "" ignores an event of a
	// connected account in another mode, which Stripe sends to each Connect endpoint,
	// and parks the rest.
	OnMismatch Action
	// From is the earliest creation of an event that reconcile may send for this endpoint;
	// zero for no bound. Without it, widening a policy would bring 29 days of history. Judge
	// does not read it.
	From time.Time
}

// Verdict is a policy's decision for one event.
type Verdict struct {
	Action Action
	Reason string // ReasonLivemode or ReasonAccount, "" for Accept
	Text   string // for people, "" for Accept
}

// Judge decides whether the endpoint of e accepts e, by the endpoint, mode and account of e
// only. An event whose account cannot be told is parked, whatever the policy.
func (p Policy) Judge(e event.Envelope) Verdict {
	switch {
	case e.AccountUnknown():
		return Verdict{Action: Park, Reason: ReasonAccount, Text: fmt.Sprintf("context %q names no account", e.Account)}
	case p.Livemode != nil && !slices.Contains(p.Livemode, e.Livemode):
		v := Verdict{Reason: ReasonLivemode, Action: p.OnMismatch,
			Text: fmt.Sprintf("endpoint %q does not take %s events", e.Endpoint, e.Mode())}
		if v.Action == "" && e.Account != "" {
			v.Action = Ignore
		}
		return v.orPark()
	case p.Accounts != nil && !slices.Contains(p.Accounts, e.Account):
		if e.Account == "" {
			return Verdict{Reason: ReasonAccount, Action: p.OnMismatch,
				Text: fmt.Sprintf("endpoint %q does not take the platform's own events", e.Endpoint)}.orPark()
		}
		return Verdict{Reason: ReasonAccount, Action: p.OnMismatch,
			Text: fmt.Sprintf("endpoint %q does not take events of account %q", e.Endpoint, e.Account)}.orPark()
	}
	return Verdict{Action: Accept}
}

func (v Verdict) orPark() Verdict {
	if v.Action == "" {
		v.Action = Park
	}
	return v
}
