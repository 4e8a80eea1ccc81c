package verb

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// asks counts its requests.
type asks struct{ n int }

func (a *asks) Do(*http.Request) (*http.Response, error) {
	a.n++
	return &http.Response{}, nil
}

// TestReachOfTwo: a verb may look for its target twice, as doctor's check of the endpoint
// does along with the others, and each way keeps a client of its own.
func TestReachOfTwo(t *testing.T) {
	var r reach
	var clients [2]asks
	first := r.watch(aws.Config{HTTPClient: &clients[0]})
	r.watch(aws.Config{HTTPClient: &clients[1]})
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = first.HTTPClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	if clients[0].n != 1 || clients[1].n != 0 {
		t.Errorf("asked by %+v, want by the first alone", clients)
	}
}

// TestReachOfACall: a canceled request does not count against its host.
func TestReachOfACall(t *testing.T) {
	stopped, stop := context.WithCancel(t.Context())
	stop()
	for want, ctx := range map[string]context.Context{"": stopped, "127.0.0.1:1 does not answer: ": t.Context()} {
		var r reach
		q, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:1", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.watch(aws.Config{}).HTTPClient.Do(q); err == nil {
			t.Error("somebody answers")
		}
		if got := r.hint(); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
