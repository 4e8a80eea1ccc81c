package config

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"tollgate/pkg/event"
)

// ParseAccounts reads accounts in the form of TOLLGATE_RECONCILE; "" is none.
func ParseAccounts(text string) (map[string]string, error) {
	r := reader{lookup: func(string) (string, bool) { return text, true }}
	return r.accounts("reconcile"), r.err()
}

// accounts reads which accounts are listed, each with the endpoint whose policy its
// events come under. In the environment:
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
