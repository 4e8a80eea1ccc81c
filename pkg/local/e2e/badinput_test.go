//go:build unix

package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

// TestBadInputIsRefusedAndNothingIsEnqueued sends every row of the table of answers over HTTP,
// uses slow and broken connections, and sends a thousand junk requests at once.
func TestBadInputIsRefusedAndNothingIsEnqueued(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	slow := s.slowClients()
	t.Run("answers", s.answers)
	t.Run("junk", s.junk)
	s.halfSent()

	if records := s.items("EVT#"); len(records) != 0 || s.depth(s.info.QueueURL) != 0 || s.depth(s.info.DLQURL) != 0 {
		t.Errorf("records %v, %d messages, %d dead letters after bad input; want none", records, s.depth(s.info.QueueURL), s.depth(s.info.DLQURL))
	}
	s.enqueue(event("good", "invoice.paid"))
	s.becomesDone("good")
	slow(t)
	if records := s.items("EVT#"); len(records) != 1 {
		t.Errorf("records %v, want the good event's", records)
	}
	for _, pid := range append(s.children("ingest", "consumer"), s.cmd.Process.Pid) {
		most := 128 // of a function; MiB
		if pid == s.cmd.Process.Pid {
			most = 512 // of dev: 256 for bodies in flight, and what they become
		}
		if got := peakMemory(pid); got > most {
			t.Errorf("process %d took %d MiB, %d at most", pid, got, most)
		} else {
			t.Logf("process %d took %d MiB at most", pid, got)
		}
	}
}

func (s *system) answers(t *testing.T) {
	good := event("never", "invoice.paid")
	now := time.Now()
	signed := func(body []byte, at time.Time) string { return sign(body, s.info.Secret, at) }
	notEvents := map[string][]byte{}
	for name, body := range map[string]string{
		"null": "null", "an empty object": "{}", "a customer": `{"id":"cus_1","object":"customer"}`, "no JSON": "hello", "nothing": "",
		"another event behind it": string(good) + string(good), "half an event": string(good[:len(good)/2]),
		"a second id": strings.Replace(string(good), `"object":"event"`, `"id":"evt_other","object":"event"`, 1),
	} {
		notEvents[name] = []byte(body)
	}
	type row struct {
		name, method, path, media, signature string
		body                                 []byte
		status                               int
		answer                               string
	}
	const post, json = http.MethodPost, "application/json"
	huge := bytes.Repeat([]byte("x"), 10<<20+1)
	rows := []row{
		{"unsigned", post, "", json, "", good, 400, "missing"},
		{"malformed", post, "", json, "t=now,v1=zz", good, 400, "malformed"},
		{"forged", post, "", json, sign(good, "whsec_forged", now), good, 400, "no_match"},
		{"another body", post, "", json, signed(good, now), bytes.Replace(good, []byte("100"), []byte("999"), 1), 400, "no_match"},
		{"stale", post, "", json, signed(good, now.Add(-310*time.Second)), good, 400, "too_old"},
		{"future", post, "", json, signed(good, now.Add(400*time.Second)), good, 400, "future"},
		{"unknown endpoint", post, "/unknown", json, signed(good, now), good, 404, "endpoint"},
		{"no endpoint's name", post, "/UPPER", json, signed(good, now), good, 404, "endpoint"},
		{"get", http.MethodGet, "", json, "", nil, 405, "method"},
		{"put", http.MethodPut, "", json, signed(good, now), good, 405, "method"},
		{"text", post, "", "text/plain", signed(good, now), good, 415, "media_type"},
		{"no type", post, "", "", signed(good, now), good, 415, "media_type"},
		{"over the bound", post, "", json, "", huge[:limits.MaxBody+1], 413, "too_large"},
	}
	for name, body := range notEvents {
		rows = append(rows, row{"signed " + name, post, "", json, signed(body, now), body, 400, "not_event"})
	}
	for _, c := range rows {
		headers := map[string]string{"Content-Type": c.media}
		if c.signature != "" {
			headers["Stripe-Signature"] = c.signature
		}
		status, answer := request(c.method, s.info.URL+c.path, c.body, headers)
		if want := `{"error":"` + c.answer + `"}`; status != c.status || answer != want {
			t.Errorf("%s: %d %s, want %d %s", c.name, status, answer, c.status, want)
		}
	}
	// Answers of the gateway itself, as of API Gateway.
	if status, answer := request(post, s.info.URL, huge, map[string]string{"Content-Type": json}); status != 413 || !strings.Contains(answer, "Too Large") {
		t.Errorf("10 MB: %d %s, want 413", status, answer)
	}
	if status, _ := request(post, s.info.URL+"/a/b", good, nil); status != 404 {
		t.Errorf("a path beyond: %d, want 404", status)
	}
}

