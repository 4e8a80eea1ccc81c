package stack

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// mapsToTakers refuses a reconcile map that names an account whose endpoint takes none of its
// events: reconcile could not compare the account and would not start. Both texts are as
// [compactAccounts] and [compactEndpoints] return them.
func mapsToTakers(accounts, endpoints string) error {
	if len(accounts) > 0 && len(accounts)+len(endpoints) > maxVariable {
		return fmt.Errorf("together with endpoints %d bytes long, %d at most", len(accounts)+len(endpoints), maxVariable)
	}
	var endpointOf map[string]string
	var policies map[string]endpoint
	if json.Unmarshal([]byte(cmp.Or(accounts, `{"-":"default"}`)), &endpointOf) != nil || json.Unmarshal([]byte(cmp.Or(endpoints, "{}")), &policies) != nil {
		return nil // a fault of one of them
	}
	for _, account := range slices.Sorted(maps.Keys(endpointOf)) {
		name := endpointOf[account]
		if taken := policies[name].Accounts; taken != nil && !slices.Contains(*taken, account) {
			return fmt.Errorf("with account %q under endpoint %q, whose accounts in endpoints leave it out", account, name)
		}
	}
	return nil
}
