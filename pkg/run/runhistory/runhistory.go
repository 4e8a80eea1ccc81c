// Package runhistory starts the history function.
package runhistory

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/history"
	"tollgate/pkg/run/start"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/telemetry"
)

// History runs the function behind the path of deliveries.
func History() { start.Function("history", Wire) }

// Wire returns the function's handler. It makes no network call, and its error names every fault
// of the configuration.
func Wire(lookup config.Lookup) (lambda.Handler, error) {
	cfg, err := config.LoadSender(lookup)
	if err != nil {
		return nil, err
	}
	dynamo := dynamostore.NewClient(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointDynamoDB, Try: cfg.Limits.Try(), Attempts: 2}))
	reader, readerErr := dynamostore.NewReader(dynamo, cfg.Table)
	rows, rowsErr := dynamostore.NewDeliveries(dynamo, cfg.Table, dynamostore.Options{Limits: cfg.Limits})
	if err := errors.Join(readerErr, rowsErr); err != nil {
		return nil, err
	}
	queues := sqs.NewFromConfig(awsclient.New(cfg.AWS, awsclient.Options{Endpoint: cfg.AWS.EndpointSQS, Try: cfg.Limits.Try()}))
	h, err := history.New(history.Config{
		Rows: table{reader, rows}, Messages: rows, Jobs: sqsqueue.NewJobs(queues, cfg.Sending.QueueURL),
		Destinations: cfg.Sending.Destinations, Limits: cfg.Limits,
		Logger: telemetry.Logger(os.Stderr, telemetry.Options{Stage: cfg.Stage, Version: cfg.Version, Level: cfg.LogLevel}),
	})
	if err != nil {
		return nil, err
	}
	return behindAPI{h}, nil
}

// table is what the history reads and reopens.
type table struct {
	*dynamostore.Reader
	*dynamostore.Deliveries
}

// Digests implements history.Rows.
func (t table) Digests(ctx context.Context, destination string) ([]string, error) {
	tokens, err := t.Tokens(ctx, destination)
	return tokens.Digests, err
}

// behindAPI answers events of an HTTP API, payload version 2.0.
type behindAPI struct{ history *history.Handler }

// Invoke implements lambda.Handler. An error is answered 5xx by the API.
func (b behindAPI) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(payload, &e); err != nil {
		return nil, errors.New("parse gateway event: not its JSON")
	}
	a, err := b.history.Handle(ctx, history.Request{
		Method: e.RequestContext.HTTP.Method, Path: e.RawPath, Query: e.QueryStringParameters, Authorization: e.Headers["authorization"],
	})
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(events.APIGatewayV2HTTPResponse{
		StatusCode: a.Status, Body: string(a.Body), Headers: map[string]string{"content-type": "application/json", "cache-control": "no-store"},
	})
	if err != nil {
		return nil, fmt.Errorf("encode answer: %w", err)
	}
	return out, nil
}
