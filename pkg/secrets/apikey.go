package secrets

import (
	"context"
	"errors"
	"strings"
)

// APIKey caches the key for Stripe's API, the whole text of one secret. It is safe for
// concurrent use.
type APIKey struct{ cache *cache[string] } // nil: a system without a key

// NewAPIKey returns an APIKey. The first call of Key fetches it. Without an ID there is no
// key.
func NewAPIKey(c Config) (*APIKey, error) {
	if c.ID == "" {
		return &APIKey{}, nil
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &APIKey{cache: newCache(c, func(ctx context.Context, _ string) (string, error) {
		text, err := fetch(ctx, c.API, c.ID)
		if errors.Is(err, errAbsent) {
			return "", nil
		}
		return strings.TrimSpace(text), err
	})}, nil
}

// Key returns the key, "" when the secret does not exist or is empty: a system may
// run without one. A rolled key is known after at most Limits.SecretTTL. An error means
// that the secret was never fetched.
func (k *APIKey) Key(ctx context.Context) (string, error) {
	if k.cache == nil {
		return "", nil
	}
	return k.cache.get(ctx)
}
