// Package run starts the Lambda functions on the queue and on a schedule; package runingest
// starts the one behind API Gateway. The main of a function is one call:
//
//	func main() { run.Consumer(handlers.Register) }
//
// Each call reads its configuration from the environment (see package config), wires the
// adapters without a network call and serves invocations until the process ends. An
// invalid configuration is logged with all its faults, and the process exits with 1.
package run

import (
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/pause"
	"tollgate/pkg/run/start"
	"tollgate/pkg/secrets"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
	"tollgate/pkg/telemetry"
)

// Consumer runs the function on the queue with the handlers that register adds: it
// dispatches each event of an SQS batch and commits the handler's effects exactly once.
func Consumer(register func(*dispatch.Mux)) {
	start.Function("consumer", func(lookup config.Lookup) (lambda.Handler, error) { return WireConsumer(lookup, register) })
}

// WireConsumer returns the function's handler. It makes no network call, and its error names every
// fault of the configuration.
func WireConsumer(lookup config.Lookup, register func(*dispatch.Mux)) (lambda.Handler, error) {
	cfg, err := config.LoadConsumer(lookup)
	if err != nil {
		return nil, err
	}
	log := telemetry.Logger(os.Stderr, telemetry.Options{Stage: cfg.Stage, Version: cfg.Version, Level: cfg.LogLevel, EventMetrics: cfg.EventMetrics})
	client := func(endpoint string, try time.Duration) aws.Config {
		return awsclient.New(cfg.AWS, awsclient.Options{Endpoint: endpoint, Try: try})
	}
	dynamo := client(cfg.AWS.EndpointDynamoDB, cfg.Limits.Try())
	// The store does its own retries.
	store, err := dynamostore.New(dynamostore.NewClient(awsclient.Once(dynamo)), cfg.Table, dynamostore.Options{Limits: cfg.Limits, Retention: cfg.Retention})
	if err != nil {
		return nil, err
	}
	stripe, err := consumerStripe(cfg, secretsmanager.NewFromConfig(client(cfg.AWS.EndpointSecretsManager, cfg.Limits.SecretTry)), log)
	if err != nil {
		return nil, err
	}
	rows, err := dynamostore.NewReader(dynamostore.NewClient(dynamo), cfg.Table)
	if err != nil {
		return nil, err
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: stripe, Rows: rows, Hold: hold(cfg, rows)})
	register(mux)
	queues := client(cfg.AWS.EndpointSQS, cfg.Limits.Try())
	router, err := sendsOn(mux, cfg.Sending, queues, store)
	if err != nil {
		return nil, err
	}
	queue := sqsqueue.New(sqs.NewFromConfig(queues), cfg.QueueURL, cfg.DLQURL, cfg.Limits)
	queue.HoldURL = cfg.HoldURL
	c, err := consumer.New(consumer.Config{
		Limits: cfg.Limits, Store: store, Handlers: mux, Fetcher: stripe, Policies: cfg.Endpoints, Logger: log,
		HandOver: handOver(store, router), Queue: queue, Pause: pauses{pause.NewCache(rows.Pauses, cfg.Limits, nil), queue},
	})
	if err != nil {
		return nil, err
	}
	return sqsqueue.NewLambdaHandler(c), nil
}

// pauses are the stored pauses and the queue that has their messages.
type pauses struct {
	*pause.Cache
	*sqsqueue.Queue
}

// hold holds messages about old states, and about those that a restored table may have forgotten. A
// configured start of history overrides the table's.
func hold(cfg config.Consumer, table dispatch.Begins) dispatch.Hold {
	if !cfg.Begin.IsZero() {
		table = dispatch.FixedBegin(cfg.Begin)
	}
	return dispatch.Hold{After: cfg.HoldAfter, Before: cfg.HoldBefore, Begins: table}
}

// consumerStripe returns a client with the configured API key. Without one, fetches fail
// with ReasonNoAPIKey.
func consumerStripe(cfg config.Consumer, api secrets.API, log *slog.Logger) (*stripeapi.Client, error) {
	key, err := secrets.NewAPIKey(secrets.Config{API: api, ID: cfg.APIKeySecretID, Logger: log, Limits: cfg.Limits})
	if err != nil {
		return nil, err
	}
	return stripeapi.New(stripeapi.Options{
		Key: key.Key, URL: cfg.StripeURL, TryTimeout: cfg.Limits.StripeTry,
		Backoff:      stripeapi.DefaultBackoff / time.Duration(max(cfg.Limits.TimeScale, 1)),
		ResourceRate: float64(cfg.Limits.StripeRate), Processes: cfg.Concurrency, Unlimited: cfg.Limits.StripeRate == 0,
	})
}
