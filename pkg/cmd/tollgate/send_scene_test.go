package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"tollgate/pkg/cmd/tollgate/dev"
	"tollgate/pkg/cmd/tollgate/verb"
)

// stripeSide is the fake Stripe's control paths: it knows which objects it was given.
type stripeSide struct {
	*httptest.Server
	status int // of an answer; 0 is 200

	mu      sync.Mutex
	objects map[string]bool
	gone    int
}

func newStripeSide(t *testing.T) *stripeSide {
	s := &stripeSide{objects: map[string]bool{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *stripeSide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	var list []struct{ ID string }
	switch {
	case s.status != 0:
		http.Error(w, "no such path", s.status)
	case r.Header.Get("Authorization") != "Bearer sk_test_fake":
		http.Error(w, "no key", http.StatusUnauthorized)
	case r.Method == http.MethodPut && r.URL.Path == "/_fake/objects" && json.Unmarshal(body, &list) == nil:
		for _, o := range list {
			s.objects[o.ID] = true
		}
	case r.Method == http.MethodDelete && strings.HasPrefix(r.URL.Path, "/_fake/objects/in_"):
		s.gone++
	default:
		http.Error(w, "what?", http.StatusBadRequest)
	}
}

func (s *stripeSide) has(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.objects[id]
}

// scenery is a system whose deliveries go to a receiver and whose Stripe is a stripeSide.
func scenery(t *testing.T) (*system, *receiver, *stripeSide) {
	s, r, stripe := newSystem(t), newReceiver(t), newStripeSide(t)
	s.info.URL, s.info.Secret, s.info.StripeURL = r.URL, testSecret, stripe.URL
	s.writeInfo()
	return s, r, stripe
}

func TestSendScene(t *testing.T) {
	for _, args := range [][]string{{"--dup", "1"}, {"--shuffle", "3", "--dup", "2"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			s, r, stripe := scenery(t)
			a := s.tollgate(append([]string{"send", "--scene", "subscription-life", "--seed", "4", "--json"}, args...)...).ok(t)
			all := lines[dev.SceneEnd](t, a.out)
			end := all[len(all)-1]
			dup := 1 + len(args)/4
			if end.Seed != 4 || end.Events != len(r.byID()) || len(all)-1 != dup*end.Events || end.Next != "tollgate ledger show "+end.Customer {
				t.Errorf("%d deliveries of %d events end with %+v", len(all)-1, len(r.byID()), end)
			}
			for id, n := range r.byID() {
				if n != dup {
					t.Errorf("%s was delivered %d times, want %d", id, n, dup)
				}
			}
			for _, e := range r.events {
				if !stripe.has(e.ObjectID) {
					t.Errorf("Stripe does not know %s of %s", e.ObjectID, e.Type)
				}
			}
			if !stripe.has(end.Customer) || stripe.gone != 1 {
				t.Errorf("customer %s, %d objects gone", end.Customer, stripe.gone)
			}
		})
	}
}

// Without a seed each scene is another; the text output has the seed.
func TestSendSceneForPeople(t *testing.T) {
	s, r, _ := scenery(t)
	a := s.tollgate("send", "--scene", "refund").ok(t)
	if !strings.Contains(a.out, "scene refund (seed ") || !strings.Contains(a.out, "next: tollgate ledger show cus_") {
		t.Error(a.out)
	}
	first := len(r.byID())
	s.tollgate("send", "--scene", "refund").ok(t)
	if got := len(r.byID()); got <= first { // a scene's length depends on its seed
		t.Errorf("one scene has %d events, two have %d", first, got)
	}
}

func TestSendSceneRefuses(t *testing.T) {
	s, r, stripe := scenery(t)
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"--scene", "opera"}, "subscription-life"},
		{[]string{"--scene", "refund", "invoice.paid"}, "leave out invoice.paid"},
		{[]string{"--scene", "refund", "--url", r.URL}, "leave out"},
		{[]string{"--scene", "refund", "--count", "2"}, "leave out"},
		{[]string{"--scene", "refund", "--dup", "0"}, "--dup is"},
		{[]string{"invoice.paid", "--shuffle", "1"}, "--scene"},
		{[]string{"invoice.paid", "--seed", "1"}, "--scene"},
		{nil, "--scene"},
	} {
		s.tollgate(append([]string{"send"}, tt.args...)...).refused(t, verb.ExitUsage, tt.says)
	}
	env := map[string]string{"TOLLGATE_TABLE": "t", "TOLLGATE_QUEUE_URL": "http://127.0.0.1:1/q", "TOLLGATE_DLQ_URL": "http://127.0.0.1:1/d"}
	t.Setenv("AWS_REGION", "us-east-1")
	tollgate(t.Context(), env, "send", "--scene", "refund").refused(t, verb.ExitUsage, "needs a local system", "tollgate dev")

	stripe.status = http.StatusNotFound
	s.tollgate("send", "--scene", "refund").refused(t, verb.ExitFailed, "404 no such path")
	s.info.StripeURL = ""
	s.writeInfo()
	s.tollgate("send", "--scene", "refund").refused(t, verb.ExitUsage, "fake Stripe", "STRIPE_API_KEY")
	if n := len(r.byID()); n != 0 {
		t.Errorf("%d events were sent all the same", n)
	}
}

// A refused delivery fails the command, as without a scene.
func TestSendSceneRefused(t *testing.T) {
	s, r, _ := scenery(t)
	r.status = http.StatusInternalServerError
	a := s.tollgate("send", "--scene", "dispute", "--shuffle", "1")
	if a.code != verb.ExitFailed || !strings.Contains(a.err, fmt.Sprintf("%d of %d deliveries", len(r.bodies), len(r.bodies))) {
		t.Errorf("exit %d: %s", a.code, a.err)
	}
}
