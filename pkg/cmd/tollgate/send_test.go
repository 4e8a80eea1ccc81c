package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/dev"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers/golden"
	"tollgate/pkg/verify"
)

// receiver takes deliveries as ingest does: what does not verify is refused.
type receiver struct {
	*httptest.Server
	status int // for what verifies; 0 is 200

	arrived func() // called for what verifies

	mu     sync.Mutex
	bodies [][]byte
	events []event.Envelope
	paths  []string
}

const testSecret = "whsec_receiver"

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	got, err := verify.Delivery(body, req.Header.Get("Stripe-Signature"), verify.Options{Secrets: []string{testSecret}})
	if err != nil || req.Method != http.MethodPost || !strings.HasPrefix(req.Header.Get("Content-Type"), "application/json") {
		http.Error(w, fmt.Sprint("refused: ", err), http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bodies, r.events, r.paths = append(r.bodies, body), append(r.events, got.Envelope), append(r.paths, req.URL.Path)
	if r.arrived != nil {
		r.arrived()
	}
	if r.status != 0 {
		http.Error(w, `{"error":"queue"}`, r.status)
		return
	}
	io.WriteString(w, `{"received":true}`)
}

// byID counts the deliveries of each event.
func (r *receiver) byID() map[string]int {
	n := map[string]int{}
	for _, e := range r.events {
		n[e.ID]++
	}
	return n
}

func (r *receiver) send(t *testing.T, args ...string) answer {
	return tollgate(t.Context(), nil, append([]string{"send", "--url", r.URL, "--secret", testSecret}, args...)...)
}

// TestSendTypes sends every golden event; each has ids and a time of its own, an invoice a
// payment of its own, and is otherwise as kept.
func TestSendTypes(t *testing.T) {
	t.Parallel()
	payment := regexp.MustCompile(`"payment_intent": "(\w+)"`)
	for _, typ := range golden.Types() {
		t.Run(typ, func(t *testing.T) {
			r := newReceiver(t)
			before := time.Now().Unix()
			got := lines[dev.Delivery](t, r.send(t, typ, "--json").ok(t).out)
			if len(r.events) != 1 || len(got) != 1 {
				t.Fatalf("%d deliveries, %d lines", len(r.events), len(got))
			}
			source, err := golden.Load(typ)
			check(t, err)
			kept, err := event.Parse(source)
			check(t, err)
			sent := r.events[0]
			if sent.Type != typ || sent.ID == kept.ID || sent.Created < before || sent.ObjectID != "" && sent.ObjectID == kept.ObjectID {
				t.Errorf("sent %+v", sent)
			}
			back := bytes.ReplaceAll(r.bodies[0], []byte(sent.ID), []byte(kept.ID))
			back = bytes.ReplaceAll(back, []byte(sent.ObjectID), []byte(kept.ObjectID))
			if own := payment.FindSubmatch(back); strings.HasPrefix(typ, "invoice.") {
				kept := payment.FindSubmatch(source)
				if bytes.Equal(own[1], kept[1]) {
					t.Errorf("the invoice has the golden event's payment %s", own[1])
				}
				back = bytes.ReplaceAll(back, own[1], kept[1])
			}
			back = dev.ShiftTimes(back, kept.Created-sent.Created)
			if !bytes.Equal(back, source) {
				t.Error("more than ids and times differ from the golden event")
			}
			if d := got[0]; d.EventID != sent.ID || d.Type != typ || d.Status != 200 || d.Error != "" || d.Answer != "" || d.Millis <= 0 {
				t.Errorf("said %+v", d)
			}
		})
	}
}

func TestSendMany(t *testing.T) {
	t.Parallel()
	tests := []struct {
		args        string
		events, dup int
	}{
		{"--count=5", 5, 1},
		{"--dup=4", 1, 4},
		{"--count=3 --dup=2", 3, 2},
		{"--count=30 --dup=4 --parallel=8", 30, 4},
		{"--id=evt_mine", 1, 1},
		{"--id=evt_mine --dup=3", 1, 3},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			r := newReceiver(t)
			got := r.send(t, append(strings.Fields(tt.args), "invoice.paid")...).ok(t)
			n := r.byID()
			for id, dup := range n {
				if dup != tt.dup {
					t.Errorf("%s was delivered %d times", id, dup)
				}
			}
			if len(n) != tt.events || strings.Contains(tt.args, "--id") && n["evt_mine"] == 0 {
				t.Errorf("events are %v", slices.Collect(maps.Keys(n)))
			}
			if total := tt.events * tt.dup; total <= 50 {
				if strings.Count(got.out, "\n") != total || strings.Count(got.out, " 200 ") != total {
					t.Errorf("stdout is\n%s", got.out)
				}
			} else if want := fmt.Sprintf("%d deliveries of %d events, all answered 2xx\n", total, tt.events); got.out != want {
				t.Errorf("stdout is %q, want %q", got.out, want)
			}
		})
	}
}

