package local

import (
	"encoding/base64"
	"encoding/json"

	"github.com/aws/aws-lambda-go/events"

	"tollgate/pkg/local/stripe"
	"tollgate/pkg/verify"
)

// standInKey is the API key for the stand-in, which takes any test key.
const standInKey = "sk_test_standin"

// memory shows the stand-in every event whose signature verifies. Stripe knows an event
// before it delivers it, so that is done before ingest has the request: a consumer may
// fetch the event as soon as its message is on the queue.
type memory struct {
	standIn *stripe.StandIn // nil when Stripe's own API is used
	secrets []string
}

func (m *memory) delivered(payload []byte) {
	if m.standIn == nil {
		return
	}
	var req events.APIGatewayV2HTTPRequest
	if json.Unmarshal(payload, &req) != nil {
		return
	}
	body := []byte(req.Body)
	if req.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(req.Body)
		if err != nil {
			return
		}
		body = decoded
	}
	if _, err := verify.Delivery(body, req.Headers["stripe-signature"], verify.Options{Secrets: m.secrets}); err != nil {
		return // ingest answers it
	}
	// Best effort: the stand-in serves fetches, it decides nothing.
	_ = m.standIn.Remember(body)
}
