package policy_test

import (
	"testing"

	"tollgate/pkg/event"
	"tollgate/pkg/policy"
)

func TestJudge(t *testing.T) {
	live := policy.Policy{Livemode: []bool{true}}
	own := policy.Policy{Accounts: []string{"", "acct_ours"}}
	with := func(p policy.Policy, a policy.Action) policy.Policy { p.OnMismatch = a; return p }
	for _, tc := range []struct {
		name   string
		policy policy.Policy
		event  event.Envelope
		action policy.Action
		reason string
	}{
		{"no policy takes every event", policy.Policy{}, event.Envelope{Account: "acct_any"}, policy.Accept, ""},
		{"a fitting mode", live, event.Envelope{Livemode: true, Account: "acct_any"}, policy.Accept, ""},
		{"the platform's test event on a live endpoint parks", live, event.Envelope{}, policy.Park, policy.ReasonLivemode},
		{"a connected account's test event on a live endpoint is ignored", live, event.Envelope{Account: "acct_1"}, policy.Ignore, policy.ReasonLivemode},
		{"unless the endpoint parks every mismatch", with(live, policy.Park), event.Envelope{Account: "acct_1"}, policy.Park, policy.ReasonLivemode},
		{"the platform's test event with ignore", with(live, policy.Ignore), event.Envelope{}, policy.Ignore, policy.ReasonLivemode},
		{"the platform's own account is on the list", own, event.Envelope{}, policy.Accept, ""},
		{"a listed account", own, event.Envelope{Account: "acct_ours"}, policy.Accept, ""},
		{"another account parks", own, event.Envelope{Account: "acct_other"}, policy.Park, policy.ReasonAccount},
		{"another account with ignore", with(own, policy.Ignore), event.Envelope{Account: "acct_other"}, policy.Ignore, policy.ReasonAccount},
		{"mode before account", policy.Policy{Livemode: []bool{true}, Accounts: []string{""}}, event.Envelope{Account: "acct_1"}, policy.Ignore, policy.ReasonLivemode},
		{"an event of an organisation's account", policy.Policy{}, event.Envelope{Account: "acct_1", AccountFrom: event.FromContext}, policy.Accept, ""},
		{"one whose account cannot be told, without a policy", policy.Policy{}, event.Envelope{Account: "org_1", AccountFrom: event.FromContext}, policy.Park, policy.ReasonAccount},
		{"one whose account cannot be told, of a mode to ignore", with(live, policy.Ignore), event.Envelope{Account: "org_1", AccountFrom: event.FromContext}, policy.Park, policy.ReasonAccount},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := tc.policy.Judge(tc.event)
			if v.Action != tc.action || v.Reason != tc.reason || (v.Text == "") != (v.Action == policy.Accept) {
				t.Errorf("got %+v, want %s with reason %q", v, tc.action, tc.reason)
			}
		})
	}
}
