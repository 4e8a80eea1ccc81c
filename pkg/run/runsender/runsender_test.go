package runsender

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/config"
	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/event"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/outbox"
	"tollgate/pkg/queue"
	"tollgate/pkg/run"
	"tollgate/pkg/stdwebhooks"
)

const (
	secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDQUJDREVGR0g="
	arn    = "arn:aws:sqs:" + localtest.Region + ":000000000000:"
)

// receiver verifies what it gets, and answers with a status.
type receiver struct {
	mu     sync.Mutex
	status int
	got    []map[string]any
	err    error
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, err := stdwebhooks.Parse(secret)
	if err == nil {
		_, err = keys.Verify(req.Header, body, time.Now())
	}
	var in map[string]any
	if err == nil {
		err = json.Unmarshal(body, &in)
	}
	if r.err = err; err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.got = append(r.got, in)
	w.WriteHeader(r.status)
}

// system is the wired functions on embedded services; the test is their event source mappings.
type system struct {
	t                           *testing.T
	aws                         *localtest.AWS
	receiver                    *receiver
	consumer, sender, reconcile lambda.Handler
	dead, jobs                  string       // URLs
	down                        atomic.Bool  // nothing can be enqueued
	hidden                      atomic.Value // the last request to hide a message
	env                         map[string]string
}

func newSystem(t *testing.T) *system {
	s := &system{t: t, receiver: &receiver{status: http.StatusNoContent}}
	s.aws = localtest.Start(t, localtest.Options{Wrap: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".ChangeMessageVisibility") {
				body, _ := io.ReadAll(r.Body)
				s.hidden.Store(string(body))
				r.Body = io.NopCloser(bytes.NewReader(body))
			}
			if s.down.Load() && strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".SendMessageBatch") {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		})
	}})
	server := httptest.NewServer(s.receiver)
	t.Cleanup(server.Close)
	s.aws.Table(t, dynamostore.TableSchema("tollgate"))
	s.aws.Secret(t, "crm", secret)
	queueURL, eventsDead := s.aws.Queues(t, 16, nil)
	s.dead, s.jobs = s.aws.Queue(t, "tollgate-send-dead", nil), s.aws.Queue(t, "jobs", nil)
	s.aws.Queue(t, "tollgate-send-hooks", nil)
	s.aws.Queue(t, "tollgate-send-jobs", nil)
	s.env = map[string]string{
		"AWS_REGION": localtest.Region, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": s.aws.URL,
		"TOLLGATE_TABLE": "tollgate", "TOLLGATE_QUEUE_URL": queueURL, "TOLLGATE_DLQ_URL": eventsDead, "TOLLGATE_SEND_DLQ_URL": s.dead,
		"TOLLGATE_DESTINATIONS": fmt.Sprintf(`{
			"crm":{"type":"http","url":%q,"secret":"crm","events":["account.*"],"group":"hooks","insecure_http":true,"allow":["127.0.0.0/8"]},
			"jobs":{"type":"sqs","queue":%q,"events":["account.updated"]}}`, server.URL, s.jobs),
	}
	s.wire()
	return s
}

