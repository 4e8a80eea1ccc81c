package stripeapi

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tollgate/pkg/dispatch"
)

// maxIDBytes is Stripe's own bound on the length of an id.
const maxIDBytes = 255

// FetchEvent returns one event as Stripe answered it: GET /v1/events/{id}, or
// /v2/core/events/{id} for a thin event (object "v2.core.event"). account is the
// connected account to ask as, for a thin event its context, "" for the key's own.
// A snapshot comes in the API version that was the account's default when the event
// arose, whatever version is asked for. The bytes are valid JSON and nothing more is
// checked: the caller compares id, type and created with what it expects.
//
// The errors are those of this package, wrapped. Unavailable ones ask for a retry not before
// the time that Stripe, or the rate limit, asks for. Those that only a person can cure are
// marked as permanent, with the reasons no_api_key, object_gone, account_revoked and
// too_large; a key that Stripe refuses is not, as a rolled key reaches this process a
// little late. Safe for concurrent use.
func (c *Client) FetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error) {
	body, err := c.fetchEvent(ctx, account, id, thin)
	if err != nil {
		return nil, mark(fmt.Errorf("fetch event %.80q: %w", id, err))
	}
	return body, nil
}

func (c *Client) fetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error) {
	r := request{path: "/v1/events/" + id, version: APIVersion, accountHeader: "Stripe-Account", account: account, resource: "events"}
	if thin {
		// A thin event names its account in context, and Stripe-Context is what takes that.
		r = request{path: "/v2/core/events/" + id, version: ThinAPIVersion, accountHeader: "Stripe-Context", account: account, resource: "v2/core/events"}
	}
	// Only ids may become part of a path or a header.
	if !isName(id, "") || !strings.HasPrefix(id, "evt_") {
		return nil, fmt.Errorf("%w: not an event id", ErrNotFound)
	}
	if account != "" && !isName(account, "/") {
		return nil, fmt.Errorf("%w: %.80q is not an account", ErrNotFound, account)
	}
	return c.get(ctx, r)
}

// mark marks the errors that a retry cannot cure, and those that it can only cure later.
func mark(err error) error {
	_, tooLarge := errors.AsType[*TooLargeError](err)
	if u, ok := errors.AsType[*UnavailableError](err); ok && u.RetryAfter > 0 {
		return dispatch.NotBefore(u.RetryAfter, err)
	}
	switch {
	case errors.Is(err, ErrNoAPIKey):
		return dispatch.Park(dispatch.ReasonNoAPIKey, err)
	case errors.Is(err, ErrNotFound):
		return dispatch.Park(dispatch.ReasonObjectGone, err)
	case errors.Is(err, ErrAccountRevoked):
		return dispatch.Park(dispatch.ReasonAccountRevoked, err)
	case tooLarge:
		return dispatch.Park(dispatch.ReasonTooLarge, err)
	}
	return err
}

// isName reports whether s consists of 1 to 255 ASCII letters, digits, underscores and extra.
func isName(s, extra string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '_', strings.ContainsRune(extra, r):
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxIDBytes
}
