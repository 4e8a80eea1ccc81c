package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/console"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local"
)

// TestConsoleLedger: a customer is found by its id and by those of its objects; a row that
// differs from Stripe is found, repaired and in the audit trail.
func TestConsoleLedger(t *testing.T) {
	t.Parallel()
	k := newKept(t)
	k.keep("invoice.paid", "in_1", map[string]any{"customer": "cus_1", "currency": "jpy", "total": 4900, "amount_paid": 4900, "number": "<script>alert(1)</script>"})
	k.keep("customer.subscription.created", "sub_1", map[string]any{"customer": "cus_1", "status": "active"})
	p := k.console(console.Console{})
	for _, path := range []string{"/customers?id=cus_1", "/customers/in_1", "/customers/sub_1"} {
		page := p.get(path)
		for _, want := range []string{"cus_1", "test", "Facts about money"} {
			if !strings.Contains(shown(page), want) && path != "/customers/sub_1" {
				t.Errorf("%s lacks %q: %s", path, want, shown(page))
			}
		}
		if strings.Contains(page, "<script>alert") {
			t.Errorf("%s runs a script", path)
		}
	}
	if got := shown(p.get("/customers/cus_1")); !strings.Contains(got, "4,900 JPY") || !strings.Contains(got, "<script>alert(1)</script>") || !strings.Contains(got, "prod_TollgateLZjFSb") {
		t.Errorf("the customer's page shows %s", got)
	}
	for path, status := range map[string]int{"/customers/cus_9": http.StatusNotFound, "/customers/prod_1": http.StatusBadRequest, "/customers/cus_1?live=1": http.StatusNotFound} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.base+path, nil)
		check(t, err)
		if got := shown(p.do(r, status)); strings.Contains(path, "cus_") && !strings.Contains(got, "other mode") {
			t.Errorf("%s does not help: %s", path, got)
		}
	}

	compare := []string{"customer=cus_1", "settle=0s"}
	p.until(p.submit("/customers/cus_1", "/customers/verify", compare...), "done", "No row differs")
	k.edit("OBJ#test#-#in_1", map[string]types.AttributeValue{"total": &types.AttributeValueMemberN{Value: "1"}})
	job := p.submit("/customers/cus_1", "/customers/verify", compare...)
	p.until(job, "failed", "OBJ#test#-#in_1", "total", "4900", "1 row differs")
	repair := p.submit(job, "/customers/verify", "customer=cus_1", "settle=0s", "repair=1", "note=ticket <7>")
	p.until(repair, "asking", "write what Stripe shows")
	p.confirm(repair)
	p.until(repair, "done", "repaired")
	p.until("/audit", "ledger verify --repair", "ticket <7>", "done")
}

// TestConsoleAudit: the filters, an entry without an end, and one by its id.
func TestConsoleAudit(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	p := s.console(console.Console{})
	if got := shown(p.get("/audit")); !strings.Contains(got, "No entry since 30d") {
		t.Errorf("an empty trail shows %s", got)
	}
	var ids []string
	for _, e := range []dynamostore.AuditEntry{
		{Verb: "redrive", By: "ana@laptop", Why: "fixed the rate", Detail: "type invoice.paid"},
		{Verb: "dlq purge", By: "ben@desk", Why: "old", Detail: "12 dead letters"},
		{Verb: "backfill", By: "ana@laptop", Why: "outage", Detail: "48h"},
	} {
		e.StartedAt = time.Now().Add(-time.Hour)
		id, err := s.writer.BeginAudit(t.Context(), e)
		check(t, err)
		ids = append(ids, id)
	}
	check(t, s.writer.EndAudit(t.Context(), ids[0], "3 sent", time.Now()))
	check(t, s.writer.EndAudit(t.Context(), ids[1], "1 purged; failed: the queue is down", time.Now()))
	for path, want := range map[string]string{
		"/audit": "redrive purge backfill", "/audit?by=ANA": "redrive backfill", "/audit?verb=dlq": "purge", "/audit?state=open": "backfill",
		"/audit?state=failed": "purge", "/audit?q=invoice": "redrive", "/audit?id=" + ids[2]: "backfill", "/audit?q=none": "",
	} {
		page := shown(p.get(path))
		_, page, _ = strings.Cut(page, " Took ") // after the head of the table
		for _, verb := range []string{"redrive", "purge", "backfill"} {
			if strings.Contains(page, verb) != strings.Contains(want, verb) {
				t.Errorf("%s: %s, want %q", path, page, want)
			}
		}
	}
	if got := shown(p.get("/audit?state=open")); !strings.Contains(got, "no end") || !strings.Contains(got, "1 of 3") {
		t.Errorf("an open entry is shown as %s", got)
	}
}

