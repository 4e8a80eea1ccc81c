package secrets

import (
	"context"

	"tollgate/pkg/stdwebhooks"
)

// SigningKeys caches the keys that a destination's messages are signed with, one secret. It is
// safe for concurrent use.
type SigningKeys struct{ cache *cache[stdwebhooks.Keys] }

// NewSigningKeys returns SigningKeys. The first call of Keys fetches them.
func NewSigningKeys(c Config) (*SigningKeys, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &SigningKeys{cache: newCache(c, func(ctx context.Context, _ stdwebhooks.Keys) (stdwebhooks.Keys, error) {
		text, err := fetch(ctx, c.API, c.ID)
		if err != nil {
			return stdwebhooks.Keys{}, err
		}
		return stdwebhooks.Parse(text)
	})}, nil
}

// Keys returns the keys, during a roll both the new and the old. A rolled key is known after at
// most Limits.SecretTTL; until a fault in the secret is corrected, the known keys stay in use.
// An error means that usable keys were never fetched.
func (k *SigningKeys) Keys(ctx context.Context) (stdwebhooks.Keys, error) { return k.cache.get(ctx) }
