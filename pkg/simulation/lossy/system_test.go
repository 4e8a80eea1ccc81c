package lossy_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/dynamostore"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/eventsource"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/sqsqueue"
)

// system is one run: services, the proxies to them, and workers.
type system struct {
	size
	t        testing.TB
	limits   limits.Limits
	table    *dynamodb.Client
	sqs      *sqs.Client
	queueURL string
	deadURL  string
	toTable  *proxy
	toQueue  *proxy
	paused   pausedWorkers
	exits    atomic.Int64 // handlers that outlived their context: the process would have ended
	flaw     flaw
}

// size is how much of everything a run has.
type size struct {
	events, copies, workers int
	pauses                  int // of a hundred attempts
	seed                    uint64
}

// flaw is a way to build a worker's store wrong; nil builds it right.
type flaw func(dynamostore.Client) dynamostore.Client

const tableName = "tollgate"

// short are limits whose leases end after less than two seconds. A write has a larger
// part of that than on AWS, as the machine is not faster here. Every fifth receive loses
// its messages until they are visible again, so there are more receives, smaller
// batches and shorter waits.
func short() limits.Limits {
	l := limits.Scaled(20)
	l.HandlerBudget, l.RecordBudget = 400*time.Millisecond, 700*time.Millisecond
	l.BackoffBase, l.BackoffCap = 500*time.Millisecond, 500*time.Millisecond
	l.MaxReceives, l.SuspectReceives = 200, 20
	l.BatchSize, l.BatchConcurrency = 4, 2
	return l
}

// newSystem makes a system of embedded services, with another DynamoDB when its address is given.
func newSystem(t testing.TB, s size, l limits.Limits, f flaw, dynamo string) *system {
	t.Helper()
	sys := &system{size: s, t: t, limits: l, flaw: f}
	services := localtest.Start(t, localtest.Options{TimeScale: l.TimeScale})
	dynamo = cmp.Or(dynamo, services.URL)
	patience := l.ConsumerTimeout + l.LeaseSlack + 3*l.TakeOverMargin // an answer that late finds others at work
	sys.toTable, sys.toQueue = newProxy(t, dynamo, harsh(), s.seed, patience), newProxy(t, services.URL, mild(), s.seed+1, patience)
	sys.table, sys.sqs = dynamodb.NewFromConfig(client(dynamo, 0)), services.SQS
	if _, err := sys.table.CreateTable(t.Context(), dynamostore.TableSchema(tableName)); err != nil {
		t.Fatal(err)
	}
	// What is lost on the way comes back soon, even while an attempt for it still runs.
	seconds := strconv.Itoa(int(l.ConsumerTimeout * time.Duration(l.TimeScale) / time.Second))
	sys.queueURL, sys.deadURL = services.Queues(t, l.MaxReceives, map[string]string{"VisibilityTimeout": seconds})
	return sys
}

// client is the configuration that the functions' clients have.
func client(endpoint string, try time.Duration) aws.Config {
	return localtest.Config(endpoint, awsclient.Options{Try: try})
}

// worker is one environment of the consumer's function, with connections of its own.
type worker struct {
	*system
	handler *sqsqueue.LambdaHandler
	queue   *eventsource.SQS
	store   *pausing
}

// newWorker wires a worker as the consumer's function is wired, over the lossy proxies.
func (sys *system) newWorker(n int) (*worker, error) {
	dynamo := client(sys.toTable.url, sys.limits.Try())
	var storeClient dynamostore.Client = dynamodb.NewFromConfig(awsclient.Once(dynamo))
	if sys.flaw != nil {
		storeClient = sys.flaw(storeClient)
	}
	store, err := dynamostore.New(storeClient, tableName, dynamostore.Options{Limits: sys.limits})
	if err != nil {
		return nil, err
	}
	rows, err := dynamostore.NewReader(dynamodb.NewFromConfig(dynamo), tableName)
	if err != nil {
		return nil, err
	}
	k := &worker{system: sys, queue: eventsource.NewSQS(sqs.NewFromConfig(client(sys.toQueue.url, 0)), sys.queueURL)}
	k.store = &pausing{
		Store: store, limits: sys.limits, percent: sys.size.pauses, paused: &sys.paused,
		rng: rand.New(rand.NewPCG(sys.seed, uint64(n))), chosen: map[*idempotency.Claim]bool{},
	}
	c, err := consumer.New(consumer.Config{
		Limits: sys.limits, Store: k.store, Handlers: orders(rows), Fetcher: noFetcher{},
		Queue: sqsqueue.New(sqs.NewFromConfig(client(sys.toQueue.url, sys.limits.Try())), sys.queueURL, sys.deadURL, sys.limits),
		Exit:  func(int) { sys.exits.Add(1) },
	})
	k.handler = sqsqueue.NewLambdaHandler(c)
	return k, err
}

