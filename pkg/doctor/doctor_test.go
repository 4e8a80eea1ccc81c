package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/reconcile"
	"tollgate/pkg/registration"
)

var (
	now       = time.Date(2026, 11, 22, 2, 0, 0, 0, time.UTC)
	errDenied = errors.New("AccessDenied")
)

func clock() time.Time { return now }

func target() Target { return Target{Limits: limits.AWS(), Known: true, Live: true, Version: "v1"} }

// want is what a check must say: the finding of one name.
type want struct {
	name   string
	status Status
	says   string // in its detail
}

// has runs a check and looks for findings; a finding that is bad must say what to do.
func has(t *testing.T, check Check, wants ...want) {
	t.Helper()
	all := check(t.Context())
	for _, w := range wants {
		ok := false
		for _, f := range all {
			ok = ok || f.Name == w.name && f.Status == w.status && strings.Contains(f.Detail, w.says)
		}
		if !ok {
			t.Errorf("no finding %+v in %+v", w, all)
		}
	}
	for _, f := range all {
		if f.Detail == "" || f.Status == Fail && f.Fix == "" {
			t.Errorf("finding without words: %+v", f)
		}
	}
}

// healthy fails the test if a check finds anything wrong.
func healthy(t *testing.T, check Check) {
	t.Helper()
	all := check(t.Context())
	if len(all) == 0 {
		t.Error("a check without findings")
	}
	for _, f := range all {
		if f.Status != OK {
			t.Errorf("a healthy part: %+v", f)
		}
	}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context) []Finding {
			<-ctx.Done()
			return []Finding{{"slow", Warn, ctx.Err().Error(), ""}}
		}
		start := time.Now()
		all := Run(t.Context(), time.Minute, []Check{slow, Skip("functions", "none here"), slow})
		if len(all) != 3 || all[0].Name != "slow" || all[1].Status != Skipped || time.Since(start) != time.Minute {
			t.Errorf("%+v after %s", all, time.Since(start))
		}
	})
}

type table struct {
	is        Table
	attribute string
	recovers  bool
	err       [3]error
}

func (f table) Table(context.Context) (Table, error)   { return f.is, f.err[0] }
func (f table) Expiry(context.Context) (string, error) { return f.attribute, f.err[1] }
func (f table) Recovery(context.Context) (bool, error) { return f.recovers, f.err[2] }
func goodTable() table {
	return table{attribute: "exp", recovers: true, is: Table{
		Status: "ACTIVE", Key: []string{"pk S"}, Protected: true,
		Indexes: map[string]Index{
			"open-upd": {Key: []string{"open S", "upd N"}, Projection: "ALL", Status: "ACTIVE"},
			"list":     {Key: []string{"lst S", "at S"}, Projection: "ALL", Status: "ACTIVE"},
		},
	}}
}

func TestTable(t *testing.T) {
	healthy(t, CheckTable(goodTable(), target()))
	for name, c := range map[string]struct {
		spoil func(*table)
		want  want
	}{
		"not there":     {func(f *table) { f.err[0] = errDenied }, want{"table", Warn, "could not be checked: AccessDenied"}},
		"gone":          {func(f *table) { f.err[0] = fmt.Errorf("%w: another", ErrMissing) }, want{"table", Fail, "does not exist"}},
		"being deleted": {func(f *table) { f.is.Status = "DELETING" }, want{"table", Fail, "DELETING"}},
		"another table": {func(f *table) { f.is.Key = []string{"id S"} }, want{"table", Fail, "id S"}},
		"no index":      {func(f *table) { delete(f.is.Indexes, "list") }, want{"table", Fail, "list is missing"}},
		"another index": {func(f *table) { f.is.Indexes["list"] = Index{Key: []string{"lst S", "at N"}, Projection: "ALL"} }, want{"table", Fail, "at N"}},
		"a narrow index": {func(f *table) {
			f.is.Indexes["list"] = Index{Key: []string{"lst S", "at S"}, Projection: "KEYS_ONLY"}
		}, want{"table", Fail, "KEYS_ONLY"}},
		"an index is built": {func(f *table) { i := f.is.Indexes["list"]; i.Status = "CREATING"; f.is.Indexes["list"] = i }, want{"table", Warn, "CREATING"}},
		"nothing expires":   {func(f *table) { f.attribute = "" }, want{"table expiry", Fail, "grows"}},
		"the wrong expiry":  {func(f *table) { f.attribute = "upd" }, want{"table expiry", Fail, "upd"}},
		"expiry unknown":    {func(f *table) { f.err[1] = errDenied }, want{"table expiry", Warn, "could not be checked"}},
		"no recovery":       {func(f *table) { f.recovers = false }, want{"table recovery", Fail, "point in time"}},
		"recovery unknown":  {func(f *table) { f.err[2] = errDenied }, want{"table recovery", Warn, "could not be checked"}},
		"deletion is easy":  {func(f *table) { f.is.Protected = false }, want{"table recovery", Warn, "deletion"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := goodTable()
			c.spoil(&f)
			has(t, CheckTable(f, target()), c.want)
		})
	}
	has(t, CheckTable(goodTable(), Target{Local: true}), want{"table recovery", Skipped, "local"})
}

