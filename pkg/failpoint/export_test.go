//go:build failpoints && unix

package failpoint

import "net/http"

// TransportAt is Transport with other points than At.
func TransportAt(caller string, base http.RoundTripper, at func(point string)) http.RoundTripper {
	return transport{caller, base, at}
}
