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

// world is one run: services, the wires to them, and workers.
type world struct {
	size
	t        testing.TB
	limits   limits.Limits
	table    *dynamodb.Client
	sqs      *sqs.Client
	queueURL string
	deadURL  string
	toTable  *wire
	toQueue  *wire
	zombies  zombies
	exits    atomic.Int64 // handlers that outlived their context: the process would have ended
	flaw     flaw
}

// size is how much of everything a run has.
type size struct {
	events, copies, workers int
	zombies                 int // of a hundred attempts
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

// newWorld makes a world with embedded services, with another DynamoDB when its address is given.
func newWorld(t testing.TB, s size, l limits.Limits, f flaw, dynamo string) *world {
	t.Helper()
	w := &world{size: s, t: t, limits: l, flaw: f}
	services := localtest.Start(t, localtest.Options{TimeScale: l.TimeScale})
	dynamo = cmp.Or(dynamo, services.URL)
	patience := l.ConsumerTimeout + l.LeaseSlack + 3*l.TakeOverMargin // an answer that late finds others at work
	w.toTable, w.toQueue = newWire(t, dynamo, harsh(), s.seed, patience), newWire(t, services.URL, mild(), s.seed+1, patience)
	w.table, w.sqs = dynamodb.NewFromConfig(client(dynamo, 0)), services.SQS
	if _, err := w.table.CreateTable(t.Context(), dynamostore.TableSchema(tableName)); err != nil {
		t.Fatal(err)
	}
	// What is lost on the way comes back soon, even while an attempt for it still runs.
	seconds := strconv.Itoa(int(l.ConsumerTimeout * time.Duration(l.TimeScale) / time.Second))
	w.queueURL, w.deadURL = services.Queues(t, l.MaxReceives, map[string]string{"VisibilityTimeout": seconds})
	return w
}

// client is the configuration that the functions' clients have.
func client(endpoint string, try time.Duration) aws.Config {
	return localtest.Config(endpoint, awsclient.Options{Try: try})
}

// worker is one environment of the consumer's function, with connections of its own.
type worker struct {
	*world
	handler *sqsqueue.LambdaHandler
	queue   *eventsource.SQS
	store   *drowsy
}

// newWorker wires a worker as the consumer's function is wired, over the lossy wires.
func (w *world) newWorker(n int) (*worker, error) {
	dynamo := client(w.toTable.url, w.limits.Try())
	var storeClient dynamostore.Client = dynamodb.NewFromConfig(awsclient.Once(dynamo))
	if w.flaw != nil {
		storeClient = w.flaw(storeClient)
	}
	store, err := dynamostore.New(storeClient, tableName, dynamostore.Options{Limits: w.limits})
	if err != nil {
		return nil, err
	}
	rows, err := dynamostore.NewReader(dynamodb.NewFromConfig(dynamo), tableName)
	if err != nil {
		return nil, err
	}
	k := &worker{world: w, queue: eventsource.NewSQS(sqs.NewFromConfig(client(w.toQueue.url, 0)), w.queueURL)}
	k.store = &drowsy{
		Store: store, limits: w.limits, percent: w.size.zombies, zombies: &w.zombies,
		rng: rand.New(rand.NewPCG(w.seed, uint64(n))), chosen: map[*idempotency.Claim]bool{},
	}
	c, err := consumer.New(consumer.Config{
		Limits: w.limits, Store: k.store, Handlers: orders(rows), Fetcher: noFetcher{},
		Queue: sqsqueue.New(sqs.NewFromConfig(client(w.toQueue.url, w.limits.Try())), w.queueURL, w.deadURL, w.limits),
		Exit:  func(int) { w.exits.Add(1) },
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

// run lets the workers loose on the queue until over says so. So many are awake at any
// time: another takes the place of one that falls asleep.
func (w *world) run(over func() bool) (took time.Duration) {
	ctx, cancel := context.WithCancel(w.t.Context())
	defer cancel()
	start := time.Now()
	go func() {
		defer cancel()
		w.until(ctx, over)
	}()
	var wg sync.WaitGroup
	awake, idle := make(chan struct{}, w.workers), make(chan *worker, maxWorkers)
	for made := 0; ctx.Err() == nil; {
		awake <- struct{}{}
		var k *worker
		select {
		case k = <-idle:
		default:
			var err error
			if k, err = w.newWorker(made); err != nil || made == maxWorkers {
				w.t.Fatalf("%d workers, %v", made, err)
			}
			made++
		}
		wg.Go(func() {
			leave := sync.OnceFunc(func() { <-awake })
			k.store.onSleep(leave)
			k.turn(ctx)
			leave()
			idle <- k
		})
	}
	wg.Wait()
	w.toTable.settle()
	w.toQueue.settle()
	return time.Since(start)
}

// maxWorkers bounds the workers, most of which are asleep.
const maxWorkers = 2000

// empty reports whether the queue holds nothing, seen or unseen.
func (w *world) empty() bool { return w.depth(w.queueURL) == 0 }

// until waits; a long run says once a minute what is left.
func (w *world) until(ctx context.Context, over func() bool) {
	for n := 1; !over(); n++ {
		if n%600 == 0 {
			w.t.Logf("%d messages are left", w.depth(w.queueURL))
		}
		pause(ctx, 100*time.Millisecond)
		if ctx.Err() != nil {
			w.t.Error("the test was over before the run")
			return
		}
	}
}

// noFetcher has nothing to fetch: every message carries its body.
type noFetcher struct{}

func (noFetcher) FetchEvent(context.Context, string, string, bool) ([]byte, error) {
	return nil, dispatch.Permanent(errors.New("a message lost its body"))
}
