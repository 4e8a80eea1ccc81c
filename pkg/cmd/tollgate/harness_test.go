package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdkdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/local"
	"tollgate/pkg/local/iam"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/queue"
	"tollgate/pkg/sqsqueue"
)

// scale makes the queue's seconds short.
const scale = 200

// at is the time of what the tests write.
var at = time.UnixMilli(1_700_000_000_123).UTC()

// system is what a running local system shows the command.
type system struct {
	t      *testing.T
	aws    *localtest.AWS
	data   string
	info   local.Info
	sqs    *sdksqs.Client
	dynamo *sdkdynamodb.Client
	store  *dynamostore.Store
	writer *dynamostore.Operator
	queue  *sqsqueue.Queue
	rights *iam.Enforcer // of the stack's policies; the command is an operator

	called atomic.Pointer[func(operation string)] // before each request of an AWS client
}

// newSystem serves an embedded queue with its dead-letter queue and a table, and writes
// the file by which the command finds them.
func newSystem(t *testing.T) *system {
	t.Helper()
	s := &system{t: t, data: t.TempDir()}
	s.rights = rights(t)
	groups := []string{limits.LogGroup("events", "ingest"), limits.LogGroup("events", "consumer")}
	s.aws = localtest.Start(t, localtest.Options{TimeScale: scale, LogGroups: groups, Wrap: func(services http.Handler) http.Handler {
		services = s.rights.Wrap(services)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if f := s.called.Load(); f != nil {
				(*f)(r.Header.Get("X-Amz-Target"))
			}
			services.ServeHTTP(w, r)
		})
	}})
	c := unchecked(s.aws.URL).AWSConfig()
	s.sqs, s.dynamo = sdksqs.NewFromConfig(c), sdkdynamodb.NewFromConfig(c)
	s.aws.Table(t, dynamostore.TableSchema(local.TableName))
	var err error
	s.store, err = dynamostore.New(s.dynamo, local.TableName, dynamostore.Options{})
	check(t, err)
	s.writer, err = dynamostore.NewOperator(s.dynamo, local.TableName, dynamostore.Options{})
	check(t, err)
	s.info = local.Info{
		AccessKey: local.AccessKey{ID: "Operator", Secret: "test"}, PID: os.Getpid(), URL: "http://127.0.0.1:1/webhooks/stripe", Secret: "whsec_test", Endpoint: s.aws.URL, Region: local.Region,
		Table: local.TableName, TimeScale: scale, MaxReceives: 2,
	}
	s.info.QueueURL, s.info.DLQURL = s.aws.Queues(t, 1, nil)
	s.info.HoldURL = s.aws.Queue(t, "hold", nil)
	s.queue = sqsqueue.New(s.sqs, s.info.QueueURL, s.info.DLQURL, limits.Scaled(scale))
	s.writeInfo()
	return s
}

// unchecked describes services that check no access key.
func unchecked(endpoint string) local.Info {
	return local.Info{Endpoint: endpoint, AccessKey: local.AccessKey{ID: "test", Secret: "test"}}
}

// as makes the command another caller: Reader, Operator or EraseRole.
func (s *system) as(caller string) {
	s.t.Helper()
	s.info.AccessKey.ID = caller
	s.writeInfo()
}

