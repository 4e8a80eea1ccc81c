//go:build unix

package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tollgate/pkg/limits"
)

// past is an answer of GET /deliveries.
type past struct {
	Data []struct {
		ID        string `json:"id"`
		WebhookID string `json:"webhook_id"`
		Status    string `json:"status"`
		Attempts  int    `json:"attempts"`
		Last      []struct {
			Status int    `json:"status"`
			Error  string `json:"error"`
		} `json:"last_attempts"`
		Body struct {
			Type string         `json:"type"`
			Data map[string]any `json:"data"`
		} `json:"body"`
	} `json:"data"`
	Next string `json:"next"`
	More bool   `json:"more"`
}

// ask makes a request of a receiver.
func (s *system) ask(method, path, token string) (status int, answer string) {
	headers := map[string]string{}
	if token != "" {
		headers["Authorization"] = "Bearer " + token
	}
	return request(method, strings.TrimSuffix(s.info.URL, limits.WebhookPath)+path, nil, headers)
}

// past reads a page of what was handed over for a token's destination.
func (s *system) past(token, query string) (p past) {
	s.t.Helper()
	status, answer := s.ask(http.MethodGet, "/deliveries?"+query, token)
	if status != http.StatusOK {
		s.t.Fatalf("GET /deliveries?%s: %d %s", query, status, answer)
	}
	must(s.t, json.Unmarshal([]byte(answer), &p))
	return p
}

func (s *system) token(destination string) string {
	s.t.Helper()
	out, errOut, code := s.tollgate("deliveries", "token", destination, "--note", "test")
	if code != 0 {
		s.t.Fatalf("deliveries token: %s", errOut)
	}
	return strings.TrimSpace(out)
}

// TestReceiverFetchesWhatItMissed: a receiver that was down fetches with a token of its own, page by
// page, each message once, and gets one again on its word; another destination's token sees none.
func TestReceiverFetchesWhatItMissed(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	up := listen(t, data)
	destinations := fmt.Sprintf(`{
		"down":{"type":"http","url":"http://127.0.0.1:1/hooks","secret":"tollgate/send/down","messages":["*"],"history":true,"allow":["127.0.0.0/8"],"insecure_http":true},
		"up":{"type":"http","url":"http://%s/hooks","secret":"tollgate/send/up","messages":["*"],"history":true,"allow":["127.0.0.0/8"],"insecure_http":true},
		"plain":{"type":"http","url":"http://%[1]s/plain","secret":"tollgate/send/plain","messages":["nothing"],"allow":["127.0.0.0/8"],"insecure_http":true}}`, up.address)
	s := start(t, data, "--time-scale", "60", "--destinations", written(t, destinations))
	const n = 7
	if _, errOut, code := s.tollgate("send", "payment_intent.succeeded", "--count", fmt.Sprint(n)); code != 0 {
		t.Fatal(errOut)
	}
	down, other := s.token("down"), s.token("up")

	seen := map[string]string{}
	after := "status=undelivered&limit=3"
	eventually(t, func() (bool, string) {
		p := s.past(down, after)
		for _, d := range p.Data {
			if seen[d.WebhookID] != "" {
				t.Fatalf("%s comes twice", d.WebhookID)
			}
			if d.Body.Type != "receipt" || d.Body.Data["object_id"] == nil {
				t.Fatalf("body %+v", d.Body)
			}
			seen[d.WebhookID] = d.ID
		}
		after = "status=undelivered&limit=3&after=" + p.Next
		return len(seen) == n, fmt.Sprintf("%d of %d, %+v", len(seen), n, p)
	})
	if p := s.past(down, after); len(p.Data) > 0 || p.More {
		t.Errorf("after the end: %+v", p)
	}
	eventually(t, func() (bool, string) {
		p := s.past(other, "status=delivered&limit=100")
		return len(p.Data) == n, fmt.Sprintf("delivered: %+v", p)
	})
	if p := s.past(other, "status=undelivered"); len(p.Data) > 0 {
		t.Errorf("the other destination sees %+v", p.Data)
	}
	for what, c := range map[string]struct {
		method, path, token string
		want                int
	}{
		"no token":                          {"GET", "/deliveries", "", 401},
		"a made-up token":                   {"GET", "/deliveries", "tgd_down_" + strings.Repeat("0", 64), 401},
		"a token of no destination":         {"GET", "/deliveries", strings.Replace(down, "tgd_down", "tgd_nowhere", 1), 401},
		"another destination's name":        {"GET", "/deliveries", strings.Replace(down, "tgd_down", "tgd_up", 1), 401},
		"a destination without history":     {"GET", "/deliveries", strings.Replace(down, "tgd_down", "tgd_plain", 1), 401},
		"an unknown parameter":              {"GET", "/deliveries?from=x", down, 400},
		"a place that is none":              {"GET", "/deliveries?after=yesterday", down, 400},
		"a limit too high":                  {"GET", "/deliveries?limit=1000", down, 400},
		"a GET that would change something": {"GET", "/deliveries/" + seen[first(seen)] + "/retry", down, 404},
		"an id that is none":                {"POST", "/deliveries/no!id/retry", down, 404},
		"an id of nothing":                  {"POST", "/deliveries/T1VUI3g/retry", down, 404},
		"one that was delivered":            {"POST", "/deliveries/" + seen[first(seen)] + "/retry", other, 409},
		"a method":                          {"DELETE", "/deliveries", down, 404},
	} {
		if status, answer := s.ask(c.method, c.path, c.token); status != c.want || !strings.Contains(answer, `"error"`) {
			t.Errorf("%s: %d %s, want %d", what, status, answer, c.want)
		}
	}

	before := s.attempts("down", seen)
	id := first(seen)
	if status, answer := s.ask(http.MethodPost, "/deliveries/"+seen[id]+"/retry", down); status != http.StatusOK && status != http.StatusConflict {
		t.Errorf("retry: %d %s", status, answer)
	}
	eventually(t, func() (bool, string) {
		now := s.attempts("down", seen)
		return now[id] > before[id], fmt.Sprintf("attempts %v, before %v", now, before)
	})

	if _, errOut, code := s.tollgate("deliveries", "token", "down", "--revoke", "--note", "test"); code != 0 {
		t.Fatal(errOut)
	}
	if status, _ := s.ask(http.MethodGet, "/deliveries", down); status != http.StatusUnauthorized {
		t.Errorf("a revoked token gets %d", status)
	}
	if strings.Contains(s.log.String(), down) {
		t.Error("the token is in the log")
	}
}

