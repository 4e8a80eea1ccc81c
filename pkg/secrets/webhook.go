package secrets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tollgate/pkg/event"
	"tollgate/pkg/ingest"
	"tollgate/pkg/registration"
)

// API is the call of Secrets Manager that functions make.
type API interface {
	GetSecretValue(context.Context, *secretsmanager.GetSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.GetSecretValueOutput, error)
}

// Webhook caches the signing secrets of all endpoints. It is safe for concurrent use.
type Webhook struct{ cache *cache[map[string][]string] }

var _ ingest.Secrets = (*Webhook)(nil)

// NewWebhook returns a Webhook. The first call fetches: a stack has a URL before it has a
// secret.
func NewWebhook(c Config) (*Webhook, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Webhook{cache: newCache(c, func(ctx context.Context, known map[string][]string) (map[string][]string, error) {
		text, err := fetch(ctx, c.API, c.ID)
		if err != nil {
			return nil, err
		}
		all, err := parse(ctx, text, c.Logger)
		return keepGood(ctx, known, all, c.Logger), err
	})}, nil
}

// Active returns the usable secrets of an endpoint, an empty list when it has none
// that can be used, or [ingest.ErrUnknownEndpoint]. Any other error means that the
// secret was never fetched. The list must not be changed.
func (w *Webhook) Active(ctx context.Context, endpoint string) ([]string, error) {
	return of(endpoint)(w.cache.get(ctx))
}

// Refetched fetches first, at most once in Limits.SecretRefetch over all callers and for at
// most Limits.SecretDeadline.
func (w *Webhook) Refetched(ctx context.Context, endpoint string) ([]string, error) {
	return of(endpoint)(w.cache.refetched(ctx))
}

func of(endpoint string) func(map[string][]string, error) ([]string, error) {
	return func(all map[string][]string, err error) ([]string, error) {
		if err != nil {
			return nil, err
		}
		list, ok := all[endpoint]
		if !ok {
			return nil, ingest.ErrUnknownEndpoint
		}
		return list, nil
	}
}

// errAbsent: the secret does not exist or has no value yet.
var errAbsent = errors.New("the secret has no value")

func fetch(ctx context.Context, api API, id string) (string, error) {
	out, err := api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	if _, ok := errors.AsType[*types.ResourceNotFoundException](err); ok {
		return "", fmt.Errorf("fetch secret: %w: %w", errAbsent, err)
	}
	if err != nil {
		return "", fmt.Errorf("fetch secret: %w", err)
	}
	if out.SecretString == nil {
		return "", fmt.Errorf("fetch secret: %w: it is binary, not text", errAbsent)
	}
	return *out.SecretString, nil
}

// parse reads the webhook secret. An invalid entry is dropped and logged by its position,
// never by its value. A secret without any endpoint is an error, though it is JSON: every
// delivery would be refused like a forged one, without an alarm.
func parse(ctx context.Context, text string, log *slog.Logger) (map[string][]string, error) {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil || raw == nil {
		return nil, errors.New(`read webhook secret: it is not JSON of the form {"default":["whsec_…"]}`)
	}
	all := make(map[string][]string, len(raw))
	for endpoint, stored := range raw {
		if !event.ValidEndpoint(endpoint) {
			log.WarnContext(ctx, "webhook secret: an endpoint was dropped", "fault", "its name is not 1 to 32 of a-z, 0-9 and -")
			continue
		}
		entries, err := registration.ReadEntries(stored)
		if err != nil {
			log.WarnContext(ctx, "webhook secret: an endpoint has no list of secrets", "endpoint", endpoint)
		}
		all[endpoint] = usable(ctx, endpoint, entries, log)
	}
	if len(all) == 0 {
		return nil, errors.New("read webhook secret: it names no endpoint")
	}
	return all, nil
}

func usable(ctx context.Context, endpoint string, entries []registration.Entry, log *slog.Logger) []string {
	list := make([]string, 0, len(entries))
	for i, e := range entries {
		if e.Fault != "" {
			log.WarnContext(ctx, "webhook secret: an entry was dropped", "endpoint", endpoint, "index", i, "fault", e.Fault)
			continue
		}
		list = append(list, e.Text)
	}
	return list
}

// keepGood lets each endpoint whose new list has no usable secret keep its known ones. An
// endpoint that is no longer named is removed.
func keepGood(ctx context.Context, known, fetched map[string][]string, log *slog.Logger) map[string][]string {
	for endpoint, list := range fetched {
		if len(list) > 0 {
			continue
		}
		fetched[endpoint] = known[endpoint]
		log.ErrorContext(ctx, "secret", "outcome", "unusable", "endpoint", endpoint, "kept", len(known[endpoint]))
	}
	return fetched
}