// rights are the policies of the stack, which the services enforce.
func rights(t *testing.T) *iam.Enforcer {
	t.Helper()
	template, err := os.ReadFile(filepath.Join("..", "..", "..", "infra", "testdata", "tollgate-send.json"))
	check(t, err)
	policies, err := iam.Read(template)
	check(t, err)
	const person = "arn:AWS::Partition:iam::AWS::AccountId:user/ada"
	return &iam.Enforcer{Policies: policies, Principal: func(string) string { return person }, Resource: func(name string) string {
		switch {
		case name == local.TableName, name == "another":
			return "Table"
		case name == local.WebhookSecretID || name == "webhook":
			return "WebhookSecret"
		case name == local.APIKeySecretID || name == "key":
			return "ApiKeySecret"
		case strings.HasSuffix(name, "events"):
			return "Queue"
		case name == localtest.MappingID:
			return "ConsumerMapping"
		case strings.HasSuffix(name, "hold"):
			return "HoldQueue"
		case strings.HasSuffix(name, "send-dead"):
			return "SendDeadLetterQueue"
		case strings.HasSuffix(name, "dead"):
			return "DeadLetterQueue"
		case strings.HasPrefix(name, "/aws/lambda/"): // of the stage of the template
			return "arn:AWS::Partition:logs:AWS::Region:AWS::AccountId:log-group:" + strings.Replace(name, "/events-", "/tollgate-send-", 1)
		case strings.Contains(name, "-send-"):
			return "SendQueuejobs"
		}
		return name
	}}
}

// setAWS names services for AWS's own SDK.
func setAWS(t *testing.T, url string) {
	t.Helper()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL": url, "AWS_REGION": local.Region, "AWS_ACCESS_KEY_ID": "Operator", "AWS_SECRET_ACCESS_KEY": "test"} {
		t.Setenv(name, value)
	}
}

// environment names the system as one that is not local.
func (s *system) environment() map[string]string {
	s.t.Helper()
	setAWS(s.t, s.info.Endpoint)
	return map[string]string{"TOLLGATE_TABLE": s.info.Table, "TOLLGATE_QUEUE_URL": s.info.QueueURL, "TOLLGATE_DLQ_URL": s.info.DLQURL, "TOLLGATE_HOLD_QUEUE_URL": s.info.HoldURL}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *system) writeInfo() {
	s.t.Helper()
	raw, err := json.Marshal(s.info)
	check(s.t, err)
	check(s.t, os.WriteFile(filepath.Join(s.data, local.InfoFile), raw, 0o600))
}

// answer is what a run of the command gives.
type answer struct {
	code     int
	out, err string
}

// tollgate runs the command on the system.
func (s *system) tollgate(args ...string) answer {
	s.t.Helper()
	return tollgate(s.t.Context(), nil, append(args, "--data", s.data)...)
}

func tollgate(ctx context.Context, env map[string]string, args ...string) answer {
	return tollgateAt(ctx, env, nil, args...)
}

func tollgateAt(ctx context.Context, env map[string]string, in *os.File, args ...string) answer {
	var out, errOut bytes.Buffer
	code := verb.Run(ctx, &cli{Globals: verb.Globals{Release: released}}, args, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, verb.Streams{In: in, Out: &out, Err: &errOut})
	return answer{code, out.String(), errOut.String()}
}

// ok fails the test unless the command did its work.
func (a answer) ok(t *testing.T) answer {
	t.Helper()
	if a.code != verb.ExitDone {
		t.Fatalf("exit %d: %s%s", a.code, a.out, a.err)
	}
	return a
}

// refused fails the test unless the command exited with code, printed says to stderr, and nothing to stdout.
func (a answer) refused(t *testing.T, code int, says ...string) {
	t.Helper()
	if a.code != code || a.out != "" {
		t.Errorf("exit %d with %q on stdout, want %d with none", a.code, a.out, code)
	}
	for _, s := range says {
		if !strings.Contains(a.err, s) {
			t.Errorf("stderr is %q, want %q in it", a.err, s)
		}
	}
}

// lines are the JSON objects of stdout, one a line.
func lines[T any](t *testing.T, out string) (list []T) {
	t.Helper()
	for line := range strings.Lines(out) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q is no JSON object: %v", line, err)
		}
		list = append(list, v)
	}
	return list
}

func envelope(id, typ string) event.Envelope {
	return event.Envelope{
		ID: id, Object: event.ObjectSnapshot, Type: typ, Endpoint: "default", APIVersion: "2023-10-16",
		Created: 1_699_999_990, ReceivedAt: at, ObjectID: "in_1", Source: event.Webhook, Body: []byte(`{"card":"4242"}`),
	}
}

