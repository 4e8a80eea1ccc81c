package local

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/pkg/local/gateway"
	"tollgate/pkg/local/stripe"
	"tollgate/pkg/registration"
	"tollgate/pkg/secrets"
	"tollgate/pkg/verify"
)

// fakeStripeKey is the API key for the fake Stripe, which takes any test key.
const fakeStripeKey = "sk_test_fake"

// secretsFor is how long stored secrets are used before they are read again.
const secretsFor = time.Second

// rememberDeliveries stores delivered events in the fake Stripe. Stripe knows an event before
// it delivers it, so an event with a valid signature is stored before ingest gets it: if a
// process is killed then, no message names an unknown event. For an event with another
// signature ingest may know a newer secret. Ingest sends the message before it answers, so the
// fake Stripe delays requests for the event and its object until ingest has answered. It thus
// serves every event that ingest accepted and none that it refused.
type rememberDeliveries struct {
	fakeStripe *stripe.Fake // nil when Stripe's own API is used
	stored     func(context.Context) ([]string, error)

	mu      sync.Mutex
	secrets []string // as stored at the time `read`
	read    time.Time
}

// delivering is called with a request before ingest gets it; the returned function is called
// with ingest's answer. An error of either means that the event could not be stored, as on a
// full disk. The delivery must then fail, or a later fetch would not find the event.
func (m *rememberDeliveries) delivering(r gateway.Request) (answered func(answer []byte, err error) error, err error) {
	nothing := func([]byte, error) error { return nil }
	if m.fakeStripe == nil {
		return nothing, nil
	}
	body, signature := r.Body, strings.Join(r.Header.Values("Stripe-Signature"), ",")
	if m.verifies(body, signature, secretsFor) {
		if err := m.fakeStripe.Remember(body); err != nil && !errors.Is(err, stripe.ErrNotEvent) {
			return nil, err
		}
		return nothing, nil
	}
	settle := m.fakeStripe.Expect(body)
	return func(answer []byte, err error) error {
		accepted, clear := outcome(answer, err)
		return settle(accepted || !clear && m.verifies(body, signature, 0))
	}, nil
}

// outcome reports whether ingest accepted a delivery; clear is false for a failed one, which
// may have sent the message all the same.
func outcome(answer []byte, err error) (accepted, clear bool) {
	var res events.APIGatewayV2HTTPResponse
	if err != nil || json.Unmarshal(answer, &res) != nil || res.StatusCode < 200 || res.StatusCode >= 500 {
		return false, false
	}
	return res.StatusCode < 300, true
}

// verifies checks a signature by secrets that were read within a time.
func (m *rememberDeliveries) verifies(body []byte, signature string, within time.Duration) bool {
	m.mu.Lock()
	if time.Since(m.read) >= within {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if list, err := m.stored(ctx); err == nil {
			m.secrets, m.read = list, time.Now()
		}
		cancel()
	}
	list := m.secrets
	m.mu.Unlock()
	_, err := verify.Delivery(body, signature, verify.Options{Secrets: list})
	return err == nil
}

// storedSecrets are the signing secrets of all endpoints.
func (r resources) storedSecrets(ctx context.Context) (all []string, err error) {
	now, err := secrets.Writer{API: r.secrets, ID: WebhookSecretID}.Current(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := registration.ReadStored(now.Value)
	if err != nil {
		return nil, err
	}
	for _, endpoint := range stored.Endpoints() {
		list, err := stored.Of(endpoint)
		if err != nil {
			continue // affects this endpoint alone
		}
		for _, s := range list {
			all = append(all, s.Reveal())
		}
	}
	return all, nil
}
