//go:build !(failpoints && unix)

package failpoint

import (
	"net/http"
	"time"
)

// Enabled reports whether the program was built with failpoints.
const Enabled = false

// Late is how long a function's process may live beyond its timeout. Without failpoints it
// is 0.
const Late time.Duration = 0

// At does nothing without failpoints.
func At(string) {}

// Transport returns base as it is without failpoints.
func Transport(_ string, base http.RoundTripper) http.RoundTripper { return base }
