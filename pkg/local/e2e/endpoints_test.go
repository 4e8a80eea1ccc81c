//go:build unix

package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"

	"tollgate/pkg/policy"
)

// connect configures two endpoints that both get the events of all connected accounts, and
// what each does with an event that it excludes.
func connect(onMismatch policy.Action) string {
	return fmt.Sprintf(`{"connect-eu":{"accounts":["acct_eu"],"on_mismatch":%q},"connect-us":{"accounts":["acct_us"],"on_mismatch":%[1]q}}`, onMismatch)
}

// ofAccount makes an event one of a connected account.
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
// other, in either order of the two messages.
func TestTwoEndpointsOneRecord(t *testing.T) {
	t.Parallel()
	for _, onMismatch := range []policy.Action{policy.Ignore, policy.Park} {
		t.Run(string(onMismatch), func(t *testing.T) {
			t.Parallel()
			s := start(t, t.TempDir(), append(trials(), "--endpoints", connect(onMismatch))...)
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
			dead := 0
			if onMismatch == policy.Park {
				dead = events
			}
			s.inDLQ(dead)
			if facts := s.items("FACT#"); len(facts) != events {
				t.Errorf("%d facts, want %d", len(facts), events)
			}
		})
	}
}

// TestPurgeOfAnExcludedDeadLetterLosesNothing purges the dead letter of an excluding endpoint
// while the event's other message still waits for its next attempt.
func TestPurgeOfAnExcludedDeadLetterLosesNothing(t *testing.T) {
	t.Parallel()
	skipSlow(t)
	// Slow enough that the dead letter is purged between two attempts on a busy machine too.
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "5", "--endpoints", connect(policy.Park))...)
	body := ofAccount(trial("waits", "fails_twice"), "acct_us")
	s.deliver("connect-us", body)
	eventually(t, func() (bool, string) {
		r := s.record("waits")
		return r["st"] == "FAILED", fmt.Sprintf("record %v", r)
	})
	s.deliver("connect-eu", body)
	eventually(t, func() (bool, string) {
		n := s.depth(s.info.DLQURL)
		return n == 1, fmt.Sprintf("%d dead letters", n)
	})
	if out, errOut, code := s.tollgate("dlq", "purge", "--all", "--note", "excluded by this endpoint", "--yes"); code != 0 {
		t.Fatalf("purge: exit %d\n%s%s", code, out, errOut)
	}
	if n := s.depth(s.info.DLQURL); n != 0 {
		t.Errorf("%d dead letters after the purge", n)
	}
	if r := s.becomesDone("waits"); r["outcome"] != "applied" || r["att"] != "3" {
		t.Errorf("record %v, want applied by the third attempt", r)
	}
}
