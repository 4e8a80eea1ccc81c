package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/outbox"
)

type fetcher func(account, id string, thin bool) ([]byte, error)

func (f fetcher) FetchEvent(_ context.Context, account, id string, thin bool) ([]byte, error) {
	return f(account, id, thin)
}

type recorder struct{ sent []delivery.Delivery }

func (r *recorder) Send(_ context.Context, d delivery.Delivery) delivery.Answer {
	r.sent = append(r.sent, d)
	return delivery.Answer{Verdict: delivery.Done}
}

func forwarded(thin bool) delivery.Delivery {
	return delivery.Delivery{
		Account: "acct_1", Event: &delivery.Event{ID: "evt_1", Type: "invoice.paid", Object: "in_1"},
		Message: outbox.Message{Key: "OUT#EVENT#live#acct_1#evt_1#stripe.invoice.paid", Name: "stripe.invoice.paid", Fields: map[string]any{"thin": thin}},
	}
}

const stripeEvent = `{"id":%q,"object":%q,"type":%q,"created":1,"livemode":%t,"data":{"object":{"id":"in_1"}}}`

func TestWithBody(t *testing.T) {
	for name, c := range map[string]struct {
		d    delivery.Delivery
		body string
		err  error
		want delivery.Answer
	}{
		"whole":           {d: forwarded(false), body: fmt.Sprintf(stripeEvent, "evt_1", "event", "invoice.paid", true)},
		"another event":   {d: forwarded(false), body: fmt.Sprintf(stripeEvent, "evt_2", "event", "invoice.paid", true), want: delivery.Answer{Verdict: delivery.Stop, Err: "fetch event: Stripe returned another event"}},
		"another type":    {d: forwarded(false), body: fmt.Sprintf(stripeEvent, "evt_1", "event", "invoice.sent", true), want: delivery.Answer{Verdict: delivery.Stop, Err: "fetch event: Stripe returned another event"}},
		"another mode":    {d: forwarded(false), body: fmt.Sprintf(stripeEvent, "evt_1", "event", "invoice.paid", false), want: delivery.Answer{Verdict: delivery.Stop, Err: "fetch event: Stripe returned another event"}},
		"not an event":    {d: forwarded(false), body: `{}`, want: delivery.Answer{Verdict: delivery.Stop, Err: "fetch event: Stripe returned another event"}},
		"older than kept": {d: forwarded(false), err: dispatch.Park(dispatch.ReasonObjectGone, errors.New("secret")), want: delivery.Answer{Verdict: delivery.Stop, Err: "fetch event: object_gone"}},
		"no key":          {d: forwarded(false), err: dispatch.Park(dispatch.ReasonNoAPIKey, errors.New("secret")), want: delivery.Answer{Verdict: delivery.Retry, Err: "fetch event: no Stripe API key is configured"}},
		"rate limit":      {d: forwarded(false), err: fmt.Errorf("x: %w", dispatch.NotBefore(7*time.Second, errors.New("secret"))), want: delivery.Answer{Verdict: delivery.Retry, RetryAfter: 7 * time.Second, Err: "fetch event: Stripe is busy"}},
		"no answer":       {d: forwarded(false), err: errors.New("secret"), want: delivery.Answer{Verdict: delivery.Retry, Err: "fetch event: no answer from Stripe"}},
	} {
		r := &recorder{}
		target := delivery.WithBody(fetcher(func(account, id string, thin bool) ([]byte, error) {
			if account != "acct_1" || id != "evt_1" || thin {
				t.Errorf("%s: fetched %s of %s, thin %v", name, id, account, thin)
			}
			return []byte(c.body), c.err
		}), r)
		got := target.Send(t.Context(), c.d)
		if c.want.Verdict != "" {
			if got != c.want || len(r.sent) > 0 {
				t.Errorf("%s: %+v, %d sent; want %+v", name, got, len(r.sent), c.want)
			}
			continue
		}
		if got.Verdict != delivery.Done || string(r.sent[0].Event.Body) != c.body || c.d.Event.Body != nil {
			t.Errorf("%s: %+v, body %s", name, got, r.sent[0].Event.Body)
		}
	}
	fetched := false
	r := &recorder{}
	target := delivery.WithBody(fetcher(func(_, _ string, thin bool) ([]byte, error) { fetched = thin; return nil, errors.New("down") }), r)
	target.Send(t.Context(), forwarded(true))
	if !fetched {
		t.Error("a thin event was fetched as a snapshot")
	}
	if got := target.Send(t.Context(), receipt()); got.Verdict != delivery.Done || len(r.sent) != 1 {
		t.Errorf("a message of a handler: %+v", got)
	}
}
