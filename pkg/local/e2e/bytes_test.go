//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"tollgate/pkg/limits"
	"tollgate/pkg/queue"
)

// TestTheQueueHasTheExactBytes: a handler gets exactly the bytes that Stripe signed. Events
// that cannot be decoded are parked, so the test can read their messages.
func TestTheQueueHasTheExactBytes(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	bodies := map[string][]byte{
		"evt_strange": strange("strange"),
		"evt_640k":    large("640k", 640<<10),
		"evt_huge":    large("huge", 3<<20),
	}
	for id, body := range bodies {
		if !json.Valid(body) {
			t.Fatalf("%s is no JSON", id)
		}
		s.enqueue(unreadable(body))
	}
	for _, message := range s.deadLetters(len(bodies)) {
		if reason := *message.MessageAttributes["reason"].StringValue; reason != "api_version" {
			t.Errorf("reason %q, want api_version", reason)
		}
		if n := len(*message.Body); n > limits.MaxMessage {
			t.Errorf("a message of %d bytes, over %d", n, limits.MaxMessage)
		}
		env, err := queue.Decode(*message.Body)
		must(t, err)
		want := unreadable(bodies[env.ID])
		if env.ID == "evt_huge" {
			want = nil // no message can hold it: the id travels alone
		}
		if !bytes.Equal(env.Body, want) {
			t.Errorf("%s: %d bytes came through and differ from the %d that were signed, from byte %d", env.ID, len(env.Body), len(want), differ(env.Body, want))
		}
	}

	// In the supported version each is handled; the huge one is fetched by its id.
	for id, body := range bodies {
		name := strings.TrimPrefix(id, "evt_")
		body = bytes.ReplaceAll(body, []byte(id), []byte(id+"_read"))
		s.enqueue(body)
		if r := s.becomesDone(name + "_read"); r["outcome"] != "applied" {
			t.Errorf("%s ends as %q, want applied", id, r["outcome"])
		}
	}
	if facts := s.items("FACT#"); len(facts) != len(bodies) {
		t.Errorf("%d facts, want %d", len(facts), len(bodies))
	}
}

// strange has what careless re-encoding would change: noncharacters, characters outside the
// basic plane raw and escaped, JavaScript's line ends, needless escapes, unusual numbers, white
// space, and a newline after the end.
func strange(id string) []byte {
	body := bytes.Replace(event(id, "invoice.paid"), []byte(`"metadata":{`),
		[]byte("\"numbers\":[1.0e2,-0,10000000000000000000001], \"metadata\":{ \"nonchar\":\"\ufffe\uffff\", \"emoji\":\"💶\\ud83d\\ude00\",\r\n\t\"lines\":\"\u2028\u2029\\u2028\", \"escapes\":\"\\/\\u003c<>&\\u0000\","), 1)
	return append(body, " \r\n\n"...)
}

// large has about n bytes that hardly compress.
func large(id string, n int) []byte {
	noise := make([]byte, n*3/4)
	source := rand.NewChaCha8([32]byte{byte(n)})
	source.Read(noise)
	return bytes.Replace(event(id, "invoice.paid"), []byte(`"metadata":{`),
		[]byte(`"metadata":{"noise":"`+base64.StdEncoding.EncodeToString(noise)+`",`), 1)
}

func differ(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
