package local

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/config"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/registration"
	"tollgate/pkg/secrets"
)

// Names of the local queues, table and secrets.
const (
	Region          = awsjson.Region
	TableName       = "tollgate"
	queueName       = "tollgate-events"
	deadQueueName   = "tollgate-dead"
	holdQueueName   = "tollgate-hold"
	WebhookSecretID = "tollgate/webhook"
	APIKeySecretID  = "tollgate/api-key"
)

// resources creates what the stack creates on AWS, with the same calls. Resources of an
// earlier run are kept and updated.
type resources struct {
	sqs     *sqs.Client
	dynamo  *dynamodb.Client
	secrets *secretsmanager.Client
}

func (r resources) queues(ctx context.Context, l limits.Limits, i *Info) (err error) {
	seconds := func(d time.Duration) string {
		return strconv.Itoa(int(d * time.Duration(l.TimeScale) / time.Second))
	}
	if i.DLQURL, err = r.queue(ctx, deadQueueName, map[string]string{
		"MessageRetentionPeriod": seconds(l.DLQRetention), "VisibilityTimeout": seconds(l.Visibility),
	}); err != nil {
		return err
	}
	if i.HoldURL, err = r.queue(ctx, holdQueueName, map[string]string{
		"MessageRetentionPeriod": seconds(l.HoldRetention), "VisibilityTimeout": seconds(l.Visibility),
	}); err != nil {
		return err
	}
	redrive, err := json.Marshal(map[string]string{
		"deadLetterTargetArn": awsjson.ARN("sqs", deadQueueName), "maxReceiveCount": strconv.Itoa(l.MaxReceives),
	})
	if err != nil {
		return fmt.Errorf("write redrive policy: %w", err)
	}
	i.QueueURL, err = r.queue(ctx, queueName, map[string]string{
		"MessageRetentionPeriod": seconds(l.SourceRetention),
		"VisibilityTimeout":      seconds(l.Visibility),
		"RedrivePolicy":          string(redrive),
	})
	return err
}

func (r resources) queue(ctx context.Context, name string, attributes map[string]string) (url string, err error) {
	out, err := r.sqs.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if _, missing := errors.AsType[*sqstypes.QueueDoesNotExist](err); missing {
		made, err := r.sqs.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			return "", fmt.Errorf("create queue %s: %w", name, err)
		}
		return aws.ToString(made.QueueUrl), nil
	}
	if err != nil {
		return "", fmt.Errorf("find queue %s: %w", name, err)
	}
	_, err = r.sqs.SetQueueAttributes(ctx, &sqs.SetQueueAttributesInput{QueueUrl: out.QueueUrl, Attributes: attributes})
	if err != nil {
		return "", fmt.Errorf("set up queue %s: %w", name, err)
	}
	return aws.ToString(out.QueueUrl), nil
}

// table makes the system's own table, and expects another to be there.
func (r resources) table(ctx context.Context, name string) error {
	if name != TableName {
		if _, err := r.dynamo.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &name}); err != nil {
			return fmt.Errorf("find table %s, which must be there: %w", name, err)
		}
		return nil
	}
	_, err := r.dynamo.CreateTable(ctx, dynamostore.TableSchema(TableName))
	if _, there := errors.AsType[*ddbtypes.ResourceInUseException](err); err != nil && !there {
		return fmt.Errorf("create table %s: %w", TableName, err)
	}
	ttl, err := r.dynamo.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: aws.String(TableName)})
	if err == nil && ttl.TimeToLiveDescription.TimeToLiveStatus == ddbtypes.TimeToLiveStatusDisabled {
		_, err = r.dynamo.UpdateTimeToLive(ctx, &dynamodb.UpdateTimeToLiveInput{
			TableName:               aws.String(TableName),
			TimeToLiveSpecification: &ddbtypes.TimeToLiveSpecification{AttributeName: aws.String("exp"), Enabled: aws.Bool(true)},
		})
	}
	if err != nil {
		return fmt.Errorf("set up expiry of table %s: %w", TableName, err)
	}
	return nil
}

// otherSecrets ensures that every endpoint other than the default one has a signing secret,
// and returns the first of each.
func (r resources) otherSecrets(ctx context.Context, endpoints string) (map[string]string, error) {
	all, err := config.ParseEndpoints(endpoints)
	if err != nil {
		return nil, err
	}
	delete(all, ingest.DefaultEndpoint)
	first := make(map[string]string, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if first[name], err = r.signingSecrets(ctx, name, nil); err != nil {
			return nil, fmt.Errorf("endpoint %s: %w", name, err)
		}
	}
	return first, nil
}

// signingSecrets puts the given secrets of an endpoint before those of earlier runs. Without
// given ones it keeps those, or makes a new one. It returns the first.
func (r resources) signingSecrets(ctx context.Context, endpoint string, given []string) (first string, err error) {
	_, err = r.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: aws.String(WebhookSecretID)})
	if _, there := errors.AsType[*smtypes.ResourceExistsException](err); err != nil && !there {
		return "", fmt.Errorf("make secret %s: %w", WebhookSecretID, err)
	}
	writer := secrets.Writer{API: r.secrets, ID: WebhookSecretID}
	if len(given) == 0 {
		kept, err := kept(ctx, writer, endpoint)
		if err != nil || kept != "" {
			return kept, err
		}
		given = []string{"whsec_" + rand.Text()}
	}
	for _, s := range slices.Backward(given) {
		if _, err := registration.Change(ctx, writer, registration.PutFirst(endpoint, registration.NewSecret(s))); err != nil {
			return "", fmt.Errorf("store signing secret: %w", err)
		}
	}
	return given[0], nil
}

// kept returns an endpoint's first secret of an earlier run, "" when there is none.
func kept(ctx context.Context, writer secrets.Writer, endpoint string) (string, error) {
	now, err := writer.Current(ctx)
	if err != nil {
		return "", err
	}
	stored, err := registration.ReadStored(now.Value)
	if err != nil {
		return "", err
	}
	list, err := stored.Of(endpoint)
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0].Reveal(), nil
}

func (r resources) putSecret(ctx context.Context, name, value string) error {
	_, err := r.secrets.PutSecretValue(ctx, &secretsmanager.PutSecretValueInput{SecretId: &name, SecretString: &value})
	if _, missing := errors.AsType[*smtypes.ResourceNotFoundException](err); missing {
		_, err = r.secrets.CreateSecret(ctx, &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value})
	}
	if err != nil {
		return fmt.Errorf("write secret %s: %w", name, err)
	}
	return nil
}
