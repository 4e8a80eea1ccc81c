package main

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/registration"
	"tollgate/pkg/secrets"
)

// vault is the webhook secret in Secrets Manager. It adds a hint to each failure.
type vault struct{ secrets.Vault }

// vault finds the target's webhook secret.
func (t target) vault() (vault, error) {
	if t.webhookSecretID == "" {
		return vault{}, hint(errors.New("which secret holds the signing secrets is not known"),
			"name the stack with --stack, or set TOLLGATE_WEBHOOK_SECRET_ID")
	}
	return vault{secrets.Vault{API: secretsmanager.NewFromConfig(t.aws), ID: t.webhookSecretID}}, nil
}

// Current returns the present value, zero when the secret has none yet.
func (v vault) Current(ctx context.Context) (registration.Version, error) {
	now, err := v.Vault.Current(ctx)
	if err != nil {
		return now, hint(err, "may these credentials call secretsmanager:GetSecretValue on %s?", v.ID)
	}
	return now, nil
}

// Replace writes a value over the version from which it was made.
func (v vault) Replace(ctx context.Context, was string, value registration.Secret) error {
	if err := v.Vault.Replace(ctx, was, value); err != nil {
		return hint(err, "may these credentials call secretsmanager:PutSecretValue and UpdateSecretVersionStage on %s?", v.ID)
	}
	return nil
}
