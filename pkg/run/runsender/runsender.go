// Package runsender starts the sender function. It is apart from package run, so that the other
// functions link no client of the services that only it sends to.
package runsender

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/run/start"
	"tollgate/pkg/secrets"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
	"tollgate/pkg/telemetry"
)

// Sender runs the function on the queues of deliveries: it sends each job's message to its
// destination.
func Sender() { start.Function("sender", Wire) }

// Wire returns the function's handler. It makes no network call, and its error names every fault
// of the configuration.
func Wire(lookup config.Lookup) (lambda.Handler, error) {
	cfg, err := config.LoadSender(lookup)
	if err != nil {
		return nil, err
	}
	log := telemetry.Logger(os.Stderr, telemetry.Options{Stage: cfg.Stage, Version: cfg.Version, Level: cfg.LogLevel})
	// The store does its own retries.
	dynamo := dynamostore.NewClient(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointDynamoDB, Try: cfg.Limits.Try(), Attempts: 1}))
	store, err := dynamostore.NewDeliveries(dynamo, cfg.Table, dynamostore.Options{Limits: cfg.Limits})
	if err != nil {
		return nil, err
	}
	w := wiring{cfg: cfg, log: log, secrets: secretsmanager.NewFromConfig(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointSecretsManager, Try: cfg.Limits.SecretTry}))}
	if w.stripe, err = w.stripeClient(); err != nil {
		return nil, err
	}
	targets, err := w.targets()
	if err != nil {
		return nil, err
	}
	queues := sqs.NewFromConfig(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointSQS, Try: cfg.Limits.Try()}))
	// Each sender has all destinations: a job may wait in the queue of its destination's former group.
	all, handlers := share(cfg), groups{of: cfg.Sending.Group, handlers: map[string]lambda.Handler{}}
	for group := range all.Groups() {
		s, err := delivery.New(delivery.Config{
			Store: store, Queue: sqsqueue.New(queues, cfg.Sending.QueueURL(group), cfg.Sending.DLQURL, cfg.Limits),
			Destinations: all, Targets: targets, Events: w.stripe, Logger: log, Limits: cfg.Limits,
		})
		if err != nil {
			return nil, err
		}
		handlers.handlers[group] = sqsqueue.NewLambdaHandler(s)
	}
	return handlers, nil
}

// share returns the destinations with this process's part of their limits.
func share(cfg config.Sender) destination.Set {
	all := destination.Set{}
	for name, d := range cfg.Sending.Destinations {
		processes, batch := cfg.Limits.Sender.Mapping(d.Concurrency)
		d.Rate, d.Concurrency = d.Rate/float64(processes), batch
		all[name] = d
	}
	return all
}

// groups hands a batch to the sender of the group whose queue it is from. Each has a queue of its
// own, in which it hides the messages that come back.
type groups struct {
	of       func(queue string) string
	handlers map[string]lambda.Handler
}

// Invoke handles one SQS event, whose messages are all of one queue.
func (g groups) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var in struct {
		Records []struct {
			Source string `json:"eventSourceARN"`
		}
	}
	if err := json.Unmarshal(payload, &in); err != nil {
		return nil, fmt.Errorf("decode SQS event: %w", err)
	}
	if len(in.Records) == 0 {
		return nil, errors.New("SQS event has no records")
	}
	h := g.handlers[g.of(in.Records[0].Source)]
	if h == nil {
		return nil, fmt.Errorf("queue %.200q is of no configured group", in.Records[0].Source)
	}
	return h.Invoke(ctx, payload)
}

// wiring has what targets are made of.
type wiring struct {
	cfg     config.Sender
	log     *slog.Logger
	secrets secrets.API
	stripe  *stripeapi.Client
}

// stripeClient returns a client with the configured API key, for whole events and for the address
// of a mail. Without a key, fetches fail.
func (w wiring) stripeClient() (*stripeapi.Client, error) {
	l := w.cfg.Limits
	key, err := secrets.NewAPIKey(secrets.Config{API: w.secrets, ID: w.cfg.APIKeySecretID, Logger: w.log, Limits: l})
	if err != nil {
		return nil, err
	}
	return stripeapi.New(stripeapi.Options{
		Key: key.Key, URL: w.cfg.StripeURL, TryTimeout: l.StripeTry, ResourceRate: float64(l.StripeRate), Processes: w.cfg.Concurrency, Unlimited: l.StripeRate == 0,
	})
}
