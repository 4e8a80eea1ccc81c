//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/limits"
	"tollgate/pkg/local"
	"tollgate/pkg/local/faultproxy"
)

// faulty is a local system in this process, at AWS's time scale. Its functions, the real
// binaries, reach AWS and the fake Stripe through proxies.
type faulty struct {
	*system
	aws, stripe *faultproxy.Proxy
}

func startFaulty(t *testing.T, change ...func(*local.Options)) *faulty {
	t.Helper()
	data := t.TempDir()
	s := &faulty{system: &system{t: t, data: data, log: &logBuffer{}}}
	var proxies []*faultproxy.Proxy
	o := local.Options{
		Listen: "127.0.0.1:0", AWSListen: "127.0.0.1:0", Data: data, Functions: binaries,
		NoReconcile: true, IngestConcurrency: 1, Log: s.log,
		Between: func(address string) string {
			p, err := faultproxy.Start(address)
			must(t, err)
			proxies = append(proxies, p)
			return p.URL
		},
	}
	for _, f := range change {
		f(&o)
	}
	running, err := local.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(func() {
		for _, p := range proxies {
			p.Close() // first, or unanswered requests hold up the rest
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := running.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		s.logIsClean()
		if t.Failed() {
			t.Logf("log of the functions, its end:\n%s", s.log.tail(4000))
		}
	})
	s.info, s.aws, s.stripe = running.Info, proxies[0], proxies[1]
	return s
}

// takes returns how long an event took from now until it was done.
func (s *faulty) takes(id string, event []byte) time.Duration {
	s.t.Helper()
	from := time.Now()
	s.enqueue(event)
	s.becomesDone(id)
	return time.Since(from)
}

// metOnce fails the test unless the fault matched a request.
func metOnce(t *testing.T, a *faultproxy.Armed) {
	t.Helper()
	if a.Met() != 1 {
		t.Errorf("the fault met %d requests, want 1", a.Met())
	}
}

// TestOneFaultyRequest: after one failed request of an event there is time for another within
// the same receive of its message.
func TestOneFaultyRequest(t *testing.T) {
	t.Parallel()
	claims := func(o *local.Options) { o.Functions = filepath.Join(binaries, "trials") }
	for name, c := range map[string]struct {
		fault faultproxy.Fault
		most  time.Duration
	}{
		"claim never answered":    {faultproxy.Fault{Operation: "UpdateItem", Item: "EVT#evt_x", Do: faultproxy.Never}, 8 * time.Second},
		"claim's answer lost":     {faultproxy.Fault{Operation: "UpdateItem", Item: "EVT#evt_x", Do: faultproxy.Lost}, 8 * time.Second},
		"claim reset":             {faultproxy.Fault{Operation: "UpdateItem", Item: "EVT#evt_x", Do: faultproxy.Reset}, 8 * time.Second},
		"claim's signature late":  {faultproxy.Fault{Operation: "UpdateItem", Item: "EVT#evt_x", Do: faultproxy.Expire}, 8 * time.Second},
		"row's read not answered": {faultproxy.Fault{Operation: "GetItem", Item: "OBJ#", Do: faultproxy.Never}, 10 * time.Second},
		"row's read expired":      {faultproxy.Fault{Operation: "GetItem", Item: "OBJ#", Do: faultproxy.Expire}, 10 * time.Second},
		"commit never answered":   {faultproxy.Fault{Operation: "TransactWriteItems", Do: faultproxy.Never}, 8 * time.Second},
		"commit's answer lost":    {faultproxy.Fault{Operation: "TransactWriteItems", Do: faultproxy.Lost}, 8 * time.Second},
		"put never answered":      {faultproxy.Fault{Operation: "PutItem", Item: "EVT#evt_x", Do: faultproxy.Never}, 8 * time.Second},
		"put's answer lost":       {faultproxy.Fault{Operation: "PutItem", Item: "EVT#evt_x", Do: faultproxy.Lost}, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *faulty
			var x []byte
			switch c.fault.Operation {
			case "UpdateItem": // of a handler that is not pure
				s, x = startFaulty(t, claims), trial("x", "works")
			case "PutItem":
				s, x = startFaulty(t), event("x", "invoice.unknown")
			default:
				s, x = startFaulty(t), event("x", "invoice.paid")
			}
			s.enqueue(event("warm", "invoice.paid"))
			s.becomesDone("warm")
			c.fault.Times = 1
			armed := s.aws.Add(c.fault)
			took := s.takes("x", x)
			t.Logf("%s: done after %v", name, took.Round(10*time.Millisecond))
			if took > c.most || s.record("x")["att"] != "1" {
				t.Errorf("done after %v at attempt %s, want at most %v and 1", took, s.record("x")["att"], c.most)
			}
			metOnce(t, armed)
		})
	}
}

