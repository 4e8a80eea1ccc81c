//go:build unix

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamotypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stripe/stripe-go/v76/webhook"
)

// marker is in every payload here, and must not be in any log.
const marker = "payload-marker"

// event makes an event of a type about a new invoice.
func event(id, typ string) []byte {
	return fmt.Appendf(nil, `{"id":"evt_%s","object":"event","api_version":"2023-10-16","created":%d,"data":{"object":{"id":"in_%s","object":"invoice","status":"paid","paid":true,"amount_paid":100,"currency":"eur","metadata":{"mark":%q}}},"livemode":false,"pending_webhooks":1,"request":null,"type":%q}`,
		id, time.Now().Unix(), id, marker, typ)
}

// trial makes an event for a handler of the trial consumer.
func trial(id, handler string) []byte {
	return bytes.ReplaceAll(event(id, "trial."+handler), []byte(`"object":"invoice"`), []byte(`"object":"trial"`))
}

// otherVersion renders an event in an API version that the handlers do not read.
func otherVersion(body []byte) []byte {
	return bytes.Replace(body, []byte(`"api_version":"2023-10-16"`), []byte(`"api_version":"2024-06-20"`), 1)
}

// unreadable makes an event of another API version about a payment without an id. Its object
// cannot be fetched in a supported version, so the event is parked.
func unreadable(body []byte) []byte {
	body = bytes.ReplaceAll(otherVersion(body), []byte("invoice.paid"), []byte("payment_intent.succeeded"))
	body = bytes.ReplaceAll(body, []byte(`"object":"invoice"`), []byte(`"object":"payment_intent"`))
	return regexp.MustCompile(`"id":"in_[^"]*",`).ReplaceAll(body, nil)
}

func sign(body []byte, secret string, at time.Time) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at}).Header
}

func deliveryHeaders(body []byte, secret string) map[string]string {
	return map[string]string{
		"Content-Type": "application/json; charset=utf-8", "Stripe-Signature": sign(body, secret, time.Now()),
	}
}

// post delivers one signed body.
func (s *system) post(body []byte) (status int, answer string) {
	return request(http.MethodPost, s.info.URL, body, deliveryHeaders(body, s.info.Secret))
}

// enqueue posts a body that must be answered 200.
func (s *system) enqueue(body []byte) {
	s.t.Helper()
	if status, answer := s.post(body); status != http.StatusOK || answer != `{"received":true}` {
		s.t.Fatalf("a good event is answered %d %s", status, answer)
	}
}

// request returns status 0 if there was no answer.
func request(method, url string, body []byte, headers map[string]string) (status int, answer string) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	client := http.Client{Timeout: patience}
	res, err := client.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, strings.TrimSpace(string(text))
}

func (s *system) queues() *sqs.Client { return sqs.NewFromConfig(s.info.AWSConfig()) }

func (s *system) table() *dynamodb.Client {
	return dynamodb.NewFromConfig(s.info.AWSConfig())
}

// depth is the number of messages in a queue, including hidden and delayed ones.
func (s *system) depth(url string) (sum int) {
	s.t.Helper()
	out, err := s.queues().GetQueueAttributes(s.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		s.t.Fatalf("queue attributes: %v", err)
	}
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"} {
		n, err := strconv.Atoi(out.Attributes[name])
		if err != nil {
			s.t.Fatalf("queue attribute %s: %v", name, err)
		}
		sum += n
	}
	return sum
}

// drained waits until the queue of events is empty.
func (s *system) drained() {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		n := s.depth(s.info.QueueURL)
		return n == 0, fmt.Sprintf("%d messages in the queue", n)
	})
}

// inDLQ waits until the dead-letter queue holds n messages and the queue none.
func (s *system) inDLQ(n int) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		left, dead := s.depth(s.info.QueueURL), s.depth(s.info.DLQURL)
		return left == 0 && dead == n, fmt.Sprintf("%d messages in the queue and %d dead letters, want 0 and %d", left, dead, n)
	})
}

