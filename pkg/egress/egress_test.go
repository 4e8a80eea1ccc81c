package egress

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func client(t testing.TB, o Options) *Client {
	t.Helper()
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// receiver is a local HTTP server and the number of its requests.
func receiver(t testing.TB, handler http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
	t.Helper()
	var requests atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if handler != nil {
			handler(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s, &requests
}

// named returns the URL of a local server by name.
func named(s *httptest.Server) string {
	return "http://receiver.test:" + s.URL[strings.LastIndexByte(s.URL, ':')+1:] + "/hooks"
}

func TestPost(t *testing.T) {
	got := make(chan *http.Request, 1)
	s, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(raw))
		got <- r
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	header := http.Header{"X-A": {"b"}}
	answer, err := client(t, Options{Local: true}).Post(t.Context(), s.URL+"/hooks?a=b", header, []byte("body"))
	if err != nil || answer.Status != 503 || answer.Header.Get("Retry-After") != "7" {
		t.Fatalf("%+v, %v", answer, err)
	}
	r := <-got
	raw, _ := io.ReadAll(r.Body)
	if r.Method != "POST" || r.RequestURI != "/hooks?a=b" || r.Header.Get("X-A") != "b" || string(raw) != "body" || r.Header.Get("Accept-Encoding") != "" || len(header) != 1 {
		t.Errorf("%s %s %v %q", r.Method, r.RequestURI, r.Header, raw)
	}
}

// TestNamesOfThisMachine: a name gives no access to what a URL may not name. A receiver listens
// here, so that a missing guard is seen.
func TestNamesOfThisMachine(t *testing.T) {
	s, requests := receiver(t, nil)
	secure := strings.Replace(named(s), "http:", "https:", 1)
	for _, addr := range []string{"127.0.0.1", "127.0.0.2", "0.0.0.0"} {
		n := &names{answers: [][]string{{addr}}}
		if _, err := client(t, Options{Resolver: n.resolver()}).Post(t.Context(), secure, nil, nil); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", addr, err)
		}
	}
	if requests.Load() > 0 {
		t.Errorf("%d requests arrived", requests.Load())
	}
}

// TestRebinding: a name resolves to an allowed address and then to another one. No test may reach
// another machine, so 127.0.0.1 is the allowed one, and 0.0.0.0, by which this machine is reached
// too, is not.
func TestRebinding(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers [][]string
		closed  bool // no connection is kept alive
		want    []bool
	}{
		{"between check and use", [][]string{{"127.0.0.1"}, {"0.0.0.0"}}, true, []bool{true, false, false}},
		{"first a refused one", [][]string{{"0.0.0.0"}, {"127.0.0.1"}}, true, []bool{false, true}},
		{"back and forth", [][]string{{"127.0.0.1"}, {"0.0.0.0"}, {"127.0.0.1"}, {"0.0.0.0"}}, true, []bool{true, false, true, false}},
		{"a kept-alive connection stays", [][]string{{"127.0.0.1"}, {"0.0.0.0"}}, false, []bool{true, true, true}},
		{"the allowed one of two", [][]string{{"0.0.0.0", "127.0.0.1"}}, true, []bool{true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, requests := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
				if c.closed {
					w.Header().Set("Connection", "close")
				}
			})
			n := &names{answers: c.answers}
			client := client(t, Options{Local: true, Resolver: n.resolver()})
			arrived := 0
			for i, want := range c.want {
				_, err := client.Post(t.Context(), named(s), nil, nil)
				if (err == nil) != want || err != nil && !errors.Is(err, ErrRefused) {
					t.Errorf("request %d: %v", i, err)
				}
				if want {
					arrived++
				}
				if c.closed && n.count() != i+1 {
					t.Errorf("request %d: the name was resolved %d times", i, n.count())
				}
			}
			if int(requests.Load()) != arrived {
				t.Errorf("%d requests arrived, want %d", requests.Load(), arrived)
			}
		})
	}
}

