package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/cmd/tollgate/audit"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/queue"
)

// stripeHas serves some events, and counts what is asked for.
type stripeHas struct {
	mu     sync.Mutex
	bodies map[string]string // by path, behind the account and a space where one is asked as
	asked  []string
}

func (h *stripeHas) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	path := strings.TrimSpace(r.Header.Get("Stripe-Account") + " " + r.URL.Path)
	h.asked = append(h.asked, r.Method+" "+path)
	body, ok := h.bodies[path]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		body = `{"error":{"code":"resource_missing"}}`
	}
	fmt.Fprint(w, body)
}

// paid is an event as Stripe renders it.
func paid(id, invoice string) string {
	return fmt.Sprintf(`{"id":%q,"object":"event","type":"invoice.paid","livemode":false,"api_version":"2023-10-16","created":1699999990,`+
		`"data":{"object":{"id":%q,"object":"invoice","amount_paid":1000,"currency":"eur","customer":"cus_1","status":"paid"}}}`, id, invoice)
}

// succeeded is an event of a payment.
func succeeded(id, intent string) string {
	return strings.NewReplacer("invoice.paid", "payment_intent.succeeded", `"object":"invoice","amount_paid":1000`, `"object":"payment_intent","amount":1000,"amount_received":1000`,
		`"status":"paid"`, `"status":"succeeded"`).Replace(paid(id, intent))
}

// withStripe gives a system a Stripe that has these events.
func withStripe(t *testing.T, s *system, bodies ...string) *stripeHas {
	t.Helper()
	has := &stripeHas{bodies: map[string]string{}}
	for _, b := range bodies {
		e, err := event.Parse([]byte(b))
		check(t, err)
		has.bodies["/v1/events/"+e.ID] = b
	}
	server := httptest.NewServer(has)
	t.Cleanup(server.Close)
	s.info.StripeURL = server.URL
	s.writeInfo()
	return has
}

// keyed runs the command with a key for Stripe's API.
func (s *system) keyed(args ...string) answer {
	s.t.Helper()
	return tollgate(s.t.Context(), map[string]string{"STRIPE_API_KEY": "sk_test_1"}, append(args, "--data", s.data)...)
}

// claimed leaves an event of these bytes claimed, as its first delivery did.
func (s *system) claimed(body, account string) *idempotency.Claim {
	s.t.Helper()
	e, err := event.Parse([]byte(body))
	check(s.t, err)
	e.Account, e.Source, e.Endpoint = account, event.Webhook, "default"
	got, err := s.store.Claim(s.t.Context(), idempotency.ClaimRequest{
		Event: e, Owner: idempotency.NewOwner(), Now: at, Lease: after(30), LeaseExpiredBefore: at, Receives: 1, ReceivesLeft: 15,
	})
	check(s.t, err)
	return got.Claim
}

func (s *system) ended(body, account string, outcome idempotency.Outcome, effects ...dispatch.Effect) {
	s.t.Helper()
	_, err := s.store.Complete(s.t.Context(), s.claimed(body, account), outcome, effects, after(2))
	check(s.t, err)
}

// messages takes what is on the queue of events.
func (s *system) messages() (list []event.Envelope) {
	s.t.Helper()
	for _, body := range s.takeAll() {
		e, err := queue.Decode(body)
		check(s.t, err)
		list = append(list, e)
	}
	return list
}

// TestReplayAsksThePolicy of the endpoint: a message that is refused there would leave a done
// event to be run again, and never run.
func TestReplayAsksThePolicy(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := paid("evt_1", "in_1")
	withStripe(t, s, body)
	s.ended(body, "", idempotency.Applied)
	s.info.Endpoints = `{"connect":{"accounts":["acct_eu"],"on_mismatch":"ignore"}}`
	s.writeInfo()

	s.keyed("events", "replay", "evt_1", "--note=x", "--endpoint=connect").failed(t, "policy of endpoint connect excludes the event", "--endpoint names")
	if r, sent := s.record("evt_1"), s.messages(); r.State != idempotency.Done || len(sent) != 0 {
		t.Errorf("record %+v, messages %+v", r, sent)
	}
	s.keyed("events", "replay", "evt_1", "--note=x").ok(t)
}

// replayLine is what events replay --json prints, as far as tests read it.
type replayLine struct {
	ID, Type, Action string
	Generation       int64
	Record           *verb.RecordView
}

// shadowLine is what events replay --shadow --json prints, as far as tests read it.
type shadowLine struct {
	Writes              bool
	Generation, Attempt int64
	Effects             []struct{ Verdict string }
}

