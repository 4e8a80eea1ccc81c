// Package loopback guards services on loopback against the web pages that a browser on
// the same machine runs.
//
//	http.Serve(l, loopback.Programs(handler))
//
// It does not identify users: other local programs pass.
package loopback

import (
	"net"
	"net/http"
)

// Programs refuses with 403 what [BlockBrowsers] refuses, and requests whose Host is not a
// loopback name: a page can make its own name resolve to this machine (DNS rebinding).
func Programs(next http.Handler) http.Handler {
	return guard(next, func(r *http.Request) bool { return !fromPage(r) && loopbackName(r.Host) })
}

// BlockBrowsers refuses requests of web pages with 403. It accepts any Host, because tunnels
// deliver under other names.
func BlockBrowsers(next http.Handler) http.Handler {
	return guard(next, func(r *http.Request) bool { return !fromPage(r) })
}

func guard(next http.Handler, pass func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !pass(r) {
			http.Error(w, "this service is for programs on this machine, not for web pages", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// fromPage reports whether a browser sent the request. A GET without CORS has no Origin,
// but browsers add Sec-Fetch-Site, which no script can remove.
func fromPage(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != ""
}

func loopbackName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return name == "localhost" || net.ParseIP(name).IsLoopback()
}
