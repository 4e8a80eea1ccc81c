package badinput

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/event"
	"tollgate/pkg/queue"
)

// atLeast is the minimum size of the corpus, so that inputs lost by mistake are noticed.
const atLeast = 1200

// TestCorpus checks every line of the corpus against its expectation.
func TestCorpus(t *testing.T) {
	sys, inputs := newSystem(t), 0
	for _, f := range families(t) {
		inputs += len(f.rows)
		t.Run(f.name, func(t *testing.T) {
			for _, r := range f.rows {
				t.Run(r.Name, func(t *testing.T) { sys.in(t).run(r) })
			}
		})
	}
	if inputs < atLeast {
		t.Errorf("the corpus has %d inputs, want %d at least", inputs, atLeast)
	}
	sys.keepsQuiet()
}

// in returns the same system for another test.
func (sys *system) in(t testing.TB) *system {
	own := *sys
	own.t = t
	return &own
}

func (sys *system) run(r row) {
	sys.t.Helper()
	r.made = r.body(sys.t)
	switch {
	case r.Message != nil:
		sys.runMessage(r)
	case r.Payload != nil:
		sys.runPayload(r)
	default:
		sys.runRequest(r)
	}
}

// runRequest sends a delivery in every form that can carry it, and then unsigned and forged. The
// message must be the same in every form, so that one is consumed for all.
func (sys *system) runRequest(r row) {
	sys.t.Helper()
	forms := r.forms(r.request(sys.t))
	if len(forms) == 0 {
		sys.t.Fatal("no form can carry this request")
	}
	large := len(r.made) > 1<<20
	if raced {
		forms = fewer(forms, r.Name, large)
	}
	sys.stock(r, r.made)
	var first *types.Message
	for _, f := range forms {
		made := r.request(sys.t)
		got := sys.deliver(made, f)
		m := sys.take(sys.events)
		if got.status == http.StatusOK && !signedByUs(made) {
			sys.t.Errorf("%s: received, without a valid signature", f)
		}
		switch {
		case f == front && got.status != http.StatusOK && got.reason == "" && got.String() == strings.Fields(r.Want)[0] && m == nil: // the gateway's own answer
		case first == nil:
			first = m
			sys.ends(string(f), r.Want, got, m, sys.stores(large))
		case m != nil && got.status == http.StatusOK:
			sys.same(string(f), first, m)
		default:
			sys.ends(string(f), r.Want, got, m, sys.stores(large))
		}
	}
	if !large { // the corpus has separate lines for large forgeries
		sys.strangers(r)
	}
}

// fewer selects two of a row's forms, one for a large row, by the row's name.
func fewer(forms []form, name string, large bool) []form {
	h := fnv.New32a()
	h.Write([]byte(name))
	at := int(h.Sum32() % uint32(len(forms)))
	if large || len(forms) == 1 {
		return forms[at : at+1]
	}
	return []form{forms[at], forms[(at+1)%len(forms)]}
}

// stores returns the stores that a row is consumed with.
func (sys *system) stores(large bool) []table {
	if large {
		return []table{sys.memory()}
	}
	return []table{sys.memory(), sys.dynamo()}
}

// same checks that two messages differ in their time of receipt only.
func (sys *system) same(f string, first, m *types.Message) {
	sys.t.Helper()
	var both [2]event.Envelope
	for i, body := range []string{*first.Body, *m.Body} {
		e, err := queue.Decode(body)
		if err != nil {
			sys.t.Fatal(err)
		}
		e.ReceivedAt = time.Time{}
		both[i] = e
	}
	bytesToo := bytes.Equal(both[0].Body, both[1].Body)
	both[0].Body, both[1].Body = nil, nil // compared; cmp is slow on megabytes
	if diff := cmp.Diff(both[0], both[1]); diff != "" || !bytesToo {
		sys.t.Errorf("%s: the same bytes %t, message (-first form +this):\n%s", f, bytesToo, diff)
	}
}

