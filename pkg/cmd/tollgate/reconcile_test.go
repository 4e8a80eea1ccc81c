package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/local"
	"tollgate/pkg/reconcile"
)

// TestReportNamesAnAccountThatNeverPassed though all of the key's own was compared.
func TestReportNamesAnAccountThatNeverPassed(t *testing.T) {
	s := newSystem(t)
	s.withStripe(nil)
	reader, err := dynamostore.NewReader(s.dynamo, local.TableName)
	check(t, err)
	coverage, err := dynamostore.NewCoverage(s.dynamo, reader)
	check(t, err)
	now := time.Now()
	day := now.UTC().Truncate(24 * time.Hour)
	note := reconcile.Covered{Tier: reconcile.Nightly, From: now.Add(-26 * time.Hour), To: now.Add(-5 * time.Minute), DoneAt: now}
	check(t, coverage.Cover(t.Context(), note))
	s.tollgate("reconcile", "report", "--days", "1").ok(t)
	check(t, coverage.Cover(t.Context(), reconcile.Covered{
		Account: "acct_1", Tier: reconcile.Configured, From: day, To: day.Add(-time.Second), DoneAt: now,
	}))
	a := s.tollgate("reconcile", "report", "--days", "1", "--json")
	var r reportView
	check(t, json.Unmarshal([]byte(a.out), &r))
	if d := cmp.Diff([]string{"- test", "acct_1 test"}, r.Streams); d != "" || a.code != exitFailed || r.Whole {
		t.Errorf("%+v, streams (-want +got):\n%s", a, d)
	}
	if len(r.Gaps) != 1 || r.Gaps[0].Account != "acct_1" || !r.Gaps[0].From.Equal(r.From) || !r.Gaps[0].To.Equal(r.To) {
		t.Errorf("gaps %+v, want the whole time of acct_1", r.Gaps)
	}
}
