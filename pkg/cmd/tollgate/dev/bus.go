package dev

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/event"
	"tollgate/pkg/local/aws/jsonscan"
	"tollgate/pkg/queue"
)

// bus puts events into the queue of a local system as the stack's rule on Stripe's partner event
// bus does.
type bus struct {
	target verb.Target
	queue  *sqs.Client
}

// partnerEvent is an event as EventBridge writes it.
type partnerEvent struct {
	Version    string          `json:"version"`
	ID         string          `json:"id"` // of EventBridge's own
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Account    string          `json:"account"` // at AWS
	Time       time.Time       `json:"time"`
	Region     string          `json:"region"`
	Resources  []string        `json:"resources"`
	Detail     json.RawMessage `json:"detail"`
}

// bus returns the door of --door eventbridge.
func (c *Send) bus(ctx context.Context, a *verb.App) (*bus, error) {
	if c.URL != "" || c.Secret != "" || c.Endpoint != "" {
		return nil, verb.Usage("--door eventbridge posts nothing: leave out --url, --secret and --endpoint")
	}
	t, err := a.Target(ctx)
	if err == nil && !t.Local {
		err = verb.Hint(verb.Usage("%s gets the events of its bus from Stripe alone", t.Name), "leave out --stack, and start tollgate dev")
	}
	return &bus{target: t, queue: sqs.NewFromConfig(t.AWS)}, err
}

// post sends an event, or what EventBridge would write if the bytes are that already.
func (b *bus) post(ctx context.Context, body []byte) Delivery {
	detail := body
	if inside := jsonscan.Get(body, "detail"); len(inside) > 0 {
		detail = inside
	}
	e, err := event.Parse(detail)
	d := Delivery{EventID: e.ID, Type: e.Type}
	if err != nil {
		d.Error = err.Error()
		return d
	}
	if b.target.StripeURL != "" { // Stripe knows an event before it sends it
		if _, err := b.target.FakeStripe(ctx, e.Account, http.MethodPost, "/_fake/events", detail); err != nil {
			d.Error = err.Error()
			return d
		}
	}
	if &detail[0] == &body[0] {
		body, err = json.Marshal(partnerEvent{
			Version: "0", ID: newID(""), DetailType: e.Type, Source: queue.PartnerSource + "ed_test_local", Account: "000000000000",
			Time: time.Now().UTC().Truncate(time.Second), Region: b.target.AWS.Region, Resources: []string{}, Detail: detail,
		})
	}
	start := time.Now()
	if err == nil {
		_, err = b.queue.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &b.target.QueueURL, MessageBody: aws.String(string(body))})
	}
	d.Millis = float64(time.Since(start).Microseconds()) / 1000
	if d.Status = http.StatusOK; err != nil {
		d.Status, d.Error = 0, err.Error()
	}
	return d
}
