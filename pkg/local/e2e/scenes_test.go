//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/ledger"
	"tollgate/pkg/ledger/ledgertest"
	"tollgate/pkg/local/scenes"
)

// TestScenes plays every scene against the running system, shuffled and with every delivery
// twice: in the end the ledger agrees with the objects of the fake Stripe.
func TestScenes(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--time-scale", "10")
	for seed, name := range scenes.Names() {
		customer := s.play(name, fmt.Sprint(seed))
		eventually(t, func() (bool, string) {
			diff := cmp.Diff(ledgertest.Settled(s.truth(customer)), ledgertest.Settled(s.ledger(customer)))
			return diff == "", name + " (-truth +ledger):\n" + diff
		})
	}
	s.drained()
	s.inDLQ(0)
	if out, errOut, code := s.tollgate("ledger", "show", "cus_unknown", "--json"); code != 1 || out != "" || !strings.Contains(errOut, "not known") {
		t.Errorf("an unknown customer: exit %d, %q, %q", code, out, errOut)
	}
}

// play sends a scene and returns its customer.
func (s *system) play(name, seed string) string {
	s.t.Helper()
	type line struct {
		Status   int    `json:"status"`
		Scene    string `json:"scene"`
		Customer string `json:"customer"`
	}
	all := jsonLines[line](s, "send", "--scene", name, "--seed", seed, "--shuffle", seed, "--dup", "2")
	last := all[len(all)-1]
	if last.Scene != name || !strings.HasPrefix(last.Customer, "cus_") {
		s.t.Fatalf("scene %s ends with %+v", name, last)
	}
	for _, l := range all[:len(all)-1] {
		if l.Status != http.StatusOK {
			s.t.Errorf("a delivery of scene %s is answered %d", name, l.Status)
		}
	}
	return last.Customer
}

// ledger is the output of `ledger show`; at first a customer is unknown.
func (s *system) ledger(customer string) (l ledger.Ledger) {
	s.t.Helper()
	out, errOut, code := s.tollgate("ledger", "show", customer, "--json")
	if code == 1 && strings.Contains(errOut, "not known") {
		return l
	}
	if code != 0 {
		s.t.Fatalf("ledger show: exit %d, %s", code, errOut)
	}
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		s.t.Fatalf("ledger show prints %q: %v", out, err)
	}
	return l
}

// truth is made from what the fake Stripe has of a customer. Disputes name no customer, so
// they are among all objects.
func (s *system) truth(customer string) ledger.Ledger {
	s.t.Helper()
	own := s.objects("?customer=" + customer)
	payments := map[string]bool{}
	for _, raw := range own {
		payments[member(s.t, raw, "id")] = true
	}
	for _, raw := range s.objects("") {
		if member(s.t, raw, "object") == "dispute" && payments[member(s.t, raw, "payment_intent")] {
			own = append(own, raw)
		}
	}
	return ledgertest.Truth(unique(s.t, own))
}

func (s *system) objects(query string) []json.RawMessage {
	s.t.Helper()
	status, answer := request(http.MethodGet, s.info.StripeURL+"/_fake/objects"+query, nil, map[string]string{"Authorization": "Bearer sk_test_fake"})
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(answer), &list); err != nil || status != http.StatusOK {
		s.t.Fatalf("the fake Stripe's objects: %d %.200s (%v)", status, answer, err)
	}
	return list.Data
}

func unique(t *testing.T, all []json.RawMessage) (out []json.RawMessage) {
	t.Helper()
	seen := map[string]bool{}
	for _, raw := range all {
		if id := member(t, raw, "id"); !seen[id] {
			seen[id] = true
			out = append(out, raw)
		}
	}
	return out
}

func member(t *testing.T, raw json.RawMessage, name string) string {
	t.Helper()
	var o map[string]any
	must(t, json.Unmarshal(raw, &o))
	text, _ := o[name].(string)
	return text
}
