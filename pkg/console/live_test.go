package console

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// event is one of a stream.
type event struct {
	name string
	data map[string]string
}

// streamOf opens the stream of a page; the function returns its next event.
func (s *site) streamOf(path string) (next func() event, stop func()) {
	s.t.Helper()
	res := s.do(http.MethodGet, "/live?path="+url.QueryEscape(path), "")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		s.t.Fatalf("status %d of %s: %s", res.StatusCode, path, text(s.t, res))
	}
	lines := bufio.NewScanner(res.Body)
	return func() (e event) {
		s.t.Helper()
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "event":
				e.name = value
			case "data":
				if err := json.Unmarshal([]byte(value), &e.data); err != nil {
					s.t.Fatal(err)
				}
				return e
			}
		}
		return event{name: "end"}
	}, func() { res.Body.Close() }
}

// TestLiveSendsWhatChanged, with the page's own query and path values, and never loads twice at once.
func TestLiveSendsWhatChanged(t *testing.T) {
	t.Parallel()
	var loads, at atomic.Int64
	type data struct {
		ID, Q string
		N     int64
	}
	s := serve(t, Config{Pages: []Page{{
		Path: "/things/{id}", Title: "Thing", Every: time.Millisecond,
		Views: views(`{{define "content"}}{{live "fixed" .}}{{live "count" .}}{{end}}{{define "live-fixed"}}{{.ID}} {{.Q}}{{end}}{{define "live-count"}}<b>{{.N}}</b>{{end}}`),
		Load: func(_ context.Context, r *http.Request) (any, error) {
			if at.Add(1) != 1 {
				t.Error("it loads twice at once")
			}
			defer at.Add(-1)
			n := loads.Add(1)
			if n == 12 {
				return nil, errors.New("the table is away")
			}
			if n == 15 {
				panic("a bug")
			}
			return data{r.PathValue("id"), r.URL.Query().Get("q"), n / 10}, nil
		},
	}}})
	s.login()
	next, stop := s.streamOf("/things/x%3C1?q=a%26b")
	defer stop()
	var got []string
	for range 5 {
		e := next()
		got = append(got, e.name+" "+e.data["name"]+" "+e.data["html"]+e.data["text"])
	}
	want := []string{"block count <b>0</b>", "block fixed x&lt;1 a&amp;b", "block count <b>1</b>", "problem  the table is away", "problem  this page failed (panic: a bug): the console's output has where"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// TestStreamsAreBounded: one more than allowed is refused, and one that ends makes room.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	gone := make(chan struct{}, maxStreams)
	s := serve(t, Config{Pages: []Page{{
		Path: "/", Title: "Start", Every: time.Millisecond, Views: views(`{{define "content"}}{{live "a" .}}{{end}}{{define "live-a"}}{{.}}{{end}}`),
		Load: func(ctx context.Context, _ *http.Request) (any, error) {
			context.AfterFunc(ctx, func() { gone <- struct{}{} })
			return time.Now(), nil
		},
	}}})
	s.login()
	var stops []func()
	for range maxStreams {
		next, stop := s.streamOf("/")
		next()
		stops = append(stops, stop)
	}
	res := s.do(http.MethodGet, "/live?path=/", "")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("status %d", res.StatusCode)
	}
	stops[0]()
	s.freeStream(maxStreams - 1)
	next, stop := s.streamOf("/")
	if e := next(); e.name != "block" {
		t.Errorf("%+v", e)
	}
	for _, stop := range append(stops[1:], stop) {
		stop()
	}
	s.freeStream(0)
}

// freeStream waits until at most n streams are open.
func (s *site) freeStream(n int) {
	s.t.Helper()
	late := time.After(time.Minute)
	for tick := time.NewTicker(time.Millisecond); len(s.server.streams) > n; {
		select {
		case <-tick.C:
		case <-late:
			s.t.Fatal("a stream stays open")
		}
	}
}