func queue(attributes map[string]string, err error) Queue {
	return Queue{"https://sqs.test/1/q", func(context.Context) (map[string]string, error) { return attributes, err }}
}

func goodQueues() (main, dead map[string]string) {
	return map[string]string{
			"VisibilityTimeout": "180", "MessageRetentionPeriod": "345600", "DelaySeconds": "0", "SqsManagedSseEnabled": "true",
			"RedrivePolicy":               `{"deadLetterTargetArn":"arn:dead","maxReceiveCount":16}`,
			"ApproximateNumberOfMessages": "3", "ApproximateNumberOfMessagesNotVisible": "2", "ApproximateNumberOfMessagesDelayed": "0",
		}, map[string]string{
			"QueueArn": "arn:dead", "MessageRetentionPeriod": "1209600", "KmsMasterKeyId": "alias/x", "ApproximateNumberOfMessages": "0",
		}
}

func TestQueues(t *testing.T) {
	m, d := goodQueues()
	healthy(t, CheckQueues(queue(m, nil), queue(d, nil), target()))
	type set map[string]string
	for name, c := range map[string]struct {
		main, dead set
		want       want
	}{
		"hidden too shortly":        {set{"VisibilityTimeout": "30"}, nil, want{"queue", Fail, "30s, want 3m0s"}},
		"hidden too long":           {set{"VisibilityTimeout": "181"}, nil, want{"queue", Warn, "3m1s"}},
		"kept too shortly":          {set{"MessageRetentionPeriod": "86400"}, nil, want{"queue", Fail, "24h0m0s"}},
		"every message waits":       {set{"DelaySeconds": "7"}, nil, want{"queue", Warn, "7 s"}},
		"no dead-letter queue":      {set{"RedrivePolicy": ""}, nil, want{"queue", Fail, "no dead-letter queue"}},
		"a broken policy":           {set{"RedrivePolicy": "{"}, nil, want{"queue", Fail, "cannot be read"}},
		"another dead-letter queue": {set{"RedrivePolicy": `{"deadLetterTargetArn":"arn:other","maxReceiveCount":16}`}, nil, want{"queue", Fail, "arn:other"}},
		"exhausts retries early":    {set{"RedrivePolicy": `{"deadLetterTargetArn":"arn:dead","maxReceiveCount":"5"}`}, nil, want{"queue", Fail, "max receives is 5,"}},
		"exhausts retries late":     {set{"RedrivePolicy": `{"deadLetterTargetArn":"arn:dead","maxReceiveCount":"50"}`}, nil, want{"queue", Warn, "max receives is 50"}},
		"in the clear":              {set{"SqsManagedSseEnabled": "false"}, nil, want{"queue", Warn, "encrypted"}},
		"dead letters in the clear": {nil, set{"KmsMasterKeyId": ""}, want{"dead-letter queue", Warn, "encrypted"}},
		"dead letters expire early": {nil, set{"MessageRetentionPeriod": "604800"}, want{"dead-letter queue", Warn, "168h"}},
		"dead letters expire first": {nil, set{"MessageRetentionPeriod": "345600"}, want{"dead-letter queue", Fail, "no longer than messages"}},
		"dead letters move on":      {nil, set{"RedrivePolicy": "{}"}, want{"dead-letter queue", Fail, "redrive policy of its own"}},
		"a backlog":                 {set{"ApproximateNumberOfMessages": "995"}, nil, want{"queue depth", OK, "995"}},
		"a large backlog":           {set{"ApproximateNumberOfMessages": "998"}, nil, want{"queue depth", Warn, "1000 messages"}},
		"too many in flight":        {set{"ApproximateNumberOfMessagesNotVisible": "70000"}, nil, want{"queue depth", Fail, "120000"}},
		"dead letters":              {nil, set{"ApproximateNumberOfMessages": "4", "ApproximateNumberOfMessagesNotVisible": "1"}, want{"dead letters", Fail, "5"}},
	} {
		t.Run(name, func(t *testing.T) {
			m, d := goodQueues()
			maps.Copy(m, c.main)
			maps.Copy(d, c.dead)
			has(t, CheckQueues(queue(m, nil), queue(d, nil), target()), c.want)
		})
	}
	has(t, CheckQueues(queue(nil, errDenied), queue(d, nil), target()), want{"queue", Warn, "could not be checked"}, want{"dead-letter queue", OK, ""}, want{"dead letters", OK, "none"})
	has(t, CheckQueues(queue(m, nil), queue(nil, errDenied), target()), want{"dead-letter queue", Warn, "could not be checked"}, want{"queue", OK, ""})
	scaled := target()
	scaled.Limits = limits.Scaled(100) // its queue's seconds are as many
	healthy(t, CheckQueues(queue(m, nil), queue(d, nil), scaled))
}