// TestFirstDelivery: a new ingest process accepts a delivery even if its first fetch of secrets
// is not answered or the queue refuses for a moment.
func TestFirstDelivery(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]faultproxy.Fault{
		"secrets not answered": {Operation: "GetSecretValue", Times: 1, Do: faultproxy.Never},
		"queue refuses 150 ms": {Operation: "SendMessage", For: 150 * time.Millisecond, Do: faultproxy.Answer(503, "")},
		"queue refuses 300 ms": {Operation: "SendMessage", For: 300 * time.Millisecond, Do: faultproxy.Answer(503, "")},
		"queue not answered":   {Operation: "SendMessage", Times: 1, Do: faultproxy.Never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startFaulty(t)
			armed := s.aws.Add(fault)
			from := time.Now()
			status, answer := s.post(event("x", "invoice.paid"))
			t.Logf("%s: %d after %v", name, status, time.Since(from).Round(10*time.Millisecond))
			if status != http.StatusOK || armed.Met() == 0 {
				t.Errorf("answered %d %s, the fault met %d requests", status, answer, armed.Met())
			}
		})
	}
}

// TestHotItems: four throttled records among 120 do not delay healthy events by a receive.
func TestHotItems(t *testing.T) {
	skipSlow(t)
	t.Parallel()
	const all, hot = 120, 4
	s := startFaulty(t, func(o *local.Options) { o.ConsumerConcurrency = 1 })
	for n := range hot {
		s.aws.Add(faultproxy.Fault{Operation: "TransactWriteItems", Item: fmt.Sprintf("EVT#evt_e%03d", n*30), For: 5 * time.Second, Do: faultproxy.Throttle})
	}
	// The only process is busy until all are on the queue; then they come in full batches.
	s.aws.Add(faultproxy.Fault{Operation: "TransactWriteItems", Item: "EVT#evt_first", Times: 1, Do: faultproxy.Late(800 * time.Millisecond)})
	s.stripe.Add(faultproxy.Fault{Operation: "GET /v1/", Do: faultproxy.Late(300 * time.Millisecond)})
	s.enqueue(event("first", "invoice.paid"))
	for n := range all {
		s.enqueue(event(fmt.Sprintf("e%03d", n), "invoice.paid"))
	}
	back, throttled := 0, 0
	for n := range all {
		id := fmt.Sprintf("e%03d", n)
		s.becomesDone(id)
		lines := s.log.lines("event_id=evt_"+id, "retry_in_ms=")
		if n%30 == 0 {
			throttled += len(lines)
		} else {
			back += len(lines)
		}
	}
	t.Logf("%d healthy messages came back, %d hot ones", back, throttled)
	if back != 0 || throttled != hot {
		t.Errorf("%d healthy messages came back and %d receives of hot ones, want 0 and %d", back, throttled, hot)
	}
}

