//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/ledger"
	"tollgate/pkg/simulation/cases"
)

// TestCases plays the inputs that have broken billing ledgers: each ledger is right.
func TestCases(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--time-scale", "10")
	dead := 0
	for _, c := range cases.All(cases.Vary{Tag: "E2E", Amount: 4900, Currency: "gbp", Now: time.Now().Unix()}) {
		for _, step := range c.Steps {
			s.putObjects(step)
			for _, e := range step.Events {
				body, err := json.MarshalIndent(e, "", "  ")
				must(t, err)
				s.enqueue(body)
				id := e["id"].(string)
				want, odd := c.Ends[id]
				if want == "account" { // it has no record
					dead++
					s.inDLQ(dead)
					continue
				}
				if end := s.ended(id); odd && end != want || !odd && end != "applied" && end != "already_applied" {
					t.Errorf("%s: %s ended %q, want %q", c.Name, id, end, want)
				}
			}
		}
		for _, problem := range c.Check(s.ledgerOf(c.Customer, c.Account), false) {
			t.Errorf("%s: %s", c.Name, problem)
		}
		if l := s.ledgerOf(c.Customer, ""); c.Account != "" && !l.Empty() {
			t.Errorf("%s: booked under the platform: %+v", c.Name, l)
		}
	}
	s.drained()
	s.inDLQ(dead)
	if g := s.groups()["payment_intent.succeeded"]; g.Reason != "account" || g.Count != dead {
		t.Errorf("dead letters %+v, want %d with the reason account", g, dead)
	}
}

// ended waits until an event is done or dead, and returns its outcome or its reason.
func (s *system) ended(id string) (end string) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		r := s.record(strings.TrimPrefix(id, "evt_"))
		if end = r["reason"]; r["st"] == "DONE" {
			end = r["outcome"]
		}
		return end != "", fmt.Sprintf("the record of %s is %v", id, r)
	})
	return end
}

func (s *system) putObjects(step cases.Step) {
	s.t.Helper()
	if len(step.Objects) == 0 {
		return
	}
	body, err := json.Marshal(step.Objects)
	must(s.t, err)
	headers := map[string]string{"Authorization": "Bearer sk_test_fake"}
	if step.Account != "" {
		headers["Stripe-Account"] = step.Account
	}
	if status, answer := request(http.MethodPut, s.info.StripeURL+"/_fake/objects", body, headers); status != http.StatusOK {
		s.t.Fatalf("put objects: %d %s", status, answer)
	}
}

// ledgerOf is the output of `ledger show` for an account, empty for an unknown customer.
func (s *system) ledgerOf(customer, account string) (l ledger.Ledger) {
	s.t.Helper()
	args := []string{"ledger", "show", customer, "--json"}
	if account != "" {
		args = append(args, "--account", account)
	}
	out, errOut, code := s.tollgate(args...)
	if code == 1 && strings.Contains(errOut, "not known") {
		return l
	}
	if err := json.Unmarshal([]byte(out), &l); err != nil || code != 0 {
		s.t.Fatalf("ledger show: exit %d, %q, %s", code, out, errOut)
	}
	return l
}