func TestReplay(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := paid("evt_1", "in_1")
	withStripe(t, s, body)
	s.ended(body, "", idempotency.Applied)

	got := s.keyed("events", "replay", "evt_1", "--note", "tax was wrong", "--json").ok(t)
	want := []replayLine{{ID: "evt_1", Type: "invoice.paid", Action: "replayed", Generation: 2}}
	if diff := cmp.Diff(want, lines[replayLine](t, got.out)); diff != "" {
		t.Error(diff)
	}
	if !strings.HasPrefix(got.err, "the local system in "+s.data+": run 1 event again") {
		t.Errorf("the target is not printed first: %q", got.err)
	}
	sent := s.messages()
	if len(sent) != 1 || sent[0].Source != event.Replay || sent[0].Endpoint != "default" || string(sent[0].Body) != body || time.Since(sent[0].ReceivedAt) > time.Minute {
		t.Errorf("messages %+v", sent)
	}
	r := s.record("evt_1")
	if r.State != idempotency.Failed || r.Generation != 2 || r.ReplayWhy != "tax was wrong" || !strings.Contains(r.ReplayBy, "@") {
		t.Errorf("record %+v", r)
	}
	text := s.tollgate("events", "show", "evt_1").ok(t).out
	if !strings.Contains(text, "tax was wrong") || !strings.Contains(text, "replayed by") {
		t.Errorf("show prints\n%s", text)
	}
	entry := lines[audit.View](t, s.tollgate("audit", "list", "--json").ok(t).out)[0]
	if entry.Verb != "events replay" || entry.Why != "tax was wrong" || entry.Outcome != "1 replayed, 0 messages about old states held so far" || !strings.Contains(entry.Detail, "evt_1") {
		t.Errorf("audit entry %+v", entry)
	}

	// Once more: what has not run yet is only sent.
	again := lines[replayLine](t, s.keyed("events", "replay", "evt_1", "--note", "again", "--json").ok(t).out)
	if len(again) != 1 || again[0].Action != "sent" || len(s.messages()) != 1 || s.record("evt_1").Generation != 2 {
		t.Errorf("again: %+v, record %+v", again, s.record("evt_1"))
	}
}

func (s *system) record(id string) idempotency.Record {
	s.t.Helper()
	a := &verb.App{Data: s.data}
	to, err := a.Target(s.t.Context())
	check(s.t, err)
	reader, err := to.Reader()
	check(s.t, err)
	r, _, err := reader.Get(s.t.Context(), id)
	check(s.t, err)
	return r
}

// untouched fails the test if a command changed a record, sent a message or left an entry.
func (s *system) untouched(t *testing.T, before string) {
	t.Helper()
	if diff := cmp.Diff(before, s.table()); diff != "" {
		t.Errorf("the table changed:\n%s", diff)
	}
	if sent := s.messages(); len(sent) != 0 {
		t.Errorf("%d messages were sent", len(sent))
	}
}

// table is every item of the table but the audit trail.
func (s *system) table() string {
	s.t.Helper()
	out, err := s.dynamo.Scan(s.t.Context(), &dynamodb.ScanInput{TableName: &s.info.Table})
	check(s.t, err)
	raw, err := json.Marshal(slices.DeleteFunc(out.Items, func(item map[string]types.AttributeValue) bool {
		pk, _ := item["pk"].(*types.AttributeValueMemberS)
		return pk != nil && strings.Contains(pk.Value, "AUDIT#")
	}))
	check(s.t, err)
	return string(raw)
}

// TestReplayRefuses wrong use, and an event that cannot be replayed, with nothing written.
func TestReplayRefuses(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	withFakeStripe(t, s)
	s.ended(paid("evt_gone", "in_1"), "", idempotency.Applied)
	broken, wrong := filepath.Join(s.data, "broken.json"), filepath.Join(s.data, "wrong.json")
	check(t, writeFile(broken, paid("evt_gone", "in_1")+`{"id":`))
	check(t, writeFile(wrong, strings.Replace(paid("evt_gone", "in_1"), "in_1", "in_2", 1)))
	before := s.table()
	for _, c := range []struct {
		args string
		code int
		says []string
	}{
		{"", verb.ExitUsage, []string{"name events"}},
		{"evt_gone", verb.ExitUsage, []string{"--note"}},
		{"evt_gone --type=invoice.* --note=x", verb.ExitUsage, []string{"not both"}},
		{"--type=inv* --note=x", verb.ExitUsage, []string{"--type"}},
		{"evt_gone --endpoint=A --note=x", verb.ExitUsage, []string{"--endpoint"}},
		{"evt_gone --wait=1s --shadow", verb.ExitUsage, []string{"--wait", "send nothing"}},
		{"evt_gone --rate=0 --note=x", verb.ExitUsage, []string{"--rate"}},
		{"--since=soon --note=x", verb.ExitUsage, []string{"soon"}},
		{"evt_gone --note=x", verb.ExitFailed, []string{"nothing was written", "--from-file"}},
		{"--note=x --from-file " + broken, verb.ExitUsage, []string{"event 2 is not JSON"}},
		{"--note=x --from-file " + wrong, verb.ExitFailed, []string{"does not match the record"}},
		{"evt_unknown --note=x --from-file " + wrong, verb.ExitFailed, []string{"not known", "backfill"}},
	} {
		got := s.keyed(append([]string{"events", "replay"}, strings.Fields(c.args)...)...)
		got.refused(t, c.code, c.says...)
		s.untouched(t, before)
	}
	tollgate(t.Context(), nil, "events", "replay", "evt_gone", "--note=x", "--data", s.data).refused(t, verb.ExitFailed, "STRIPE_API_KEY")
}