type secretTexts map[string]string

func (v secretTexts) value(_ context.Context, id string) (string, bool, error) {
	if id == "denied" {
		return "", false, errDenied
	}
	s, ok := v[id]
	return s, ok, nil
}

func TestSecrets(t *testing.T) {
	healthy(t, CheckWebhookSecret(secretTexts{"w": `{"default":["whsec_1","whsec_2\n"],"connect":"whsec_3"}`}.value, "w"))
	for name, c := range map[string]struct {
		id, text string
		want     want
	}{
		"not named":          {"", "", want{"signing secrets", Skipped, "does not name"}},
		"not allowed":        {"denied", "", want{"signing secrets", Warn, "could not be checked"}},
		"not there":          {"other", "", want{"signing secrets", Fail, "no secret"}},
		"a bare secret":      {"w", "whsec_1", want{"signing secrets", Fail, "not JSON"}},
		"a list":             {"w", `["whsec_1"]`, want{"signing secrets", Fail, "not JSON"}},
		"no server":          {"w", `{}`, want{"signing secrets", Fail, "not JSON"}},
		"no list":            {"w", `{"default":{}}`, want{"signing secrets", Fail, "no list"}},
		"an empty list":      {"w", `{"default":[]}`, want{"signing secrets", Fail, "no usable"}},
		"one that is none":   {"w", `{"default":["whsec_1","sk_test_HUNTER"]}`, want{"signing secrets", Fail, "secret 2 is dropped"}},
		"a number":           {"w", `{"default":[7]}`, want{"signing secrets", Fail, "not a string"}},
		"no endpoint's name": {"w", `{"default":["whsec_1"],"A/b":["whsec_1"]}`, want{"signing secrets", Fail, "A/b"}},
		"no default":         {"w", `{"connect":["whsec_1"]}`, want{"signing secrets", Warn, "default"}},
	} {
		t.Run(name, func(t *testing.T) {
			check := CheckWebhookSecret(secretTexts{"w": c.text}.value, c.id)
			has(t, check, c.want)
			raw, _ := json.Marshal(check(t.Context()))
			if strings.Contains(string(raw), "HUNTER") {
				t.Errorf("a secret is shown: %s", raw)
			}
		})
	}
}

func TestAPIKey(t *testing.T) {
	live, test, local, unknown := target(), Target{Known: true}, Target{Local: true, Known: true}, Target{}
	for _, c := range []struct {
		name, key string
		site      Target
		want      want
	}{
		{"a live stage", "rk_live_1\n", live, want{"api key", OK, "live"}},
		{"a test stage", "sk_test_1", test, want{"api key", OK, "test"}},
		{"unknown stage", "sk_live_1", unknown, want{"api key", OK, "live"}},
		{"a local system", "sk_test_1", local, want{"api key", OK, "test"}},
		{"none", " ", live, want{"api key", Warn, "no key"}},
		{"white space", "sk_live_1 2", live, want{"api key", Fail, "white space"}},
		{"a signing secret", "whsec_1", live, want{"api key", Fail, "signing secret"}},
		{"something else", "hunter2", live, want{"api key", Warn, "does not start"}},
		{"a test key on a live stage", "sk_test_1", live, want{"api key", Fail, "test key on a live"}},
		{"a live key on a test stage", "sk_live_1", test, want{"api key", Fail, "not live"}},
		{"a live key on a local system", "sk_live_1", local, want{"api key", Fail, "local"}},
	} {
		t.Run(c.name, func(t *testing.T) { has(t, CheckAPIKey(secretTexts{"k": c.key}.value, "k", c.site), c.want) })
	}
	has(t, CheckAPIKey(secretTexts{}.value, "", live), want{"api key", Skipped, "does not name"})
	has(t, CheckAPIKey(secretTexts{}.value, "denied", live), want{"api key", Warn, "could not be checked"})
}

