package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tollgate/pkg/registration"
)

// vault is the webhook secret in Secrets Manager.
type vault struct {
	api *secretsmanager.Client
	id  string
}

// vault finds the target's webhook secret.
func (t target) vault() (vault, error) {
	if t.webhookSecretID == "" {
		return vault{}, hint(errors.New("which secret holds the signing secrets is not known"),
			"name the stack with --stack, or set TOLLGATE_WEBHOOK_SECRET_ID")
	}
	return vault{secretsmanager.NewFromConfig(t.aws), t.webhookSecretID}, nil
}

// Labels that Secrets Manager keeps on the present value and the one before.
const (
	stageCurrent  = "AWSCURRENT"
	stagePrevious = "AWSPREVIOUS"
)

// Current returns the present value, zero when the secret has none yet.
func (v vault) Current(ctx context.Context) (registration.Version, error) {
	return v.get(ctx, stageCurrent)
}

// Previous returns the value before the present one.
func (v vault) Previous(ctx context.Context) (registration.Version, error) {
	return v.get(ctx, stagePrevious)
}

func (v vault) get(ctx context.Context, stage string) (registration.Version, error) {
	out, err := v.api.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &v.id, VersionStage: &stage})
	if _, absent := errors.AsType[*types.ResourceNotFoundException](err); absent {
		return registration.Version{}, nil
	}
	if err != nil {
		return registration.Version{}, hint(fmt.Errorf("read webhook secret: %w", err), "may these credentials call secretsmanager:GetSecretValue on %s?", v.id)
	}
	if out.SecretString == nil {
		return registration.Version{}, errors.New("read webhook secret: it is binary, not text")
	}
	return registration.Version{
		ID: aws.ToString(out.VersionId), At: aws.ToTime(out.CreatedDate), Value: registration.NewSecret(*out.SecretString),
	}, nil
}

// Put writes a value. The SDK gives all its tries one request token, so that they are
// one write.
func (v vault) Put(ctx context.Context, value registration.Secret) (string, error) {
	text := value.Reveal()
	out, err := v.api.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &v.id, SecretString: &text})
	if err != nil {
		return "", hint(fmt.Errorf("write webhook secret: %w", err), "may these credentials call secretsmanager:PutSecretValue on %s?", v.id)
	}
	return aws.ToString(out.VersionId), nil
}
