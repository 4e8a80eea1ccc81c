package local

import (
	"net"
	"net/http"
)

// noPages refuses what a web page could send to a service that is meant for programs on
// this machine: a request of an origin, or one for a name that a page's owner has
// pointed here. The front takes both, as tunnels bring Stripe's deliveries to it.
func noPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != "" || !loopbackName(r.Host) {
			http.Error(w, "this service is for programs on this machine, not for web pages", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func loopbackName(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = host
	}
	return name == "localhost" || net.ParseIP(name).IsLoopback()
}
