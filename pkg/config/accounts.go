package config

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"tollgate/pkg/event"
	"tollgate/pkg/policy"
)

// ParseAccounts parses accounts in the form of TOLLGATE_RECONCILE; "" is none.
func ParseAccounts(text string) (map[string]string, error) {
	r := reader{lookup: func(string) (string, bool) { return text, true }}
	return r.accounts("reconcile"), r.err()
}

// CheckReconcile reports the faults of values for TOLLGATE_ENDPOINTS, TOLLGATE_RECONCILE and
// TOLLGATE_BEGIN, alone and together; "" is not set.
func CheckReconcile(endpoints, accounts, begin string) error {
	set := map[string]string{"endpoints": endpoints, "reconcile": accounts, "begin": begin}
	r := reader{lookup: func(name string) (string, bool) { return set[name], true }}
	r.time("begin")
	r.excluded("reconcile", r.accounts("reconcile"), r.endpoints("endpoints"))
	return r.err()
}

// CheckTime reports the fault of a value for a variable that takes a time, under this name; "" has
// none.
func CheckTime(name, value string) error {
	r := reader{lookup: func(string) (string, bool) { return value, true }}
	r.time(name)
	return r.err()
}

// excluded reports the accounts whose endpoint excludes all their events in both modes:
// reconcile would compare nothing. reconcile.Excluded also considers the API key's mode.
func (r *reader) excluded(name string, accounts map[string]string, policies map[string]policy.Policy) {
	if accounts == nil {
		accounts = map[string]string{"": defaultEndpoint}
	}
	for _, account := range slices.Sorted(maps.Keys(accounts)) {
		test := event.Envelope{Account: account, Endpoint: accounts[account]}
		live := test
		live.Livemode = true
		p := policies[test.Endpoint]
		if p.Judge(live).Action != policy.Accept && p.Judge(test).Action != policy.Accept {
			r.fault(name, "lists account %q under endpoint %q, whose policy excludes all its events: add it to that endpoint's accounts, or name another endpoint",
				cmp.Or(account, platform), test.Endpoint)
		}
	}
}

// defaultEndpoint is the endpoint of the platform's own account if no accounts are named.
const defaultEndpoint = "default"

// accounts reads the accounts to compare, each with the endpoint whose policy applies to its
// events. In the environment:
//
//	{"-": "default", "acct_1": "connect"}
func (r *reader) accounts(name string) map[string]string {
	v := r.text(name, optional, "")
	if v == "" {
		return nil
	}
	var raw map[string]string
	dec := json.NewDecoder(strings.NewReader(v))
	err := dec.Decode(&raw)
	if _, more := dec.Token(); err != nil || more != io.EOF || len(raw) == 0 {
		r.fault(name, `is not one JSON object of the form {"-":"default","acct_…":"connect"}, from account to endpoint, "-" for the platform's own`)
		return nil
	}
	all := make(map[string]string, len(raw))
	for _, account := range slices.Sorted(maps.Keys(raw)) {
		endpoint := raw[account]
		if !event.ValidEndpoint(endpoint) {
			r.fault(name, "gives account %q the endpoint %q: use 1 to 32 of a-z, 0-9 and -", account, endpoint)
		}
		if account == platform {
			all[""] = endpoint
			continue
		}
		if !strings.HasPrefix(account, "acct_") {
			r.fault(name, `names the account %q: write acct_… or "-" for the platform's own`, account)
		}
		all[account] = endpoint
	}
	return all
}
