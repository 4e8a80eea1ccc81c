package console

import (
	"bytes"
	"context"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// site is a served console, and a browser with or without a session.
type site struct {
	t      *testing.T
	server *Server
	log    *bytes.Buffer
	cookie *http.Cookie
}

// serve serves pages until the test's end.
func serve(t *testing.T, c Config) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, log: &bytes.Buffer{}}
	c.Log = s.log
	s.server = New(t.Context(), c)
	s.server.Bind(l.Addr().String())
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.server.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

// do sends a request with these headers; "Host" is the request's host.
func (s *site) do(method, path, body string, headers ...string) *http.Response {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server.Address()+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if s.cookie != nil {
		r.AddCookie(s.cookie)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { res.Body.Close() })
	return res
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// login exchanges the link's token for a session.
func (s *site) login() {
	s.t.Helper()
	_, token, _ := strings.Cut(s.server.Link(), "#")
	res := s.do(http.MethodPost, "/session", url.Values{"token": {token}}.Encode(), "Origin", s.server.Address())
	if res.StatusCode != http.StatusNoContent || len(res.Cookies()) != 1 {
		s.t.Fatalf("status %d, cookies %v", res.StatusCode, res.Cookies())
	}
	s.cookie = res.Cookies()[0]
}

func views(html string) *template.Template {
	return Parse(fstest.MapFS{"a.html": {Data: []byte(html)}}, "a.html")
}

// form is the body of a POST of an action, as the page's form has it.
func (s *site) form(more string) string { return "token=" + s.server.csrf + more }

func guarded(t *testing.T, readOnly bool, done *[]url.Values) *site {
	return serve(t, Config{
		System: "a <system>", ReadOnly: readOnly,
		Pages: []Page{{Path: "/", Title: "Start", Nav: "Watch/Start", Views: views(`{{define "content"}}secret content {{token}}{{end}}`),
			Load: func(context.Context, *http.Request) (any, error) { return nil, nil }}},
		Actions: []Action{{Path: "/things/{id}", Do: func(_ context.Context, form url.Values, _ *Jobs) (string, error) {
			*done = append(*done, form)
			return "/", nil
		}}},
	})
}

func TestRequestsOfStrangers(t *testing.T) {
	t.Parallel()
	var done []url.Values
	s := guarded(t, false, &done)
	s.login()
	own := s.server.Address()
	_, token, _ := strings.Cut(s.server.Link(), "#")
	for _, c := range []struct {
		name, method, path, body string
		headers                  []string
		status                   int
	}{
		{name: "own page", method: "GET", path: "/", status: 200},
		{name: "visit", method: "GET", path: "/", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, status: 200},
		{name: "address bar", method: "GET", path: "/", headers: []string{"Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"}, status: 200},
		{name: "other name for this host", method: "GET", path: "/", headers: []string{"Host", "evil.example:80"}, status: 421},
		{name: "loopback by another name", method: "GET", path: "/", headers: []string{"Host", "localhost"}, status: 421},
		{name: "fetch of another site", method: "GET", path: "/", headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty"}, status: 403},
		{name: "fetch of another port", method: "GET", path: "/", headers: []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"}, status: 403},
		{name: "frame of another port", method: "GET", path: "/", headers: []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "iframe"}, status: 403},
		{name: "read with another origin", method: "GET", path: "/live?path=/", headers: []string{"Origin", "http://evil.example"}, status: 403},
		{name: "change", method: "POST", path: "/things/1", body: s.form("&why=x"), headers: []string{"Origin", own}, status: 303},
		{name: "change of another origin", method: "POST", path: "/things/2", body: s.form(""), headers: []string{"Origin", "http://evil.example"}, status: 403},
		{name: "change of another port", method: "POST", path: "/things/2", body: s.form(""), headers: []string{"Origin", "http://127.0.0.1:1"}, status: 403},
		{name: "change of a sandboxed page", method: "POST", path: "/things/2", body: s.form(""), headers: []string{"Origin", "null"}, status: 403},
		{name: "change without origin", method: "POST", path: "/things/2", body: s.form(""), status: 403},
		{name: "change fetched by another site", method: "POST", path: "/things/2", body: s.form(""), headers: []string{"Origin", own, "Sec-Fetch-Site", "cross-site"}, status: 403},
		{name: "change without token", method: "POST", path: "/things/2", body: "why=x", headers: []string{"Origin", own}, status: 403},
		{name: "change with the token of an earlier start", method: "POST", path: "/things/2", body: "token=" + strings.Repeat("A", 26), headers: []string{"Origin", own}, status: 403},
		{name: "change with its token in the URL", method: "POST", path: "/things/2?" + s.form(""), body: "why=x", headers: []string{"Origin", own}, status: 403},
		{name: "change with the link's token", method: "POST", path: "/things/2", body: "token=" + token, headers: []string{"Origin", own}, status: 403},
		{name: "GET that changes", method: "GET", path: "/things/2?" + s.form(""), status: 404},
		{name: "PUT", method: "PUT", path: "/things/2", body: s.form(""), headers: []string{"Origin", own}, status: 405},
		{name: "form over the limit", method: "POST", path: "/things/2", body: s.form("&why=" + strings.Repeat("x", maxFormBytes)), headers: []string{"Origin", own}, status: 400},
		{name: "link's token by GET", method: "GET", path: "/session?token=" + token, status: 401},
		{name: "wrong link's token", method: "POST", path: "/session", body: "token=" + s.server.csrf, headers: []string{"Origin", own}, status: 401},
		{name: "file outside of the assets", method: "GET", path: "/assets/..%2fguard.go", status: 404},
		{name: "template", method: "GET", path: "/assets/layout.html", status: 404},
		{name: "live page of another host", method: "GET", path: "/live?path=http://evil.example/", status: 400},
		{name: "live page without updates", method: "GET", path: "/live?path=/", status: 204},
		{name: "page that does not exist", method: "GET", path: "/none", status: 404},
	} {
		if res := s.do(c.method, c.path, c.body, c.headers...); res.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d: %s", c.name, res.StatusCode, c.status, text(t, res))
		}
	}
	if len(done) != 1 || done[0].Get("id") != "1" || done[0].Get("why") != "x" || done[0].Has("token") {
		t.Errorf("changes %v", done)
	}
	if s.log.Len() > 0 {
		t.Errorf("logged %q", s.log)
	}
}

// TestWithoutSession: without the cookie, or with the one of an earlier start, every page is locked.
func TestWithoutSession(t *testing.T) {
	t.Parallel()
	var done []url.Values
	s, earlier := guarded(t, false, &done), guarded(t, false, &done)
	earlier.login()
	earlier.cookie.Name = s.server.cookie()
	for _, cookie := range []*http.Cookie{nil, earlier.cookie, {Name: s.server.cookie()}} {
		s.cookie = cookie
		for _, path := range []string{"/", "/none", "/live?path=/jobs", "/jobs"} {
			res := s.do(http.MethodGet, path, "")
			if html := text(t, res); res.StatusCode != http.StatusUnauthorized || strings.Contains(html, "secret content") || strings.Contains(html, "system") && strings.Contains(html, "a &lt;") {
				t.Errorf("%s with %v: status %d, %s", path, cookie, res.StatusCode, html)
			}
		}
		if res := s.do(http.MethodPost, "/things/1", s.form(""), "Origin", s.server.Address()); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("a change with %v: status %d", cookie, res.StatusCode)
		}
	}
	if len(done) != 0 {
		t.Errorf("changes %v", done)
	}
}

