package destinations

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/local"
	"tollgate/pkg/stdwebhooks"
)

// deliver sends a signed delivery to a receiver and returns the answered status and the printed line.
func deliver(t *testing.T, r *receiver, secret, id, body string) (int, Received) {
	t.Helper()
	keys, err := stdwebhooks.Parse(secret)
	if err != nil {
		t.Fatal(err)
	}
	q := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
	if err := keys.Sign(q.Header, stdwebhooks.Message{ID: id, At: time.Now(), Body: []byte(body)}); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	r.a.Out = &out
	w := httptest.NewRecorder()
	r.ServeHTTP(w, q)
	var got Received
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || got.Status != w.Code {
		t.Errorf("answered %d, printed %s: %v", w.Code, out.String(), err)
	}
	return w.Code, got
}

func newReceiver(t *testing.T, secret, fail string) *receiver {
	t.Helper()
	f, err := parseFailure(fail)
	if err != nil {
		t.Fatal(err)
	}
	return &receiver{a: &verb.App{JSON: true, Data: t.TempDir()}, secret: secret, fail: f, seen: map[string]*message{}}
}

// TestListenTellsDuplicates: a repeated delivery is a duplicate only after one that was accepted.
func TestListenTellsDuplicates(t *testing.T) {
	secret := stdwebhooks.NewSecret()
	r := newReceiver(t, secret, "2-times")
	const body = `{"type":"receipt","data":{"object":"payment_intent","object_id":"pi_1","sequence":7}}`
	for i, want := range []Received{
		{ID: "msg_1", Status: 500, Attempt: 1}, {ID: "msg_1", Status: 500, Attempt: 2}, {ID: "msg_2", Status: 500, Attempt: 1},
		{ID: "msg_1", Status: 204, Attempt: 3}, {ID: "msg_1", Status: 204, Attempt: 4, Duplicate: true},
	} {
		_, got := deliver(t, r, secret, want.ID, body)
		want.At, want.Type, want.Object, want.Sequence, want.Verified = got.At, "receipt", "pi_1", 7, true
		if got != want {
			t.Errorf("delivery %d: %+v, want %+v", i+1, got, want)
		}
	}
}

func TestListenReads(t *testing.T) {
	secret := stdwebhooks.NewSecret()
	r := newReceiver(t, secret, "")
	for body, want := range map[string]Received{
		`{"type":"stripe.a.b","data":{"event":"evt_1","object":"in_1","sequence":2}}`:                               {Type: "stripe.a.b", Event: "evt_1", Object: "in_1", Sequence: 2},
		`{"type":"stripe.a.b","sequence":3,"data":{"id":"evt_1","object":"event","data":{"object":{"id":"in_1"}}}}`: {Type: "stripe.a.b", Event: "evt_1", Object: "in_1", Sequence: 3},
		`{"type":"x","data":{"object":{"a":1}}}`:                                                                    {Type: "x"},
		`[]`:                                                                                                        {Error: "the body is not JSON of the expected form"},
	} {
		status, got := deliver(t, r, secret, "msg_1", body)
		if status != http.StatusNoContent || got.Type != want.Type || got.Event != want.Event || got.Object != want.Object || got.Sequence != want.Sequence || got.Error != want.Error {
			t.Errorf("%s: %d %+v", body, status, got)
		}
	}
}

// TestListenVerifies with the secret of --secret, else with those of the local system. Until it runs
// the sender shall try again.
func TestListenVerifies(t *testing.T) {
	secret, other := stdwebhooks.NewSecret(), stdwebhooks.NewSecret()
	if status, got := deliver(t, newReceiver(t, secret, ""), other, "msg_1", `{}`); status != http.StatusUnauthorized || got.Verified || got.Error == "" {
		t.Errorf("another key: %d %+v", status, got)
	}
	r := newReceiver(t, "", "")
	if status, got := deliver(t, r, secret, "msg_1", `{}`); status != http.StatusServiceUnavailable || got.Verified {
		t.Errorf("no system: %d %+v", status, got)
	}
	raw, _ := json.Marshal(local.Info{DestinationSecrets: map[string]string{"a": other, "b": secret}})
	if err := os.WriteFile(filepath.Join(r.a.Data, local.InfoFile), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if status, got := deliver(t, r, secret, "msg_1", `{}`); status != http.StatusNoContent || got.Destination != "b" {
		t.Errorf("a system: %d %+v", status, got)
	}
	w := httptest.NewRecorder()
	if r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil)); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET is answered %d", w.Code)
	}
	w = httptest.NewRecorder()
	if r.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(strings.Repeat("a", maxBody+1)))); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body is answered %d", w.Code)
	}
}

// TestListenOnLoopbackOnly: what listens elsewhere would answer anyone.
func TestListenOnLoopbackOnly(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	for address, good := range map[string]bool{"127.0.0.1:0": true, "localhost:0": true, "0.0.0.0:0": false, ":0": false, "127.0.0.1": false} {
		err := (&Listen{Listen: address}).Run(ended, &verb.App{Streams: verb.Streams{Err: io.Discard}})
		if good && err != nil || !good && !verb.IsUsage(err) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestParseFailure(t *testing.T) {
	for text, want := range map[string]failure{
		"": {}, "410": {status: 410}, "503": {status: 503}, "timeout": {status: 503, hang: true}, "3-times": {status: 500, times: 3},
	} {
		if got, err := parseFailure(text); err != nil || got != want {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"200", "600", "0-times", "x-times", "500 ", "never"} {
		if _, err := parseFailure(text); !verb.IsUsage(err) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
