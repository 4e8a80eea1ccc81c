package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/policy"
)

// ReasonFrom means that an event is older than the `from` of its endpoint's policy.
const ReasonFrom = "from"

// Exclusion is what the policy of an endpoint keeps passes from sending: all events of an
// account in one mode, which is then not listed, or some that it lists.
type Exclusion struct {
	Stream
	Endpoint string
	Reason   string // policy.ReasonLivemode, policy.ReasonAccount or ReasonFrom
	Text     string // for people
	Events   int    // listed and not sent, 0 if the account is not listed
}

// Excluded returns the accounts whose endpoint excludes them in a mode, in order. accounts
// gives the endpoint by account as in [Config]. Such a map is a configuration error: an event
// whose delivery was lost is never recovered.
func Excluded(accounts map[string]string, policies map[string]policy.Policy, livemode bool) (all []Exclusion) {
	for _, account := range slices.Sorted(maps.Keys(accounts)) {
		e := event.Envelope{Account: account, Endpoint: accounts[account], Livemode: livemode}
		if v := policies[e.Endpoint].Judge(e); v.Action != policy.Accept {
			all = append(all, Exclusion{Stream: Stream{livemode, account}, Endpoint: e.Endpoint, Reason: v.Reason, Text: v.Text})
		}
	}
	return all
}

// exclude leaves out the accounts that their endpoint's policy excludes.
func (p *pass) exclude(ctx context.Context) {
	p.report.Excluded = Excluded(p.cfg.Accounts, p.cfg.Policies, p.live)
	for _, e := range p.report.Excluded {
		p.leaveOut(e.Account)
		p.cfg.Logger.WarnContext(ctx, "an account is not compared: the policy of its endpoint excludes it",
			"account", e.Account, "livemode", p.live, "endpoint", e.Endpoint, "reason", e.Reason)
	}
	p.report.Nothing = len(p.accounts) == 0
}

// excluded reports, and counts, that the policy of its endpoint excludes an event of a listed
// account: it was created before the policy's `from`, or its context names no account or one
// that the endpoint does not take. The consumer would make a dead letter of it at every pass.
func (p *pass) excluded(e event.Envelope) bool {
	of := p.cfg.Policies[e.Endpoint]
	x := Exclusion{Stream: Stream{p.live, e.Account}, Endpoint: e.Endpoint, Reason: ReasonFrom}
	switch v := of.Judge(e); {
	case v.Action != policy.Accept:
		x.Reason, x.Text = v.Reason, v.Text
	case time.Unix(e.Created, 0).Before(of.From):
		x.Text = "created before " + of.From.UTC().Format(time.RFC3339) + ", the from of the policy of endpoint " + e.Endpoint
	default:
		return false
	}
	at := slices.IndexFunc(p.report.Excluded, func(o Exclusion) bool { return o.Stream == x.Stream && o.Reason == x.Reason })
	if at < 0 {
		at = len(p.report.Excluded)
		p.report.Excluded = append(p.report.Excluded, x)
	}
	p.report.Excluded[at].Events++
	return true
}

// from is the `from` of the policy that applies to an account's events.
func (p *pass) from(account string) time.Time { return p.cfg.Policies[p.cfg.Accounts[account]].From }