// turn polls once and handles what comes, as an event source mapping does.
func (k *worker) turn(ctx context.Context) {
	messages := k.receive(ctx)
	if len(messages) == 0 {
		return
	}
	failed, err := k.invoke(messages)
	if err != nil {
		return // nothing is deleted, and all come back
	}
	var done []events.SQSMessage
	for _, m := range messages {
		if !failed[m.MessageId] {
			done = append(done, m)
		}
	}
	k.delete(done)
}

func (k *worker) receive(ctx context.Context) []events.SQSMessage {
	ctx, cancel := context.WithTimeout(ctx, k.limits.ConsumerTimeout)
	defer cancel()
	messages, err := k.queue.Receive(ctx, k.limits.BatchSize, 10*time.Second) // of the queue's
	if err != nil {
		return nil // what it brought comes back
	}
	return messages
}

func (k *worker) delete(done []events.SQSMessage) {
	ctx, cancel := context.WithTimeout(context.Background(), k.limits.ConsumerTimeout)
	defer cancel()
	k.queue.Delete(ctx, done) // what stays comes back
}

// invoke runs the function once, under the deadline that Lambda gives it.
func (k *worker) invoke(messages []events.SQSMessage) (failed map[string]bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), k.limits.ConsumerTimeout)
	defer cancel()
	return localtest.Consume(ctx, k.handler, messages)
}

// run lets the workers loose on the queue until over returns true. As many are awake at any
// time: another takes the place of one that falls asleep.
func (sys *system) run(over func() bool) (took time.Duration) {
	ctx, cancel := context.WithCancel(sys.t.Context())
	defer cancel()
	start := time.Now()
	go func() {
		defer cancel()
		sys.until(ctx, over)
	}()
	var wg sync.WaitGroup
	awake, idle := make(chan struct{}, sys.workers), make(chan *worker, maxWorkers)
	for made := 0; ctx.Err() == nil; {
		awake <- struct{}{}
		var k *worker
		select {
		case k = <-idle:
		default:
			var err error
			if k, err = sys.newWorker(made); err != nil || made == maxWorkers {
				sys.t.Fatalf("%d workers, %v", made, err)
			}
			made++
		}
		wg.Go(func() {
			leave := sync.OnceFunc(func() { <-awake })
			k.store.onPause(leave)
			k.turn(ctx)
			leave()
			idle <- k
		})
	}
	wg.Wait()
	sys.toTable.settle()
	sys.toQueue.settle()
	return time.Since(start)
}

// maxWorkers bounds the workers, most of which are asleep.
const maxWorkers = 2000

// empty reports whether the queue holds nothing, seen or unseen.
func (sys *system) empty() bool { return sys.depth(sys.queueURL) == 0 }

// until waits; a long run says once a minute what is left.
func (sys *system) until(ctx context.Context, over func() bool) {
	for n := 1; !over(); n++ {
		if n%600 == 0 {
			sys.t.Logf("%d messages are left", sys.depth(sys.queueURL))
		}
		pause(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			sys.t.Error("the test was over before the run")
			return
		}
	}
}

// noFetcher has nothing to fetch: every message carries its body.
type noFetcher struct{}

func (noFetcher) FetchEvent(context.Context, string, string, bool) ([]byte, error) {
	return nil, dispatch.Permanent(errors.New("a message lost its body"))
}
