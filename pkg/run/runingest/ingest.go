// Package runingest starts the ingest function. It is apart from package run, so that the
// function in front of Stripe links neither DynamoDB nor the handlers and starts sooner.
package runingest

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"tollgate/pkg/apigw"
	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/ingest"
	"tollgate/pkg/run/start"
	"tollgate/pkg/secrets"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/telemetry"
)

// Ingest runs the function behind API Gateway: it verifies a Stripe delivery, enqueues it
// and answers.
func Ingest() { start.Function("ingest", Wire) }

// Wire returns the function's handler. It makes no network call, and its error names every
// fault of the configuration.
func Wire(lookup config.Lookup) (lambda.Handler, error) {
	cfg, err := config.LoadIngest(lookup)
	if err != nil {
		return nil, err
	}
	log := telemetry.Logger(os.Stderr, telemetry.Options{Stage: cfg.Stage, Version: cfg.Version, Level: cfg.LogLevel, Endpoints: cfg.EndpointNames})
	// The sender does its own retries.
	queue := sqsqueue.NewClient(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointSQS, Attempts: 1, Try: cfg.Limits.SendTry}))
	secretAPI := secretsmanager.NewFromConfig(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointSecretsManager, Try: cfg.Limits.SecretTry}))
	active, err := secrets.NewWebhook(secrets.Config{API: secretAPI, ID: cfg.WebhookSecretID, Logger: log, Limits: cfg.Limits})
	if err != nil {
		return nil, err
	}
	handler, err := ingest.New(ingest.Config{
		Secrets: active, Sender: sqsqueue.New(queue, cfg.QueueURL, "", cfg.Limits),
		Logger: log, AllowIPs: cfg.AllowIPs, Limits: cfg.Limits,
	})
	if err != nil {
		return nil, err
	}
	return apigw.NewHandler(handler), nil
}
