// Package httptarget sends deliveries by HTTP: a POST of JSON, signed by the Standard Webhooks
// specification. What a receiver gets is described in pkg/stdwebhooks/README.md.
//
//	target, err := httptarget.New(httptarget.Config{URL: url, Keys: keys, Client: client})
//	answer := target.Send(ctx, delivery)
package httptarget

import (
	"context"
	"errors"
	"net/http"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/egress"
	"tollgate/pkg/stdwebhooks"
)

// Keys are the destination's signing keys. During a roll both are active.
type Keys interface {
	Keys(context.Context) (stdwebhooks.Keys, error)
}

// Config of a target.
type Config struct {
	URL     string            // required
	Headers map[string]string // added to each request; the headers of the scheme win
	Keys    Keys              // required
	Client  *egress.Client    // required
}

// Target is safe for concurrent use.
type Target struct {
	config Config
	header http.Header
}

var _ delivery.Target = (*Target)(nil)

// New returns a target.
func New(c Config) (*Target, error) {
	if c.URL == "" || c.Keys == nil || c.Client == nil {
		return nil, errors.New("an HTTP target needs a URL, keys and a client")
	}
	header := http.Header{}
	for name, value := range c.Headers {
		header.Set(name, value)
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", "tollgate")
	return &Target{config: c, header: header}, nil
}

// Send signs at the time of the attempt: the timestamp is that of the attempt, the id that of
// the message.
func (t *Target) Send(ctx context.Context, d delivery.Delivery) delivery.Answer {
	keys, err := t.config.Keys.Keys(ctx)
	if err != nil {
		return delivery.Answer{Verdict: delivery.Retry, Err: "no signing key could be read"}
	}
	body, err := delivery.Body(d)
	if err != nil {
		return delivery.Answer{Verdict: delivery.Stop, Err: "the message cannot be written as JSON"}
	}
	header := t.header.Clone()
	if err := keys.Sign(header, stdwebhooks.Message{ID: d.ID, At: time.Now(), Body: body}); err != nil {
		return delivery.Answer{Verdict: delivery.Retry, Err: err.Error()}
	}
	answer, err := t.config.Client.Post(ctx, t.config.URL, header, body)
	if err != nil {
		return unanswered(err)
	}
	return answered(answer, time.Now())
}