func TestClock(t *testing.T) {
	offsets := func(by map[string]time.Duration, err error) Offsets {
		return func(context.Context) (map[string]time.Duration, error) { return by, err }
	}
	at := func(d time.Duration) Offsets { return offsets(map[string]time.Duration{"sqs": 0, "dynamodb": d}, nil) }
	for _, d := range []time.Duration{0, 5 * time.Second, -5 * time.Second} {
		healthy(t, CheckClock(at(d), target()))
	}
	for _, d := range []time.Duration{6 * time.Second, -60 * time.Second} {
		has(t, CheckClock(at(d), target()), want{"clock", Warn, "dynamodb is off by " + d.String()})
	}
	for _, d := range []time.Duration{61 * time.Second, -time.Hour} {
		has(t, CheckClock(at(d), target()), want{"clock", Fail, d.String()})
	}
	has(t, CheckClock(offsets(nil, errDenied), target()), want{"clock", Warn, "could not be checked"})
	has(t, CheckClock(offsets(nil, nil), target()), want{"clock", Skipped, "no server"})
	has(t, CheckClock(at(time.Hour), Target{Local: true}), want{"clock", Skipped, "local"})
}

func TestRecords(t *testing.T) {
	records := func(list []idempotency.Record, more bool, err error) Records {
		return func(context.Context) ([]idempotency.Record, bool, error) { return list, more, err }
	}
	rec := func(st idempotency.State, ago time.Duration, left int64) idempotency.Record {
		return idempotency.Record{ID: "evt_1", State: st, Updated: now.Add(-ago), Lease: now.Add(-ago), ReceivesLeft: left}
	}
	of := func(list ...idempotency.Record) Check {
		return CheckRecords(records(list, false, nil), target(), clock)
	}
	healthy(t, of())
	healthy(t, of(rec(idempotency.Failed, 80*time.Minute, 3), rec(idempotency.Running, 80*time.Minute, 3), rec(idempotency.Running, -time.Second, 0)))
	has(t, of(rec(idempotency.Failed, 91*time.Minute, 3)), want{"records", Fail, "1 events"}, want{"dead events", OK, "none"})
	has(t, of(rec(idempotency.Failed, 91*time.Minute, -1)), want{"records", Fail, "1 events"})
	has(t, of(rec(idempotency.Running, 91*time.Minute, 3)), want{"records", Fail, "1 died while"})
	has(t, of(rec(idempotency.Failed, 91*time.Minute, 0), rec(idempotency.Running, 2*time.Hour, 0)), want{"records", OK, ""}, want{"dead events", Fail, "2; the oldest, evt_1, dead for 2h"})
	has(t, of(rec(idempotency.Failed, 7*24*time.Hour+time.Minute, 0)), want{"dead events", Fail, "kept for at least 240h"})
	has(t, of(rec(idempotency.Failed, 7*24*time.Hour-time.Minute, 0)), want{"dead events", Fail, "evt_1, dead for 167h59m0s"})
	has(t, CheckRecords(records(nil, true, nil), target(), clock), want{"records", Warn, "more than"})
	has(t, CheckRecords(records(nil, false, errDenied), target(), clock), want{"records", Warn, "could not be checked"})
}

type stripe struct {
	live bool
	org  bool
	err  error
}

func (s stripe) OfOrganisation(context.Context) (bool, error) { return s.org, nil }
func (s stripe) Livemode(context.Context) (bool, error)       { return s.live, nil }
func (s stripe) ListEvents(context.Context, reconcile.Query) (reconcile.Page, error) {
	return reconcile.Page{}, s.err
}

