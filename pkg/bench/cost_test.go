package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"tollgate/pkg/dynamostore"
	"tollgate/pkg/handlers"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/local/stripe"
	"tollgate/pkg/outbox"
	"tollgate/pkg/run"
	"tollgate/pkg/run/runingest"
	"tollgate/pkg/run/runsender"
)

// plant is the wired functions between the embedded services and the fake Stripe. The test is
// API Gateway and the event source mapping: it invokes the functions itself.
type plant struct {
	t                           *testing.T
	counter                     *counter
	aws                         *localtest.AWS
	stripe                      *stripe.Fake
	stripeDown                  atomic.Bool
	ingest, consumer, reconcile lambda.Handler
	sender                      lambda.Handler // nil without a destination
	log                         *os.File
	sent                        int                 // events so far
	change                      func([]byte) []byte // of golden events, if set
	accessLog                   float64             // bytes of a delivery's line
}

// Divisors of the functions' times: the consumer's shorten the retries of a failing message,
// reconcile's its spans and the pauses between its lists.
const (
	consumerScale  = 8
	reconcileScale = 200
)

func newPlant(t *testing.T) *plant { return newPlantWith(t, nil) }

// newPlantWith sends every message to a receiver, if there is one.
func newPlantWith(t *testing.T, r *receiver) *plant {
	p := &plant{t: t, counter: &counter{sum: counts{}}}
	p.accessLog = float64(len(accessLine(p.template("live").accessLog())))
	p.aws = localtest.Start(t, localtest.Options{TimeScale: consumerScale, Wrap: func(h http.Handler) http.Handler {
		p.counter.next = h
		return p.counter
	}})
	fake, _ := localtest.Stripe(t)
	p.stripe = fake
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.stripeDown.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fake.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	p.aws.Table(t, dynamostore.TableSchema("tollgate"))
	queueURL, dead := p.aws.Queues(t, limits.AWS().MaxReceives, nil)
	p.aws.Secret(t, "webhook", `{"default":["`+Secret+`"]}`)
	p.aws.Secret(t, "key", "sk_test_bench")
	env := map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": p.aws.URL,
		"TOLLGATE_TABLE": "tollgate", "TOLLGATE_QUEUE_URL": queueURL, "TOLLGATE_DLQ_URL": dead, "TOLLGATE_WEBHOOK_SECRET_ID": "webhook",
		"TOLLGATE_API_KEY_SECRET_ID": "key", "TOLLGATE_STRIPE_URL": door.URL, "TOLLGATE_STRIPE_RATE": "off", "TOLLGATE_STAGE": "live", "TOLLGATE_ENDPOINT_NAMES": "default", "TOLLGATE_TIME_SCALE": strconv.Itoa(consumerScale),
		"TOLLGATE_BEGIN": time.Now().Add(-40 * 24 * time.Hour).Format(time.RFC3339),
	}
	if r != nil {
		p.sendsTo(env, r)
	}
	p.wire(env)
	p.events("invoice.paid", time.Now(), 1, 1, false) // fetches the secrets
	p.task("outbox")
	return p
}

// wire wires the functions, whose log lines go to a file.
func (p *plant) wire(env map[string]string) {
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	log, err := os.Create(filepath.Join(p.t.TempDir(), "log"))
	p.check(err)
	p.log = log
	own := os.Stderr
	os.Stderr = log
	defer func() { os.Stderr = own }()
	p.ingest, err = runingest.Wire(lookup)
	p.check(err)
	p.consumer, err = run.WireConsumer(lookup, handlers.Register)
	p.check(err)
	if env["TOLLGATE_DESTINATIONS"] != "" {
		p.sender, err = runsender.Wire(lookup)
		p.check(err)
	}
	env["TOLLGATE_TIME_SCALE"] = strconv.Itoa(reconcileScale)
	p.reconcile, err = run.WireReconcile(lookup, handlers.Register, outbox.NewLogSender)
	p.check(err)
	p.t.Cleanup(func() { log.Close() })
}

