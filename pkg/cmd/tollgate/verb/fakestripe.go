package verb

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const (
	fakeStripeTimeout  = 40 * time.Second
	maxFakeStripeBytes = 4 << 10

	// fakeStripeKey is a test key; the fake Stripe accepts every one.
	fakeStripeKey = "sk_test_fake"
)

// FakeStripe makes a request to a control path (/_fake/…) of a local system's fake Stripe and
// returns its answer.
func (t Target) FakeStripe(ctx context.Context, method, path string, body []byte) (answer []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, fakeStripeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(t.StripeURL, "/")+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask the fake Stripe: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+fakeStripeKey)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the fake Stripe: %w", err)
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, maxFakeStripeBytes))
	if res.StatusCode < 200 || res.StatusCode > 299 {
		return nil, fmt.Errorf("ask the fake Stripe: %s %s: %d %s", method, path, res.StatusCode, OneLine(string(answer)))
	}
	if err != nil {
		return nil, fmt.Errorf("ask the fake Stripe: %w", err)
	}
	return answer, nil
}