func TestReadOnly(t *testing.T) {
	t.Parallel()
	var done []url.Values
	s := guarded(t, true, &done)
	s.login()
	for _, path := range []string{"/things/1", "/jobs/1/stop", "/none"} {
		res := s.do(http.MethodPost, path, s.form(""), "Origin", s.server.Address())
		if body := text(t, res); res.StatusCode != http.StatusForbidden || !strings.Contains(body, "--read-only") {
			t.Errorf("%s: status %d: %s", path, res.StatusCode, body)
		}
	}
	if res := s.do(http.MethodGet, "/", ""); res.StatusCode != http.StatusOK || !strings.Contains(text(t, res), "read-only") {
		t.Errorf("status %d", res.StatusCode)
	}
	if len(done) != 0 {
		t.Errorf("changes %v", done)
	}
}

// TestSecretsStay: the cookie is closed to scripts and other sites, and no answer has the
// link's token, or the session in its text.
func TestSecretsStay(t *testing.T) {
	t.Parallel()
	var done []url.Values
	s := guarded(t, false, &done)
	s.login()
	if c := s.cookie; !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || !c.Expires.IsZero() {
		t.Errorf("cookie %+v", c)
	}
	link, err := url.Parse(s.server.Link())
	if err != nil || link.RawQuery != "" || link.Path != "/" || len(link.Fragment) < 26 {
		t.Errorf("link %s: %v", link, err)
	}
	for _, path := range []string{"/", "/none", "/jobs", "/assets/script.js", "/assets/style.css"} {
		res := s.do(http.MethodGet, path, "")
		if html := text(t, res); strings.Contains(html, s.server.link) || strings.Contains(html, s.server.session) {
			t.Errorf("%s has a secret", path)
		}
		for name, want := range map[string]string{
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
			"Referrer-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := res.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", path, name, got)
			}
		}
		if cached := strings.Contains(res.Header.Get("Cache-Control"), "no-store"); !cached {
			t.Errorf("%s may be stored: %q", path, res.Header.Get("Cache-Control"))
		}
	}
	for _, directive := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		if !strings.Contains(policy+";", directive) {
			t.Errorf("the policy lacks %s", directive)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Error("the policy has an unsafe source")
	}
}