// TestSlowStripe: Stripe at 3 s an answer is slow, not down.
func TestSlowStripe(t *testing.T) {
	t.Parallel()
	const all = 10
	s := startFaulty(t)
	slow := s.stripe.Add(faultproxy.Fault{Operation: "GET /v1/", Do: faultproxy.Late(3 * time.Second)})
	for n := range all {
		s.enqueue(event(fmt.Sprint("slow", n), "invoice.paid"))
	}
	first := 0
	for n := range all {
		if s.becomesDone(fmt.Sprint("slow", n))["att"] == "1" {
			first++
		}
	}
	t.Logf("%d of %d done at their first attempt", first, all)
	if first != all || slow.Met() < all {
		t.Errorf("%d of %d done at their first attempt, %d slow answers", first, all, slow.Met())
	}
}

// TestRevokedAccountIsParkedAtOnce: the first refusal of a connected account ends its event.
func TestRevokedAccountIsParkedAtOnce(t *testing.T) {
	t.Parallel()
	s := startFaulty(t)
	s.stripe.Add(faultproxy.Fault{Operation: "GET /v1/", Do: faultproxy.Answer(http.StatusForbidden, `{"error":{"code":"account_invalid"}}`)})
	s.enqueue([]byte(strings.Replace(string(event("gone", "invoice.paid")), `"object":"event",`, `"object":"event","account":"acct_1Revoked",`, 1)))
	s.inDLQ(1)
	message := s.deadLetters(1)[0]
	if reason, text := *message.MessageAttributes["reason"].StringValue, *message.MessageAttributes["error"].StringValue; reason != "account_revoked" || !strings.Contains(text, "acct_1Revoked") {
		t.Errorf("dead for %q: %q", reason, text)
	}
}

// TestForeignMessageOfTheLargestSize: a message without room for attributes is also copied to
// the dead-letter queue.
func TestForeignMessageOfTheLargestSize(t *testing.T) {
	t.Parallel()
	s := startFaulty(t)
	body := strings.Repeat("x", limits.MaxQueueRequest)
	must(t, errOf(s.queues().SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &s.info.QueueURL, MessageBody: &body})))
	s.inDLQ(1)
	// Sending a megabyte may take longer than one try on a busy machine; a rejection must not.
	late := s.log.lines("send dead letter", "deadline exceeded")
	if lines := s.log.lines("no message could be handled"); len(lines) > len(late) {
		t.Errorf("the batch failed: %q", lines)
	}
}

// TestSecretThatTurnsBad: an unusable stored secret does not replace the one that ingest knows,
// and an unsigned request is always refused.
func TestSecretThatTurnsBad(t *testing.T) {
	t.Parallel()
	for name, list := range map[string]string{"empty": `[]`, "another kind of text": `"no secret"`, "a number": `7`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startFaulty(t)
			s.enqueue(event("before", "invoice.paid"))
			id, value := local.WebhookSecretID, `{"default":`+list+`,"empty":[]}`
			if _, err := secretsmanager.NewFromConfig(s.info.AWSConfig()).PutSecretValue(t.Context(),
				&secretsmanager.PutSecretValueInput{SecretId: &id, SecretString: &value}); err != nil {
				t.Fatal(err)
			}
			forged := event("forged", "invoice.paid")
			headers := deliveryHeaders(forged, "whsec_stranger")
			if status, answer := request(http.MethodPost, s.info.URL, forged, headers); status != http.StatusBadRequest {
				t.Errorf("a forgery, which makes ingest fetch the secrets again, is answered %d %s", status, answer)
			}
			eventually(t, func() (bool, string) { // the line may come after the answer
				lines := s.log.lines("ERROR", "secret outcome=unusable endpoint=default kept=1")
				return len(lines) > 0, "no log line that the stored secret cannot be used"
			})
			s.enqueue(event("after", "invoice.paid"))
			delete(headers, "Stripe-Signature")
			if status, answer := request(http.MethodPost, s.info.URL+"/empty", forged, headers); status != http.StatusBadRequest {
				t.Errorf("an unsigned request to an endpoint without secrets is answered %d %s", status, answer)
			}
		})
	}
}
