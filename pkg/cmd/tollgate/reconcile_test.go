package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	report "tollgate/pkg/cmd/tollgate/reconcile"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/local"
	"tollgate/pkg/reconcile"
)

// TestReportNamesAnAccountThatNeverPassed though all of the key's own was compared.
func TestReportNamesAnAccountThatNeverPassed(t *testing.T) {
	s := newSystem(t)
	s.withStripe(nil)
	coverage := s.store
	now := time.Now()
	day := now.UTC().Truncate(24 * time.Hour)
	note := reconcile.Covered{Tier: reconcile.Nightly, From: now.Add(-26 * time.Hour), To: now.Add(-5 * time.Minute), DoneAt: now}
	check(t, coverage.Cover(t.Context(), note))
	s.tollgate("reconcile", "report", "--days", "1").ok(t)
	check(t, coverage.Cover(t.Context(), reconcile.Covered{
		Account: "acct_1", Tier: reconcile.Configured, From: day, To: day.Add(-time.Second), DoneAt: now,
	}))
	a := s.tollgate("reconcile", "report", "--days", "1", "--json")
	var r report.View
	check(t, json.Unmarshal([]byte(a.out), &r))
	if d := cmp.Diff([]string{"- test", "acct_1 test"}, r.Streams); d != "" || a.code != verb.ExitFailed || r.Whole {
		t.Errorf("%+v, streams (-want +got):\n%s", a, d)
	}
	if len(r.Gaps) != 1 || r.Gaps[0].Account != "acct_1" || !r.Gaps[0].From.Equal(r.From) || !r.Gaps[0].To.Equal(r.To) {
		t.Errorf("gaps %+v, want the whole time of acct_1", r.Gaps)
	}
}

// TestReportNamesWhatIsNotCompared: the time before an account's begin, with the backfill
// for it, an account that a policy excludes, and a note that cannot be read. None is a gap.
func TestReportNamesWhatIsNotCompared(t *testing.T) {
	s := newSystem(t)
	s.withStripe(nil)
	coverage := s.store
	now := time.Now().UTC()
	day := now.Truncate(24 * time.Hour)
	begin := now.Add(-10 * time.Hour).Truncate(time.Second)
	treated := func(account, endpoint, excluded string, since time.Time) reconcile.Covered {
		return reconcile.Covered{
			Account: account, Tier: reconcile.Configured, From: day, To: day.Add(-time.Second), DoneAt: now,
			Since: since, Endpoint: endpoint, Excluded: excluded,
		}
	}
	for _, n := range []reconcile.Covered{
		treated("acct_1", "connect", "", begin), treated("acct_2", "connect", "livemode", time.Time{}),
		{Account: "acct_1", Tier: reconcile.Nightly, From: begin, To: now.Add(-5 * time.Minute), DoneAt: now},
	} {
		check(t, coverage.Cover(t.Context(), n))
	}
	_, err := s.dynamo.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: aws.String(local.TableName), Item: map[string]types.AttributeValue{
		"pk":  &types.AttributeValueMemberS{Value: "COVER#broken"},
		"lst": &types.AttributeValueMemberS{Value: "COVER#" + day.Format("2006-01")},
		"at":  &types.AttributeValueMemberS{Value: day.Format(time.RFC3339)},
	}})
	check(t, err)
	a := s.tollgate("reconcile", "report", "--days", "1").ok(t)
	for _, want := range []string{
		"no gap in the last 1 days", "acct_1 test: not compared before " + verb.LongTime(begin),
		" --until " + begin.Add(-time.Second).Format(time.RFC3339) + " --account acct_1 --endpoint connect\n",
		"acct_2 test: excluded by the policy of endpoint connect (livemode)",
	} {
		if !strings.Contains(a.out, want) {
			t.Errorf("the report does not have %q:\n%s", want, a.out)
		}
	}
	if !strings.Contains(a.err, "COVER#broken") {
		t.Errorf("the broken note is not named: %s", a.err)
	}
	var r report.View
	check(t, json.Unmarshal([]byte(s.tollgate("reconcile", "report", "--days", "1", "--json").ok(t).out), &r))
	want := report.View{
		From: r.From, To: r.To, Whole: true, Says: "no gap in the last 1 days", Streams: []string{"acct_1 test", "acct_2 test"}, Gaps: []report.Gap{},
		Before:   []report.Gap{{Kind: "before", Account: "acct_1", Mode: "test", From: r.From, To: begin.Add(-time.Second), Endpoint: "connect"}},
		Excluded: []report.Excluded{{Account: "acct_2", Mode: "test", Endpoint: "connect", Reason: "livemode"}},
		Broken:   []string{"COVER#broken"},
	}
	if d := cmp.Diff(want, r); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
