package delivery

import (
	"context"
	"errors"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
)

// wholeEvent fetches the event that a message forwards. Without a verdict the answer is the body.
func wholeEvent(ctx context.Context, events Events, d Delivery) ([]byte, Answer) {
	thin, _ := d.Message.Fields[dispatch.ForwardedThin].(bool)
	body, err := events.FetchEvent(ctx, d.Account, d.Event.ID, thin)
	if err != nil {
		return nil, FetchFailed("event", err)
	}
	if inside, err := event.Parse(body); err != nil || inside.ID != d.Event.ID || inside.Type != d.Event.Type || inside.Livemode != d.Message.Live() {
		return nil, Answer{Verdict: Stop, Err: "fetch event: Stripe returned another event"}
	}
	return body, Answer{}
}

// FetchFailed returns the answer for a failed fetch of what a target needs from Stripe. A missing
// API key is retried, as it may be configured later. The error's own text may have an address.
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
