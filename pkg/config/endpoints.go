package config

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"tollgate/pkg/event"
)

// Endpoint says which events an endpoint may receive. In the environment:
//
//	{"default": {"livemode": [true], "accounts": ["-", "acct_1"], "on_mismatch": "park"}}
//
// A list that is left out allows everything; an empty one is refused.
type Endpoint struct {
	Livemode   []bool     // allowed modes, nil for both
	Accounts   []string   // allowed accounts, "" for the platform's own (written "-"), nil for all
	OnMismatch OnMismatch // what becomes of other events
}

// OnMismatch is what becomes of an event that its endpoint may not receive.
type OnMismatch string

const (
	Park   OnMismatch = "park"   // dead-letter it with a reason; the default
	Ignore OnMismatch = "ignore" // complete it without a handler
)

// platform stands for the platform's own account, as in item keys.
const platform = "-"

type endpointJSON struct {
	Livemode   *[]bool     `json:"livemode"`
	Accounts   *[]string   `json:"accounts"`
	OnMismatch *OnMismatch `json:"on_mismatch"`
}

func (r *reader) endpoints(name string) map[string]Endpoint {
	v := r.text(name, optional, "")
	if v == "" {
		return nil
	}
	const form = `{"default":{"livemode":[true],"accounts":["acct_…"],"on_mismatch":"park"}}`
	var raw map[string]endpointJSON
	dec := json.NewDecoder(strings.NewReader(v))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&raw); err != nil || raw == nil {
		r.fault(name, "is not JSON of the form %s", form)
		return nil
	}
	if _, err := dec.Token(); err != io.EOF {
		r.fault(name, "goes on after its JSON: leave one object of the form %s", form)
		return nil
	}
	all := make(map[string]Endpoint, len(raw))
	for _, endpoint := range slices.Sorted(maps.Keys(raw)) {
		if !event.ValidEndpoint(endpoint) {
			r.fault(name, "names the endpoint %q: use 1 to 32 of a-z, 0-9 and -", endpoint)
			continue
		}
		all[endpoint] = r.endpoint(name, endpoint, raw[endpoint])
	}
	return all
}

func (r *reader) endpoint(name, endpoint string, j endpointJSON) Endpoint {
	e := Endpoint{OnMismatch: Park}
	if j.Livemode != nil {
		e.Livemode = *j.Livemode
		if len(e.Livemode) == 0 {
			r.fault(name, "allows endpoint %q no mode: leave livemode out or name true, false or both", endpoint)
		}
	}
	if j.Accounts != nil {
		e.Accounts = slices.Clone(*j.Accounts)
		if len(e.Accounts) == 0 || slices.Contains(e.Accounts, "") {
			r.fault(name, `has an empty account for endpoint %q: leave accounts out, or name accounts and "-" for the platform's own`, endpoint)
		}
		for i, a := range e.Accounts {
			if a == platform {
				e.Accounts[i] = ""
			}
		}
	}
	if j.OnMismatch != nil {
		e.OnMismatch = *j.OnMismatch
		if e.OnMismatch != Park && e.OnMismatch != Ignore {
			r.fault(name, "has an on_mismatch for endpoint %q that is neither park nor ignore", endpoint)
		}
	}
	return e
}