// written is a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file.json")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func first(seen map[string]string) (least string) {
	for id := range seen {
		if least == "" || id < least {
			least = id
		}
	}
	return least
}

// attempts are those begun, by webhook id, as deliveries list shows them.
func (s *system) attempts(destination string, of map[string]string) map[string]int {
	s.t.Helper()
	all := map[string]int{}
	for _, d := range jsonLines[struct {
		WebhookID string `json:"webhook_id"`
		Attempt   int    `json:"attempt"`
	}](s, "deliveries", "list", destination, "--json") {
		if of[d.WebhookID] != "" {
			all[d.WebhookID] = d.Attempt
		}
	}
	return all
}

// TestPausedDestination: while a destination is paused nothing is sent to it, and all of it after.
func TestPausedDestination(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	l := listen(t, data)
	s := start(t, data, "--time-scale", "120", "--destinations", written(t, fmt.Sprintf(
		`{"crm":{"type":"http","url":"http://%s/hooks","secret":"tollgate/send/crm","messages":["*"],"allow":["127.0.0.0/8"],"insecure_http":true}}`, l.address)))
	change := func(what string) {
		t.Helper()
		if _, errOut, code := s.tollgate("deliveries", what, "crm", "--note", "test"); code != 0 {
			t.Fatal(errOut)
		}
	}
	change("pause")
	if got := s.destination("crm"); got.Status != "paused" {
		t.Errorf("destination %+v, want it paused", got)
	}
	if _, errOut, code := s.tollgate("send", "payment_intent.succeeded", "--count", "3"); code != 0 {
		t.Fatal(errOut)
	}
	eventually(t, func() (bool, string) {
		waiting := len(s.log.lines("outcome=paused"))
		return waiting >= 3, fmt.Sprintf("%d jobs wait for the destination", waiting)
	})
	if n := len(l.deliveries()); n > 0 {
		t.Errorf("%d messages were sent to a paused destination", n)
	}
	change("resume")
	l.receives(3, http.StatusNoContent)
}
