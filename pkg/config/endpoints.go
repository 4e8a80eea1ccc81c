package config

import (
	"encoding/json"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/policy"
)

// platform is the platform's own account, as in item keys.
const platform = "-"

type endpointJSON struct {
	Livemode   *[]bool        `json:"livemode"`
	Accounts   *[]string      `json:"accounts"`
	OnMismatch *policy.Action `json:"on_mismatch"`
	From       *string        `json:"from"`
}

// endpoints reads the endpoints' policies. In the environment:
//
//	{"default": {"livemode": [true], "accounts": ["-", "acct_1"], "on_mismatch": "park", "from": "2026-01-02T00:00:00Z"}}
//
// An absent member restricts nothing; for on_mismatch see [policy.Policy.OnMismatch]. An
// empty list is a fault.
func (r *reader) endpoints(name string) map[string]policy.Policy {
	v := r.text(name, optional, "")
	if v == "" {
		return nil
	}
	const form = `{"default":{"livemode":[true],"accounts":["acct_…"],"on_mismatch":"park","from":"2026-01-02T00:00:00Z"}}`
	var raw map[string]endpointJSON
	dec := json.NewDecoder(strings.NewReader(v))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&raw); err != nil || raw == nil {
		r.fault(name, "is not JSON of the form %s", form)
		return nil
	}
	if _, err := dec.Token(); err != io.EOF {
		r.fault(name, "has text after its JSON: write one object of the form %s", form)
		return nil
	}
	all := make(map[string]policy.Policy, len(raw))
	for _, endpoint := range slices.Sorted(maps.Keys(raw)) {
		if !event.ValidEndpoint(endpoint) {
			r.fault(name, "names the endpoint %q: use 1 to 32 of a-z, 0-9 and -", endpoint)
			continue
		}
		all[endpoint] = r.endpoint(name, endpoint, raw[endpoint])
	}
	return all
}

// endpointNames reads names between commas.
func (r *reader) endpointNames(name string) []string {
	v := r.text(name, optional, "")
	if v == "" {
		return nil
	}
	names := strings.Split(v, ",")
	if !slices.ContainsFunc(names, func(endpoint string) bool { return !event.ValidEndpoint(endpoint) }) {
		return names
	}
	r.fault(name, "has a name that is no endpoint's: write names of 1 to 32 of a-z, 0-9 and - between commas")
	return nil
}

// ParseEndpoints parses policies in the form of TOLLGATE_ENDPOINTS; "" is none.
func ParseEndpoints(text string) (map[string]policy.Policy, error) {
	r := reader{lookup: func(string) (string, bool) { return text, true }}
	return r.endpoints("endpoints"), r.err()
}

// ParseAllowIPs parses addresses and ranges in the form of TOLLGATE_ALLOW_IPS; "" is none.
func ParseAllowIPs(text string) ([]netip.Prefix, error) {
	r := reader{lookup: func(string) (string, bool) { return text, true }}
	return r.prefixes("TOLLGATE_ALLOW_IPS"), r.err()
}

func (r *reader) endpoint(name, endpoint string, j endpointJSON) policy.Policy {
	var e policy.Policy
	if j.Livemode != nil {
		e.Livemode = *j.Livemode
		if len(e.Livemode) == 0 {
			r.fault(name, "has an empty livemode list for endpoint %q: omit livemode or list true, false or both", endpoint)
		}
	}
	if j.Accounts != nil {
		e.Accounts = slices.Clone(*j.Accounts)
		if len(e.Accounts) == 0 || slices.Contains(e.Accounts, "") {
			r.fault(name, `has an empty account for endpoint %q: omit accounts, or list accounts and "-" for the platform's own`, endpoint)
		}
		for i, a := range e.Accounts {
			if a == platform {
				e.Accounts[i] = ""
			}
		}
	}
	if j.OnMismatch != nil {
		e.OnMismatch = *j.OnMismatch
		if e.OnMismatch != policy.Park && e.OnMismatch != policy.Ignore {
			r.fault(name, "has an on_mismatch for endpoint %q that is neither park nor ignore", endpoint)
		}
	}
	if j.From != nil {
		var err error
		if e.From, err = time.Parse(time.RFC3339, *j.From); err != nil {
			r.fault(name, "has a from for endpoint %q that is not a time such as 2026-01-02T00:00:00Z", endpoint)
		}
	}
	return e
}