func TestStripe(t *testing.T) {
	refused := func(err error) bool { return !errors.Is(err, context.DeadlineExceeded) }
	healthy(t, CheckStripe(stripe{live: true}, nil, refused, target(), clock))
	has(t, CheckStripe(stripe{live: true, err: context.DeadlineExceeded}, nil, refused, target(), clock), want{"stripe", Warn, "could not be checked"})
	has(t, CheckStripe(stripe{}, nil, refused, target(), clock), want{"stripe", Fail, "a test key"})
	healthy(t, CheckStripe(stripe{live: true, org: true, err: errDenied}, nil, refused, target(), clock)) // it cannot list without an account
	has(t, CheckStripe(stripe{live: true, err: errDenied}, nil, refused, target(), clock), want{"stripe", Fail, "AccessDenied"})
	has(t, CheckStripe(nil, errDenied, refused, target(), clock), want{"stripe", Warn, "AccessDenied"})
}

// TestEndpoint compares with what is at Stripe, as the plan of an endpoint does.
func TestEndpoint(t *testing.T) {
	wanted := registration.Wanted{Name: "default", URL: "https://hooks.example.com/webhooks/stripe", Events: []string{"invoice.paid"}, APIVersion: "2023-10-16", Livemode: true}
	secret := registration.NewSecret("whsec_1")
	there := registration.Endpoint{
		ID: "we_1", URL: wanted.URL, Events: wanted.Events, APIVersion: wanted.APIVersion,
		Metadata: map[string]string{registration.MetaSecret: secret.Fingerprint()},
	}
	plan := func(change func(*registration.Endpoint)) Check {
		e := there
		change(&e)
		return CheckEndpoint(func(context.Context) (registration.Plan, error) {
			return registration.Make(wanted, []registration.Endpoint{e}, registration.Known{Stored: []registration.Secret{secret}, Read: true}), nil
		})
	}
	healthy(t, plan(func(*registration.Endpoint) {}))
	for name, c := range map[string]struct {
		spoil func(*registration.Endpoint)
		want  want
	}{
		"another URL":     {func(e *registration.Endpoint) { e.URL = "https://old.example.com/" }, want{"endpoint", Fail, "create"}},
		"disabled":        {func(e *registration.Endpoint) { e.Disabled = true }, want{"endpoint", Fail, "disabled"}},
		"another version": {func(e *registration.Endpoint) { e.APIVersion = "2026-08-26.dahlia" }, want{"endpoint", Fail, "dahlia"}},
		"too few types":   {func(e *registration.Endpoint) { e.Events = []string{"charge.failed"} }, want{"endpoint", Fail, "invoice.paid"}},
		"every type":      {func(e *registration.Endpoint) { e.Events = []string{"*"} }, want{"endpoint", Warn, "every type"}},
	} {
		t.Run(name, func(t *testing.T) { has(t, plan(c.spoil), c.want) })
	}
	has(t, CheckEndpoint(func(context.Context) (registration.Plan, error) { return registration.Plan{}, errDenied }), want{"endpoint", Warn, "could not be checked"})
}

type coverage struct {
	notes  []reconcile.Covered
	broken []string
	err    error
}

func (c coverage) covered(_ context.Context, from, to time.Time) (list []reconcile.Covered, broken []string, err error) {
	for _, n := range c.notes {
		if !n.From.Before(from) && n.From.Before(to) {
			list = append(list, n)
		}
	}
	return list, c.broken, c.err
}

