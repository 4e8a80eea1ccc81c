package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/failpoint"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/local"
)

// defaultData is the data folder when none is named.
const defaultData = ".tollgate"

// target is the system that a verb works on. Its parts all come from one place: the
// environment or the local system's own file, never mixed.
type target struct {
	name        string // for people
	aws         aws.Config
	table       string
	queueURL    string
	dlqURL      string
	timeScale   int
	maxReceives int

	url string // where deliveries are posted, "" when it is not known

	stripeURL       string // "" for Stripe's own API
	webhookSecretID string // in Secrets Manager, "" when it is not known
	apiKeySecretID  string // the same

	local  bool
	secret string // what signs deliveries, of a local system only

	endpointSecrets map[string]string // the same for endpoints other than default
	endpoints       string            // the policies, of a local system only
	reconciled      string            // the accounts that reconcile lists, of a local system only
}

// target finds the system: the stack that is named, else the system that the environment
// names, else the local one.
func (a *app) target(ctx context.Context) (target, error) {
	switch {
	case a.stack != "":
		return a.stackTarget(ctx)
	case a.env.Named():
		c, err := a.awsConfig(ctx)
		return target{
			name: "table " + a.env.Table + " in " + c.Region, aws: c,
			table: a.env.Table, queueURL: a.env.QueueURL, dlqURL: a.env.DLQURL, timeScale: 1,
			stripeURL: a.env.StripeURL, webhookSecretID: a.env.WebhookSecretID, apiKeySecretID: a.env.APIKeySecretID,
		}, err
	default:
		return a.localTarget(ctx)
	}
}

// awsConfig finds Region and credentials as AWS's own tools do.
func (a *app) awsConfig(ctx context.Context) (aws.Config, error) {
	c, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(limits.PatientTry)))
	if err != nil {
		return c, fmt.Errorf("load AWS configuration: %w", err)
	}
	if c.Region == "" {
		return c, usage("no AWS Region: set AWS_REGION")
	}
	return a.reach.watch(c), nil
}

// localInfo describes the local system, which must be running.
func (a *app) localInfo(ctx context.Context) (local.Info, error) {
	i, err := local.ReadInfo(a.data)
	if errors.Is(err, local.ErrNotRunning) {
		return i, hint(usage("no system to work on: %v", err),
			"start one with tollgate dev, name a stack with --stack, or set TOLLGATE_TABLE, TOLLGATE_QUEUE_URL and TOLLGATE_DLQ_URL")
	}
	if err != nil {
		return i, err
	}
	if err := answers(ctx, i.Endpoint); err != nil {
		return i, hint(fmt.Errorf("the local system in %s does not answer: %w", a.data, err),
			"it ended without cleaning up: start tollgate dev again")
	}
	return i, nil
}

func (a *app) localTarget(ctx context.Context) (target, error) {
	i, err := a.localInfo(ctx)
	if err != nil {
		return target{}, err
	}
	c := i.AWSConfig()
	client := &http.Client{Timeout: limits.PatientTry}
	if failpoint.Enabled {
		client.Transport = failpoint.Transport("command", http.DefaultTransport)
	}
	c.HTTPClient = client
	return target{
		name: "the local system in " + a.data, aws: c,
		table: i.Table, queueURL: i.QueueURL, dlqURL: i.DLQURL,
		timeScale: i.TimeScale, maxReceives: i.MaxReceives,
		url: i.URL, secret: i.Secret, endpointSecrets: i.EndpointSecrets, endpoints: i.Endpoints, reconciled: i.Reconcile, local: true,
		stripeURL: i.StripeURL, webhookSecretID: local.WebhookSecretID, apiKeySecretID: local.APIKeySecretID,
	}, nil
}

// dialTimeout is enough for loopback.
const dialTimeout = 2 * time.Second

// answers tells at once that nobody listens, where a client would try for long.
func answers(ctx context.Context, endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return err
	}
	d := net.Dialer{Timeout: dialTimeout}
	c, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return err
	}
	return c.Close()
}

// limits are the numbers by which the target runs.
func (t target) limits() limits.Limits {
	l := limits.Scaled(t.timeScale)
	if t.maxReceives > 0 {
		l.MaxReceives = t.maxReceives
	}
	return l
}

// settled reports whether the event of a record changes no more unless something acts on it.
func (t target) settled(r idempotency.Record) bool {
	return r.Status(time.Now(), t.limits()).Settled()
}

// writer makes the writes of operators.
func (t target) writer() (*dynamostore.Operator, error) {
	return dynamostore.NewOperator(dynamodb.NewFromConfig(t.aws), t.table, dynamostore.Options{})
}

// reader reads the target's records and items.
func (t target) reader() (*dynamostore.Reader, error) {
	return dynamostore.NewReader(dynamodb.NewFromConfig(t.aws), t.table)
}