func (s *system) wire() {
	s.t.Helper()
	lookup := config.Lookup(func(name string) (string, bool) { v, ok := s.env[name]; return v, ok })
	var err error
	for _, wire := range []func() error{
		func() error { s.consumer, err = run.WireConsumer(lookup, func(*dispatch.Mux) {}); return err },
		func() error {
			s.reconcile, err = run.WireReconcile(lookup, func(*dispatch.Mux) {}, func(*slog.Logger) outbox.Sender { return nil })
			return err
		},
		func() error { s.sender, err = Wire(lookup); return err },
	} {
		if err := wire(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// event gives the consumer a new event.
func (s *system) event(id, typ string) {
	s.t.Helper()
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16","created":%d,"livemode":false,"data":{"object":{"id":"acct_9","object":"account"}}}`, id, typ, time.Now().Unix())
	e, err := event.Parse([]byte(body))
	if err != nil {
		s.t.Fatal(err)
	}
	e.Body, e.Source, e.Endpoint, e.ReceivedAt = []byte(body), event.Webhook, "default", time.Now()
	text, err := queue.Encode(e)
	if err != nil {
		s.t.Fatal(err)
	}
	failed, err := localtest.Consume(s.t.Context(), s.consumer, []events.SQSMessage{{MessageId: "m", ReceiptHandle: "m", Body: text}})
	if err != nil || len(failed) > 0 {
		s.t.Fatal(failed, err)
	}
}

// receive returns what is in a queue, hidden for an hour.
func (s *system) receive(url string) []types.Message {
	s.t.Helper()
	out, err := s.aws.SQS.ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{
		QueueUrl: &url, MaxNumberOfMessages: 10, VisibilityTimeout: 3600,
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}, MessageAttributeNames: []string{"All"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return out.Messages
}

// send invokes the sender with the jobs of a group's queue and returns how many came back.
func (s *system) send(group string) (jobs, back int) {
	s.t.Helper()
	var records []events.SQSMessage
	url := strings.TrimSuffix(s.dead, "dead") + group
	for _, m := range s.receive(url) {
		records = append(records, events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes, EventSourceARN: arn + path.Base(url),
		})
	}
	if len(records) == 0 {
		return 0, 0
	}
	failed, err := localtest.Consume(s.t.Context(), s.sender, records)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(records), len(failed)
}

// outbox runs the minute's task.
func (s *system) outbox() {
	s.t.Helper()
	if _, err := s.reconcile.Invoke(s.t.Context(), []byte(`{"task":"outbox"}`)); err != nil {
		s.t.Fatal(err)
	}
}

// TestSendsOn: an event that is only forwarded reaches each destination that takes it, once. The
// minute's task finds nothing that was not handed over.
func TestSendsOn(t *testing.T) {
	s := newSystem(t)
	s.event("evt_1", "account.updated")
	s.event("evt_2", "account.external_account.created")
	s.event("evt_3", "balance.available") // of no destination
	s.outbox()
	if jobs, back := s.send("hooks"); jobs != 2 || back != 0 || s.receiver.err != nil {
		t.Fatalf("hooks: %d jobs, %d came back; the receiver: %v", jobs, back, s.receiver.err)
	}
	if jobs, back := s.send("jobs"); jobs != 1 || back != 0 {
		t.Fatalf("jobs: %d jobs, %d came back", jobs, back)
	}
	for i, id := range []string{"evt_1", "evt_2"} {
		if data, _ := s.receiver.got[i]["data"].(map[string]any); data["event"] != id && s.receiver.got[1-i]["data"].(map[string]any)["event"] != id {
			t.Errorf("%s was not received: %v", id, s.receiver.got)
		}
	}
	got := s.receive(s.jobs)
	if len(got) != 1 || !strings.Contains(*got[0].Body, `"evt_1"`) || got[0].MessageAttributes["webhook-id"].StringValue == nil {
		t.Errorf("the destination's queue has %v", got)
	}
	unsent, err := dynamostore.NewReader(s.aws.Dynamo, "tollgate")
	if err != nil {
		t.Fatal(err)
	}
	for shard := range dispatch.OutboxShards {
		left, _, err := unsent.Unsent(t.Context(), outbox.Query{Shard: shard})
		if err != nil || len(left) > 0 {
			t.Errorf("left in the outbox: %v, %v", left, err)
		}
	}
}

// TestComesBack: a failed attempt hides its job in the queue of its group, and what failed for good is
// in the dead-letter queue.
func TestComesBack(t *testing.T) {
	s := newSystem(t)
	s.receiver.status = http.StatusServiceUnavailable
	s.event("evt_1", "account.updated")
	if jobs, back := s.send("hooks"); jobs != 1 || back != 1 {
		t.Fatalf("a 503: %d jobs, %d came back", jobs, back)
	}
	hooks := strings.TrimSuffix(s.dead, "dead") + "hooks"
	if asked, _ := s.hidden.Load().(string); !strings.Contains(asked, `tollgate-send-hooks"`) {
		t.Errorf("the job was hidden by %s", asked)
	}
	out, err := s.aws.SQS.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &hooks, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if n, _ := strconv.Atoi(out.Attributes["ApproximateNumberOfMessagesNotVisible"]); err != nil || n != 1 || len(s.receive(s.dead)) > 0 {
		t.Errorf("hidden: %d, %v; or it is a dead letter", n, err)
	}
	s.receiver.status = http.StatusNotFound
	s.event("evt_2", "account.updated")
	if jobs, back := s.send("hooks"); jobs != 1 || back != 0 {
		t.Fatalf("a 404: %d jobs, %d came back", jobs, back)
	}
	if dead := s.receive(s.dead); len(dead) != 1 || *dead[0].MessageAttributes["destination"].StringValue != "crm" {
		t.Errorf("dead letters: %v", dead)
	}
}

// TestSwept: what the consumer could not hand over, the minute's task does, but not before the
// consumer had its time.
func TestSwept(t *testing.T) {
	s := newSystem(t)
	s.down.Store(true)
	s.event("evt_1", "account.external_account.created")
	s.down.Store(false)
	s.outbox()
	if jobs, _ := s.send("hooks"); jobs != 0 {
		t.Fatalf("%d jobs at once", jobs)
	}
	s.env["TOLLGATE_TIME_SCALE"] = "200"
	s.wire()
	for until := time.Now().Add(20 * time.Second); len(s.receiver.got) == 0 && time.Now().Before(until); s.send("hooks") {
		s.outbox() // until the message is 2 min ÷ 200 old; a slow machine needs more than one receive
	}
	if len(s.receiver.got) != 1 {
		t.Errorf("received %v", s.receiver.got)
	}
}

// TestOtherGroup: a job in the queue of its destination's former group is sent.
func TestOtherGroup(t *testing.T) {
	s := newSystem(t)
	s.event("evt_1", "account.external_account.created")
	s.env["TOLLGATE_DESTINATIONS"] = strings.NewReplacer(`"group":"hooks"`, `"group":"jobs"`, `"type":"sqs"`, `"type":"sqs","group":"hooks"`).Replace(s.env["TOLLGATE_DESTINATIONS"])
	s.wire()
	if jobs, back := s.send("hooks"); jobs != 1 || back != 0 || len(s.receiver.got) != 1 {
		t.Errorf("%d jobs, %d came back; received %v", jobs, back, s.receiver.got)
	}
}

func TestOtherQueue(t *testing.T) {
	s := newSystem(t)
	for _, payload := range []string{"", "{}", `{"Records":[]}`, `{"Records":[{"eventSourceARN":"` + arn + `tollgate-events"}]}`} {
		if _, err := s.sender.Invoke(t.Context(), []byte(payload)); err == nil {
			t.Errorf("%q was handled", payload)
		}
	}
}

// TestWire: wiring makes no call, takes every kind of destination, and reports every fault.
func TestWire(t *testing.T) {
	env := map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "TOLLGATE_TABLE": "tollgate",
		"TOLLGATE_SEND_DLQ_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/tollgate-live-send-dead",
		"TOLLGATE_DESTINATIONS": `{
			"crm":{"type":"http","url":"https://crm.example.com","secret":"crm","messages":["*"]},
			"jobs":{"type":"sqs","queue":"https://sqs.eu-west-1.amazonaws.com/123456789012/jobs","messages":["*"]},
			"bus":{"type":"eventbridge","bus":"arn:aws:events:eu-central-1:123456789012:event-bus/b","messages":["*"]},
			"news":{"type":"sns","topic":"arn:aws:sns:eu-central-1:123456789012:t","events":["*"],"body":"whole"},
			"mail":{"type":"email","from":"billing@example.com","messages":["receipt"]}}`,
	}
	lookup := config.Lookup(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
	if _, err := Wire(lookup); err != nil {
		t.Error(err)
	}
	env["TOLLGATE_DESTINATIONS"], env["TOLLGATE_TABLE"] = `{"mail":{"type":"email","from":"a@example.com","messages":["*"],"language":"xx"}}`, ""
	if _, err := Wire(lookup); err == nil || !strings.Contains(err.Error(), "TOLLGATE_TABLE") {
		t.Error(err)
	}
	env["TOLLGATE_TABLE"] = "tollgate"
	if _, err := Wire(lookup); err == nil || !strings.Contains(err.Error(), "destination mail") {
		t.Error(err)
	}
}

// TestMailToTheBusiness: it goes to the configured address, and asks Stripe for nothing.
func TestMailToTheBusiness(t *testing.T) {
	w := wiring{cfg: config.Sender{MailDir: t.TempDir()}}
	target, err := w.target(destination.Destination{Type: destination.Email, From: "a@example.com", To: "team@example.com", Language: "en"})
	if err != nil {
		t.Fatal(err)
	}
	dispute := outbox.Message{Key: "OUT#FACT#live#-#dp_1#opened#dispute_opened", Name: "dispute_opened"}
	if a := target.Send(t.Context(), delivery.Delivery{ID: "msg_1", Message: dispute}); a.Verdict != delivery.Done {
		t.Fatalf("%+v", a)
	}
	if text, err := os.ReadFile(filepath.Join(w.cfg.MailDir, "msg_1.eml")); err != nil || !strings.Contains(string(text), "\nTo: team@example.com\r\n") {
		t.Errorf("%v:\n%s", err, text)
	}
}

// TestShare: the processes of a group together keep to its limits.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		rate, concurrency int
		rateEach          float64
		concurrencyEach   int
	}{
		{50, 20, 25, 10}, {100, 100, 10, 10}, {1, 1, 0.5, 1}, {7, 5, 3.5, 2},
	} {
		text := fmt.Sprintf(`{"a":{"type":"sns","topic":"arn:aws:sns:eu-central-1:123456789012:t","messages":["*"],"rate":%d,"concurrency":%d}}`, c.rate, c.concurrency)
		cfg, err := config.LoadSender(func(name string) (string, bool) {
			return map[string]string{"TOLLGATE_DESTINATIONS": text, "TOLLGATE_SEND_DLQ_URL": "https://q/t-send-dead", "TOLLGATE_TABLE": "t", "AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}[name], true
		})
		if err != nil {
			t.Fatal(err)
		}
		if d := share(cfg)["a"]; d.Rate != c.rateEach || d.Concurrency != c.concurrencyEach {
			t.Errorf("%+v: %v a second, %d at once", c, d.Rate, d.Concurrency)
		}
	}
}

func TestRegions(t *testing.T) {
	for address, want := range map[string]string{
		"https://sqs.eu-west-1.amazonaws.com/123456789012/q": "eu-west-1", "https://sqs.cn-north-1.amazonaws.com.cn/1/q": "cn-north-1",
		"http://127.0.0.1:4566/000000000000/q": "", "%": "",
	} {
		if got := queueRegion(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
	for name, want := range map[string]string{"arn:aws:sns:eu-west-1:123456789012:t": "eu-west-1", "t": ""} {
		if got := arnRegion(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
