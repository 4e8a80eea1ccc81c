package lossy_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/queue"
)

// Types of the events. Those of plainType have no handler and are done without effects,
// by another request than the others: one more for every ten.
const (
	orderType  = "order.paid"
	plainType  = "order.viewed"
	apiVersion = "2023-10-16"
	plainEach  = 10
	perCounter = 8 // orders that count on one counter
)

// order is the object of an event.
type order struct {
	ID     string `json:"id"`
	Number int    `json:"number"`
}

// orders notes each order as a fact and counts it. The fact's key names the attempt, so
// that two attempts which both take effect leave two facts; the counter is a row that
// neighbouring orders swap. Every sixteenth order fails at its first attempt.
func orders(rows dispatch.Rows) consumer.Handlers {
	mux := dispatch.NewMux(dispatch.Config{APIVersion: apiVersion, Rows: rows})
	dispatch.On(mux, orderType, func(ctx context.Context, e dispatch.Event[order]) (dispatch.Effects, error) {
		if e.Attempt == 1 && e.Object.Number%16 == 0 {
			return nil, errors.New("the first attempt fails")
		}
		key := counterKey(e.Object.Number)
		row, _, err := rows.Item(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("read counter: %w", err)
		}
		n, _ := row["n"].(int64)
		ver, _ := row["ver"].(int64)
		return dispatch.Effects{
			dispatch.Insert(fmt.Sprintf("%s%d", factKey(e.ID), e.Attempt), dispatch.Fields{"number": e.Object.Number}),
			dispatch.Swap(key, ver, dispatch.Fields{"n": n + 1}),
		}, nil
	})
	return mux
}

func factKey(id string) string { return "FACT#" + id + "#" }

func counterKey(number int) string { return "COUNT#" + strconv.Itoa(number/perCounter) }

func orderID(n int) string { return fmt.Sprintf("evt_order%06d", n) }

func plainID(n int) string { return fmt.Sprintf("evt_plain%06d", n) }

// plain is how many events without a handler a run has.
func (s size) plain() int { return (s.events + plainEach - 1) / plainEach }

// bodies returns a message body for each event, as ingest writes them.
func (s size) bodies() ([]string, error) {
	var out []string
	add := func(id, typ string, number int) error {
		raw := fmt.Sprintf(`{"id":%q,"object":"event","api_version":%q,"created":1795000000,"livemode":false,"type":%q,`+
			`"data":{"object":{"id":"ord_%d","object":"order","number":%d}}}`, id, apiVersion, typ, number, number)
		env, err := event.Parse([]byte(raw))
		if err != nil {
			return err
		}
		env.Endpoint, env.Source, env.ReceivedAt, env.Body = "default", event.Webhook, time.Now(), []byte(raw)
		body, err := queue.Encode(env)
		out = append(out, body)
		return err
	}
	for n := range s.events {
		if err := add(orderID(n), orderType, n); err != nil {
			return nil, err
		}
		if n%plainEach == 0 {
			if err := add(plainID(n/plainEach), plainType, n); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// window is how many messages apart two copies of an event may be sent at most.
const window = 160

// send puts every copy of every event on the queue, shuffled within a window, so that
// copies meet each other and their neighbours.
func (sys *system) send() {
	bodies, err := sys.bodies()
	if err != nil {
		sys.t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(sys.seed, 0))
	var copies []string
	for _, b := range bodies {
		for range sys.copies {
			copies = append(copies, b)
		}
	}
	for start := 0; start < len(copies); start += window {
		part := copies[start:min(start+window, len(copies))]
		rng.Shuffle(len(part), func(i, j int) { part[i], part[j] = part[j], part[i] })
	}
	batches := make(chan []string)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for b := range batches {
				sys.sendBatch(b)
			}
		})
	}
	for start := 0; start < len(copies); start += 10 {
		batches <- copies[start:min(start+10, len(copies))]
	}
	close(batches)
	wg.Wait()
}

func (sys *system) sendBatch(bodies []string) {
	in := &sqs.SendMessageBatchInput{QueueUrl: &sys.queueURL}
	for i := range bodies {
		in.Entries = append(in.Entries, types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &bodies[i]})
	}
	out, err := sys.sqs.SendMessageBatch(sys.t.Context(), in)
	if err != nil || len(out.Failed) > 0 {
		sys.t.Errorf("send messages: %v, %+v", err, out)
	}
}
