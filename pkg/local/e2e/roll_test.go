//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

// atStripe makes a request to the fake Stripe.
func (s *system) atStripe(method, path string, body []byte) (status int, answer string) {
	return request(method, s.info.StripeURL+path, body, map[string]string{"Authorization": "Bearer sk_test_e2e"})
}

// happens creates an event at the fake Stripe, which delivers it to its endpoints.
func (s *system) happens(id string) {
	s.t.Helper()
	if status, answer := s.atStripe(http.MethodPost, "/_fake/events?deliver=true", event(id, "invoice.paid")); status != http.StatusOK {
		s.t.Errorf("event %s at the fake Stripe: %d %s", id, status, answer)
	}
}

// refused are the deliveries that ingest refused, except unsigned ones: the command sends such
// a request to test a URL.
func (s *system) refused() (lines []string) {
	for _, line := range s.log.lines("delivery", "outcome=rejected") {
		if !strings.Contains(line, "reason=missing") {
			lines = append(lines, line)
		}
	}
	return lines
}

// traffic creates events until it is stopped; stop returns how many.
func (s *system) traffic(prefix string) (stop func() int) {
	done, n := make(chan struct{}), 0
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			s.happens(fmt.Sprintf("%s_%d", prefix, n))
			n++
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() int { close(done); wg.Wait(); return n }
}

// TestASecretIsRolledUnderTraffic registers the endpoint and rolls its secret with the command
// while Stripe delivers: before, while both secrets sign, while only the new one signs, and
// after the old one is deleted. No delivery is refused.
//
// The old secret signs for a little longer than the interval at which a process reads the
// stored secrets, the minimum overlap of a roll.
func TestASecretIsRolledUnderTraffic(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	must := func(args ...string) {
		t.Helper()
		if out, errOut, code := s.tollgate(args...); code != 0 {
			t.Fatalf("tollgate %v: exit %d\n%s%s", args, code, out, errOut)
		}
	}
	must("endpoint", "apply")
	stop := s.traffic("rolled")
	verified := func(what string) { // by the first secret of the list
		t.Helper()
		before := len(s.log.lines("outcome=enqueued", "verified_by=0"))
		eventually(t, func() (bool, string) {
			now := len(s.log.lines("outcome=enqueued", "verified_by=0"))
			return now >= before+20, fmt.Sprintf("%s: %d more deliveries verified by the first secret", what, now-before)
		})
	}
	verified("with the first secret")
	overlap := limits.AWS().SecretRefetch + 10*time.Second
	must("secret", "roll", "--overlap", overlap.String())
	alone := time.Now().Add(overlap + time.Second)
	verified("with both secrets")
	eventually(t, func() (bool, string) {
		return time.Now().After(alone), "the old secret still signs"
	})
	verified("with the new secret alone")
	must("secret", "roll", "--finish", "--force")
	verified("after the old secret is removed")
	must("endpoint", "status")
	n := stop()
	for i := range n {
		s.becomesDone(fmt.Sprintf("rolled_%d", i))
	}
	if lines := s.refused(); len(lines) > 0 {
		t.Errorf("%d of %d deliveries were refused, the first: %s", len(lines), n, lines[0])
	}
	if facts := s.items("FACT#"); len(facts) != n {
		t.Errorf("%d facts of %d events", len(facts), n)
	}
	s.interrupt()
}

// TestARollThatIsNotStoredIsRefused shows that the test above would detect it.
func TestARollThatIsNotStoredIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	out, errOut, code := s.tollgate("endpoint", "apply", "--json")
	var made struct{ Created string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 {
		t.Fatalf("apply: exit %d, %s%s", code, out, errOut)
	}
	if status, _ := s.atStripe(http.MethodPost, "/_fake/webhook_endpoints/"+made.Created+"/roll", []byte(`{"expire_s":0}`)); status != http.StatusOK {
		t.Fatalf("roll: %d", status)
	}
	s.happens("unstored")
	eventually(t, func() (bool, string) {
		return len(s.refused()) > 0, "no delivery was refused"
	})
	if line := s.refused()[0]; !strings.Contains(line, "reason=no_match") {
		t.Errorf("refused with %s", line)
	}
	s.interrupt()
}
