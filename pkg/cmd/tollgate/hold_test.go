package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/cmd/tollgate/hold"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/pause"
	"tollgate/pkg/reconcile"
)

// pauses are the stored switch.
func (s *system) pauses() pause.State {
	s.t.Helper()
	r, err := dynamostore.NewReader(s.dynamo, s.info.Table)
	check(s.t, err)
	state, err := r.Pauses(s.t.Context())
	check(s.t, err)
	return state
}

// held puts an event into the hold queue, as the consumer does.
func (s *system) held(id, typ string) {
	s.t.Helper()
	body := encoded(s.t, envelope(id, typ))
	_, err := s.sqs.SendMessage(s.t.Context(), &sdksqs.SendMessageInput{QueueUrl: &s.info.HoldURL, MessageBody: &body})
	check(s.t, err)
}

// begun begins the history of the key's own account, as the first pass does.
func (s *system) begun() {
	s.t.Helper()
	_, err := s.store.PutBegin(s.t.Context(), reconcile.Stream{}, time.Now().Add(-time.Hour))
	check(s.t, err)
}

// mapped is the state of the consumer's event source mapping.
func (s *system) mapped() string {
	s.t.Helper()
	all, err := (verb.Target{AWS: s.info.AWSConfig(), QueueURL: s.info.QueueURL}).Mappings(s.t.Context())
	check(s.t, err)
	return aws.ToString(all[0].State)
}

func TestPauseRefuses(t *testing.T) {
	s := newSystem(t)
	for line, says := range map[string]string{
		"pause":                         "name one event type, or give --all",
		"pause invoice.paid --all":      "name one event type, or give --all",
		"pause invoice.* --note x":      `"invoice.*" is not one event type`,
		"pause invoice.gone --note x":   "no handler takes invoice.gone: its events are ignored",
		"pause no.such --note x":        "handled are ",
		"pause invoice.paid":            "a pause needs --note",
		"pause invoice.paid --note=":    "a pause needs --note",
		"pause --all":                   "a pause needs --note",
		"pause invoice.paid subscribed": "unexpected argument",
	} {
		args := strings.Split(line, " ")
		s.tollgate(args...).refused(t, verb.ExitUsage, says)
	}
	s.info.HoldURL = ""
	s.writeInfo()
	s.tollgate("pause", "invoice.paid", "--note", "x").refused(t, verb.ExitUsage, "has no hold queue", "deploy a release that has it")
	if state := s.pauses(); state.Revision != 0 {
		t.Errorf("%+v", state)
	}
}

// TestPauseType: a pause is stored with who and why, asks, is audited, and a second one changes
// nothing.
func TestPauseType(t *testing.T) {
	s := newSystem(t)
	s.tollgate("pause", "invoice.paid", "--dry-run").ok(t)
	if got := s.pauses(); len(got.Paused) > 0 {
		t.Fatalf("a dry run pauses: %+v", got)
	}
	tollgate(t.Context(), s.environment(), "pause", "invoice.paid", "--note", "tax is down").refused(t, verb.ExitUsage, "confirm with --yes")
	began := time.Now().Add(-time.Second)
	a := s.tollgate("pause", "invoice.paid", "--note", "tax\nis down", "--json").ok(t)
	v := lines[hold.View](t, a.out)[0]
	mark := s.pauses().Paused["invoice.paid"]
	if v.Type != "invoice.paid" || v.State != hold.Paused || v.Why != "tax is down" || v.By != verb.Operator() || mark.By != v.By || mark.Why != v.Why || mark.At.Before(began) {
		t.Errorf("%s: %+v", a.out, mark)
	}
	again := s.tollgate("pause", "invoice.paid", "--note", "another").ok(t)
	if got := s.pauses(); !strings.Contains(again.out, "is paused already, since ") || !strings.Contains(again.out, "tax is down") || got.Revision != 1 {
		t.Errorf("%s: %+v", again.out, got)
	}
	if a := s.tollgate("audit", "list").ok(t); strings.Count(a.out, "pause") < 1 || !strings.Contains(a.out, "tax is down") || strings.Contains(a.out, "another") {
		t.Error(a.out)
	}
}

// TestPauseAll disables the mapping after the switch is written, and a second one repeats what an
// interrupted one left.
func TestPauseAll(t *testing.T) {
	s := newSystem(t)
	a := s.tollgate("pause", "--all", "--note", "moving", "--json").ok(t)
	if state := s.mapped(); state != "Disabled" || s.pauses().Paused[pause.All].Why != "moving" || !strings.Contains(a.out, `"type":"*"`) {
		t.Errorf("mapping %s, %s", state, a.out)
	}
	check(t, (verb.Target{AWS: s.info.AWSConfig(), QueueURL: s.info.QueueURL}).Consume(t.Context(), true)) // as a deploy may
	if a := s.tollgate("doctor"); !strings.Contains(a.out, "and the consumer runs") {
		t.Error(a.out)
	}
	s.tollgate("pause", "--all", "--note", "again").ok(t)
	if state := s.mapped(); state != "Disabled" || s.pauses().Paused[pause.All].Why != "moving" {
		t.Errorf("mapping %s, %+v", state, s.pauses())
	}
	s.deadLetter(envelope("evt_1", "invoice.paid"), "handler", "x", 1)
	if a := s.tollgate("hold", "list").ok(t); !strings.Contains(a.out, "everything is paused: 0 events wait in the queue, the consumer's event source mapping is disabled") {
		t.Error(a.out)
	}
}

