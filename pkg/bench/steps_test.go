package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/apigw"
	"tollgate/pkg/awsclient"
	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/handlers"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
	"tollgate/pkg/stripeapi"
	"tollgate/pkg/telemetry"
	"tollgate/pkg/verify"
)

// A step is one part of an event's way, or the floor that it is compared with: the least that
// any implementation with the same libraries does. run does it once.
type step struct {
	name string // step/of
	run  func() error
}

// steps returns every step with its floor for an event of a size.
func steps(t testing.TB, size int) []step {
	body := Event(Ignored, "1", size)
	parsed, err := event.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	parsed.Body, parsed.Source, parsed.Endpoint, parsed.ReceivedAt = body, event.Webhook, "default", time.Now()
	message, err := queue.Encode(parsed)
	if err != nil {
		t.Fatal(err)
	}
	all := parsing(body, parsed, message)
	all = append(all, ingesting(t, body, message)...)
	return append(all, consuming(t, message)...)
}

func parsing(body []byte, parsed event.Envelope, message string) []step {
	header := Sign(body, Secret)
	mac := hmac.New(sha256.New, []byte(Secret))
	sum := func() error { mac.Reset(); mac.Write(body); mac.Sum(nil); return nil }
	return []step{
		{"Parse/of=hmac", sum},
		{"Parse/of=tollgate", func() error { _, err := event.Parse(body); return err }},
		{"Parse/of=encoding-json", func() error { return json.Unmarshal(body, new(small)) }},
		{"Verify/of=hmac", sum},
		{"Verify/of=tollgate", func() error {
			_, err := verify.Delivery(body, header, verify.Options{Secrets: []string{Secret}})
			return err
		}},
		{"Encode/of=tollgate", func() error { _, err := queue.Encode(parsed); return err }},
		{"Decode/of=tollgate", func() error { _, err := queue.Decode(message); return err }},
	}
}

// small is the least that encoding/json would have to decode of an event.
type small struct {
	ID, Object, Type, Account string
	Livemode                  bool
	APIVersion                string `json:"api_version"`
	Created                   int64
	Data                      struct{ Object struct{ ID string } }
}

func ingesting(t testing.TB, body []byte, message string) []step {
	gateway, err := json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "POST " + limits.WebhookPath, RawPath: limits.WebhookPath, Body: string(body),
		Headers: map[string]string{
			"accept": "*/*; q=0.5, application/xml", "cache-control": "no-cache", "content-type": "application/json; charset=utf-8",
			"host": "example.execute-api.us-east-1.amazonaws.com", "stripe-signature": Sign(body, Secret),
			"user-agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)", "x-forwarded-for": "3.18.12.63",
		},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: "POST " + limits.WebhookPath, Stage: "$default", RequestID: "JKJaXmPLvHcESHA=",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "POST", Path: limits.WebhookPath, SourceIP: "3.18.12.63"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	noop := lambda.NewHandler(func(context.Context, events.APIGatewayV2HTTPRequest) (events.APIGatewayV2HTTPResponse, error) {
		return events.APIGatewayV2HTTPResponse{StatusCode: 200, Body: `{"received":true}`}, nil
	})
	client := sqs.NewFromConfig(stubbed(sent))
	url := "https://sqs.us-east-1.amazonaws.com/000000000000/events"
	invoke := func(h lambda.Handler) func() error {
		ctx := invocation(t)
		return func() error { return answered(h.Invoke(ctx, gateway)) }
	}
	return []step{
		{"IngestEncoded/of=noop", invoke(noop)},
		{"IngestEncoded/of=tollgate", invoke(ingestHandler(t, encoder{}))},
		{"Ingest/of=sdk", func() error {
			_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &message})
			return err
		}},
		{"Ingest/of=tollgate", invoke(ingestHandler(t, sqsqueue.New(sqsqueue.NewClient(stubbed(sent)), url, "", limits.AWS())))},
	}
}

// invocation is a context of Lambda's, whose request is named in every line.
func invocation(t testing.TB) context.Context {
	return lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "8e2f0a51-7c2b-4f0a-9d3e-3b1f6f0c2d11"})
}

// answered fails unless an ingest function answered 200: a rejected delivery would be cheap.
func answered(raw []byte, err error) error {
	if err == nil && !bytes.Contains(raw, []byte(`"statusCode":200`)) {
		return fmt.Errorf("answered %s", raw)
	}
	return err
}

func ingestHandler(t testing.TB, s ingest.Sender) lambda.Handler {
	h, err := ingest.New(ingest.Config{Secrets: secrets{}, Sender: s, Logger: telemetry.Logger(io.Discard, telemetry.Options{
		Stage: "bench", Level: slog.LevelInfo, Endpoints: []string{"default"},
	})})
	if err != nil {
		t.Fatal(err)
	}
	return apigw.NewHandler(h)
}

type secrets struct{}

func (secrets) Active(context.Context, string) ([]string, error)    { return []string{Secret}, nil }
func (secrets) Refetched(context.Context, string) ([]string, error) { return []string{Secret}, nil }

// encoder is a queue that ends where the SDK would begin.
type encoder struct{}

func (encoder) Enqueue(_ context.Context, e event.Envelope, _ string) (string, error) {
	_, err := queue.Encode(e)
	return "059f36b4-87a3-44ab-83d2-661975830a7d", err
}

