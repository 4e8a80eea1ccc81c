package alarmtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/config"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/outbox"
	"tollgate/pkg/pause"
	"tollgate/pkg/queue"
	"tollgate/pkg/run"
	"tollgate/pkg/run/runingest"
	"tollgate/pkg/run/runsender"
)

// datum is one value that CloudWatch extracts from a line.
type datum struct {
	key   string // of the metric with its dimensions
	name  string
	value float64
}

// system is the wired functions on embedded services. Their lines go to a file in the place of
// standard error, as Lambda reads it.
type system struct {
	t                                   *testing.T
	aws                                 *localtest.AWS
	ingest, consumer, reconcile, sender lambda.Handler
	log                                 *os.File
	fault                               atomic.Value // the code that DynamoDB answers with, "" for none
	receiver                            atomic.Int64 // the status that the destination answers
	handle                              func(id string) error
	env                                 map[string]string
	queue                               string
}

const signingSecret = "whsec_1"

func newSystem(t *testing.T) *system {
	s := &system{t: t, handle: func(string) error { return nil }}
	s.fault.Store("")
	s.receiver.Store(http.StatusNoContent)
	s.aws = localtest.Start(t, localtest.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if code := s.fault.Load().(string); code != "" && strings.HasPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_") {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"__type":%q,"message":"no"}`, "com.amazonaws.dynamodb.v20120810#"+code)
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(int(s.receiver.Load()))
	}))
	t.Cleanup(receiver.Close)
	now := time.Now().Add(-2 * time.Hour).Unix()
	_, stripe := localtest.Stripe(t, fmt.Appendf(nil, `{"id":"evt_undelivered","object":"event","type":"charge.succeeded","api_version":"2023-10-16","created":%d,"livemode":false,"data":{"object":{"id":"ch_1","object":"charge"}}}`, now))
	s.aws.Table(t, dynamostore.TableSchema("tollgate"))
	s.aws.Secret(t, "webhook", `{"default":["whsec_1"],"connect":["whsec_3"]}`)
	s.aws.Secret(t, "unusable", `{"default":["whsec_1"],"connect":["oops"]}`)
	s.aws.Secret(t, "key", "sk_test_1")
	s.aws.Secret(t, "crm", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
	var dead string
	s.queue, dead = s.aws.Queues(t, 16, nil)
	sendDead := s.aws.Queue(t, "tollgate-send-dead", nil)
	s.aws.Queue(t, "tollgate-send-crm", nil)
	s.env = map[string]string{
		"AWS_REGION": localtest.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": s.aws.URL,
		"TOLLGATE_STAGE": stageName, "TOLLGATE_ENDPOINT_NAMES": "connect,default", "TOLLGATE_ALLOW_IPS": "3.18.12.63",
		"TOLLGATE_ENDPOINTS": `{"connect":{"accounts":["acct_1"],"on_mismatch":"ignore"},"default":{"accounts":["-"]}}`,
		"TOLLGATE_RECONCILE": `{"-":"default"}`, "TOLLGATE_BEGIN": time.Now().Add(-3 * time.Hour).Format(time.RFC3339),
		"TOLLGATE_TABLE": "tollgate", "TOLLGATE_QUEUE_URL": s.queue, "TOLLGATE_DLQ_URL": dead, "TOLLGATE_SEND_DLQ_URL": sendDead,
		"TOLLGATE_WEBHOOK_SECRET_ID": "webhook", "TOLLGATE_API_KEY_SECRET_ID": "key", "TOLLGATE_STRIPE_URL": stripe, "TOLLGATE_STRIPE_RATE": "off",
		"TOLLGATE_DESTINATIONS": fmt.Sprintf(`{"crm":{"type":"http","url":%q,"secret":"crm","events":["account.*"],"insecure_http":true,"allow":["127.0.0.0/8"]}}`, receiver.URL),
	}
	s.wire()
	return s
}

func (s *system) wire() {
	s.t.Helper()
	log, err := os.Create(filepath.Join(s.t.TempDir(), "log"))
	check(s.t, err)
	stderr := os.Stderr
	os.Stderr, s.log = log, log
	defer func() { os.Stderr = stderr }()
	s.t.Cleanup(func() { check(s.t, log.Close()) })
	lookup := config.Lookup(func(name string) (string, bool) { v, is := s.env[name]; return v, is })
	handlers := func(m *dispatch.Mux) {
		dispatch.On(m, stripe.EventTypeChargeSucceeded, func(_ context.Context, e dispatch.Event[stripe.Charge]) (dispatch.Effects, error) {
			return nil, s.handle(e.ID)
		})
	}
	s.ingest, err = runingest.Wire(lookup)
	check(s.t, err)
	s.consumer, err = run.WireConsumer(lookup, handlers)
	check(s.t, err)
	s.reconcile, err = run.WireReconcile(lookup, handlers, outbox.NewLogSender)
	check(s.t, err)
	s.sender, err = runsender.Wire(lookup)
	check(s.t, err)
}

// during returns what the lines of a step count.
func (s *system) during(step func()) (all []datum) {
	s.t.Helper()
	from, err := s.log.Seek(0, io.SeekEnd)
	check(s.t, err)
	step()
	raw, err := os.ReadFile(s.log.Name())
	check(s.t, err)
	for lines := bufio.NewScanner(bytes.NewReader(raw[from:])); lines.Scan(); {
		var line map[string]any
		var format struct {
			Directive struct {
				CloudWatchMetrics []struct {
					Namespace  string
					Dimensions [][]string
					Metrics    []struct{ Name string }
				}
			} `json:"_aws"`
		}
		check(s.t, errors.Join(json.Unmarshal(lines.Bytes(), &line), json.Unmarshal(lines.Bytes(), &format)))
		for _, set := range format.Directive.CloudWatchMetrics {
			for _, by := range set.Dimensions {
				dimensions := map[string]string{}
				for _, name := range by {
					dimensions[name] = fmt.Sprint(line[name])
				}
				for _, m := range set.Metrics {
					v, is := line[m.Name].(float64)
					if !is {
						s.t.Fatalf("%s has no number %s", lines.Text(), m.Name)
					}
					all = append(all, datum{key(set.Namespace, m.Name, dimensions), m.Name, v})
				}
			}
		}
	}
	return all
}

