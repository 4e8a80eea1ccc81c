package dynamostore

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func auditFixture(t *testing.T, transport http.RoundTripper) (*Operator, *Reader) {
	t.Helper()
	s := serveEmbedded(t)
	f := s.fixture(t, http.DefaultTransport)
	return newOperator(t, s.client(transport, true), f.table), f.reader
}

func TestAudit(t *testing.T) {
	audit, reader := auditFixture(t, http.DefaultTransport)
	midnight := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	entry := func(verb string, at time.Time) AuditEntry {
		return AuditEntry{
			Verb: verb, By: "ann@box", Why: "tax\x1b[31m was\nwrong", Detail: strings.Repeat("é", 600), Target: "the local system", StartedAt: at,
		}
	}
	var ids []string
	for i, verb := range []string{"redrive", "dlq purge", "events replay", "redrive"} {
		id, err := audit.BeginAudit(t.Context(), entry(verb, midnight.Add(time.Duration(i-2)*time.Millisecond)))
		check(t, err)
		ids = append(ids, id)
	}
	if !slices.IsSorted(ids) {
		t.Errorf("the ids do not sort by time: %v", ids)
	}
	if err := audit.EndAudit(t.Context(), ids[0], "3 sent", midnight.Add(time.Second)); err != nil {
		t.Error(err)
	}
	if err := audit.EndAudit(t.Context(), "01NOSUCH", "3 sent", midnight); err == nil || !strings.Contains(err.Error(), "not there") {
		t.Errorf("the end of what never began: %v", err)
	}
	want := entry("redrive", midnight.Add(-2*time.Millisecond))
	want.ID, want.Why, want.Detail = ids[0], "tax [31m was wrong", strings.Repeat("é", 512)
	want.EndedAt, want.Outcome = midnight.Add(time.Second), "3 sent"
	for _, c := range []struct {
		name string
		req  AuditRequest
		want []string
		more bool
	}{
		{"over midnight, the newest first", AuditRequest{Since: midnight.Add(-time.Hour), Until: midnight.Add(time.Hour)}, []string{ids[3], ids[2], ids[1], ids[0]}, false},
		{"of a verb", AuditRequest{Since: midnight.Add(-time.Hour), Until: midnight.Add(time.Hour), Verb: "redrive"}, []string{ids[3], ids[0]}, false},
		{"of a group of verbs", AuditRequest{Since: midnight.Add(-time.Hour), Until: midnight.Add(time.Hour), Verb: "dlq"}, []string{ids[1]}, false},
		{"exactly in time", AuditRequest{Since: midnight.Add(-time.Millisecond), Until: midnight}, []string{ids[2], ids[1]}, false},
		{"as many as asked for", AuditRequest{Since: midnight.Add(-time.Hour), Until: midnight.Add(time.Hour), Limit: 3}, []string{ids[3], ids[2], ids[1]}, true},
		{"exactly as many as there are", AuditRequest{Since: midnight.Add(-time.Hour), Until: midnight.Add(time.Hour), Limit: 4}, []string{ids[3], ids[2], ids[1], ids[0]}, false},
		{"of another time", AuditRequest{Since: midnight.Add(time.Hour), Until: midnight.Add(2 * time.Hour)}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, more, err := reader.Audit(t.Context(), c.req)
			var have []string
			for _, e := range got {
				have = append(have, e.ID)
			}
			if diff := cmp.Diff(c.want, have); err != nil || diff != "" || more != c.more {
				t.Errorf("more %v, %v, entries (-want +got):\n%s", more, err, diff)
			}
			if len(got) == 4 {
				if diff := cmp.Diff(want, got[3]); diff != "" {
					t.Errorf("entry (-want +got):\n%s", diff)
				}
			}
		})
	}
	if _, _, err := reader.Audit(t.Context(), AuditRequest{Until: midnight}); err == nil {
		t.Error("a list of two thousand years was begun")
	}
}

// TestAuditLostAnswer: a try whose answer was lost is the same entry, and a second entry
// is never made of it.
func TestAuditLostAnswer(t *testing.T) {
	lost := 0
	audit, reader := auditFixture(t, transport(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && lost == 0 {
			lost++
			resp.Body.Close()
			return nil, fmt.Errorf("the answer was lost")
		}
		return resp, err
	}))
	now := time.UnixMilli(1_700_000_000_000).UTC()
	id, err := audit.BeginAudit(t.Context(), AuditEntry{Verb: "redrive", By: "ann", StartedAt: now})
	if err != nil || lost != 1 {
		t.Fatalf("%q, %v after %d lost answers", id, err, lost)
	}
	got, _, err := reader.Audit(t.Context(), AuditRequest{Since: now, Until: now})
	if diff := cmp.Diff([]AuditEntry{{ID: id, Verb: "redrive", By: "ann", StartedAt: now}}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
