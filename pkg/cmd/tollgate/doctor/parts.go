package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	smtypes "github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/config"
	"tollgate/pkg/destination"
	"tollgate/pkg/doctor"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/outbox"
	"tollgate/pkg/registration"
	"tollgate/pkg/stripeapi"
)

// errEmpty is an answer without what was asked for: not AWS answers, but something before it.
var errEmpty = errors.New("the answer is empty: is AWS_ENDPOINT_URL or a proxy set")

type tableOf struct {
	client *dynamodb.Client
	name   string
}

func (t tableOf) Table(ctx context.Context) (doctor.Table, error) {
	out, err := t.client.DescribeTable(ctx, &dynamodb.DescribeTableInput{TableName: &t.name})
	if _, absent := errors.AsType[*types.ResourceNotFoundException](err); absent {
		return doctor.Table{}, fmt.Errorf("%w: %w", doctor.ErrMissing, err)
	}
	if err != nil {
		return doctor.Table{}, err
	}
	if out.Table == nil {
		return doctor.Table{}, errEmpty
	}
	kinds := map[string]string{}
	for _, a := range out.Table.AttributeDefinitions {
		kinds[aws.ToString(a.AttributeName)] = string(a.AttributeType)
	}
	d := doctor.Table{
		Name: t.name, Status: string(out.Table.TableStatus), Key: keysOf(out.Table.KeySchema, kinds),
		Indexes: map[string]doctor.Index{}, Protected: aws.ToBool(out.Table.DeletionProtectionEnabled),
	}
	for _, i := range out.Table.GlobalSecondaryIndexes {
		index := doctor.Index{Status: string(i.IndexStatus), Key: keysOf(i.KeySchema, kinds)}
		if i.Projection != nil {
			index.Projection = string(i.Projection.ProjectionType)
		}
		d.Indexes[aws.ToString(i.IndexName)] = index
	}
	return d, nil
}

// keysOf returns the key attributes with their types, the hash key first.
func keysOf(schema []types.KeySchemaElement, kinds map[string]string) (keys []string) {
	for _, want := range []types.KeyType{types.KeyTypeHash, types.KeyTypeRange} {
		for _, k := range schema {
			if name := aws.ToString(k.AttributeName); k.KeyType == want {
				keys = append(keys, name+" "+kinds[name])
			}
		}
	}
	return keys
}

func (t tableOf) Expiry(ctx context.Context) (string, error) {
	out, err := t.client.DescribeTimeToLive(ctx, &dynamodb.DescribeTimeToLiveInput{TableName: &t.name})
	if err != nil {
		return "", err
	}
	d := out.TimeToLiveDescription
	if d == nil {
		return "", errEmpty
	}
	switch d.TimeToLiveStatus {
	case types.TimeToLiveStatusEnabled, types.TimeToLiveStatusEnabling:
		return aws.ToString(d.AttributeName), nil
	default:
		return "", nil
	}
}

func (t tableOf) Recovery(ctx context.Context) (bool, error) {
	out, err := t.client.DescribeContinuousBackups(ctx, &dynamodb.DescribeContinuousBackupsInput{TableName: &t.name})
	if err != nil {
		return false, err
	}
	if out.ContinuousBackupsDescription == nil {
		return false, errEmpty
	}
	p := out.ContinuousBackupsDescription.PointInTimeRecoveryDescription
	return p != nil && p.PointInTimeRecoveryStatus == types.PointInTimeRecoveryStatusEnabled, nil
}

func queueOf(client *sqs.Client, url string) doctor.Queue {
	return doctor.Queue{URL: url, Read: func(ctx context.Context) (map[string]string, error) {
		out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
		})
		if _, absent := errors.AsType[*sqstypes.QueueDoesNotExist](err); absent {
			return nil, fmt.Errorf("%w: %w", doctor.ErrMissing, err)
		}
		if err != nil {
			return nil, err
		}
		return out.Attributes, nil
	}}
}

