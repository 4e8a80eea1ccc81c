package bench

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/local/localtest"
)

// senderSeconds is assumed: a batch of attempts at receivers that answer within 100 ms.
const senderSeconds = 0.12

// deliveryGuard is the most that a delivery may cost which is accepted at once, in a batch of ten.
func deliveryGuard() counts {
	return counts{sqsRequests: 1.2, writeUnits: 3, readUnits: 1} // number, begin and end; the message
}

// receiver is a destination's.
type receiver struct {
	failures atomic.Int64 // to answer with 503
	url      string
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		_, _ = io.Copy(io.Discard, req.Body)
		if r.failures.Add(-1) >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// sendsTo adds a destination of every message.
func (p *plant) sendsTo(env map[string]string, r *receiver) {
	p.aws.Queue(p.t, "bench-send-crm", nil)
	env["TOLLGATE_SEND_DLQ_URL"] = p.aws.Queue(p.t, "bench-send-dead", nil)
	p.aws.Secret(p.t, "crm", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDQUJDREVGR0g=")
	env["TOLLGATE_DESTINATIONS"] = fmt.Sprintf(`{"crm":{"type":"http","url":%q,"secret":"crm","messages":["*"],"rate":1000,"insecure_http":true,"allow":["127.0.0.0/8"]}}`, r.url)
}

// send invokes the sender with the waiting jobs, in batches of at most so many, until none is left,
// and counts what the event source mapping does.
func (p *plant) send(batch int) counts {
	p.t.Helper()
	return p.count(func() counts {
		sum := counts{}
		url := p.aws.Queue(p.t, "bench-send-crm", nil)
		sum[sqsRequests]-- // of the line above
		for until := time.Now().Add(time.Minute); time.Now().Before(until); {
			out, err := p.aws.SQS.ReceiveMessage(p.t.Context(), &sqs.ReceiveMessageInput{
				QueueUrl: &url, MaxNumberOfMessages: int32(batch), MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
			})
			p.check(err)
			if len(out.Messages) == 0 {
				sum[sqsRequests]--
				if p.waiting(url, sum) == 0 {
					break
				}
				continue
			}
			sum.add(p.invokeSender(url, out.Messages), 1)
		}
		return sum
	})
}

// waiting returns the jobs that come back later. The request is the test's own.
func (p *plant) waiting(url string, sum counts) int {
	sum[sqsRequests]--
	out, err := p.aws.SQS.GetQueueAttributes(p.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	p.check(err)
	n := 0
	for _, name := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"} {
		some, err := strconv.Atoi(out.Attributes[name])
		p.check(err)
		n += some
	}
	return n
}

func (p *plant) invokeSender(url string, messages []types.Message) counts {
	records, receipts := make([]events.SQSMessage, len(messages)), map[string]*string{}
	for i, m := range messages {
		receipts[*m.MessageId] = m.ReceiptHandle
		records[i] = events.SQSMessage{
			MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body, Attributes: m.Attributes,
			EventSourceARN: "arn:aws:sqs:" + localtest.Region + ":000000000000:bench-send-crm",
		}
	}
	failed, err := localtest.Consume(invocation(p.t), p.sender, records)
	p.check(err)
	var done []types.DeleteMessageBatchRequestEntry
	for id, receipt := range receipts {
		if !failed[id] {
			done = append(done, types.DeleteMessageBatchRequestEntry{Id: &id, ReceiptHandle: receipt})
		}
	}
	if len(done) > 0 {
		_, err = p.aws.SQS.DeleteMessageBatch(p.t.Context(), &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: done})
		p.check(err)
	}
	return counts{invocations: 1, computeTime: senderSeconds * memoryGB}
}

// delivering prints what a delivery adds to an event: the difference to a system without
// destinations, which logs each message.
func (p *plant) delivering(out *strings.Builder, idle counts) {
	r := newReceiver(p.t)
	q := newPlantWith(p.t, r)
	q.send(10) // the first event's, which fetches the secret
	fmt.Fprintf(out, "\nA delivery of a message to an HTTP destination adds, in US dollars for a million:\n\n")
	fmt.Fprintln(out, "| delivery | batch | SQS | Lambda | DynamoDB | logs | **sum** | SQS requests | write units | read units | log bytes |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|---|")
	for _, row := range []struct {
		name     string
		batch    int
		failures int64
	}{{"accepted at once", 10, 0}, {"accepted at once", 1, 0}, {"accepted at the second attempt", 10, each}} {
		const typ = "payment_intent.succeeded"
		without := p.event(typ, row.batch, false, idle)
		r.failures.Store(row.failures)
		c := q.event(typ, row.batch, false, idle)
		sent := q.send(row.batch)
		delete(sent, secretCalls)
		c.add(sent, 1.0/each)
		c = c.minus(without)
		million := c.times(1e6)
		part := func(names ...string) float64 {
			some := counts{}
			for _, name := range names {
				some[name] = million[name]
			}
			return some.dollars()
		}
		fmt.Fprintf(out, "| %s | %d | %.2f | %.2f | %.2f | %.2f | **%.2f** | %.1f | %.1f | %.1f | %.0f |\n", row.name, row.batch,
			part(sqsRequests), part(invocations, computeTime), part(writeUnits, readUnits), part(logBytes), million.dollars(), c[sqsRequests], c[writeUnits], c[readUnits], c[logBytes])
		if row.batch == 10 && row.failures == 0 {
			rounded := counts{}
			for name := range deliveryGuard() {
				rounded[name] = float64(int(c[name]*100+0.5)) / 100
			}
			guard(p.t, row.name, rounded, deliveryGuard())
		}
	}
	more, groups := p.deployed("send").minus(p.deployed("test")), 5.0
	alarms, group := counts{alarmMetrics: more[alarmMetrics] - groups}, counts{sqsRequests: pollerRequests, alarmMetrics: 1}
	fmt.Fprintf(out, "\nFixed, each month, with destinations: %.0f alarm metrics %.2f, 2 to 7 custom metrics %.2f to %.2f; for each group of destinations %.0f SQS requests and an alarm metric %.2f; for each secret %.2f.\n",
		alarms[alarmMetrics], alarms.dollars(), counts{metrics: 2}.dollars(), counts{metrics: 7}.dollars(), pollerRequests, group.dollars(), counts{secretsKept: 1}.dollars())
}
