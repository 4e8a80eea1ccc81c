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

// atLeast is how many inputs the corpus has at least: one that is lost by mistake, with
// its file or in an edit, must not go unseen.
const atLeast = 1200

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
// who know no secret. What is on the queue must be the same in every form, so that one
// message tells what becomes of all.
func (w *world) runRequest(r row) {
	w.t.Helper()
	forms := r.forms(r.request(w.t))
	if len(forms) == 0 {
		w.t.Fatal("no form can carry this request")
	}
	large := len(r.made) > 1<<20
	if raced {
		forms = fewer(forms, r.Name, large)
	}
	w.stock(r, r.made)
	var first *types.Message
	for _, f := range forms {
		made := r.request(w.t)
		got := w.deliver(made, f)
		m := w.take(w.events)
		if got.status == http.StatusOK && !signedByUs(made) {
			w.t.Errorf("%s: received, and nobody has signed it", f)
		}
		switch {
		case f == front && got.status != http.StatusOK && got.reason == "" && got.String() == strings.Fields(r.Want)[0] && m == nil: // the gateway's own answer
		case first == nil:
			first = m
			w.ends(string(f), r.Want, got, m, w.stores(large))
		case m != nil && got.status == http.StatusOK:
			w.same(string(f), first, m)
		default:
			w.ends(string(f), r.Want, got, m, w.stores(large))
		}
	}
	if !large { // what is large has lines of its own for strangers
		w.strangers(r)
	}
}

// fewer takes two of a row's forms, one of a large one's: others for other rows, so that
// all are taken by many.
func fewer(forms []form, name string, large bool) []form {
	h := fnv.New32a()
	h.Write([]byte(name))
	at := int(h.Sum32() % uint32(len(forms)))
	if large || len(forms) == 1 {
		return forms[at : at+1]
	}
	return []form{forms[at], forms[(at+1)%len(forms)]}
}

// stores are where a row's record is kept, one after the other.
func (w *world) stores(large bool) []table {
	if large {
		return []table{w.memory()}
	}
	return []table{w.memory(), w.dynamo()}
}

// same states that two messages differ in nothing but the moment they were made at.
func (w *world) same(f string, first, m *types.Message) {
	w.t.Helper()
	var both [2]event.Envelope
	for i, body := range []string{*first.Body, *m.Body} {
		e, err := queue.Decode(body)
		if err != nil {
			w.t.Fatal(err)
		}
		e.ReceivedAt = time.Time{}
		both[i] = e
	}
	bytesToo := bytes.Equal(both[0].Body, both[1].Body)
	both[0].Body, both[1].Body = nil, nil // compared; cmp is slow on megabytes
	if diff := cmp.Diff(both[0], both[1]); diff != "" || !bytesToo {
		w.t.Errorf("%s: the same bytes %t, message (-first form +this):\n%s", f, bytesToo, diff)
	}
}

// ends compares an answer, and what becomes of the message behind it in each store, with
// what is wanted.
func (w *world) ends(f, want string, got answer, m *types.Message, stores []table) {
	w.t.Helper()
	if got.status == http.StatusOK && m != nil {
		for _, on := range stores {
			if text := got.String() + " " + w.becomes(on, m); text != want {
				w.t.Errorf("%s, %s: %s, want %s", f, on.name, text, want)
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
		w.t.Errorf("%s: %s, want %s", f, text, want)
	}
}

// strangers send the same request without a signature, and signed with secrets that
// anybody can guess.
func (w *world) strangers(r row) {
	w.t.Helper()
	for _, template := range []string{"", "t={now},v1={sig:empty}", "t={now},v1={sig:wrong}", "t={now},v1={sig:prefix}", "t={now},v1="} {
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
	got := w.invoke(payload(goodSignature))
	w.ends("event", r.Want, got, w.take(w.events), []table{w.memory()})
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
	if _, err := w.queue.SendMessage(w.t.Context(), &sqs.SendMessageInput{QueueUrl: &w.events, MessageBody: &text}); err != nil {
		w.t.Fatalf("no queue would hold this message: %v", err)
	}
	w.stock(r, r.made)
	m := w.take(w.events)
	for _, on := range w.stores(false) {
		if got := w.becomes(on, m); got != r.Want {
			w.t.Errorf("%s: %s, want %s", on.name, got, r.Want)
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