// deadLetters receives n dead letters with their attributes.
func (s *system) deadLetters(n int) (messages []types.Message) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		out, err := s.queues().ReceiveMessage(s.t.Context(), &sqs.ReceiveMessageInput{
			QueueUrl: &s.info.DLQURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			s.t.Fatalf("receive dead letters: %v", err)
		}
		messages = append(messages, out.Messages...)
		return len(messages) == n, fmt.Sprintf("%d dead letters, want %d", len(messages), n)
	})
	return messages
}

// item is a table item's strings and numbers.
type item map[string]string

func readItem(raw map[string]dynamotypes.AttributeValue) item {
	it := item{}
	for name, value := range raw {
		switch v := value.(type) {
		case *dynamotypes.AttributeValueMemberS:
			it[name] = v.Value
		case *dynamotypes.AttributeValueMemberN:
			it[name] = v.Value
		}
	}
	return it
}

// record reads an event's record; it is empty if there is none.
func (s *system) record(id string) item {
	s.t.Helper()
	consistent := true
	out, err := s.table().GetItem(s.t.Context(), &dynamodb.GetItemInput{
		TableName: &s.info.Table, ConsistentRead: &consistent,
		Key: map[string]dynamotypes.AttributeValue{"pk": &dynamotypes.AttributeValueMemberS{Value: "EVT#evt_" + id}},
	})
	if err != nil {
		s.t.Fatalf("read record: %v", err)
	}
	return readItem(out.Item)
}

// becomesDone waits until an event's record is done, and returns it.
func (s *system) becomesDone(id string) (record item) {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		record = s.record(id)
		return record["st"] == "DONE", fmt.Sprintf("the record of %s is %v", id, record)
	})
	return record
}

// items reads all items under a key prefix, consistently.
func (s *system) items(prefix string) map[string]item {
	s.t.Helper()
	found := map[string]item{}
	consistent := true
	pages := dynamodb.NewScanPaginator(s.table(), &dynamodb.ScanInput{TableName: &s.info.Table, ConsistentRead: &consistent})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.t.Context())
		if err != nil {
			s.t.Fatalf("scan: %v", err)
		}
		for _, raw := range page.Items {
			if it := readItem(raw); strings.HasPrefix(it["pk"], prefix) {
				found[it["pk"]] = it
			}
		}
	}
	return found
}

// jsonLines reads the output of a verb with --json, and fails if the verb failed.
func jsonLines[T any](s *system, args ...string) (all []T) {
	s.t.Helper()
	out, errOut, code := s.tollgate(append(args, "--json")...)
	if code != 0 {
		s.t.Fatalf("tollgate %v: exit %d, %s", args, code, errOut)
	}
	for line := range strings.Lines(out) {
		var v T
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			s.t.Fatalf("tollgate %v prints %q: %v", args, line, err)
		}
		all = append(all, v)
	}
	return all
}

// story is the output of `events show --json` for an event.
type story struct {
	ID      string           `json:"id"`
	Type    string           `json:"type"`
	Status  string           `json:"status"`
	Attempt int              `json:"attempt"`
	Fails   int              `json:"fails"`
	Reason  string           `json:"reason"`
	Error   string           `json:"error"`
	Outcome string           `json:"outcome"`
	Effects []map[string]any `json:"effects"`
}

func (s *system) story(id string) story {
	s.t.Helper()
	return jsonLines[story](s, "events", "show", "evt_"+id)[0]
}

// group is a line of `dlq list --json`.
type group struct {
	Count    int    `json:"count"`
	Type     string `json:"type"`
	Reason   string `json:"reason"`
	Error    string `json:"error"`
	Attempts int    `json:"attempts"`
	EventID  string `json:"event_id"`
}

// groups are the dead letters as an operator sees them, by event type.
func (s *system) groups() map[string]group {
	s.t.Helper()
	all := map[string]group{}
	for _, g := range jsonLines[group](s, "dlq", "list", "--wait-hidden") {
		all[g.Type] = g
	}
	return all
}