func (p *plant) check(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

// events sends n new events of a type, created at a time, through both functions in batches
// and returns what was counted. With fail, each fails at its first receive.
func (p *plant) events(typ string, created time.Time, n, batch int, fail bool) counts {
	p.t.Helper()
	p.counter.messages = nil
	return p.count(func() counts {
		sum := counts{}
		for range n {
			p.sent++
			body := Event(Ignored, fmt.Sprint(p.sent), 3<<10)
			if typ != Ignored {
				var err error
				body, err = Golden(typ, p.sent, created)
				p.check(err)
				if p.change != nil {
					body = p.change(body)
				}
				p.check(p.stripe.Remember(body))
			}
			p.deliver(body)
			sum.add(counts{apiRequests: 1, invocations: 1, logBytes: p.accessLog, computeTime: (ingestSeconds + coldShare*coldSeconds) * memoryGB}, 1)
		}
		for bodies := range slices.Chunk(p.counter.messages, batch) {
			receives := 1
			if fail {
				sum.add(p.failing(typ, bodies), 1)
				receives = 2
			}
			sum.add(p.consume(bodies, receives, 0), 1)
		}
		return sum
	})
}

// task runs one task of the reconcile function.
func (p *plant) task(name string) counts {
	p.t.Helper()
	return p.count(func() counts {
		_, err := p.reconcile.Invoke(invocation(p.t), []byte(`{"task":"`+name+`"}`))
		p.check(err)
		return counts{invocations: 1, computeTime: runSeconds * memoryGB}
	})
}

// count returns what do counts, with the requests and log lines that it makes.
func (p *plant) count(do func() counts) counts {
	before, logged := maps.Clone(p.counter.sum), p.logged()
	sum := maps.Clone(do())
	sum.add(p.counter.sum.minus(before), 1)
	sum.add(counts{logBytes: float64(p.logged() - logged)}, 1)
	return sum
}

// failing is a first receive during which Stripe is down, or for types without a fetch the
// table, so that each message comes again.
func (p *plant) failing(typ string, bodies []string) counts {
	down := func(on bool) {
		p.counter.mu.Lock()
		p.counter.down = on && !fetches(typ)
		p.counter.mu.Unlock()
		p.stripeDown.Store(on && fetches(typ))
	}
	down(true)
	defer down(false)
	return p.consume(bodies, 1, len(bodies))
}

// fetches reports whether the type's handler fetches its object.
func fetches(typ string) bool { return typ == "invoice.paid" || typ == "customer.subscription.updated" }

func (p *plant) deliver(body []byte) {
	p.t.Helper()
	payload, err := json.Marshal(events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: limits.WebhookPath, Body: string(body),
		Headers: map[string]string{"content-type": "application/json", "stripe-signature": Sign(body, Secret)},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "POST", Path: limits.WebhookPath, SourceIP: "3.18.12.63"},
		},
	})
	p.check(err)
	p.check(answered(p.ingest.Invoke(invocation(p.t), payload)))
}

// consume invokes the consumer with one batch of which so many must fail, and counts the
// receive and the deletion that the event source mapping makes.
func (p *plant) consume(bodies []string, receives, failures int) counts {
	p.t.Helper()
	messages := make([]events.SQSMessage, len(bodies))
	for i, body := range bodies {
		id := fmt.Sprintf("059f36b4-87a3-44ab-83d2-%012d", i)
		messages[i] = events.SQSMessage{MessageId: id, ReceiptHandle: id, Body: body, Attributes: map[string]string{
			"ApproximateReceiveCount": strconv.Itoa(receives), "SentTimestamp": strconv.FormatInt(time.Now().UnixMilli(), 10),
		}}
	}
	failed, err := localtest.Consume(invocation(p.t), p.consumer, messages)
	if err == nil && len(failed) != failures || err != nil && failures != len(bodies) {
		p.t.Fatalf("%d of %d messages failed, want %d (%v)", len(failed), len(bodies), failures, err)
	}
	sum := counts{invocations: 1, sqsRequests: 1, computeTime: consumerSeconds * memoryGB * float64(len(bodies))}
	if failures < len(bodies) {
		sum[sqsRequests]++
	}
	return sum
}

// logged is the size of the functions' log.
func (p *plant) logged() int64 {
	at, err := p.log.Seek(0, io.SeekEnd)
	p.check(err)
	return at
}

// stored returns the bytes of the table's items with their copies in indexes, by whether they
// expire.
func (p *plant) stored() (expiring, kept float64) {
	pages := dynamodb.NewScanPaginator(p.aws.Dynamo, &dynamodb.ScanInput{TableName: ptr("tollgate")})
	for pages.HasMorePages() {
		page, err := pages.NextPage(p.t.Context())
		p.check(err)
		for _, item := range page.Items {
			size := itemBytes(item)
			if item["lst"] != nil {
				size *= 2
			}
			if item["exp"] != nil {
				expiring += size
			} else {
				kept += size
			}
		}
	}
	return expiring, kept
}

func ptr[T any](v T) *T { return &v }

// itemBytes is an item's size, with the 100 bytes that DynamoDB adds to bill its storage.
func itemBytes(item map[string]types.AttributeValue) float64 {
	n := 100
	for name, v := range item {
		n += len(name) + valueBytes(v)
	}
	return float64(n)
}

func valueBytes(v types.AttributeValue) int {
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return len(v.Value)
	case *types.AttributeValueMemberN:
		return (len(v.Value)+1)/2 + 1
	case *types.AttributeValueMemberL:
		n := 3
		for _, e := range v.Value {
			n += 1 + valueBytes(e)
		}
		return n
	case *types.AttributeValueMemberM:
		n := 3
		for name, e := range v.Value {
			n += 1 + len(name) + valueBytes(e)
		}
		return n
	}
	return 1 // booleans and null
}