// ends compares an answer, and the message's end in each store, with what is wanted.
func (sys *system) ends(f, want string, got answer, m *types.Message, stores []table) {
	sys.t.Helper()
	if got.status == http.StatusOK && m != nil {
		for _, on := range stores {
			if text := got.String() + " " + sys.becomes(on, m); text != want {
				sys.t.Errorf("%s, %s: %s, want %s", f, on.name, text, want)
			}
		}
		return
	}
	text := got.String()
	switch {
	case got.status == http.StatusOK:
		text += " and nothing on the queue"
	case m != nil:
		text += " and a message on the queue"
	}
	if text != want {
		sys.t.Errorf("%s: %s, want %s", f, text, want)
	}
}

// strangers sends the same request unsigned, and signed with guessable secrets.
func (sys *system) strangers(r row) {
	sys.t.Helper()
	for _, template := range []string{"", "t={now},v1={sig:empty}", "t={now},v1={sig:wrong}", "t={now},v1={sig:prefix}", "t={now},v1="} {
		other := r
		other.At, other.Signed, other.Signature = 0, nil, texts{template}
		made := other.request(sys.t)
		if template == "" {
			made = made.without("Stripe-Signature")
		}
		if got := sys.deliver(made, http20Coded); got.status < 400 || got.status >= 500 {
			sys.t.Errorf("answer %s to a stranger who signs %q", got, template)
		}
	}
	if m := sys.take(sys.events); m != nil {
		sys.t.Error("a stranger's message is on the queue")
	}
}

// signedByUs reports whether stripe-go accepts the request with one of the secrets.
func signedByUs(r request) bool {
	var all map[string][]string
	if json.Unmarshal([]byte(secretText), &all) != nil {
		return false
	}
	for _, list := range all {
		for _, secret := range list {
			if webhook.ValidatePayload(r.body, strings.Join(r.values("Stripe-Signature"), ","), secret) == nil {
				return true
			}
		}
	}
	return false
}

// runPayload invokes the function with a whole gateway event, in which {signature} is the header's
// value, and {body} and {base64} are the signed bytes.
func (sys *system) runPayload(r row) {
	sys.t.Helper()
	body := r.made
	payload := func(template string) []byte {
		text := strings.ReplaceAll(string(r.Payload.bytes(sys.t)), "{signature}", r.sign(template, body, time.Now()))
		return r.filled(sys.t, []byte(text), body)
	}
	sys.stock(r, body)
	got := sys.invoke(payload(goodSignature))
	sys.ends("event", r.Want, got, sys.take(sys.events), []table{sys.memory()})
	for _, template := range []string{"", "t={now},v1={sig:empty}", "t={now},v1={sig:wrong}"} {
		if got := sys.invoke(payload(template)); got.status < 400 || got.status >= 500 {
			sys.t.Errorf("answer %s to a stranger who signs %q", got, template)
		}
	}
	if m := sys.take(sys.events); m != nil {
		sys.t.Error("a stranger's message is on the queue")
	}
}

// runMessage enqueues a message as it is and consumes it.
func (sys *system) runMessage(r row) {
	sys.t.Helper()
	text := string(r.filled(sys.t, r.Message.bytes(sys.t), r.made))
	if _, err := sys.queue.SendMessage(sys.t.Context(), &sqs.SendMessageInput{QueueUrl: &sys.events, MessageBody: &text}); err != nil {
		sys.t.Fatalf("no queue would hold this message: %v", err)
	}
	sys.stock(r, r.made)
	m := sys.take(sys.events)
	for _, on := range sys.stores(false) {
		if got := sys.becomes(on, m); got != r.Want {
			sys.t.Errorf("%s: %s, want %s", on.name, got, r.Want)
		}
	}
}

// keepsQuiet checks that the log has one JSON object a line and no secret, signature or customer
// data.
func (sys *system) keepsQuiet() {
	sys.t.Helper()
	log := sys.logs.String()
	for n, line := range strings.Split(strings.TrimSpace(log), "\n") {
		if !json.Valid([]byte(line)) {
			sys.t.Fatalf("line %d of the log is no JSON: %.300s", n, line)
		}
	}
	for _, word := range []string{"whsec_", "v1=", "example.com", "client_secret", "_secret_"} {
		if i := strings.Index(log, word); i >= 0 {
			sys.t.Errorf("the log contains %q: %s", word, fmt.Sprintf("…%.200s", log[max(0, i-60):]))
		}
	}
}