// TestSlowReaderIsCutOff: who reads nothing holds no stream and no memory.
func TestSlowReaderIsCutOff(t *testing.T) {
	t.Parallel()
	var n atomic.Int64
	s := serve(t, Config{Pages: []Page{{
		Path: "/", Title: "Start", Every: time.Millisecond, Views: views(`{{define "content"}}{{live "a" .}}{{end}}{{define "live-a"}}{{.}}{{end}}`),
		Load: func(context.Context, *http.Request) (any, error) {
			return strings.Repeat(fmt.Sprint(n.Add(1)%10), 1<<20), nil
		},
	}}})
	s.server.writeTimeout = 50 * time.Millisecond
	s.login()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.server.Address(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "GET /live?path=/ HTTP/1.1\r\nHost: %s\r\nCookie: %s=%s\r\n\r\n", strings.TrimPrefix(s.server.Address(), "http://"), s.cookie.Name, s.cookie.Value)
	for tick := time.NewTicker(time.Millisecond); n.Load() < 3; { // it streams
		<-tick.C
	}
	s.freeStream(0)
}

// TestCloseEndsStreams: an open page does not keep the process.
func TestCloseEndsStreams(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{})
	s.login()
	next, stop := s.streamOf("/jobs")
	defer stop()
	next()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.server.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if e := next(); e.name != "end" {
		t.Errorf("%+v", e)
	}
}

// TestFaultsOfPages: an error and a panic are pages with the next step, and nothing of a name runs.
func TestFaultsOfPages(t *testing.T) {
	t.Parallel()
	const bad = `"><script>alert(1)</script>`
	empty := views(`{{define "content"}}{{badge .}}{{event .}}{{customer .}}{{command .}}{{time .}}{{pretty .}}{{.}}{{end}}`)
	page := func(path string, load func(context.Context, *http.Request) (any, error)) Page {
		return Page{Path: path, Title: "T" + bad, Nav: "G" + bad + "/N" + bad, Views: empty, Load: load}
	}
	s := serve(t, Config{
		System:   "s" + bad,
		Describe: func(error) (int, string) { return http.StatusBadRequest, "do this" + bad },
		Pages: []Page{
			page("/error", func(context.Context, *http.Request) (any, error) { return nil, errors.New("error" + bad) }),
			page("/gone", func(context.Context, *http.Request) (any, error) { return nil, NotFound(errors.New("gone" + bad)) }),
			page("/panic", func(context.Context, *http.Request) (any, error) { panic("panic" + bad) }),
			page("/go", func(context.Context, *http.Request) (any, error) { return nil, Redirect("/shown") }),
			page("/shown", func(context.Context, *http.Request) (any, error) { return "shown" + bad, nil }),
		},
		Actions: []Action{{Path: "/panic", Do: func(context.Context, url.Values, *Jobs) (string, error) { panic("action" + bad) }}},
	})
	s.login()
	for _, c := range []struct {
		method, path string
		status       int
		texts        []string
	}{
		{"GET", "/error", http.StatusBadRequest, []string{"error&#34;", "do this"}},
		{"GET", "/gone", http.StatusNotFound, []string{"gone&#34;", "Not found"}},
		{"GET", "/panic", http.StatusBadRequest, []string{"this page failed"}},
		{"POST", "/panic", http.StatusBadRequest, []string{"this page failed"}},
		{"GET", "/go", http.StatusSeeOther, nil},
		{"GET", "/shown", http.StatusOK, []string{"shown&#34;"}},
	} {
		body, origin := "", []string{}
		if c.method == "POST" {
			body, origin = s.form(""), []string{"Origin", s.server.Address()}
		}
		res := s.do(c.method, c.path, body, origin...)
		html := text(t, res)
		if res.StatusCode != c.status {
			t.Errorf("%s: status %d", c.path, res.StatusCode)
		}
		for _, want := range c.texts {
			if !strings.Contains(html, want) {
				t.Errorf("%s lacks %q:\n%s", c.path, want, html)
			}
		}
		if strings.Contains(html, "<script>alert") {
			t.Errorf("%s runs a script:\n%s", c.path, html)
		}
	}
	if !strings.Contains(s.log.String(), "live_test.go") {
		t.Errorf("the log has not where it panicked: %s", s.log)
	}
}
