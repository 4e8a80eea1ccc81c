package awsclient

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/config"
)

var keys = config.AWS{Region: "eu-central-1", AccessKeyID: "AKIATEST", SecretAccessKey: "secret", SessionToken: "token"}

// serve answers each call with the next status, then always the last one.
func serve(t *testing.T, statuses ...int) (url string, calls *atomic.Int32, last *atomic.Pointer[http.Request]) {
	t.Helper()
	calls, last = &atomic.Int32{}, &atomic.Pointer[http.Request]{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(calls.Add(1))
		_, _ = io.Copy(io.Discard, r.Body)
		last.Store(r)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(statuses[min(n, len(statuses))-1])
		_, _ = io.WriteString(w, `{"QueueUrls":[]}`)
	}))
	t.Cleanup(s.Close)
	return s.URL, calls, last
}

func TestAttempts(t *testing.T) {
	cases := []struct {
		name     string
		attempts int
		statuses []int
		calls    int32
		fails    bool
	}{
		{"good at once", 3, []int{200}, 1, false},
		{"default is three", 0, []int{500, 500, 200}, 3, false},
		{"three and no more", 0, []int{500}, 3, true},
		{"two", 2, []int{500, 500, 200}, 2, true},
		{"one leaves retries to the caller", 1, []int{500, 200}, 1, true},
		{"a refusal is not retried", 3, []int{400}, 1, true},
		{"a redirect is not followed", 3, []int{307}, 1, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			url, calls, _ := serve(t, c.statuses...)
			client := sqs.NewFromConfig(New(keys, Options{Endpoint: url, Attempts: c.attempts}))
			_, err := client.ListQueues(t.Context(), nil)
			if (err != nil) != c.fails || calls.Load() != c.calls {
				t.Errorf("%d calls, error %v; want %d calls, failure %t", calls.Load(), err, c.calls, c.fails)
			}
		})
	}
}

// TestUnansweredTry: one request that is never answered leaves time for another, over a
// new connection.
func TestUnansweredTry(t *testing.T) {
	var calls atomic.Int32
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		switch calls.Add(1) {
		case 1: // no answer at all
			<-release
		case 2: // half an answer
			_, _ = io.WriteString(w, `{"QueueUr`)
			w.(http.Flusher).Flush()
			<-release
		default:
			_, _ = io.WriteString(w, `{"QueueUrls":[]}`)
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	client := sqs.NewFromConfig(New(keys, Options{Endpoint: s.URL, Try: 100 * time.Millisecond}))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := client.ListQueues(ctx, nil); err != nil || calls.Load() != 3 {
		t.Errorf("%d calls, error %v", calls.Load(), err)
	}
}

// TestSignedAgain: a request whose signature had expired on arrival is signed again, also by
// a client that leaves retries to its caller.
func TestSignedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		code, message string
		again         bool
	}{
		"expired":                      {"InvalidSignatureException", "Signature expired: 20260101T000000Z is now earlier than 20260101T000500Z", true},
		"ahead":                        {"InvalidSignatureException", "Signature not yet current: 20260101T001000Z is still later", true},
		"request expired":              {"RequestExpired", "", true},
		"skewed":                       {"RequestTimeTooSkewed", "", true},
		"token expired":                {"ExpiredTokenException", "", true},
		"made with another secret key": {"InvalidSignatureException", "The request signature we calculated does not match", false},
		"denied":                       {"AccessDeniedException", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			var calls atomic.Int32
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "application/x-amz-json-1.0")
				if calls.Add(1) == 1 {
					w.WriteHeader(400)
					_, _ = fmt.Fprintf(w, `{"__type":"com.amazonaws.sqs#%s","message":%q}`, c.code, c.message)
					return
				}
				_, _ = io.WriteString(w, `{"QueueUrls":[]}`)
			}))
			t.Cleanup(s.Close)
			_, err := sqs.NewFromConfig(New(keys, Options{Endpoint: s.URL, Attempts: 1})).ListQueues(t.Context(), nil)
			if (err == nil) != c.again || (calls.Load() == 2) != c.again {
				t.Errorf("%d calls, error %v; want another try %t", calls.Load(), err, c.again)
			}
		})
	}
}

// TestOnce: the copy makes one try, the original still retries.
func TestOnce(t *testing.T) {
	url, calls, _ := serve(t, 500, 500, 200)
	cfg := New(keys, Options{Endpoint: url})
	if _, err := sqs.NewFromConfig(Once(cfg)).ListQueues(t.Context(), nil); err == nil || calls.Load() != 1 {
		t.Errorf("%d calls, error %v; want one that fails", calls.Load(), err)
	}
	if _, err := sqs.NewFromConfig(cfg).ListQueues(t.Context(), nil); err != nil || calls.Load() != 3 {
		t.Errorf("%d calls, error %v; want two more", calls.Load(), err)
	}
}

func TestSignedWithTheGivenKeys(t *testing.T) {
	url, _, last := serve(t, 200)
	if _, err := sqs.NewFromConfig(New(keys, Options{Endpoint: url})).ListQueues(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	r := last.Load()
	auth := r.Header.Get("Authorization")
	if !strings.Contains(auth, "Credential=AKIATEST/") || !strings.Contains(auth, "/eu-central-1/sqs/aws4_request") {
		t.Errorf("Authorization %q", auth)
	}
	if r.Header.Get("X-Amz-Security-Token") != "token" {
		t.Error("no session token")
	}
}

func TestConnectionsAreKept(t *testing.T) {
	var dials atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = io.WriteString(w, `{"QueueUrls":[]}`)
	}))
	s.Config.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { dials.Add(1); return ctx }
	s.Start()
	t.Cleanup(s.Close)
	client := sqs.NewFromConfig(New(keys, Options{Endpoint: s.URL}))
	for range 50 {
		if _, err := client.ListQueues(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	// A loopback server can answer before the client has noted that its request is
	// written; then the client dials anew. Without kept connections it would be 50.
	if n := dials.Load(); n > 40 {
		t.Errorf("%d connections for 50 calls", n)
	}
}

func ExampleNew() {
	cfg := New(config.AWS{Region: "eu-central-1", AccessKeyID: "test", SecretAccessKey: "test"}, Options{})
	client := sqs.NewFromConfig(cfg)
	fmt.Println(client.Options().Region, cfg.BaseEndpoint == nil)
	// Output: eu-central-1 true
}