// TestHoldList shows the switch and counts what the hold queue has of each type, also of one that is
// not paused, and leaves the events as they were.
func TestHoldList(t *testing.T) {
	s := newSystem(t)
	if a := s.tollgate("hold", "list").ok(t); a.out != "Nothing is paused, and nothing is held.\n" {
		t.Error(a.out)
	}
	s.tollgate("pause", "invoice.paid", "--note", "tax is down").ok(t)
	s.tollgate("pause", "charge.refunded", "--note", "later").ok(t)
	for _, id := range []string{"evt_1", "evt_2"} {
		s.held(id, "invoice.paid")
	}
	s.held("evt_3", "customer.created")
	a := s.tollgate("hold", "list", "--json").ok(t)
	got := map[string]string{}
	for _, v := range lines[hold.View](t, a.out) {
		raw, err := json.Marshal([]any{v.State, *v.Held, v.Why, v.Oldest != nil, v.Expires != nil})
		check(t, err)
		got[v.Type] = string(raw)
	}
	for typ, want := range map[string]string{
		"invoice.paid": `["paused",2,"tax is down",true,true]`, "charge.refunded": `["paused",0,"later",false,false]`, "customer.created": `["left",1,"",true,true]`,
	} {
		if got[typ] != want {
			t.Errorf("%s: %s, want %s", typ, got[typ], want)
		}
	}
	if a := s.tollgate("hold", "list").ok(t); !strings.Contains(a.out, "to handle held events of a type that is not paused") {
		t.Error(a.out)
	}
	out, err := s.sqs.ReceiveMessage(t.Context(), &sdksqs.ReceiveMessageInput{QueueUrl: &s.info.HoldURL, MaxNumberOfMessages: 10, VisibilityTimeout: 43200})
	check(t, err)
	if len(out.Messages) != 3 {
		t.Fatalf("%d held events can be received", len(out.Messages))
	}
	if a := s.tollgate("hold", "list"); a.code != verb.ExitFailed || !strings.Contains(a.err, "3 held events are hidden by another reader") {
		t.Errorf("%+v", a)
	}
}

// TestHoldForReaders: who has the policy Reader sees what is paused, and pauses nothing.
func TestHoldForReaders(t *testing.T) {
	s := newSystem(t)
	s.held("evt_1", "invoice.paid")
	s.as("Reader")
	if a := s.tollgate("hold", "list").ok(t); !strings.Contains(a.out, "invoice.paid") {
		t.Error(a.out)
	}
	if refused := s.rights.Refused(); len(refused) > 0 {
		t.Errorf("refused: %v", refused)
	}
	for _, line := range []string{"pause invoice.paid --note x", "pause --all --note x"} {
		if a := s.tollgate(strings.Fields(line)...); a.code != verb.ExitFailed || !strings.Contains(a.err, "nothing was changed") {
			t.Errorf("%s: %+v", line, a)
		}
	}
	if s.mapped() != "Enabled" || s.pauses().Revision != 0 {
		t.Error("something is paused")
	}
}

