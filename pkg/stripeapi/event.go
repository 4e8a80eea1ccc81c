package stripeapi

import (
	"context"
	"fmt"
	"strings"
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
// The errors are those of this package, wrapped. Safe for concurrent use.
func (c *Client) FetchEvent(ctx context.Context, account, id string, thin bool) ([]byte, error) {
	r := request{path: "/v1/events/" + id, version: APIVersion, accountHeader: "Stripe-Account", account: account}
	if thin {
		// /v2 takes the account in Stripe-Context only.
		r = request{path: "/v2/core/events/" + id, version: ThinAPIVersion, accountHeader: "Stripe-Context", account: account}
	}
	// What cannot be an id must not become part of a path or a header.
	if !isName(id, "") || !strings.HasPrefix(id, "evt_") {
		return nil, fmt.Errorf("fetch event: %w: %.80q is no event id", ErrNotFound, id)
	}
	if account != "" && !isName(account, "/") {
		return nil, fmt.Errorf("fetch event %s: %w: %.80q is no account", id, ErrNotFound, account)
	}
	body, err := c.get(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("fetch event %s: %w", id, err)
	}
	return body, nil
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
