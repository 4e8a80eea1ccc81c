package badinput

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/stripe/stripe-go/v76/webhook"
)

// atLeast is how many inputs the corpus has at least: one that is lost by mistake, with
// its file or in an edit, must not go unseen.
const atLeast = 700

// TestCorpus holds every line of the corpus to what it expects.
func TestCorpus(t *testing.T) {
	w, inputs := newWorld(t), 0
	for _, f := range families(t) {
		inputs += len(f.rows)
		t.Run(f.name, func(t *testing.T) {
			for _, r := range f.rows {
				t.Run(r.Name, func(t *testing.T) { w.in(t).run(r) })
			}
		})
	}
	if inputs < atLeast {
		t.Errorf("the corpus has %d inputs, want %d at least", inputs, atLeast)
	}
	w.keepsQuiet()
}

// in is the same world for another test.
func (w *world) in(t testing.TB) *world {
	own := *w
	own.t = t
	return &own
}

func (w *world) run(r row) {
	w.t.Helper()
	r.made = r.body(w.t)
	switch {
	case r.Message != nil:
		w.runMessage(r)
	case r.Payload != nil:
		w.runPayload(r)
	default:
		w.runRequest(r)
	}
}

// runRequest sends a delivery in every form that can carry it, and then as those would
// who know no secret.
func (w *world) runRequest(r row) {
	w.t.Helper()
	forms := r.forms(r.request(w.t))
	if len(forms) == 0 {
		w.t.Fatal("no form can carry this request")
	}
	for i, f := range forms {
		made := r.request(w.t)
		w.stock(r, r.made)
		got := w.deliver(made, f)
		if got.status == http.StatusOK && !signedByUs(made) {
			w.t.Errorf("%s: received, and nobody has signed it", f)
		}
		on := w.memory()
		if i == 0 && got.status == http.StatusOK {
			w.ends(f, r, got, w.dynamo(), false)
			got = w.deliver(r.request(w.t), f)
		}
		w.ends(f, r, got, on, f == front)
	}
	w.strangers(r)
}

// ends compares an answer, and what becomes of the message behind it, with the row's
// expectation. What the gateway answers by itself has another word.
func (w *world) ends(f form, r row, got answer, on table, byGateway bool) {
	w.t.Helper()
	m, text := w.take(w.events), got.String()
	switch {
	case got.status == http.StatusOK && m != nil:
		text += " " + w.becomes(on, m)
	case got.status == http.StatusOK:
		text += " and nothing on the queue"
	case m != nil:
		text += " and a message on the queue"
	}
	want, _, _ := strings.Cut(r.Want, " ")
	if byGateway && got.reason == "" && got.status != http.StatusOK && text == want {
		return
	}
	if text != r.Want {
		w.t.Errorf("%s: %s, want %s", f, text, r.Want)
	}
}

// strangers send the same request without a signature, and signed with secrets that
// anybody can guess.
func (w *world) strangers(r row) {
	w.t.Helper()
	templates := []string{"", "t={now},v1={sig:empty}", "t={now},v1={sig:wrong}", "t={now},v1={sig:prefix}", "t={now},v1="}
	if len(r.made) > 1<<16 {
		templates = templates[1:2] // what is large differs in nothing else
	}
	for _, template := range templates {
		other := r
		other.At, other.Signed, other.Signature = 0, nil, texts{template}
		made := other.request(w.t)
		if template == "" {
			made = made.without("Stripe-Signature")
		}
		if got := w.deliver(made, http20Coded); got.status < 400 || got.status >= 500 {
			w.t.Errorf("answer %s to a stranger who signs %q", got, template)
		}
	}
	if m := w.take(w.events); m != nil {
		w.t.Error("a stranger's message is on the queue")
	}
}

// signedByUs asks stripe-go whether one of the vault's secrets signed the request.
func signedByUs(r request) bool {
	var all map[string][]string
	if json.Unmarshal([]byte(vault), &all) != nil {
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

// runPayload gives the function a gateway's whole event: {signature} stands for a
// header's value, as {body} and {base64} for the signed bytes.
func (w *world) runPayload(r row) {
	w.t.Helper()
	body := r.made
	payload := func(template string) []byte {
		text := strings.ReplaceAll(string(r.Payload.bytes(w.t)), "{signature}", r.sign(template, body, time.Now()))
		return r.filled(w.t, []byte(text), body)
	}
	w.stock(r, body)
	w.ends("event", r, w.invoke(payload(goodSignature)), w.memory(), false)
	for _, template := range []string{"", "t={now},v1={sig:empty}", "t={now},v1={sig:wrong}"} {
		if got := w.invoke(payload(template)); got.status < 400 || got.status >= 500 {
			w.t.Errorf("answer %s to a stranger who signs %q", got, template)
		}
	}
	if m := w.take(w.events); m != nil {
		w.t.Error("a stranger's message is on the queue")
	}
}

// runMessage puts a message on the queue as it is, and lets the consumer have it.
func (w *world) runMessage(r row) {
	w.t.Helper()
	text := string(r.filled(w.t, r.Message.bytes(w.t), r.made))
	for name, on := range map[string]table{"memory": w.memory(), "table": w.dynamo()} {
		if _, err := w.queue.SendMessage(w.t.Context(), &sqs.SendMessageInput{QueueUrl: &w.events, MessageBody: &text}); err != nil {
			w.t.Fatalf("no queue would hold this message: %v", err)
		}
		w.stock(r, r.made)
		if got := w.becomes(on, w.take(w.events)); got != r.Want {
			w.t.Errorf("%s: %s, want %s", name, got, r.Want)
		}
	}
}

// keepsQuiet states that the log is one JSON object a line, without a secret, a
// signature or anything that a customer said.
func (w *world) keepsQuiet() {
	w.t.Helper()
	log := w.logs.String()
	for n, line := range strings.Split(strings.TrimSpace(log), "\n") {
		if !json.Valid([]byte(line)) {
			w.t.Fatalf("line %d of the log is no JSON: %.300s", n, line)
		}
	}
	for _, word := range []string{"whsec_", "v1=", "example.com", "client_secret", "_secret_"} {
		if i := strings.Index(log, word); i >= 0 {
			w.t.Errorf("the log tells %q: %s", word, fmt.Sprintf("…%.200s", log[max(0, i-60):]))
		}
	}
}
