//go:build !(failpoints && unix)

package failpoint_test

import (
	"net/http"
	"os"
	"testing"

	"tollgate/pkg/failpoint"
)

// TestWithoutTheTagNothingHappens: an arm file has no effect.
func TestWithoutTheTagNothingHappens(t *testing.T) {
	armFile := arm(t, "here", failpoint.Kill)
	failpoint.At("here")
	if _, err := os.Stat(armFile); err != nil {
		t.Errorf("the arm file was taken: %v", err)
	}
	if failpoint.Enabled || failpoint.Late != 0 {
		t.Errorf("enabled %v, late %v", failpoint.Enabled, failpoint.Late)
	}
	if got := failpoint.Transport("x", http.DefaultTransport); got != http.DefaultTransport {
		t.Errorf("the transport is %T, want the one that was given", got)
	}
}