func TestSendFile(t *testing.T) {
	t.Parallel()
	odd := "{ \"id\":\"evt_file\",\"object\":\"event\",  \"type\":\"x.y\",\r\n\t\"created\":5,\"livemode\":false, \"data\":{\"object\":{\"name\":\"Zoë \\ud83c\\udf81 \u2028\"}}}\n\n"
	path := filepath.Join(t.TempDir(), "event.json")
	check(t, writeFile(path, odd))
	r := newReceiver(t)
	r.send(t, path).ok(t)
	r.send(t, path, "--dup=2").ok(t)
	if len(r.bodies) != 3 {
		t.Fatalf("%d deliveries", len(r.bodies))
	}
	for _, body := range r.bodies {
		if string(body) != odd {
			t.Errorf("sent %q, want the file's bytes", body)
		}
	}
	r.send(t, path, "--count=2").ok(t)
	if n := r.byID(); len(n) != 3 || n["evt_file"] != 3 {
		t.Errorf("different events are %v", n)
	}

	check(t, writeFile(path, "no event"))
	got := r.send(t, path, "--json")
	if d := lines[dev.Delivery](t, got.out); got.code != verb.ExitFailed || len(d) != 1 || d[0].Status != 400 || !strings.Contains(d[0].Answer, "not_event") {
		t.Errorf("not an event: %+v", got)
	}
}

func TestSendRate(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	start := time.Now()
	r.send(t, "invoice.paid", "--count=6", "--rate=25").ok(t)
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("6 events at 25 a second took %s", took)
	}
}

func TestSendRefused(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	r.status = http.StatusServiceUnavailable
	got := r.send(t, "invoice.paid", "--dup=3")
	if got.code != verb.ExitFailed || !strings.Contains(got.err, "3 of 3 deliveries were not answered 2xx") || strings.Count(got.out, `503 {"error":"queue"}`) != 3 {
		t.Errorf("%+v", got)
	}
	r.status = http.StatusAccepted
	r.send(t, "invoice.paid").ok(t)
	got = tollgate(t.Context(), nil, "send", "invoice.paid", "--url", r.URL, "--secret", "whsec_wrong")
	if got.code != verb.ExitFailed || !strings.Contains(got.out, "400 refused: delivery rejected: no_match") {
		t.Errorf("%+v", got)
	}
}

func TestSendUnreachable(t *testing.T) {
	t.Parallel()
	got := tollgate(t.Context(), nil, "send", "invoice.paid", "--url", "http://127.0.0.1:1/x", "--secret", testSecret, "--json")
	d := lines[dev.Delivery](t, got.out)
	if got.code != verb.ExitFailed || len(d) != 1 || !strings.Contains(d[0].Error, "connection refused") || d[0].Status != 0 {
		t.Errorf("%+v", got)
	}
	var e map[string]string
	if err := json.Unmarshal([]byte(got.err), &e); err != nil || !strings.Contains(e["error"], "1 of 1 deliveries") {
		t.Errorf("stderr is %q", got.err)
	}
}

// TestSendTarget: URL and secret come from the flags, then the environment, then the target.
func TestSendTarget(t *testing.T) {
	t.Parallel()
	s, r := newSystem(t), newReceiver(t)
	s.info.URL, s.info.Secret = r.URL, testSecret
	s.writeInfo()
	s.tollgate("send", "invoice.paid").ok(t)
	with := func(secret string) map[string]string { return map[string]string{"STRIPE_WEBHOOK_SECRET": secret} }
	tollgate(t.Context(), with(testSecret+",whsec_old"), "send", "invoice.paid", "--url", r.URL, "--data", t.TempDir()).ok(t)
	if got := tollgate(t.Context(), with("whsec_other"), "send", "invoice.paid", "--data", s.data); got.code != verb.ExitFailed {
		t.Errorf("another secret of the environment is passed over: %+v", got)
	}
	tollgate(t.Context(), nil, "send", "invoice.paid", "--data", t.TempDir()).refused(t, verb.ExitUsage, "no local system runs here")
	if len(r.events) != 2 {
		t.Errorf("%d deliveries arrived", len(r.events))
	}

	s.info.URL, s.info.Secret, s.info.EndpointSecrets = r.URL, "whsec_default", map[string]string{"connect": testSecret}
	s.writeInfo()
	s.tollgate("send", "invoice.paid", "--endpoint", "connect").ok(t)
	s.tollgate("send", "invoice.paid", "--endpoint", "other").refused(t, verb.ExitUsage, `no endpoint "other"`)
	if len(r.paths) != 3 || r.paths[2] != "/connect" {
		t.Errorf("delivered to %q, want the last at /connect", r.paths)
	}
}

func TestSendInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := newReceiver(t)
	r.arrived = cancel // with the first delivery
	got := tollgate(ctx, nil, "send", "--url", r.URL, "--secret", testSecret, "invoice.paid", "--count=1000", "--rate=20")
	if got.code != verb.ExitFailed || !strings.Contains(got.err, "interrupted after ") || len(r.events) == 1000 {
		t.Errorf("%+v", got)
	}
}
