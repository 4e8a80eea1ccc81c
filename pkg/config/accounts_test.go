package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/limits"
)

func TestLoadReconcile(t *testing.T) {
	got, err := LoadReconcile(with(map[string]string{
		"TOLLGATE_API_KEY_SECRET_ID": "tollgate/api-key", "TOLLGATE_STRIPE_URL": "http://127.0.0.1:12111",
		"TOLLGATE_RECONCILE": `{"-":"default","acct_1":"connect"}`, "TOLLGATE_BEGIN": "2026-11-21T12:00:00Z",
		"TOLLGATE_STRIPE_RATE": "60", "TOLLGATE_LIST_RATE": "20",
	}))
	l := limits.AWS()
	l.StripeRate, l.Reconcile.ListRate = 60, 20
	want := Reconcile{
		Common: Common{Stage: "dev", Version: "dev", LogLevel: slog.LevelInfo, Limits: l,
			AWS: AWS{Region: "eu-central-1", AccessKeyID: "AKIA", SecretAccessKey: "SENSITIVE"}},
		Table: "tollgate", QueueURL: minimal()["TOLLGATE_QUEUE_URL"],
		APIKeySecretID: "tollgate/api-key", StripeURL: "http://127.0.0.1:12111",
		Accounts: map[string]string{"": "default", "acct_1": "connect"},
		Begin:    time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC),
	}
	if d := cmp.Diff(want, got, compare); d != "" || err != nil {
		t.Errorf("error %v (-want +got):\n%s", err, d)
	}
	if got, err = LoadReconcile(with(nil)); err != nil || got.Accounts != nil {
		t.Errorf("without accounts: %v, %v", got.Accounts, err)
	}
}

// TestAccountsUnderEndpointsThatExcludeThem are a fault if the endpoint excludes their events
// in both modes.
func TestAccountsUnderEndpointsThatExcludeThem(t *testing.T) {
	const both = `{"-":"default","acct_1":"connect"}`
	for _, c := range []struct{ name, accounts, endpoints, want string }{
		{"no policies", both, "", ""},
		{"others", both, `{"other":{"accounts":["acct_2"]}}`, ""},
		{"each takes its own", both, `{"default":{"accounts":["-"]},"connect":{"accounts":["acct_2","acct_1"]}}`, ""},
		{"one mode", both, `{"default":{"livemode":[false]},"connect":{"livemode":[true],"accounts":["acct_1"]}}`, ""},
		{"left out", both, `{"connect":{"accounts":["acct_2"],"on_mismatch":"ignore"}}`, `account "acct_1" under endpoint "connect"`},
		{"left out of one mode", both, `{"connect":{"livemode":[true],"accounts":["acct_2"]}}`, `account "acct_1" under endpoint "connect"`},
		{"the platform's own", both, `{"default":{"accounts":["acct_1"]}}`, `account "-" under endpoint "default"`},
		{"the platform's own without a map", "", `{"default":{"accounts":["acct_1"]}}`, `account "-" under endpoint "default"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadReconcile(with(map[string]string{"TOLLGATE_RECONCILE": c.accounts, "TOLLGATE_ENDPOINTS": c.endpoints}))
			if (err != nil) != (c.want != "") || err != nil && (!strings.HasPrefix(err.Error(), "TOLLGATE_RECONCILE ") || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("error %v, want %q", err, c.want)
			}
			if err := CheckReconcile(c.endpoints, c.accounts, ""); (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("CheckReconcile: error %v, want %q", err, c.want)
			}
		})
	}
	for name, err := range map[string]error{
		"endpoints": CheckReconcile("{", "", ""), "reconcile": CheckReconcile("", "acct_1", ""), "begin": CheckReconcile("", "", "today"),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), name+" ") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

func TestReconcileFaults(t *testing.T) {
	for _, c := range []struct{ name, variable, value, want string }{
		{"no table", "TOLLGATE_TABLE", "", "is not set"},
		{"no queue", "TOLLGATE_QUEUE_URL", "", "is not set"},
		{"no JSON", "TOLLGATE_RECONCILE", "acct_1", "is not one JSON object"},
		{"null", "TOLLGATE_RECONCILE", "null", "is not one JSON object"},
		{"no account listed", "TOLLGATE_RECONCILE", "{}", "is not one JSON object"},
		{"more", "TOLLGATE_RECONCILE", `{"-":"default"} x`, "is not one JSON object"},
		{"a list", "TOLLGATE_RECONCILE", `{"-":["default"]}`, "is not one JSON object"},
		{"no endpoint", "TOLLGATE_RECONCILE", `{"-":""}`, "use 1 to 32 of a-z"},
		{"no list rate", "TOLLGATE_LIST_RATE", "0", "from 1 to 1000"},
		{"no rate", "TOLLGATE_STRIPE_RATE", "0", "from 1 to 1000"},
		{"no account", "TOLLGATE_RECONCILE", `{"platform":"default"}`, "write acct_"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := LoadReconcile(with(map[string]string{c.variable: c.value}))
			hasFault(t, err, c.variable, c.want)
		})
	}
}