// TestDialerKnowsPlainHTTP: its context, which the resolver gets too, is marked.
func TestDialerKnowsPlainHTTP(t *testing.T) {
	for url, want := range map[string]bool{"http://receiver.test/": true, "HTTP://receiver.test/": true, "https://receiver.test/": false} {
		var got atomic.Value
		resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			got.Store(ctx.Value(plain{}) != nil)
			return nil, errors.New("no resolver")
		}}
		if _, err := client(t, Options{Local: true, Resolver: resolver}).Post(t.Context(), url, nil, nil); err == nil || got.Load() != want {
			t.Errorf("%s: marked %v, %v", url, got.Load(), err)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	inside, requests := receiver(t, nil)
	for _, status := range []int{300, 301, 302, 303, 304, 305, 307, 308} {
		for _, to := range []string{inside.URL, "http://169.254.169.254/latest/meta-data/", "https://[::1]/", "//127.0.0.1/", "/hooks", "file:///etc/passwd", ""} {
			s, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", to)
				w.WriteHeader(status)
			})
			if answer, err := client(t, Options{Local: true}).Post(t.Context(), s.URL, nil, []byte("x")); err != nil || answer.Status != status {
				t.Errorf("%d to %s: %+v, %v", status, to, answer, err)
			}
		}
	}
	if requests.Load() > 0 {
		t.Errorf("%d redirects were followed", requests.Load())
	}
}

// TestNoProxy: no other test of this package may read the environment's proxy before, as net/http
// reads it once.
func TestNoProxy(t *testing.T) {
	proxy, proxied := receiver(t, nil)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	s, requests := receiver(t, nil)
	n := &names{answers: [][]string{{"127.0.0.1"}}} // a loopback URL would bypass the proxy
	if _, err := client(t, Options{Local: true, Resolver: n.resolver()}).Post(t.Context(), named(s), nil, nil); err != nil || requests.Load() != 1 || proxied.Load() != 0 {
		t.Errorf("%v, %d requests, %d by the proxy", err, requests.Load(), proxied.Load())
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200 + r.ProtoMajor) }))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	port := s.URL[strings.LastIndexByte(s.URL, ':'):]
	resolver := (&names{answers: [][]string{{"127.0.0.1"}}}).resolver()
	for _, c := range []struct {
		host  string
		roots *x509.CertPool
		want  int
	}{
		{"example.com", roots, 202}, // the certificate's name
		{"127.0.0.1", roots, 202},
		{"receiver.test", roots, 0},
		{"example.com", x509.NewCertPool(), 0},
	} {
		answer, err := client(t, Options{Local: true, Resolver: resolver, RootCAs: c.roots}).Post(t.Context(), "https://"+c.host+port, nil, nil)
		if answer.Status != c.want || (err == nil) != (c.want > 0) || errors.Is(err, ErrRefused) {
			t.Errorf("%s: %+v, %v", c.host, answer, err)
		}
	}
}

// TestBounds: a receiver cannot hold a sender up by the size or the time of its answer.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler http.HandlerFunc
		want    int // status, 0 for an error
	}{
		{"an endless body", func(w http.ResponseWriter, r *http.Request) {
			written := 0
			for r.Context().Err() == nil {
				n, _ := w.Write(make([]byte, 1<<16))
				written += n
			}
			if written > 64<<20 { // the sockets' buffers have a few MB
				t.Errorf("%d bytes were read", written)
			}
		}, 200},
		{"a header of 1 MB", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, 0},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, 0},
		{"no end of the body", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(201)
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, 201},
		{"endless early hints", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				w.WriteHeader(http.StatusEarlyHints)
			}
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := receiver(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body) // else the server does not notice the end of the request
				c.handler(w, r)
			})
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			answer, err := client(t, Options{Local: true, Timeout: 2 * time.Second}).Post(ctx, s.URL, nil, []byte("x"))
			if answer.Status != c.want || (err == nil) != (c.want > 0) || ctx.Err() != nil {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, _ := receiver(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	if _, err := client(t, Options{Local: true}).Post(ctx, s.URL, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestConnectionsAreReused: a bounded body is read, so that the next request needs no new connection.
func TestConnectionsAreReused(t *testing.T) {
	var conns atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, strings.Repeat("x", 10_000)) }))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	c := client(t, Options{Local: true})
	for range 10 {
		if _, err := c.Post(t.Context(), s.URL, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if conns.Load() != 1 {
		t.Errorf("%d connections", conns.Load())
	}
}