type secretValues struct{ *secretsmanager.Client }

func (s secretValues) value(ctx context.Context, id string) (string, bool, error) {
	out, err := s.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id})
	_, absent := errors.AsType[*smtypes.ResourceNotFoundException](err)
	_, deleted := errors.AsType[*smtypes.InvalidRequestException](err) // its deletion is scheduled
	if absent || deleted {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return aws.ToString(out.SecretString), out.SecretString != nil, nil
}

// pausesOf reads the switch and the consumer's event source mapping.
type pausesOf struct {
	*dynamostore.Reader
	verb.Target
}

func (p pausesOf) Mapping(ctx context.Context) (string, error) {
	all, err := p.Mappings(ctx)
	if err != nil || len(all) == 0 {
		return "", err
	}
	return aws.ToString(all[0].State), nil
}

type recordsOf struct{ *dynamostore.Reader }

const (
	maxOpenRecords = 10_000 // bounds what doctor reads of the index
	maxRowsRead    = 50_000 // bounds the scan for broken rows
)

func (r recordsOf) open(ctx context.Context) ([]idempotency.Record, bool, error) {
	page, err := r.List(ctx, dynamostore.ListRequest{Limit: maxOpenRecords, MaxRead: maxOpenRecords})
	return page.Records, page.Cursor != "", err
}

func (r recordsOf) broken(ctx context.Context) (records []idempotency.Record, read int, more bool, err error) {
	page, err := r.List(ctx, dynamostore.ListRequest{Status: dynamostore.Broken, Limit: maxOpenRecords, MaxRead: maxRowsRead})
	return page.Records, page.Read, page.Cursor != "", err
}

// maxUnsent bounds what doctor reads of the outbox.
const maxUnsent = 1000

// unsent returns messages that wait to be sent, those about the oldest states first.
func (r recordsOf) unsent(ctx context.Context) (waiting []outbox.Message, more bool, err error) {
	page, next, err := r.Waiting(ctx, dynamostore.OutboxRequest{Unsent: true, Limit: maxUnsent})
	for _, m := range page {
		waiting = append(waiting, m.Message)
	}
	return waiting, next != "", err
}

// allowIPs reads the addresses from which ingest takes deliveries.
func allowIPs(ctx context.Context, t verb.Target) ([]netip.Prefix, error) {
	variables, err := t.Variables(ctx, "ingest")
	if err != nil {
		return nil, err
	}
	list, err := config.ParseAllowIPs(variables["TOLLGATE_ALLOW_IPS"])
	if err != nil {
		return nil, fmt.Errorf("%w: of ingest: %w", doctor.ErrConfiguration, err)
	}
	return list, nil
}

// refusedByStripe reports whether Stripe answered and said no.
func refusedByStripe(err error) bool {
	_, down := errors.AsType[*stripeapi.UnavailableError](err)
	return !down && !errors.Is(err, context.DeadlineExceeded)
}

// planOf compares the endpoint at Stripe as tollgate endpoint status does.
func planOf(a *verb.App, flags verb.EndpointFlags) func(context.Context) (registration.Plan, error) {
	return func(ctx context.Context) (registration.Plan, error) {
		s, noStripe, err := flags.Site(ctx, a)
		if err = cmp.Or(err, noStripe); err != nil {
			return registration.Plan{}, err
		}
		p, err := s.Plan(ctx, true)
		return p.Plan, err
	}
}

// clockWatch records the time of the servers that other checks ask.
type clockWatch struct {
	mu    sync.Mutex
	next  aws.HTTPClient
	asked map[string]time.Duration
}

func (w *clockWatch) watch(c aws.Config) aws.Config {
	if w.next = c.HTTPClient; w.next == nil {
		w.next = awshttp.NewBuildableClient()
	}
	c.HTTPClient = w
	return c
}

