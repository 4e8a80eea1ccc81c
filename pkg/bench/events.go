// Package bench measures what an event costs: time and allocations of each step next to the
// least that the step could take, and requests, capacity and log bytes priced in dollars.
// README.md has the commands.
package bench

import (
	"bytes"
	"fmt"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/cmd/tollgate/dev"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers/golden"
)

// Secret signs the events of this package.
const Secret = "whsec_bench"

// Ignored is a type without a handler.
const Ignored = "plan.created"

// Event returns an event of about size bytes in Stripe's layout: an object with a list of
// lines, which no handler reads. id has no prefix; distinct ids give distinct events and objects.
func Event(typ, id string, size int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `{
  "id": "evt_%[1]s",
  "object": "event",
  "api_version": "2023-10-16",
  "created": %[2]d,
  "data": {
    "object": {
      "id": "pl_%[1]s",
      "object": "plan",
      "lines": [`, id, time.Now().Unix())
	for i := 0; b.Len() < size-320; i++ { // one line less than 200 bytes, and the rest
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `
        {
          "id": "il_%08d",
          "amount": %d,
          "description": "1 × Gold \"plus\" (at $5.00 / month)",
          "discountable": true,
          "metadata": {},
          "proration": false,
          "quantity": null
        }`, i, i*100)
	}
	fmt.Fprintf(&b, `
      ]
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "type": %q
}`, typ)
	return b.Bytes()
}

// Golden returns the n-th copy of a type's golden event, created at a time: a customer's own
// event, with ids of its own.
func Golden(typ string, n int, created time.Time) ([]byte, error) {
	body, err := golden.Load(typ)
	if err != nil {
		return nil, err
	}
	e, err := event.Parse(body)
	if err != nil {
		return nil, err
	}
	body = bytes.ReplaceAll(body, []byte("Tollgate"), fmt.Appendf(nil, "T%07d", n)) // which every id contains
	return dev.ShiftTimes(body, created.Unix()-e.Created), nil
}

// Sign returns the Stripe-Signature header of a delivery made now.
func Sign(body []byte, secret string) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: time.Now()}).Header
}
