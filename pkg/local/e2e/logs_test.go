//go:build unix

package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// logIsClean checks that the log has no secrets and payloads; every test here ends with it.
func (s *system) logIsClean() {
	s.t.Helper()
	text := s.log.String()
	for name, secret := range map[string]string{
		"the signing secret": s.info.Secret, "a signing secret": "whsec_", "a signature": "v1=", "payload": marker, "an API key": "sk_test_",
	} {
		if secret == "" {
			continue // it never got so far
		}
		if at := strings.Index(text, secret); at >= 0 {
			s.t.Errorf("the log holds %s: %q", name, text[max(0, at-200):min(len(text), at+200)])
		}
	}
}

// TestLogsHoldNoPayloadSecretOrSignature runs every kind of delivery and outcome at the debug
// level.
func TestLogsHoldNoPayloadSecretOrSignature(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--log-level", "debug", "--time-scale", "20")...)
	s.enqueue(trial("log_works", "works"))
	s.enqueue(trial("log_refuses", "refuses"))
	s.enqueue(trial("log_fails_twice", "fails_twice"))
	s.enqueue(otherVersion(trial("log_parked", "works")))
	s.enqueue(event("log_ignored", "customer.created"))
	bad := event("log_forged", "invoice.paid")
	for _, c := range []struct{ path, signature, want string }{
		{"", sign(bad, "whsec_forged", time.Now()), "no_match"},
		{"", sign(bad, s.info.Secret, time.Now().Add(-time.Hour)), "too_old"},
		{"", "t=" + marker, "malformed"},
		{"/elsewhere", sign(bad, s.info.Secret, time.Now()), "endpoint"},
	} {
		headers := map[string]string{"Content-Type": "application/json", "Stripe-Signature": c.signature}
		if _, answer := request(http.MethodPost, s.info.URL+c.path, bad, headers); answer != `{"error":"`+c.want+`"}` {
			t.Errorf("answer %q, want %q", answer, c.want)
		}
	}
	for _, id := range []string{"log_works", "log_fails_twice", "log_ignored"} {
		s.becomesDone(id)
	}
	for _, id := range []string{"log_refuses", "log_parked"} {
		eventually(t, func() (bool, string) {
			return len(s.log.lines("event_id=evt_"+id, "outcome=dead_lettered")) > 0, id + " is no dead letter"
		})
	}
	// The log reports the outcomes; otherwise the check for payloads would prove nothing.
	for _, words := range [][]string{
		{"outcome=applied"},
		{"event_id=evt_log_parked", "reason=api_version"}, {"event_id=evt_log_ignored", "outcome=ignored"},
		{"event_id=evt_log_fails_twice", "outcome=failed", "error="},
		{"reason=no_match"}, {"reason=malformed"}, {"reason=too_old"}, {"reason=endpoint"},
	} {
		if len(s.log.lines(words...)) == 0 {
			t.Errorf("no line of the log has %q", words)
		}
	}
	s.interrupt()
}
