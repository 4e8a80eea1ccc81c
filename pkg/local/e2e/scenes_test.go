//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
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
		end := s.play(name, fmt.Sprint(seed))
		for _, account := range append(end.Accounts, "")[:max(1, len(end.Accounts))] {
			eventually(t, func() (bool, string) {
				want, settled, messages := ledgertest.Of(s.kept(account), account, end.Customer).Settle(s.ledger(account, end.Customer))
				diff := cmp.Diff(want, settled) + messages
				return diff == "", name + " (-truth +ledger):\n" + diff
			})
		}
	}
	s.drained()
	s.inDLQ(0)
	if out, errOut, code := s.tollgate("ledger", "show", "cus_unknown", "--json"); code != 1 || out != "" || !strings.Contains(errOut, "not known") {
		t.Errorf("an unknown customer: exit %d, %q, %q", code, out, errOut)
	}
}

// sceneLine is a line that a scene prints: a delivery or, last, whom it was about.
type sceneLine struct {
	Status   int      `json:"status"`
	Scene    string   `json:"scene"`
	Customer string   `json:"customer"`
	Accounts []string `json:"accounts"`
}

// play sends a scene and returns its last line.
func (s *system) play(name, seed string) sceneLine {
	s.t.Helper()
	all := jsonLines[sceneLine](s, "send", "--scene", name, "--seed", seed, "--shuffle", seed, "--dup", "2")
	last := all[len(all)-1]
	if last.Scene != name || !strings.HasPrefix(last.Customer, "cus_") {
		s.t.Fatalf("scene %s ends with %+v", name, last)
	}
	for _, l := range all[:len(all)-1] {
		if l.Status != http.StatusOK {
			s.t.Errorf("a delivery of scene %s is answered %d", name, l.Status)
		}
	}
	return last
}

// ledger is the output of `ledger show`; at first a customer is unknown.
func (s *system) ledger(account, customer string) (l ledger.Ledger) {
	s.t.Helper()
	args := []string{"ledger", "show", customer, "--json"}
	if account != "" {
		args = append(args, "--account", account)
	}
	out, errOut, code := s.tollgate(args...)
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

// kept is what the fake Stripe has of an account. It lists the newest event first.
func (s *system) kept(account string) (k ledgertest.Kept) {
	s.t.Helper()
	k.Objects, _ = s.listed(account, "/_fake/objects")
	for path, more := "/v1/events?limit=100", true; more; {
		var page []json.RawMessage
		if page, more = s.listed(account, path); len(page) > 0 {
			path = "/v1/events?limit=100&starting_after=" + member(s.t, page[len(page)-1], "id")
		}
		k.Events = append(k.Events, page...)
	}
	slices.Reverse(k.Events)
	return k
}

// listed is a list of the fake Stripe, and whether there is more of it.
func (s *system) listed(account, path string) ([]json.RawMessage, bool) {
	s.t.Helper()
	headers := map[string]string{"Authorization": "Bearer sk_test_fake"}
	if account != "" {
		headers["Stripe-Account"] = account
	}
	status, answer := request(http.MethodGet, s.info.StripeURL+path, nil, headers)
	var list struct {
		Data []json.RawMessage `json:"data"`
		More bool              `json:"has_more"`
	}
	if err := json.Unmarshal([]byte(answer), &list); err != nil || status != http.StatusOK {
		s.t.Fatalf("the fake Stripe's %s: %d %.200s (%v)", path, status, answer, err)
	}
	return list.Data, list.More
}

func member(t *testing.T, raw json.RawMessage, name string) string {
	t.Helper()
	var o map[string]any
	must(t, json.Unmarshal(raw, &o))
	text, _ := o[name].(string)
	return text
}
