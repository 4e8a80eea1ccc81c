package history_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/history"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
)

// jobs keeps what is enqueued.
type jobs struct{ sent []string }

func (j *jobs) SendJobs(_ context.Context, _ string, bodies []string) error {
	j.sent = append(j.sent, bodies...)
	return nil
}

// table is a store on the embedded DynamoDB.
type table struct {
	*dynamostore.Reader
	*dynamostore.Deliveries
}

func (t table) Digests(ctx context.Context, destination string) ([]string, error) {
	tokens, err := t.Tokens(ctx, destination)
	return tokens.Digests, err
}

// asked is a handler with its parts at a time.
type asked struct {
	t     *testing.T
	now   time.Time
	store *dynamostore.Store
	rows  table
	jobs  jobs
	h     *history.Handler
}

var start = time.Date(2026, 11, 28, 23, 59, 0, 0, time.UTC)

func ask(t *testing.T) *asked {
	t.Helper()
	a := &asked{t: t, now: start.Add(time.Hour)}
	aws := localtest.Start(t, localtest.Options{})
	aws.Table(t, dynamostore.TableSchema("tollgate"))
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	a.store, err = dynamostore.New(aws.Dynamo, "tollgate", dynamostore.Options{})
	must(err)
	a.rows.Reader, err = dynamostore.NewReader(aws.Dynamo, "tollgate")
	must(err)
	a.rows.Deliveries, err = dynamostore.NewDeliveries(aws.Dynamo, "tollgate", dynamostore.Options{})
	must(err)
	set := destination.Set{
		"crm":   {Name: "crm", Group: "crm", History: true, Livemode: []bool{true}, Accounts: []string{""}},
		"crm-2": {Name: "crm-2", Group: "crm", History: true},
		"plain": {Name: "plain", Group: "crm"},
	}
	for name := range set {
		_, err = a.rows.SwapTokens(t.Context(), name, dynamostore.Tokens{Digests: []string{history.Digest(token(name))}})
		must(err)
	}
	a.h, err = history.New(history.Config{
		Rows: a.rows, Messages: a.rows.Deliveries, Jobs: &a.jobs, Destinations: set, Now: func() time.Time { return a.now },
	})
	must(err)
	return a
}

func token(name string) string { return history.Token(name, strings.Repeat("a", 64)) }

// key is that of a message; n says which.
func key(mode, account string, n int) string {
	return fmt.Sprintf("OUT#FACT#%s#%s#in_%d#paid#receipt", mode, account, n)
}

// noted hands a message over at a time after the start.
func (a *asked) noted(to, key string, after time.Duration) delivery.Job {
	a.t.Helper()
	j := delivery.Job{Message: key, Destination: to}
	if err := a.store.Note(a.t.Context(), j, start.Add(after)); err != nil {
		a.t.Fatal(err)
	}
	return j
}

// ended gives a delivery an attempt that ended so.
func (a *asked) ended(j delivery.Job, status delivery.Status) {
	a.t.Helper()
	now := start.Add(30 * time.Minute)
	begun, err := a.rows.Deliveries.Begin(a.t.Context(), delivery.BeginRequest{Job: j, First: true, Owner: "o", Now: now, Lease: now.Add(time.Minute), Cutoff: now})
	if err == nil && begun.Started == nil {
		a.t.Fatalf("%v did not begin: %+v", j, begun)
	}
	if err == nil && status != delivery.Running {
		_, err = a.rows.Deliveries.End(a.t.Context(), *begun.Started, delivery.Result{Status: status, Next: now.Add(time.Hour), Now: now, Attempt: delivery.Attempt{At: now, Status: 503, Err: "answered 503"}})
	}
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *asked) do(method, path, name string, query url.Values) (int, string) {
	a.t.Helper()
	q := map[string]string{}
	for k := range query {
		q[k] = query.Get(k)
	}
	got, err := a.h.Handle(a.t.Context(), history.Request{Method: method, Path: path, Query: q, Authorization: "Bearer " + token(name)})
	if err != nil {
		a.t.Fatal(err)
	}
	return got.Status, string(got.Body)
}

func (a *asked) page(name, query string) (p history.Page) {
	a.t.Helper()
	values, _ := url.ParseQuery(query)
	status, body := a.do(http.MethodGet, history.Path, name, values)
	if status != http.StatusOK || json.Unmarshal([]byte(body), &p) != nil {
		a.t.Fatalf("%s: %d %s", query, status, body)
	}
	return p
}