// Do makes a request and compares the answer's date with the middle of the request.
func (w *clockWatch) Do(r *http.Request) (*http.Response, error) {
	start := time.Now()
	res, err := w.next.Do(r)
	if err != nil {
		return res, err
	}
	if at, failed := http.ParseTime(res.Header.Get("Date")); failed == nil {
		took := time.Since(start)
		name, _, _ := strings.Cut(r.URL.Hostname(), ".")
		w.mu.Lock()
		defer w.mu.Unlock()
		// The header has whole seconds: add half of one, the mean of the rest.
		w.asked[name] = at.Add(time.Second / 2).Sub(start.Add(took / 2))
	}
	return res, err
}

// offsets returns the clock offset of each server; it waits for at least one answer.
func (w *clockWatch) offsets(ctx context.Context) (map[string]time.Duration, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		w.mu.Lock()
		seen := maps.Clone(w.asked)
		w.mu.Unlock()
		if len(seen) > 0 {
			return seen, nil
		}
		select {
		case <-ctx.Done():
			return nil, errors.New("no server answered")
		case <-tick.C:
		}
	}
}

// sendingOf reads the destinations of the target's functions. The consumer hands over to those that
// the sender sends to.
func sendingOf(ctx context.Context, t verb.Target, functions doctor.Functions, queues *sqs.Client) (doctor.Sending, error) {
	consumer, err := t.Variables(ctx, "consumer")
	if err != nil {
		return doctor.Sending{}, err
	}
	const destinations, dead = "TOLLGATE_DESTINATIONS", "TOLLGATE_SEND_DLQ_URL"
	to, err := config.ParseSending(consumer[destinations], consumer[dead], destination.Deployed)
	if err != nil {
		return doctor.Sending{}, fmt.Errorf("%w: of the consumer: %w", doctor.ErrConfiguration, err)
	}
	if len(to.Destinations) == 0 {
		return doctor.Sending{}, nil
	}
	for _, function := range []string{"reconcile", "sender"} {
		other, err := t.Variables(ctx, function)
		if err != nil {
			return doctor.Sending{}, err
		}
		if other[destinations] != consumer[destinations] || other[dead] != consumer[dead] {
			return doctor.Sending{}, fmt.Errorf("%w: consumer and %s have different destinations", doctor.ErrConfiguration, function)
		}
	}
	s := queuesOf(to, queues)
	s.Sender = func(ctx context.Context) (doctor.Function, error) {
		return functions.Function(ctx, t.Prefix()+"-sender")
	}
	return s, nil
}

// localSending reads the destinations of tollgate dev.
func localSending(ctx context.Context, t verb.Target, queues *sqs.Client) (doctor.Sending, error) {
	if t.Destinations == "" {
		return doctor.Sending{}, nil
	}
	to, err := t.Sending(ctx)
	return queuesOf(to, queues), err
}

func queuesOf(to config.Sending, queues *sqs.Client) doctor.Sending {
	return doctor.Sending{
		Destinations: to.Destinations, Dead: queueOf(queues, to.DLQURL),
		Queue: func(group string) doctor.Queue { return queueOf(queues, to.QueueURL(group)) },
	}
}

// accountsOf reads the accounts and policies of the target's functions. Without configured
// accounts it is the key's own alone.
func accountsOf(ctx context.Context, t verb.Target) (a doctor.Accounts, err error) {
	if a.Consumer, err = t.Policies(ctx); err != nil {
		return a, err
	}
	endpoints := t.Endpoints
	if !t.Local {
		variables, err := t.Variables(ctx, "reconcile")
		if err != nil {
			return a, err
		}
		endpoints = variables["TOLLGATE_ENDPOINTS"]
	}
	if a.Reconcile, err = config.ParseEndpoints(endpoints); err != nil {
		return a, fmt.Errorf("%w: of reconcile: %w", doctor.ErrConfiguration, err)
	}
	a.Reconciled, err = t.Accounts(ctx)
	return a, err
}
