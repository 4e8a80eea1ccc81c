package delivery

import (
	"context"
	"errors"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// EventFetcher gets an event's bytes from Stripe, as consumer.Fetcher.
type EventFetcher interface {
	FetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error)
}

type whole struct {
	events EventFetcher
	Target
}

// WithBody returns a target that fetches a forwarded event at Stripe before each attempt and
// sends it whole. Other messages are sent as they are.
func WithBody(events EventFetcher, t Target) Target { return whole{events, t} }

func (w whole) Send(ctx context.Context, d Delivery) Answer {
	if d.Event == nil {
		return w.Target.Send(ctx, d)
	}
	thin, _ := d.Message.Fields[dispatch.ForwardedThin].(bool)
	body, err := w.events.FetchEvent(ctx, d.Account, d.Event.ID, thin)
	if err != nil {
		return FetchFailed("event", err)
	}
	if inside, err := event.Parse(body); err != nil || inside.ID != d.Event.ID || inside.Type != d.Event.Type || inside.Livemode != d.Message.Live() {
		return Answer{Verdict: Stop, Err: "fetch event: Stripe returned another event"}
	}
	e := *d.Event
	e.Body = body
	d.Event = &e
	return w.Target.Send(ctx, d)
}

// FetchFailed returns the answer for a failed fetch of what a target needs from Stripe. A missing
// API key is retried, as somebody will configure it. The error's own text may have an address.
func FetchFailed(what string, err error) Answer {
	permanent, _ := errors.AsType[*dispatch.PermanentError](err)
	after, _ := errors.AsType[*dispatch.RetryAfterError](err)
	switch {
	case permanent != nil && permanent.Reason == dispatch.ReasonNoAPIKey:
		return Answer{Verdict: Retry, Err: "fetch " + what + ": no Stripe API key is configured"}
	case permanent != nil:
		return Answer{Verdict: Stop, Err: "fetch " + what + ": " + permanent.Reason}
	case after != nil:
		return Answer{Verdict: Retry, RetryAfter: after.Delay, Err: "fetch " + what + ": Stripe is busy"}
	}
	return Answer{Verdict: Retry, Err: "fetch " + what + ": no answer from Stripe"}
}
