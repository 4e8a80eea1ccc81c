package verb

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/limits"
	"tollgate/pkg/secrets"
	"tollgate/pkg/stripeapi"
)

// Stripe returns a client of Stripe's API for the target's account: with the key of the
// environment, else with the one that the target's functions use.
func (a *App) Stripe(ctx context.Context, t Target) (*stripeapi.Client, error) {
	o, err := a.StripeOptions(ctx, t)
	if err != nil {
		return nil, err
	}
	return stripeapi.New(o)
}

// StripeOptions returns the options of such a client.
func (a *App) StripeOptions(ctx context.Context, t Target) (o stripeapi.Options, err error) {
	key := string(a.Env.APIKey)
	if key == "" && t.APIKeySecretID != "" {
		k, err := secrets.NewAPIKey(secrets.Config{API: secretsmanager.NewFromConfig(t.AWS), ID: t.APIKeySecretID, First: limits.PatientCall})
		if err != nil {
			return o, err
		}
		if key, err = k.Key(ctx); err != nil {
			return o, Hint(err, "may these credentials read the secret? Or set STRIPE_API_KEY")
		}
	}
	if key == "" {
		return o, Hint(errors.New("no key for Stripe's API"), "set STRIPE_API_KEY, or put the key into the stack's secret (output ApiKeySecretArn)")
	}
	return stripeapi.Options{URL: t.StripeURL, Key: func(context.Context) (string, error) { return key, nil }}, nil
}
