//go:build !(failpoints && unix)

package failpoint

import (
	"net/http"
	"time"
)

// Enabled says whether the program was built with failpoints.
const Enabled = false

// Late is how long beyond its timeout a function's process may live, so that one that
// stood still can go on. Without failpoints it is 0.
const Late time.Duration = 0

// At does nothing without failpoints.
func At(string) {}

// Transport returns base as it is without failpoints.
func Transport(_ string, base http.RoundTripper) http.RoundTripper { return base }