// TestConsoleCoverage: gaps are shown by day, and a backfill closes them.
func TestConsoleCoverage(t *testing.T) {
	s := newSystem(t)
	s.withStripe(map[int]string{1: "invoice.paid"})
	p := s.console(console.Console{})
	if got := shown(p.get("/coverage?days=3")); !strings.Contains(got, "nothing of the last 3 days was compared") || !strings.Contains(got, "first pass") {
		t.Errorf("without a pass it shows %s", got)
	}
	job := p.submit("/coverage", "/coverage/backfill", "since=48h", "note=the outage")
	p.until(job, "asking", "Confirm")
	p.confirm(job)
	p.until(job, "done")
	if got := shown(p.get("/coverage?days=1")); !strings.Contains(got, "no gap in the last 1 days") || !strings.Contains(got, "whole") {
		t.Errorf("after it shows %s", got)
	}
	if got := shown(p.get("/coverage?days=3")); !strings.Contains(got, "1 gap in the last 3 days") || !strings.Contains(got, "gap Gaps") && !strings.Contains(got, " gap ") || !strings.Contains(got, "whole") {
		t.Errorf("of three days it shows %s", got)
	}
	if got := s.tollgate("audit", "list", "--json").ok(t).out; len(lines[audit.View](t, got)) != 1 || !strings.Contains(got, "the outage") {
		t.Errorf("audit: %s", got)
	}
}

// TestConsoleEndpoint: what is stored, what verifies deliveries, and what is missing at Stripe,
// with no secret on the page.
func TestConsoleEndpoint(t *testing.T) {
	s := newSystem(t)
	s.withStripe(nil)
	s.aws.Secret(t, local.WebhookSecretID, `{"default":["whsec_newnewnewnewnewnewnewnew1","whsec_oldoldoldoldoldoldoldold2"],"connect":["whsec_connectconnectconnect3"]}`)
	later := time.Now().Add(time.Minute) // than the change of the stored secrets
	for range 3 {
		s.logged("ingest", later, `{"message":"delivery","event_id":"evt_1","outcome":"enqueued","endpoint":"default","verified_by":"1"}`)
	}
	s.logged("ingest", later, `{"message":"delivery","event_id":"evt_2","outcome":"enqueued","endpoint":"connect","verified_by":"0"}`)
	s.logged("ingest", time.Now().Add(-30*time.Minute), `{"message":"delivery","event_id":"evt_3","outcome":"enqueued","endpoint":"default","verified_by":"0"}`)
	s.logged("ingest", later, `{"message":"delivery","event_id":"evt_4","outcome":"rejected","endpoint":"default"}`)
	p := s.console(console.Console{})
	page := p.get("/endpoint")
	got := shown(page)
	for _, want := range []string{"The endpoint differs", "create an endpoint", "1 of 2", "not known to be 3", "Of 4 accepted deliveries", "connect"} {
		if !strings.Contains(got, want) {
			t.Errorf("it lacks %q: %s", want, got)
		}
	}
	if strings.Contains(page, "whsec_") {
		t.Errorf("a secret is on the page: %s", got)
	}
	job := p.submit("/endpoint", "/endpoint/apply", "endpoint=default", "note=first")
	p.until(job, "asking", "create an endpoint")
	p.confirm(job)
	p.until(job, "done")
	if page := p.get("/endpoint"); !strings.Contains(shown(page), "is as this system wants it") || strings.Contains(page, "whsec_") {
		t.Errorf("after apply it shows %s", shown(page))
	}
}

// TestConsoleOfAReader: who may only read sees these pages, and in words what cannot be read.
func TestConsoleOfAReader(t *testing.T) {
	s := newSystem(t)
	s.withStripe(nil)
	s.aws.Secret(t, local.WebhookSecretID, `{"default":["whsec_newnewnewnewnewnewnewnew1"]}`)
	s.done("evt_1", "payment_intent.succeeded", idempotency.Applied, dispatch.Effects{
		dispatch.Insert("FACT#test#-#pi_1#succeeded", dispatch.Fields{"kind": "payment", "fact": "succeeded", "object_id": "pi_1", "amount": int64(4900), "currency": "jpy",
			"event_id": "evt_1", "lst": "CUS#test#-#cus_1", "at": "2023-11-14T22:13:10Z"}),
	})
	s.as("Reader")
	p := s.console(console.Console{})
	for path, want := range map[string]string{"/customers/cus_1": "4,900 JPY", "/coverage": "compared", "/audit": "No entry", "/endpoint": "secretsmanager:GetSecretValue"} {
		if got := shown(p.get(path)); !strings.Contains(got, want) {
			t.Errorf("%s lacks %q: %s", path, want, got)
		}
	}
}