// request is one delivery; what a test does not set is in order.
type request struct {
	path, source, media, secret, signature string
	at                                     time.Time
}

// deliver posts an event to ingest, and returns its status; 0 for a failed invocation.
func (s *system) deliver(r request) int {
	s.t.Helper()
	if r.at.IsZero() {
		r.at = time.Now()
	}
	or := func(text, otherwise string) string {
		if text == "" {
			return otherwise
		}
		return text
	}
	body := fmt.Sprintf(`{"id":"evt_1","object":"event","type":"charge.succeeded","api_version":"2023-10-16","created":%d,"livemode":false,"data":{"object":{"id":"ch_1","object":"charge"}}}`, time.Now().Unix())
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: or(r.secret, signingSecret), Timestamp: r.at})
	path := or(r.path, "/webhooks/stripe")
	raw, err := json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: path, Body: body,
		Headers: map[string]string{"content-type": or(r.media, "application/json"), "stripe-signature": or(r.signature, signed.Header)},
		RequestContext: events.APIGatewayV2HTTPRequestContext{Stage: "$default", HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
			Method: "POST", Path: path, SourceIP: or(r.source, "3.18.12.63"),
		}},
	})
	check(s.t, err)
	answer, err := s.ingest.Invoke(s.t.Context(), raw)
	if err != nil {
		return 0
	}
	var response struct{ StatusCode int }
	check(s.t, json.Unmarshal(answer, &response))
	return response.StatusCode
}

// message is what ingest or reconcile enqueues of an event, at one of its receives.
func (s *system) message(id, typ, endpoint string, source event.Source, receives int) events.SQSMessage {
	s.t.Helper()
	body := fmt.Appendf(nil, `{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16","created":%d,"livemode":false,"data":{"object":{"id":"ch_1","object":"charge"}}}`, id, typ, time.Now().Unix())
	e, err := event.Parse(body)
	check(s.t, err)
	e.Body, e.Source, e.Endpoint, e.ReceivedAt = body, source, endpoint, time.Now()
	text, err := queue.Encode(e)
	check(s.t, err)
	_, err = s.aws.SQS.SendMessage(s.t.Context(), &sqs.SendMessageInput{QueueUrl: &s.queue, MessageBody: &text})
	check(s.t, err)
	var m sqstypes.Message
	for m.Body == nil || *m.Body != text { // the deliveries' are there too
		out, err := s.aws.SQS.ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &s.queue, VisibilityTimeout: 3600})
		check(s.t, err)
		m = out.Messages[0]
	}
	return events.SQSMessage{
		MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body,
		Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(receives), "SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10)},
	}
}

func (s *system) consume(within time.Duration, m ...events.SQSMessage) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	_, err := localtest.Consume(ctx, s.consumer, m)
	check(s.t, err)
}

// webhook consumes an event of the endpoint default at a receive.
func (s *system) webhook(id string, receives int) {
	s.t.Helper()
	s.consume(time.Minute, s.message(id, "charge.succeeded", "default", event.Webhook, receives))
}

// change sets an attribute of an event's record.
func (s *system) change(id, name string, v types.AttributeValue) {
	s.t.Helper()
	expression := "SET #name = :v"
	_, err := s.aws.Dynamo.UpdateItem(s.t.Context(), &dynamodb.UpdateItemInput{
		TableName: stripe.String("tollgate"), Key: map[string]types.AttributeValue{"pk": &types.AttributeValueMemberS{Value: idempotency.Key(id)}},
		UpdateExpression: &expression, ExpressionAttributeNames: map[string]string{"#name": name}, ExpressionAttributeValues: map[string]types.AttributeValue{":v": v},
	})
	check(s.t, err)
}

// pause pauses a type since a time.
func (s *system) pause(typ string, since time.Duration) {
	s.t.Helper()
	operator, err := dynamostore.NewOperator(s.aws.Dynamo, "tollgate", dynamostore.Options{})
	check(s.t, err)
	_, err = operator.PutPauses(s.t.Context(), pause.State{Paused: map[string]pause.Mark{typ: {At: time.Now().Add(-since)}}})
	check(s.t, err)
}

func ago(d time.Duration) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(time.Now().Add(-d).UnixMilli(), 10)}
}

// task runs one of reconcile's, whose error is in its line.
func (s *system) task(name string) { s.reconcile.Invoke(s.t.Context(), []byte(`{"task":"`+name+`"}`)) }

// send gives the sender what is queued for the destination.
func (s *system) send() {
	s.t.Helper()
	url := strings.Replace(s.env["TOLLGATE_SEND_DLQ_URL"], "send-dead", "send-crm", 1)
	out, err := s.aws.SQS.ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 3600,
		MessageSystemAttributeNames: []sqstypes.MessageSystemAttributeName{sqstypes.MessageSystemAttributeNameAll},
	})
	check(s.t, err)
	if len(out.Messages) == 0 {
		s.t.Fatal("nothing is queued for the destination")
	}
	for _, m := range out.Messages {
		_, err := localtest.Consume(s.t.Context(), s.sender, []events.SQSMessage{{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
			EventSourceARN: "arn:aws:sqs:us-east-1:000000000000:tollgate-send-crm",
		}})
		check(s.t, err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