// junk sends a thousand requests at once. A busy machine may answer some with 503, if no
// process is free in time, or with 500, if a new process fetches the secrets too slowly, which
// its log shows; all others must get the row's answer.
func (s *system) junk(t *testing.T) {
	good := event("junk", "invoice.paid")
	noise := bytes.Repeat([]byte(`{"id":"`+marker+`"}`), 4096)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[int]int{}
	)
	for n := range 1000 {
		wg.Go(func() {
			body, headers, want := good, deliveryHeaders(good, "whsec_forged"), 400
			switch n % 4 {
			case 1:
				body = noise
			case 2:
				headers["Content-Type"], want = "text/html", 415
			case 3:
				headers = map[string]string{"Content-Type": "application/json", "Stripe-Signature": strings.Repeat("t=1,v1=00,", 300)}
			}
			status, answer := request(http.MethodPost, s.info.URL, body, headers)
			if status != want && status != http.StatusServiceUnavailable && status != http.StatusInternalServerError {
				t.Errorf("junk %d: %d %s, want %d", n%4, status, answer, want)
			}
			mu.Lock()
			seen[status]++
			mu.Unlock()
		})
	}
	wg.Wait()
	slow := s.log.lines("ingest", "outcome=failed", "fetch secret", "deadline exceeded")
	if seen[http.StatusInternalServerError] != len(slow) || len(slow) > 100 {
		t.Errorf("%d answers 500, and %d lines of secrets that came too slowly; want as many, and few", seen[http.StatusInternalServerError], len(slow))
	}
	t.Logf("1,000 junk requests at once are answered %v", seen)
}

// dial opens a connection and sends the beginning of a good delivery.
func (s *system) dial(body []byte, send int) net.Conn {
	s.t.Helper()
	c, err := net.Dial("tcp", host(s.info.URL))
	must(s.t, err)
	s.t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "POST /webhooks/stripe HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\nStripe-Signature: %s\r\n\r\n%s",
		len(body), sign(body, s.info.Secret, time.Now()), body[:send])
	return c
}

// halfSent closes the connection in the middle of the bodies of good deliveries.
func (s *system) halfSent() {
	s.t.Helper()
	body := event("half", "invoice.paid")
	for n := range 20 {
		s.dial(body, n*len(body)/20).Close()
	}
}

// slowClients begin a request and then send nothing, or a byte a second; the system must not
// wait forever. The returned check takes as long as the gateway's timeout.
func (s *system) slowClients() (check func(*testing.T)) {
	s.t.Helper()
	if testing.Short() {
		return func(t *testing.T) { t.Log("skipped in short mode: slow clients, who are given 30 s") }
	}
	body := event("slow", "invoice.paid")
	stalled, trickling := s.dial(body, 10), s.dial(body, 10)
	headless, err := net.Dial("tcp", host(s.info.URL))
	must(s.t, err)
	fmt.Fprint(headless, "POST /webhooks/stripe HTTP/1.1\r\nHost:")
	tick := time.NewTicker(time.Second)
	go func() {
		defer tick.Stop()
		for n := 10; n < len(body); n++ {
			<-tick.C
			if _, err := trickling.Write(body[n : n+1]); err != nil {
				return
			}
		}
	}()
	return func(t *testing.T) {
		for name, c := range map[string]net.Conn{"stalled": stalled, "trickling": trickling, "without headers": headless} {
			c.SetReadDeadline(time.Now().Add(patience))
			answer, err := io.ReadAll(c)
			if os.IsTimeout(err) || bytes.Contains(answer, []byte(" 200 ")) {
				t.Errorf("%s: %v, answer %q; want the connection closed without a 200", name, err, answer)
			}
		}
	}
}