func TestReconcile(t *testing.T) {
	pass := func(tier string, ago time.Duration, errors int) reconcile.Covered {
		return reconcile.Covered{Tier: tier, From: now.Add(-ago - 3*time.Hour), DoneAt: now.Add(-ago), Errors: errors}
	}
	of := func(s Target, notes ...reconcile.Covered) Check {
		return CheckReconcile(coverage{notes: notes}.covered, s, clock)
	}
	healthy(t, of(target(), pass(reconcile.Frequent, time.Hour, 3), pass(reconcile.Frequent, 44*time.Minute, 0)))
	has(t, of(target(), pass(reconcile.Frequent, 46*time.Minute, 0), pass(reconcile.Nightly, time.Minute, 0)), want{"reconcile", Warn, "46m0s ago"})
	has(t, of(target(), pass(reconcile.Frequent, 61*time.Minute, 0)), want{"reconcile", Fail, "1h1m0s ago"})
	has(t, of(Target{Local: true, Limits: limits.AWS()}, pass(reconcile.Frequent, 61*time.Minute, 0)), want{"reconcile", Warn, "1h1m0s ago"})
	has(t, of(target(), pass(reconcile.Nightly, time.Minute, 0)), want{"reconcile", Fail, "no pass"})
	has(t, of(target(), pass(reconcile.Frequent, time.Minute, 2)), want{"reconcile", Warn, "2 events"})
	other := pass(reconcile.Frequent, 50*time.Minute, 0) // of an account whose key was revoked, say
	other.Account = "acct_1"
	has(t, of(target(), pass(reconcile.Frequent, time.Minute, 0), other), want{"reconcile", Warn, "account acct_1 in test mode ended 50m0s ago"})
	other.DoneAt, other.Errors = now.Add(-2*time.Minute), 4
	has(t, of(target(), pass(reconcile.Frequent, time.Minute, 0), other), want{"reconcile", Warn, "4 events of account acct_1"})
	has(t, of(Target{Local: true, Limits: limits.AWS()}), want{"reconcile", Skipped, "no pass"})
	never := func(ago, noted time.Duration) reconcile.Covered {
		from := now.Add(-ago)
		return reconcile.Covered{Account: "acct_2", Tier: reconcile.Configured, From: from, To: from.Add(-time.Second), DoneAt: now.Add(-noted)}
	}
	healthy(t, of(target(), pass(reconcile.Frequent, time.Minute, 0), never(time.Hour, 44*time.Minute))) // its first pass may run still
	has(t, of(target(), pass(reconcile.Frequent, time.Minute, 0), never(time.Hour, time.Minute), never(25*time.Hour, 25*time.Hour), never(2*time.Hour, 2*time.Hour)),
		want{"reconcile", Fail, "no pass over account acct_2 in test mode"})
	has(t, of(Target{Local: true, Limits: limits.AWS()}, never(time.Hour, 46*time.Minute)), want{"reconcile", Warn, "no pass over account acct_2"})
	has(t, of(target(), never(time.Hour, time.Minute)), want{"reconcile", Fail, "no pass within a day"})
	ahead, early := never(2*time.Hour, time.Hour), never(2*time.Hour, time.Hour)
	ahead.Since, early.Since = now.Add(time.Hour), now.Add(-time.Hour)
	was := pass(reconcile.Frequent, 5*time.Hour, 0)
	was.Account = "acct_2"
	healthy(t, of(target(), was, ahead)) // a begin in the future, put off once
	ahead.Since = now.Add(-20 * time.Minute)
	was.From, was.DoneAt, was.Errors = ahead.Since, now.Add(-time.Minute), 2
	has(t, of(target(), was, ahead), want{"reconcile", Warn, "2 events of account acct_2"})
	has(t, of(target(), early), want{"reconcile", Fail, "no pass over account acct_2"})
	has(t, of(target(), ahead, pass(reconcile.Frequent, 46*time.Minute, 0)), want{"reconcile", Warn, "46m0s ago"})
	closed := never(2*time.Hour, time.Hour)
	closed.Endpoint, closed.Excluded = "connect", "livemode"
	stale := pass(reconcile.Frequent, 5*time.Hour, 0)
	stale.Account = "acct_2"
	has(t, of(target(), pass(reconcile.Frequent, time.Minute, 0), stale, never(12*time.Hour, 12*time.Hour), closed), want{"reconcile", Warn, "endpoint connect excludes it (livemode)"})
	if all := of(target(), pass(reconcile.Frequent, time.Minute, 0), stale, closed)(t.Context()); len(all) != 1 {
		t.Errorf("an excluded account that was compared five hours ago: %+v, want the exclusion alone", all)
	}
	healthy(t, of(target(), pass(reconcile.Frequent, time.Minute, 0), closed, never(time.Hour, 44*time.Minute))) // the policy was opened since
	has(t, CheckReconcile(coverage{notes: []reconcile.Covered{pass(reconcile.Frequent, time.Minute, 0)}, broken: []string{"COVER#x"}}.covered, target(), clock),
		want{"reconcile", Warn, "COVER#x"})
	has(t, CheckReconcile(coverage{err: errDenied}.covered, target(), clock), want{"reconcile", Warn, "could not be checked"})
}
