// Package localtest gives a test the systems around Tollgate on loopback: the embedded AWS
// services and the fake Stripe, with clients, a table and queues. Everything ends with the test.
//
//	a := localtest.Start(t, localtest.Options{TimeScale: 200})
//	a.Table(t, dynamostore.TableSchema("tollgate"))
//	events, dead := a.Queues(t, 16, nil)
//	fake, url := localtest.Stripe(t)
package localtest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	sdksecrets "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/config"
	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/dynamodb"
	"tollgate/pkg/local/aws/lambda"
	"tollgate/pkg/local/aws/logs"
	"tollgate/pkg/local/aws/secretsmanager"
	"tollgate/pkg/local/aws/sqs"
	"tollgate/pkg/local/stripe"
)

// Region is that of the services.
const Region = awsjson.Region

// Options of [Start]; the zero value is ready to use.
type Options struct {
	TimeScale int                             // divides the waits of SQS; default 1
	Now       func() time.Time                // the clock of Secrets Manager; default time.Now
	Wrap      func(http.Handler) http.Handler // if set, its handler gets the requests instead
	LogGroups []string
}

// AWS are the embedded services behind one URL, and clients with the default retries.
type AWS struct {
	URL     string
	SQS     *sdksqs.Client
	Dynamo  *sdkdynamodb.Client
	Secrets *sdksecrets.Client
	Logs    *logs.Store // with the log groups of Options
}

// Start serves SQS, DynamoDB, Secrets Manager and CloudWatch Logs, all empty, and an event source mapping of Lambda.
// They take any access key.
func Start(t testing.TB, o Options) *AWS {
	t.Helper()
	dir := t.TempDir()
	queues, err := sqs.Open(filepath.Join(dir, "sqs.db"), sqs.Options{Speed: o.TimeScale})
	check(t, err)
	db, err := dynamodb.Open(filepath.Join(dir, "dynamodb.db"), dynamodb.Options{})
	check(t, err)
	secretStore, err := secretsmanager.Open(filepath.Join(dir, "secrets.db"), secretsmanager.Options{Now: o.Now})
	check(t, err)
	lines := logs.New(o.LogGroups...)
	all := http.NewServeMux()
	all.Handle("/", awsjson.Handler(queues.Service(), db.Service(), secretStore.Service(), lines.Service()))
	all.Handle(lambda.Path, mapping(t, dir).Handler(""))
	var handler http.Handler = all
	if o.Wrap != nil {
		handler = o.Wrap(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(func() {
		server.Close()
		for _, end := range []func() error{queues.Close, db.Close, secretStore.Close} {
			if err := end(); err != nil {
				t.Error(err)
			}
		}
	})
	c := Config(server.URL, awsclient.Options{})
	return &AWS{URL: server.URL, SQS: sdksqs.NewFromConfig(c), Dynamo: sdkdynamodb.NewFromConfig(c), Secrets: sdksecrets.NewFromConfig(c), Logs: lines}
}

// MappingID is that of the event source mapping from the queue events, which runs nothing.
const MappingID = "5f0d1c52-8a67-4c3e-9d0a-70116a7e0002"

func mapping(t testing.TB, dir string) *lambda.Mappings {
	t.Helper()
	m, err := lambda.Open(filepath.Join(dir, "lambda.json"), lambda.Mapping{
		UUID: MappingID, EventSourceARN: awsjson.ARN("sqs", "events"), FunctionARN: awsjson.ARN("lambda", "function:consumer:live"), BatchSize: 10, MaximumConcurrency: 50,
	})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		_ = m.Run(ctx, MappingID, func(ctx context.Context) error { // ends with the test
			<-ctx.Done()
			return nil
		})
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return m
}

// Config is for clients as the functions have them, of services at a URL.
func Config(url string, o awsclient.Options) aws.Config {
	o.Endpoint = url
	return awsclient.New(config.AWS{Region: Region, AccessKeyID: "test", SecretAccessKey: "test"}, o)
}

// Table makes a table.
func (a *AWS) Table(t testing.TB, schema *sdkdynamodb.CreateTableInput) {
	t.Helper()
	_, err := a.Dynamo.CreateTable(t.Context(), schema)
	check(t, err)
}

// Queue makes a queue and returns its URL.
func (a *AWS) Queue(t testing.TB, name string, attributes map[string]string) (url string) {
	t.Helper()
	out, err := a.SQS.CreateQueue(t.Context(), &sdksqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	check(t, err)
	return *out.QueueUrl
}

// Queues makes the queue of events, with attributes, and its dead-letter queue, and returns their URLs.
func (a *AWS) Queues(t testing.TB, maxReceives int, attributes map[string]string) (events, dead string) {
	t.Helper()
	dead = a.Queue(t, "dead", nil)
	all := map[string]string{
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":"arn:aws:sqs:%s:000000000000:dead","maxReceiveCount":"%d"}`, Region, maxReceives),
	}
	maps.Copy(all, attributes)
	return a.Queue(t, "events", all), dead
}

// Secret makes a secret.
func (a *AWS) Secret(t testing.TB, name, value string) {
	t.Helper()
	_, err := a.Secrets.CreateSecret(t.Context(), &sdksecrets.CreateSecretInput{Name: &name, SecretString: &value})
	check(t, err)
}

// Stripe serves a fake Stripe that knows some events.
func Stripe(t testing.TB, events ...[]byte) (fake *stripe.Fake, url string) {
	t.Helper()
	fake, err := stripe.Open(stripe.Options{})
	check(t, err)
	for _, body := range events {
		check(t, fake.Remember(body))
	}
	server := httptest.NewServer(fake)
	t.Cleanup(func() {
		server.Close()
		if err := fake.Close(); err != nil {
			t.Error(err)
		}
	})
	return fake, server.URL
}

// Invoker is a Lambda function.
type Invoker interface {
	Invoke(ctx context.Context, payload []byte) ([]byte, error)
}

// Consume invokes the consumer with a batch, as an event source mapping does, and returns
// the ids of the messages that failed.
func Consume(ctx context.Context, consumer Invoker, messages []events.SQSMessage) (failed map[string]bool, err error) {
	payload, err := json.Marshal(events.SQSEvent{Records: messages})
	if err != nil {
		return nil, err
	}
	raw, err := consumer.Invoke(ctx, payload)
	if err != nil {
		return nil, err
	}
	var response events.SQSEventResponse
	if err := json.Unmarshal(raw, &response); err != nil || response.BatchItemFailures == nil {
		return nil, fmt.Errorf("the consumer answers %s: no list of failures (%v)", raw, err)
	}
	failed = map[string]bool{}
	for _, f := range response.BatchItemFailures {
		failed[f.ItemIdentifier] = true
	}
	return failed, nil
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