// consuming handles one message whose type has no handler.
func consuming(t testing.TB, message string) []step {
	client := dynamodb.NewFromConfig(awsclient.Once(stubbed(updated)))
	recorded := &recording{}
	payload, err := json.Marshal(events.SQSEvent{Records: []events.SQSMessage{{
		MessageId: "059f36b4-87a3-44ab-83d2-661975830a7d", ReceiptHandle: "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a", Body: message, EventSource: "aws:sqs",
		EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:events", AWSRegion: "us-east-1",
		Attributes: map[string]string{"ApproximateReceiveCount": "1", "SentTimestamp": fmt.Sprint(time.Now().UnixMilli()), "ApproximateFirstReceiveTimestamp": fmt.Sprint(time.Now().UnixMilli())},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	h := consumerHandler(t, recorded.client(t))
	ctx := invocation(t)
	handle := func() error {
		raw, err := h.Invoke(ctx, payload)
		if err == nil && string(raw) != `{"batchItemFailures":[]}` {
			return fmt.Errorf("answered %s", raw)
		}
		return err
	}
	if err := handle(); err != nil {
		t.Fatal(err)
	}
	recorded.replay = true
	return []step{
		{"Ignored/of=sdk", func() error { return claimLike(t.Context(), client) }},
		{"Ignored/of=tollgate", handle},
	}
}

// claimLike is a conditional update of six attributes, as small as a record.
func claimLike(ctx context.Context, client *dynamodb.Client) error {
	s := func(v string) types.AttributeValue { return &types.AttributeValueMemberS{Value: v} }
	n := func(v string) types.AttributeValue { return &types.AttributeValueMemberN{Value: v} }
	_, err := client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: aws.String("tollgate"), Key: map[string]types.AttributeValue{"pk": s("EVT#evt_1")},
		UpdateExpression:    aws.String("SET st = :st, own = :own, typ = :typ, upd = :upd, rcv = :rcv, #ttl = :ttl"),
		ConditionExpression: aws.String("attribute_not_exists(pk)"), ExpressionAttributeNames: map[string]string{"#ttl": "ttl"},
		ExpressionAttributeValues: map[string]types.AttributeValue{
			":st": s("DONE"), ":own": s("01JDQ0Z9"), ":typ": s(Ignored), ":upd": n("1764345600000"), ":rcv": n("1764345600000"), ":ttl": n("1764345600"),
		},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	return err
}

func consumerHandler(t testing.TB, client *dynamodb.Client) lambda.Handler {
	store, err := dynamostore.New(client, "tollgate", dynamostore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rows, err := dynamostore.NewReader(client, "tollgate")
	if err != nil {
		t.Fatal(err)
	}
	stripe, err := stripeapi.New(stripeapi.Options{Key: func(context.Context) (string, error) { return "", stripeapi.ErrNoAPIKey }})
	if err != nil {
		t.Fatal(err)
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: stripe, Rows: rows, Hold: dispatch.Hold{Begins: rows}})
	handlers.Register(mux)
	c, err := consumer.New(consumer.Config{
		Owner: func() string { return "01JDQ0Z9D5V7ZJ3T4E8N2C6H1K" }, // the answers name it
		Store: store, Handlers: mux, Fetcher: stripe, Queue: sqsqueue.New(sqs.NewFromConfig(stubbed(sent)), "https://q", "https://d", limits.AWS()),
		Logger: telemetry.Logger(io.Discard, telemetry.Options{Stage: "bench", Level: slog.LevelInfo}),
	})
	if err != nil {
		t.Fatal(err)
	}
	return sqsqueue.NewLambdaHandler(c)
}

// recording passes the requests of one message to the embedded table and then answers every
// further message as the first one was. So the table's own time is not measured, and the
// answers stay right when the store changes what it asks.
type recording struct {
	table   aws.HTTPClient
	answers []string
	replay  bool
	next    int
}

func (r *recording) client(t testing.TB) *dynamodb.Client {
	a := localtest.Start(t, localtest.Options{})
	a.Table(t, dynamostore.TableSchema("tollgate"))
	c := awsclient.Once(localtest.Config(a.URL, awsclient.Options{}))
	r.table, c.HTTPClient = c.HTTPClient, r
	return dynamostore.NewClient(c)
}

func (r *recording) Do(req *http.Request) (*http.Response, error) {
	if r.replay {
		r.next++
		return wire(func([]byte) string { return r.answers[(r.next-1)%len(r.answers)] }).Do(req)
	}
	res, err := r.table.Do(req)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(res.Body)
	res.Body = io.NopCloser(bytes.NewReader(raw))
	r.answers = append(r.answers, string(raw))
	return res, err
}

// wire answers an SDK's request without a socket.
type wire func(body []byte) string

func (w wire) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	answer := w(body)
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r, ContentLength: int64(len(answer)),
		Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(answer)),
	}, nil
}

func stubbed(w wire) aws.Config {
	c := localtest.Config("https://example.amazonaws.com", awsclient.Options{})
	c.HTTPClient = w
	return c
}

// sent answers SendMessage; the SDK checks the digest.
func sent(body []byte) string {
	var in struct{ MessageBody string }
	if json.Unmarshal(body, &in) != nil {
		return `{}`
	}
	sum := md5.Sum([]byte(in.MessageBody))
	return `{"MessageId":"059f36b4-87a3-44ab-83d2-661975830a7d","MD5OfMessageBody":"` + hex.EncodeToString(sum[:]) + `"}`
}

// updated answers UpdateItem as a table without the record would.
func updated([]byte) string { return `{}` }

func sizes() []int { return []int{1 << 10, 3 << 10, 10 << 10, 100 << 10, 250 << 10} }

// BenchmarkStep runs every step: BenchmarkStep/<step>/of=<what>/size=<n>KB. benchstat -col /of
// compares a step with its floor.
func BenchmarkStep(b *testing.B) {
	for _, size := range sizes() {
		for _, s := range steps(b, size) {
			b.Run(fmt.Sprintf("%s/size=%dKB", s.name, size>>10), func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(size))
				for b.Loop() {
					if err := s.run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
