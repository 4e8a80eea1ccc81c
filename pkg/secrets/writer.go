package secrets

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"tollgate/pkg/registration"
)

// WriterAPI has the calls of Secrets Manager that [Writer] makes.
type WriterAPI interface {
	API
	PutSecretValue(context.Context, *secretsmanager.PutSecretValueInput, ...func(*secretsmanager.Options)) (*secretsmanager.PutSecretValueOutput, error)
	UpdateSecretVersionStage(context.Context, *secretsmanager.UpdateSecretVersionStageInput, ...func(*secretsmanager.Options)) (*secretsmanager.UpdateSecretVersionStageOutput, error)
}

// Writer reads and writes the webhook secret for operators. It is safe for concurrent
// use, in any number of processes.
type Writer struct {
	API WriterAPI
	ID  string // of the secret
}

var _ registration.Secrets = Writer{}

// stageCurrent is on the present value; stagePending on the one written last.
const (
	stageCurrent = "AWSCURRENT"
	stagePending = "TOLLGATEPENDING"
)

// Current returns the present value, zero when the secret has none yet.
func (v Writer) Current(ctx context.Context) (registration.Version, error) {
	out, err := v.API.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &v.ID, VersionStage: aws.String(stageCurrent)})
	if _, absent := errors.AsType[*types.ResourceNotFoundException](err); absent {
		return registration.Version{}, nil
	}
	if err != nil {
		return registration.Version{}, fmt.Errorf("read webhook secret: %w", err)
	}
	if out.SecretString == nil {
		return registration.Version{}, errors.New("read webhook secret: it is binary, not text")
	}
	return registration.Version{
		ID: aws.ToString(out.VersionId), At: aws.ToTime(out.CreatedDate), Value: registration.NewSecret(*out.SecretString),
	}, nil
}

// Replace writes the value as a version that is not current, and then moves AWSCURRENT
// from the version was to it. Secrets Manager refuses that move if AWSCURRENT is on another
// version: of several writers that read the same version one wins. The first version of a
// secret gets AWSCURRENT when it is written.
//
// A version that lost keeps its value without AWSCURRENT until Secrets Manager drops it.
func (v Writer) Replace(ctx context.Context, was string, value registration.Secret) error {
	text, id := value.Reveal(), rand.Text()+rand.Text()
	if _, err := v.API.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{
		SecretId: &v.ID, SecretString: &text, ClientRequestToken: &id, VersionStages: []string{stagePending},
	}); err != nil {
		return fmt.Errorf("write webhook secret: %w", err)
	}
	move := &secretsmanager.UpdateSecretVersionStageInput{SecretId: &v.ID, VersionStage: aws.String(stageCurrent), MoveToVersionId: &id}
	if was != "" {
		move.RemoveFromVersionId = &was
	}
	_, err := v.API.UpdateSecretVersionStage(ctx, move)
	if err == nil {
		return nil
	}
	// The label may be on the new version all the same: this was the first version, or an
	// earlier try had no answer.
	if now, failed := v.Current(ctx); failed == nil && now.ID == id {
		return nil
	}
	if mismatch(err) {
		return fmt.Errorf("write webhook secret: %w: %w", registration.ErrReplaced, err)
	}
	return fmt.Errorf("write webhook secret: %w", err)
}

// mismatch reports whether a move was refused because the label is on another version.
func mismatch(err error) bool {
	_, parameter := errors.AsType[*types.InvalidParameterException](err)
	_, request := errors.AsType[*types.InvalidRequestException](err)
	return parameter || request
}
