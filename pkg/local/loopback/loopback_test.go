package loopback

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestPagesAreRefused(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	const pass, refuse = http.StatusOK, http.StatusForbidden
	tests := []struct {
		name, host, header, value string
		programs, blockBrowsers   int
	}{
		{"a client", "127.0.0.1:4566", "", "", pass, pass},
		{"a client by name", "localhost:4566", "", "", pass, pass},
		{"a client without a port", "127.0.0.1", "", "", pass, pass},
		{"a client over IPv6", "[::1]:4566", "", "", pass, pass},
		{"fetch of Node, which is not a page", "127.0.0.1:4566", "Sec-Fetch-Mode", "cors", pass, pass},
		{"a page", "127.0.0.1:4566", "Origin", "https://shop.example", refuse, refuse},
		{"a page of a local server", "127.0.0.1:4566", "Origin", "http://localhost:3000", refuse, refuse},
		{"a page without CORS", "127.0.0.1:4566", "Sec-Fetch-Site", "cross-site", refuse, refuse},
		{"a page whose name leads here", "evil.example:4566", "Sec-Fetch-Site", "same-origin", refuse, refuse},
		{"a name that leads here", "evil.example:4566", "", "", refuse, pass},
		{"a name that begins as ours", "localhost.evil.example", "", "", refuse, pass},
		{"no name", "", "", "", refuse, pass},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for _, g := range []struct {
				name  string
				guard func(http.Handler) http.Handler
				want  int
			}{{"Programs", Programs, tt.programs}, {"BlockBrowsers", BlockBrowsers, tt.blockBrowsers}} {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				r.Host = tt.host
				if tt.header != "" {
					r.Header.Set(tt.header, tt.value)
				}
				w := httptest.NewRecorder()
				g.guard(ok).ServeHTTP(w, r)
				if w.Code != g.want {
					t.Errorf("%s: status %d, want %d", g.name, w.Code, g.want)
				}
			}
		})
	}
}