// TestResume sends what is held, compares the time of the pause with Stripe's list, and ends the pause;
// what is held of another type stays.
func TestResume(t *testing.T) {
	s := newSystem(t)
	s.tollgate("resume", "invoice.paid").refused(t, verb.ExitUsage, "invoice.paid is not paused", "tollgate hold list")
	s.tollgate("resume", "--all").refused(t, verb.ExitUsage, "everything is not paused")
	s.tollgate("resume", "invoice.paid", "--rate", "0").refused(t, verb.ExitUsage, "--rate is 1 to 500")
	listed := func(id, typ string) []byte {
		return fmt.Appendf(nil, `{"id":%q,"object":"event","api_version":"2023-10-16","created":%d,"data":{"object":{"id":"in_1","object":"invoice"}},"livemode":false,"type":%q}`, id, time.Now().Add(-5*time.Second).Unix(), typ)
	}
	s.begun()
	_, s.info.StripeURL = localtest.Stripe(t, listed("evt_missed", "invoice.paid"), listed("evt_other", "invoice.voided"))
	s.writeInfo()
	s.tollgate("pause", "invoice.paid", "--note", "tax is down").ok(t)
	for _, id := range []string{"evt_1", "evt_2"} {
		s.held(id, "invoice.paid")
	}
	s.held("evt_3", "invoice.voided")
	if a := s.tollgate("resume", "invoice.paid", "--dry-run").ok(t); !strings.Contains(a.out, "would resume invoice.paid, paused since ") || !strings.Contains(a.out, "2 held events, 20 a second") {
		t.Error(a.out)
	}
	s.tollgate("resume", "invoice.paid").refused(t, verb.ExitFailed, "no key for Stripe's API")
	if len(s.pauses().Paused) != 1 {
		t.Fatal("without a key the span cannot be compared, and the pause has ended")
	}
	a := s.keyed("resume", "invoice.paid", "--rate", "100", "--note", "tax is back", "--json").ok(t)
	var v struct {
		Type                    string
		Moved, Listed, Enqueued int
		Complete                bool
		Since, Until            time.Time
	}
	check(t, json.Unmarshal([]byte(a.out), &v))
	if v.Type != "invoice.paid" || v.Moved != 2 || v.Enqueued != 1 || !v.Complete || !v.Since.Before(v.Until) {
		t.Error(a.out)
	}
	got := map[string]bool{}
	for _, e := range s.messages() {
		got[e.ID] = true
	}
	if state := s.pauses(); len(state.Paused)+len(state.Resuming) > 0 || !maps.Equal(got, map[string]bool{"evt_1": true, "evt_2": true, "evt_missed": true}) {
		t.Errorf("sent %v, %+v", got, state)
	}
	if a := s.tollgate("hold", "list").ok(t); !strings.Contains(a.out, "invoice.voided  left") {
		t.Error(a.out)
	}
	if a := s.tollgate("audit", "list").ok(t); !strings.Contains(a.out, "tax is back") {
		t.Error(a.out)
	}
	s.tollgate("pause", "invoice.voided", "--note", "to bring its event back").ok(t)
	if a := s.tollgate("resume", "invoice.voided", "--no-list", "--json").ok(t); !strings.Contains(a.out, `"moved":1`) || !strings.Contains(a.out, `"compared":false,"complete":true`) {
		t.Error(a.out)
	}
}

// TestResumeAll enables the mapping; while everything is paused no type is resumed, and a resume that
// ended early is repeated.
func TestResumeAll(t *testing.T) {
	s := newSystem(t)
	_, s.info.StripeURL = localtest.Stripe(t)
	s.writeInfo()
	s.begun()
	s.tollgate("pause", "invoice.paid", "--note", "x").ok(t)
	s.tollgate("pause", "--all", "--note", "x").ok(t)
	s.keyed("resume", "invoice.paid").refused(t, verb.ExitUsage, "everything is paused, or being resumed", "tollgate resume --all")
	s.as("Reader")
	s.keyed("resume", "--all").refused(t, verb.ExitFailed, "nothing was changed")
	s.as("Operator")
	whole := s.info.StripeURL
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	t.Cleanup(refuses.Close)
	s.info.StripeURL = refuses.URL
	s.writeInfo()
	if a := s.keyed("resume", "--all"); a.code != verb.ExitFailed || !strings.Contains(a.err, "everything is still being resumed: run it again") {
		t.Errorf("%+v", a)
	}
	s.info.StripeURL = whole
	s.writeInfo()
	if a := s.tollgate("hold", "list").ok(t); !strings.Contains(a.out, "resuming") || !strings.Contains(a.out, "a resume that ended early is repeated") {
		t.Error(a.out)
	}
	if a := s.keyed("resume", "--all").ok(t); !strings.Contains(a.out, "resumed everything") {
		t.Error(a.out)
	}
	if state := s.pauses(); s.mapped() != "Enabled" || len(state.Paused) != 1 || len(state.Resuming) != 0 {
		t.Errorf("mapping %s, %+v", s.mapped(), state)
	}
}

// TestPauseOnStack pauses on a stack that moto has deployed, by its outputs.
func TestPauseOnStack(t *testing.T) {
	url := localtest.Moto(t)
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "infra", "testdata", "tollgate-test.json"))
	check(t, err)
	cfg := localtest.Config(url, awsclient.Options{Attempts: 1, Try: 2 * time.Minute})
	outputs := localtest.Deploy(t, cfg, "tollgate-test", raw) // with its mapping disabled
	setAWS(t, url)
	target := verb.Target{AWS: cfg, QueueURL: outputs[limits.OutputQueueURL]}
	check(t, target.Consume(t.Context(), true))
	run := func(line string) answer {
		t.Helper()
		return tollgate(t.Context(), nil, append(strings.Fields(line), "--stack", "tollgate-test")...).ok(t)
	}
	run("pause invoice.paid --note tax --yes")
	run("pause --all --note moving --yes")
	body := encoded(t, envelope("evt_1", "invoice.paid"))
	_, err = sdksqs.NewFromConfig(cfg).SendMessage(t.Context(), &sdksqs.SendMessageInput{QueueUrl: aws.String(outputs[limits.OutputHoldURL]), MessageBody: &body})
	check(t, err)
	a := run("hold list")
	for _, says := range []string{"invoice.paid  paused", "1", "everything is paused: 0 events wait in the queue, the consumer's event source mapping is disabled"} {
		if !strings.Contains(a.out, says) {
			t.Errorf("%q is not in %s", says, a.out)
		}
	}
}