func TestReplayFromFile(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	file := filepath.Join(s.data, "events.json")
	check(t, writeFile(file, paid("evt_1", "in_1")+"\n"+paid("evt_2", "in_2")+"\n"))
	s.ended(paid("evt_1", "in_1"), "acct_1", idempotency.Applied)
	s.ended(paid("evt_2", "in_2"), "acct_1", idempotency.Applied)
	got := s.tollgate("events", "replay", "--from-file", file, "--account=acct_1", "--note=older than 30 days", "--endpoint=connect", "--json").ok(t)
	if n := len(lines[replayLine](t, got.out)); n != 2 {
		t.Errorf("%d events: %+v", n, got)
	}
	sent := s.messages()
	if len(sent) != 2 || sent[0].Account != "acct_1" || sent[0].Endpoint != "connect" || sent[0].Body == nil {
		t.Errorf("messages %+v", sent)
	}
}

// TestReplayByFilter chooses done events, the oldest first, and continues after a refused one.
func TestReplayByFilter(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	var bodies []string
	for i := range 5 {
		body := paid(fmt.Sprintf("evt_%d", i), "in_1")
		outcome := idempotency.Ignored
		if i == 0 {
			outcome = idempotency.Applied
		}
		s.ended(body, "", outcome)
		if i != 2 {
			bodies = append(bodies, body)
		}
	}
	withStripe(t, s, bodies...)
	s.failed("evt_failed", "invoice.paid", "", "no row", 15)
	args := []string{"events", "replay", "--type=invoice.*", "--outcome=ignored", "--json", "--rate=1000"}
	before := s.table()
	dry := s.keyed(append(args, "--dry-run")...)
	if dry.code != verb.ExitFailed || !strings.Contains(dry.err, "reading the whole table") || !strings.Contains(dry.err, "1 of 4 events were refused") {
		t.Errorf("dry run: %+v", dry)
	}
	if got := strings.Count(dry.out, `"would_replay"`); got != 3 {
		t.Errorf("dry run: %s", dry.out)
	}
	s.untouched(t, before)
	if got := s.keyed(append(args, "--dry-run", "--until=2020-01-01")...).ok(t); got.out != "" || !strings.Contains(got.err, "No done event matches") {
		t.Errorf("until: %+v", got)
	}
	if got := s.keyed(append(args, "--dry-run", "--limit=2")...); len(lines[replayLine](t, got.out)) != 2 || !strings.Contains(got.err, "--cursor ") {
		t.Errorf("limit: %+v", got)
	}
	got := s.keyed(append(args, "--note=new handler")...)
	counts := map[string]int{}
	for _, v := range lines[replayLine](t, got.out) {
		counts[v.Action]++
	}
	if diff := cmp.Diff(map[string]int{"replayed": 3, "refused": 1}, counts); diff != "" || got.code != verb.ExitFailed {
		t.Errorf("%+v: %s", got, diff)
	}
	if n := len(s.messages()); n != 3 {
		t.Errorf("%d messages", n)
	}
	if r := s.record("evt_2"); r.State != idempotency.Done || r.Generation != 1 {
		t.Errorf("the one that was refused: %+v", r)
	}
}

// TestShadow: the handler runs, its effects are shown, and no request that writes is made.
func TestShadow(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	body := succeeded("evt_1", "pi_1")
	has := withStripe(t, s, body, strings.Replace(paid("evt_none", "x"), "invoice.paid", "plan.created", 1))
	s.ended(body, "", idempotency.Applied)
	s.ended(strings.Replace(paid("evt_none", "x"), "invoice.paid", "plan.created", 1), "", idempotency.Ignored)
	before := s.table()
	var mu sync.Mutex
	var called []string
	record := func(operation string) {
		mu.Lock()
		defer mu.Unlock()
		called = append(called, operation)
	}
	s.called.Store(&record)
	got := s.keyed("events", "replay", "evt_1", "--shadow", "--json").ok(t)
	text := s.keyed("events", "replay", "evt_1", "--shadow").ok(t)
	none := s.keyed("events", "replay", "evt_none", "--shadow")
	s.called.Store(nil)
	for _, operation := range called {
		if !strings.HasSuffix(operation, ".GetItem") {
			t.Errorf("it called %s", operation)
		}
	}
	for _, request := range has.asked {
		if !strings.HasPrefix(request, "GET ") {
			t.Errorf("it asked Stripe %s", request)
		}
	}
	s.untouched(t, before)
	v := lines[shadowLine](t, got.out)
	if len(v) != 1 || !v[0].Writes || v[0].Generation != 2 || v[0].Attempt != 2 || len(v[0].Effects) == 0 || v[0].Effects[0].Verdict != "would_insert" {
		t.Errorf("%s", got.out)
	}
	if !strings.Contains(text.out, "+ FACT#test#-#pi_1#succeeded would be inserted") || !strings.Contains(text.out, "amount: 1000") || !strings.Contains(text.out, "Nothing was written") {
		t.Errorf("%s", text.out)
	}
	none.refused(t, verb.ExitFailed, "no handler is registered for plan.created")
}
