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
)

// TestEventsOfAnOrganisation: the destination of an organisation names the account in context.
// Its events are booked under that account, and their objects fetched as it; an event whose
// context names none is parked. Nothing is booked under the platform.
func TestEventsOfAnOrganisation(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	payment := func(id string) string {
		return fmt.Sprintf(`{"id":%q,"object":"payment_intent","amount":2000,"amount_received":2000,"currency":"eur","customer":"cus_org","status":"succeeded","latest_charge":"ch_1","created":%d,"livemode":false}`, id, time.Now().Unix())
	}
	of := func(id, context, version string) []byte {
		return fmt.Appendf(nil, `{"id":"evt_%s","object":"event","api_version":%q,"context":%q,"created":%d,"data":{"object":%s},"livemode":false,"type":"payment_intent.succeeded"}`,
			id, version, context, time.Now().Unix(), payment("pi_"+id))
	}
	for id, account := range map[string]string{"pinned": "acct_1", "newer": "acct_2"} {
		status, answer := request(http.MethodPut, s.info.StripeURL+"/_fake/objects", []byte("["+payment("pi_"+id)+"]"),
			map[string]string{"Authorization": "Bearer sk_test_e2e", "Stripe-Account": account})
		if status != http.StatusOK {
			t.Fatalf("put the payment of %s: %d %s", account, status, answer)
		}
	}
	s.enqueue(of("pinned", "acct_1", "2023-10-16"))
	s.enqueue(of("newer", "org_1/acct_2", "2025-09-30.clover"))
	s.enqueue(of("unknown", "org_1", "2025-09-30.clover"))
	s.becomesDone("pinned")
	s.becomesDone("newer")
	s.inDLQ(1)
	if g := s.groups()["payment_intent.succeeded"]; g.Reason != "account" || g.EventID != "evt_unknown" {
		t.Errorf("dead letters %+v, want evt_unknown with reason account", g)
	}
	if r := s.record("unknown"); len(r) > 0 {
		t.Errorf("record %v of an event whose account cannot be told", r)
	}
	for account, id := range map[string]string{"acct_1": "pi_pinned", "acct_2": "pi_newer"} {
		var l ledger.Ledger
		out, errOut, code := s.tollgate("ledger", "show", "cus_org", "--account", account, "--json")
		if err := json.Unmarshal([]byte(out), &l); code != 0 || err != nil || len(l.Payments) != 1 || !strings.Contains(out, id) || l.Account != account {
			t.Errorf("ledger of %s: exit %d, %s %s", account, code, out, errOut)
		}
	}
	if out, _, code := s.tollgate("ledger", "show", "cus_org", "--json"); code != 1 {
		t.Errorf("booked under the platform: %s", out)
	}
	for key := range s.items("FACT#") {
		if !strings.HasPrefix(key, "FACT#test#acct_") {
			t.Errorf("a fact under %s", key)
		}
	}
}