// TestPages: every delivery comes once, in the order of handing over, over equal times and the end of a
// day, whatever is handed over meanwhile; the newest come once they have settled.
func TestPages(t *testing.T) {
	a := ask(t)
	for n := range 9 {
		a.noted("crm", key("live", "-", n), time.Duration(n/3)*time.Minute) // three at a time, over midnight
	}
	a.noted("crm-2", key("live", "-", 1), 0)
	a.noted("crm", key("test", "-", 1), 0)      // of a mode that it does not take any more
	a.noted("crm", key("live", "acct_1", 1), 0) // or of an account
	seen, after, last := map[string]bool{}, "", time.Time{}
	for n := 0; ; n++ {
		p := a.page("crm", "limit=2&after="+url.QueryEscape(after))
		for _, d := range p.Data {
			if seen[d.ID] || d.At.Before(last) {
				t.Errorf("%s of %v comes twice or too late", d.ID, d.At)
			}
			seen[d.ID], last = true, d.At
		}
		if after = p.Next; !p.More {
			break
		}
		if n == 2 {
			a.noted("crm", key("live", "-", 100), 50*time.Minute)
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d deliveries, want 10", len(seen))
	}
	a.noted("crm", key("live", "-", 101), time.Hour-limits.AWS().Sender.Settle/2)
	if p := a.page("crm", "after="+url.QueryEscape(after)); len(p.Data) != 0 || p.Next != after {
		t.Errorf("one that has not settled: %+v", p)
	}
	a.now = a.now.Add(time.Minute)
	if p := a.page("crm", "after="+url.QueryEscape(after)); len(p.Data) != 1 {
		t.Errorf("one that has settled: %+v", p)
	}
	if p := a.page("crm", "after=2020-01-01T00:00:00Z"); len(p.Data) != 11 || string(p.Data[0].Body) != "null" {
		t.Errorf("from before all: %d, the first with a body: %s", len(p.Data), p.Data[0].Body)
	}
}

// TestTokens: a token opens its own destination, if that has a history.
func TestTokens(t *testing.T) {
	a := ask(t)
	for name, header := range map[string]string{
		"none": "", "another scheme": "Basic " + token("crm"), "made up": "Bearer " + history.Token("crm", strings.Repeat("b", 64)),
		"of no history": "Bearer " + token("plain"), "of nothing": "Bearer " + token("none"),
		"another's name": "Bearer " + strings.Replace(token("crm-2"), "crm-2", "crm", 1) + "2", "a part": "Bearer " + token("crm")[:20],
	} {
		got, err := a.h.Handle(t.Context(), history.Request{Method: http.MethodGet, Path: history.Path, Authorization: header})
		if err != nil || got.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s, %v", name, got.Status, got.Body, err)
		}
	}
}

// TestStatuses: a status is found among many others.
func TestStatuses(t *testing.T) {
	a := ask(t)
	for n, status := range []delivery.Status{delivery.Delivered, delivery.Failed, delivery.Disabled, delivery.Waiting, delivery.Running} {
		a.ended(a.noted("crm", key("live", "-", n), 0), status)
	}
	for n := range 150 {
		a.ended(a.noted("crm", key("live", "-", 100+n), time.Second), delivery.Delivered)
	}
	a.noted("crm", key("live", "-", 5), time.Minute)
	for status, want := range map[string]int{"failed": 1, "disabled": 1, "retrying": 1, "running": 1, "queued": 1, "undelivered": 5, "delivered": 100} {
		if p := a.page("crm", "limit=100&status="+status); len(p.Data) != want {
			t.Errorf("%s: %d, want %d", status, len(p.Data), want)
		}
	}
}

// TestRetry begins what is not delivered and not running, for the token's destination alone.
func TestRetry(t *testing.T) {
	for status, want := range map[delivery.Status]int{
		delivery.Failed: 200, delivery.Disabled: 200, delivery.Waiting: 200, delivery.Delivered: 409, delivery.Running: 409,
	} {
		t.Run(string(status), func(t *testing.T) {
			a := ask(t)
			j := a.noted("crm", key("live", "-", 1), 0)
			a.ended(j, status)
			id := a.page("crm", "").Data[0].ID
			if got, body := a.do(http.MethodPost, history.Path+"/"+id+"/retry", "crm-2", nil); got != 404 {
				t.Errorf("another destination's token: %d %s", got, body)
			}
			got, body := a.do(http.MethodPost, history.Path+"/"+id+"/retry", "crm", nil)
			if got != want || (len(a.jobs.sent) == 1) != (want == 200) {
				t.Errorf("%d %s, jobs %v, want %d", got, body, a.jobs.sent, want)
			}
			if want == 200 && a.jobs.sent[0] != j.Encode() {
				t.Errorf("job %s", a.jobs.sent[0])
			}
		})
	}
}

// FuzzRequest: no request of a stranger panics, or is answered anything but a refusal.
func FuzzRequest(f *testing.F) {
	f.Add("GET", "/deliveries", "2026-11-28T23:59:00Z", "1", "Bearer tgd_crm_1")
	f.Add("POST", "/deliveries/T1VUIw/retry", "2026-11-28T23:59:00.000Z.msg_a", "-1", "Bearer tgd_plain_")
	f.Add("GET", "/deliveries/", "\x00", "9e9", "bearer tgd_crm_")
	h, err := history.New(history.Config{Rows: table{}, Messages: (*dynamostore.Deliveries)(nil), Jobs: &jobs{}, Destinations: destination.Set{"plain": {Name: "plain"}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, method, path, after, limit, authorization string) {
		a, err := h.Handle(t.Context(), history.Request{Method: method, Path: path, Query: map[string]string{"after": after, "limit": limit}, Authorization: authorization})
		if err != nil || a.Status != http.StatusUnauthorized {
			t.Fatalf("%d %s, %v", a.Status, a.Body, err)
		}
		if at, err := delivery.After(after); err == nil && (delivery.At(mustTime(t, at)) > at || len(at) > 64) {
			t.Fatalf("after %q is read as %q", after, at)
		}
	})
}

func mustTime(t *testing.T, place string) time.Time {
	t.Helper()
	at, err := delivery.PlaceTime(place)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
