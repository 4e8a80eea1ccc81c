package local

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/local/gateway"
	"tollgate/pkg/local/stripe"
)

const memoryBody = `{"id":"evt_1","object":"event","type":"invoice.paid","created":1,"livemode":false,"data":{"object":{"id":"in_1","object":"invoice"}}}`

func signedBy(secret string) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(memoryBody), Secret: secret}).Header
}

// knows asks the fake Stripe for the event, in a time that no wait ends.
func knows(t *testing.T, s *stripe.Fake) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a request that would have to wait ends at once
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/v1/events/evt_1", nil)
	r.SetBasicAuth(fakeStripeKey, "")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code == http.StatusOK
}

func delivery(signature string) gateway.Request {
	return gateway.Request{Body: []byte(memoryBody), Header: http.Header{"Stripe-Signature": {signature}}}
}

// TestTheFakeStripeKnowsWhatIngestAccepts: what was not signed is not served as Stripe's. The
// stored secret is "known" at the start and "rolled" when ingest has answered.
func TestTheFakeStripeKnowsWhatIngestAccepts(t *testing.T) {
	answer := func(status int) []byte {
		raw, err := json.Marshal(events.APIGatewayV2HTTPResponse{StatusCode: status})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for _, c := range []struct {
		name, header  string
		answer        []byte
		err           error
		before, after bool
	}{
		{"signed", signedBy("whsec_known"), answer(200), nil, true, true},
		{"signed, ingest failed", signedBy("whsec_known"), nil, errors.New("killed"), true, true},
		{"signed with a secret that was stored meanwhile", signedBy("whsec_rolled"), answer(200), nil, false, true},
		{"the same, ingest failed", signedBy("whsec_rolled"), answer(500), nil, false, true},
		{"the same, ingest was killed", signedBy("whsec_rolled"), nil, errors.New("killed"), false, true},
		{"signed with a secret that only ingest still has", signedBy("whsec_removed"), answer(200), nil, false, true},
		{"forged", signedBy("whsec_other"), answer(400), nil, false, false},
		{"forged, ingest failed", signedBy("whsec_other"), answer(500), nil, false, false},
		{"forged, ingest was killed", signedBy("whsec_other"), nil, errors.New("killed"), false, false},
		{"refused as no message was sent", signedBy("whsec_rolled"), answer(403), nil, false, false},
		{"unsigned", "", answer(400), nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := stripe.Open(stripe.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			stored := "whsec_known"
			m := &rememberDeliveries{fakeStripe: s, stored: func(context.Context) ([]string, error) { return []string{stored}, nil }}
			answered, err := m.delivering(delivery(c.header))
			if err != nil {
				t.Fatal(err)
			}
			if got := knows(t, s); got != c.before {
				t.Errorf("known before ingest has answered: %v, want %v", got, c.before)
			}
			stored = "whsec_rolled"
			if err := answered(c.answer, c.err); err != nil {
				t.Fatal(err)
			}
			if got := knows(t, s); got != c.after {
				t.Errorf("known after ingest has answered: %v, want %v", got, c.after)
			}
		})
	}
	m := &rememberDeliveries{} // Stripe's own API in use: nothing to do
	if answered, err := m.delivering(gateway.Request{}); err != nil || answered(nil, nil) != nil {
		t.Errorf("error %v", err)
	}
}

// TestAnEventThatCannotBeKeptIsNotAccepted: Stripe delivers no event that it does not
// know, and a fetch of this one would find nothing.
func TestAnEventThatCannotBeKeptIsNotAccepted(t *testing.T) {
	s, err := stripe.Open(stripe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close() // no write succeeds any more
	m := &rememberDeliveries{fakeStripe: s, stored: func(context.Context) ([]string, error) { return []string{"whsec_known"}, nil }}
	for _, secret := range []string{"whsec_known", "whsec_new"} {
		answered, err := m.delivering(delivery(signedBy(secret)))
		if err == nil {
			err = answered([]byte(`{"statusCode":200}`), nil)
		}
		if err == nil {
			t.Errorf("an event signed with %s is accepted", secret)
		}
	}
}