// claim claims an event, with receives left, at a time that many seconds after at.
func (s *system) claim(id, typ string, seconds, left int, lease time.Time) *idempotency.Claim {
	s.t.Helper()
	got, err := s.store.Claim(s.t.Context(), idempotency.ClaimRequest{
		Event: envelope(id, typ), Owner: idempotency.NewOwner(), Now: after(seconds), Lease: lease,
		LeaseExpiredBefore: after(seconds), Receives: 1, ReceivesLeft: left,
	})
	check(s.t, err)
	if got.Claim == nil {
		s.t.Fatalf("claim of %s: %s", id, got.Verdict)
	}
	return got.Claim
}

func after(seconds int) time.Time { return at.Add(time.Duration(seconds) * time.Second) }

// failed leaves an event whose attempt failed.
func (s *system) failed(id, typ, reason, text string, left int) {
	s.t.Helper()
	c := s.claim(id, typ, 0, 15, after(30))
	_, err := s.store.Fail(s.t.Context(), c, idempotency.Failure{
		Now: after(1), Err: text, Reason: reason, ReceivesLeft: left, Fingerprint: queue.Fingerprint(typ, reason, text), Frame: "handlers.paid invoice.go:42",
	})
	check(s.t, err)
}

// done leaves a done event.
func (s *system) done(id, typ string, outcome idempotency.Outcome, effects dispatch.Effects) *idempotency.Claim {
	s.t.Helper()
	c := s.claim(id, typ, 0, 15, after(30))
	got, err := s.store.Complete(s.t.Context(), c, outcome, effects, after(2))
	check(s.t, err)
	if got.Verdict != idempotency.Completed {
		s.t.Fatalf("complete %s: %s", id, got.Verdict)
	}
	return c
}

// deadLetter sends a dead letter as the consumer does.
func (s *system) deadLetter(e event.Envelope, reason, text string, attempt int64) {
	s.t.Helper()
	body, err := queue.Encode(e)
	check(s.t, err)
	check(s.t, s.queue.DeadLetter(s.t.Context(), queue.Message{Body: body}, queue.DeadLetter{
		Reason: reason, Error: text, Fingerprint: queue.Fingerprint(e.Type, reason, text),
		EventID: e.ID, EventType: e.Type, Attempt: attempt,
	}))
}

// moved puts a message on the queue and receives it until the queue gives it up.
func (s *system) moved(body string) {
	s.t.Helper()
	_, err := s.sqs.SendMessage(s.t.Context(), &sdksqs.SendMessageInput{QueueUrl: &s.info.QueueURL, MessageBody: &body})
	check(s.t, err)
	for n := range 2 {
		out, err := s.sqs.ReceiveMessage(s.t.Context(), &sdksqs.ReceiveMessageInput{QueueUrl: &s.info.QueueURL})
		check(s.t, err)
		for _, m := range out.Messages {
			check(s.t, s.queue.SetVisibility(s.t.Context(), *m.ReceiptHandle, 0))
		}
		if want := 1 - n; len(out.Messages) != want {
			s.t.Fatalf("receive %d gave %d messages, want %d", n+1, len(out.Messages), want)
		}
	}
}

func encoded(t testing.TB, e event.Envelope) string {
	t.Helper()
	body, err := queue.Encode(e)
	check(t, err)
	return body
}

// allVisible fails the test when the command left dead letters hidden.
func (s *system) allVisible(want int) {
	s.t.Helper()
	out, err := s.sqs.GetQueueAttributes(s.t.Context(), &sdksqs.GetQueueAttributesInput{QueueUrl: &s.info.DLQURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll}})
	check(s.t, err)
	got := out.Attributes["ApproximateNumberOfMessages"] + " visible, " + out.Attributes["ApproximateNumberOfMessagesNotVisible"] + " hidden"
	if want := fmt.Sprintf("%d visible, 0 hidden", want); got != want {
		s.t.Errorf("dead letters: %s, want %s", got, want)
	}
}
