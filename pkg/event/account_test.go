package event_test

import (
	"testing"

	"tollgate/pkg/event"
)

func TestAccountOfASnapshot(t *testing.T) {
	for _, tt := range []struct {
		name, members, account string
		from                   event.AccountFrom
		unknown                bool
	}{
		{"neither", ``, "", event.FromAccount, false},
		{"both null", `,"account":null,"context":null`, "", event.FromAccount, false},
		{"both empty", `,"account":"","context":""`, "", event.FromAccount, false},
		{"account alone", `,"account":"acct_1"`, "acct_1", event.FromAccount, false},
		{"account, context null", `,"account":"acct_1","context":null`, "acct_1", event.FromAccount, false},
		{"both, of one account", `,"account":"acct_1","context":"org_1/acct_1"`, "acct_1", event.FromAccount, false},
		{"both, of two accounts: the member account is for that", `,"context":"acct_2","account":"acct_1"`, "acct_1", event.FromAccount, false},
		{"context is an account", `,"context":"acct_1"`, "acct_1", event.FromContext, false},
		{"account null", `,"account":null,"context":"acct_1"`, "acct_1", event.FromContext, false},
		{"account of an organisation", `,"context":"org_1/acct_1"`, "acct_1", event.FromContext, false},
		{"account of an account of an organisation", `,"context":"org_1/acct_1/acct_2"`, "acct_2", event.FromContext, false},
		{"escaped", `,"conte\u0078t":"org_1\/acct_1"`, "acct_1", event.FromContext, false},
		{"organisation alone", `,"context":"org_1"`, "org_1", event.FromContext, true},
		{"organisation and nothing", `,"context":"org_1/"`, "org_1/", event.FromContext, true},
		{"account and nothing", `,"context":"org_1/acct_1/"`, "org_1/acct_1/", event.FromContext, true},
		{"something in an account", `,"context":"acct_1/ws_1"`, "acct_1/ws_1", event.FromContext, true},
		{"a slash", `,"context":"/"`, "/", event.FromContext, true},
		{"an empty organisation", `,"context":"/acct_1"`, "acct_1", event.FromContext, false},
		{"an account without an id", `,"context":"org_1/acct_"`, "org_1/acct_", event.FromContext, true},
		{"another case", `,"context":"ACCT_1"`, "ACCT_1", event.FromContext, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := event.Parse([]byte(snapshot(plain, tt.members)))
			if err != nil || got.Account != tt.account || got.AccountFrom != tt.from || got.AccountUnknown() != tt.unknown {
				t.Errorf("%q from %d, unknown %t, %v; want %q from %d, unknown %t", got.Account, got.AccountFrom, got.AccountUnknown(), err, tt.account, tt.from, tt.unknown)
			}
		})
	}
}

// TestThinContextStays: it names what is fetched, whatever that is.
func TestThinContextStays(t *testing.T) {
	got, err := event.Parse([]byte(`{"id":"evt_2","object":"v2.core.event","type":"t","context":"org_1/acct_1"}`))
	if err != nil || got.Account != "org_1/acct_1" || got.AccountFrom != event.FromAccount || got.AccountUnknown() {
		t.Errorf("%+v, %v", got, err)
	}
}
