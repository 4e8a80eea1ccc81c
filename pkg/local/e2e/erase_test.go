//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// erased is what ledger erase prints.
type erased struct {
	Facts    int    `json:"facts"`
	Rows     int    `json:"rows"`
	Messages int    `json:"messages"`
	Erased   bool   `json:"erased"`
	Code     string `json:"code"`
}

func (s *system) erase(args ...string) (e erased) {
	s.t.Helper()
	return jsonLines[erased](s, append([]string{"ledger", "erase"}, args...)...)[0]
}

// about returns the attributes that name a customer, by their items' keys, without the keys.
func (s *system) about(customer string) (found []string) {
	s.t.Helper()
	for _, prefix := range []string{"OBJ#", "FACT#", "ENT#", "OUT#", "DLV#", "EVT#", "AUDIT#", "SEQ#"} {
		for key, it := range s.items(prefix) {
			for name, value := range it {
				if name != "pk" && name != "fx" && strings.Contains(fmt.Sprint(value), customer) {
					found = append(found, key+" "+name)
				}
			}
		}
	}
	return found
}

// TestErase: after it no attribute names the customer, what was booked is there, and neither a
// second delivery of all events nor their replay brings the customer back. Rows still agree with
// Stripe.
func TestErase(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	l := listen(t, data)
	s := start(t, data, "--time-scale", "20", "--send-to", "http://"+l.address)
	customer := s.play("subscription-life", "3").Customer
	s.drained()
	before := s.ledger("", customer)
	if len(before.Payments) == 0 || len(before.Subscriptions) == 0 || len(before.Outbox) == 0 {
		t.Fatalf("the scene leaves %+v", before)
	}
	plan := s.erase(customer)
	if plan.Facts != len(before.Payments) || plan.Messages < len(before.Outbox) || plan.Erased || plan.Code == "" {
		t.Errorf("the plan is %+v of %+v", plan, before)
	}
	if len(s.about(customer)) == 0 {
		t.Error("the first step has erased")
	}
	for _, args := range [][]string{{"--code", "0000000000000000", "--note", "x"}, {"--code", plan.Code}, {"--code", plan.Code, "--note", "of " + customer}} {
		if _, errOut, code := s.tollgate(append([]string{"ledger", "erase", customer}, args...)...); code != 2 {
			t.Errorf("%v: exit %d: %s", args, code, errOut)
		}
	}
	amounts := s.amounts()
	if done := s.erase(customer, "--code", plan.Code, "--note", "request 1204"); !done.Erased {
		t.Errorf("it ended with %+v", done)
	}
	left := s.about(customer)
	if len(left) > 0 || fmt.Sprint(s.amounts()) != fmt.Sprint(amounts) {
		t.Errorf("named in %v; the amounts were %v and are %v", left, amounts, s.amounts())
	}
	if again := s.erase(customer); !again.Erased || again.Facts+again.Rows+again.Messages != 0 {
		t.Errorf("a second run finds %+v", again)
	}
	if out, errOut, code := s.tollgate("events", "replay", "--since", "1h", "--limit", "1000", "--rate", "1000", "--wait", "2m", "--note", "again"); code != 0 {
		t.Fatalf("replay: %d %s %s", code, out, errOut)
	}
	s.play("subscription-life", "3")
	s.drained()
	if left := s.about(customer); len(left) > 0 {
		t.Errorf("after a replay named in %v", left)
	}
	if out, errOut, code := s.tollgate("ledger", "verify", "--settle", "0", "--json"); code != 0 {
		t.Errorf("verify: %d %s %s", code, out, errOut)
	}
	if out, _, _ := s.tollgate("audit", "list", "--json"); !strings.Contains(out, plan.Code) || strings.Contains(out, customer) {
		t.Errorf("the audit trail: %s", out)
	}
}

// amounts are those of all facts.
func (s *system) amounts() map[string]json.Number {
	all := map[string]json.Number{}
	for key, it := range s.items("FACT#") {
		all[key] = json.Number(fmt.Sprint(it["amount"]))
	}
	return all
}
