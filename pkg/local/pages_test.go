package local

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestPagesAreRefused(t *testing.T) {
	served := noPages(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	tests := []struct {
		name, host, origin string
		want               int
	}{
		{"a client", "127.0.0.1:4566", "", http.StatusOK},
		{"a client by name", "localhost:4566", "", http.StatusOK},
		{"a client without a port", "127.0.0.1", "", http.StatusOK},
		{"a client over IPv6", "[::1]:4566", "", http.StatusOK},
		{"a page", "127.0.0.1:4566", "https://shop.example", http.StatusForbidden},
		{"a page of a local server", "127.0.0.1:4566", "http://localhost:3000", http.StatusForbidden},
		{"a page whose name leads here", "evil.example:4566", "", http.StatusForbidden},
		{"a name that begins as ours", "localhost.evil.example", "", http.StatusForbidden},
		{"no name", "", "", http.StatusForbidden},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", nil)
			r.Host = tt.host
			if tt.origin != "" {
				r.Header.Set("Origin", tt.origin)
			}
			w := httptest.NewRecorder()
			served.ServeHTTP(w, r)
			if w.Code != tt.want {
				t.Errorf("status %d, want %d", w.Code, tt.want)
			}
		})
	}
}
