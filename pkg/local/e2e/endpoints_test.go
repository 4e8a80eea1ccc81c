//go:build unix

package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"tollgate/pkg/policy"
)

// connect names two endpoints that both get every connected account's events, as Stripe
// delivers them, and what the one that does not take an event does with it.
func connect(onMismatch policy.Action) string {
	return fmt.Sprintf(`{"connect-eu":{"accounts":["acct_eu"],"on_mismatch":%q},"connect-us":{"accounts":["acct_us"],"on_mismatch":%[1]q}}`, onMismatch)
}

// ofAccount makes an event a connected account's.
func ofAccount(body []byte, account string) []byte {
	return bytes.Replace(body, []byte(`"object":"event"`), fmt.Appendf(nil, `"object":"event","account":%q`, account), 1)
}

// deliver posts an event to an endpoint other than default.
func (s *system) deliver(endpoint string, body []byte) {
	s.t.Helper()
	secret := s.info.EndpointSecrets[endpoint]
	status, answer := request(http.MethodPost, s.info.URL+"/"+endpoint, body, deliveryHeaders(body, secret))
	if status != http.StatusOK {
		s.t.Fatalf("delivery to %s is answered %d %s", endpoint, status, answer)
	}
}

// TestTwoEndpointsOneRecord: an event that one endpoint excludes is handled through the
// other, in whichever order the two messages come.
func TestTwoEndpointsOneRecord(t *testing.T) {
	t.Parallel()
	for _, onMismatch := range []policy.Action{policy.Ignore, policy.Park} {
		t.Run(string(onMismatch), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), drillArgs("--endpoints", connect(onMismatch))...)
			const events = 6
			for n := range events {
				body := ofAccount(trial(fmt.Sprint("two", n), "works"), "acct_us")
				for _, endpoint := range [][]string{{"connect-eu", "connect-us"}, {"connect-us", "connect-eu"}}[n%2] {
					s.deliver(endpoint, body)
				}
			}
			for n := range events {
				if r := s.becomesDone(fmt.Sprint("two", n)); r["outcome"] != "applied" || r["att"] != "1" {
					t.Errorf("record %v, want applied by one attempt", r)
				}
			}
			letters := 0
			if onMismatch == policy.Park {
				letters = events
			}
			s.inDLQ(letters)
			if facts := s.items("FACT#"); len(facts) != events {
				t.Errorf("%d facts, want %d", len(facts), events)
			}
		})
	}
}
