package local

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"runtime/debug"
	"time"

	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	sdksecretsmanager "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/failpoint"
	"tollgate/pkg/ingest"
	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb"
	"tollgate/pkg/local/aws/lambda"
	"tollgate/pkg/local/aws/logs"
	"tollgate/pkg/local/aws/secretsmanager"
	"tollgate/pkg/local/aws/sqs"
	"tollgate/pkg/local/loopback"
)

// services are the embedded AWS services, on disk in one folder and on one address.
type services struct {
	sqs      *sqs.Service
	dynamo   *dynamodb.DB
	secrets  *secretsmanager.DB
	mappings *lambda.Mappings
	logs     *logs.Store
}

// openServices opens the files of a folder. It fails if another process has one open: a
// folder serves one system.
func openServices(folder string, timeScale int, consumer lambda.Mapping) (*services, error) {
	s := &services{logs: newLogs()}
	err := s.open(folder, timeScale)
	if err == nil {
		s.mappings, err = lambda.Open(filepath.Join(folder, "lambda.json"), consumer)
	}
	if err != nil {
		s.close() // what was open already
		return nil, err
	}
	return s, nil
}

// open turns a panic at a damaged page, as of a truncated copy, into an error that names
// the folder.
func (s *services) open(folder string, timeScale int) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("open data folder %s: a file in it is damaged: %v", folder, v)
		}
	}()
	if s.sqs, err = sqs.Open(filepath.Join(folder, "sqs.db"), sqs.Options{Speed: timeScale}); err != nil {
		return err
	}
	if s.dynamo, err = dynamodb.Open(filepath.Join(folder, "dynamodb.db"), dynamodb.Options{}); err != nil {
		return err
	}
	s.secrets, err = secretsmanager.Open(filepath.Join(folder, "secrets.db"), secretsmanager.Options{})
	return err
}

func (s *services) server(key AccessKey) *http.Server {
	all := http.NewServeMux()
	all.Handle("/", awsjson.KeyedHandler(key.ID, s.sqs.Service(), s.dynamo.Service(), s.secrets.Service(), s.logs.Service()))
	all.Handle(lambda.Path, s.mappings.Handler(key.ID))
	return &http.Server{
		Handler:           loopback.Programs(all),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
}

func (s *services) close() error {
	var errs []error
	if s.sqs != nil {
		errs = append(errs, s.sqs.Close())
	}
	if s.dynamo != nil {
		errs = append(errs, s.dynamo.Close())
	}
	if s.secrets != nil {
		errs = append(errs, s.secrets.Close())
	}
	return errors.Join(errs...)
}

// clients call the services in this process, without a socket.
func clients(i Info, services http.Handler) resources {
	c := i.AWSConfig()
	c.HTTPClient = &http.Client{Transport: failpoint.Transport("host", inProcess{services})}
	return resources{sqs: sdksqs.NewFromConfig(c), dynamo: sdkdynamodb.NewFromConfig(c), secrets: sdksecretsmanager.NewFromConfig(c)}
}

// prepare creates the queues, the table and the secrets, and writes their names into i.
func (r resources) prepare(ctx context.Context, o Options, i *Info) (err error) {
	if err = r.queues(ctx, o.limits(), i); err != nil {
		return err
	}
	if err := r.table(ctx, o.Table); err != nil {
		return err
	}
	if i.Secret, err = r.signingSecrets(ctx, ingest.DefaultEndpoint, o.WebhookSecrets); err != nil {
		return err
	}
	if i.EndpointSecrets, err = r.otherSecrets(ctx, o.Endpoints); err != nil {
		return err
	}
	key := o.APIKey
	if key == "" {
		key = fakeStripeKey
	}
	if err := r.putSecret(ctx, APIKeySecretID, key); err != nil {
		return fmt.Errorf("store API key: %w", err)
	}
	if err := r.sending(ctx, o, i); err != nil {
		return err
	}
	i.Region, i.Table = Region, o.Table
	i.TimeScale, i.MaxReceives, i.Endpoints, i.Reconcile = o.TimeScale, o.MaxReceives, o.Endpoints, o.Reconcile
	return nil
}
