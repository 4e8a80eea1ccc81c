package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/limits"
	"tollgate/pkg/secrets"
	"tollgate/pkg/stripeapi"
)

// stripe returns a client of Stripe's API for the target's account: with the key of the
// environment, else with the one that the target's functions use.
func (a *app) stripe(ctx context.Context, t target) (*stripeapi.Client, error) {
	o, err := a.stripeOptions(ctx, t)
	if err != nil {
		return nil, err
	}
	return stripeapi.New(o)
}

func (a *app) stripeOptions(ctx context.Context, t target) (o stripeapi.Options, err error) {
	key := string(a.env.APIKey)
	if key == "" && t.apiKeySecretID != "" {
		k, err := secrets.NewAPIKey(secrets.Config{API: secretsmanager.NewFromConfig(t.aws), ID: t.apiKeySecretID, First: limits.PatientCall})
		if err != nil {
			return o, err
		}
		if key, err = k.Key(ctx); err != nil {
			return o, hint(err, "may these credentials read the secret? Or set STRIPE_API_KEY")
		}
	}
	if key == "" {
		return o, hint(errors.New("no key for Stripe's API"), "set STRIPE_API_KEY, or put the key into the stack's secret (output ApiKeySecretArn)")
	}
	return stripeapi.Options{URL: t.stripeURL, Key: func(context.Context) (string, error) { return key, nil }}, nil
}
