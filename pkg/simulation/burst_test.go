package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	stripego "github.com/stripe/stripe-go/v76"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency/idempotencytest"
	"tollgate/pkg/limits"
	fakestripe "tollgate/pkg/local/stripe"
	"tollgate/pkg/queue"
	"tollgate/pkg/stripeapi"
)

// burst is a burst of events that are each fetched, over as many consumer processes as on AWS,
// each with its own rate limiter, at a Stripe that serves no more than its limit.
type burst struct {
	start  time.Time
	fake   *fakestripe.Fake
	table  *idempotencytest.Memory
	limits limits.Limits

	mu       sync.Mutex
	rng      *rand.Rand
	messages []*burstMessage // that are not acknowledged
	dead     []string
	receives int // the most of one message
	asked    []request
	done     map[string]time.Duration // by account, the time of the last one
}

type burstMessage struct {
	queue.Message
	account string
	visible time.Time
}

// request is one that reached Stripe.
type request struct {
	at      time.Duration
	account string
	refused bool
}

const stripeTakes = 200 * time.Millisecond

// RoundTrip implements http.RoundTripper.
func (b *burst) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	b.fake.ServeHTTP(answer, r)
	b.mu.Lock()
	b.asked = append(b.asked, request{time.Since(b.start), r.Header.Get("Stripe-Account"), answer.Code == http.StatusTooManyRequests})
	b.mu.Unlock()
	if answer.Code != http.StatusTooManyRequests {
		time.Sleep(stripeTakes)
	}
	return answer.Result(), r.Context().Err()
}

// send enqueues events of one account, each of a subscription of its own.
func (b *burst) send(t *testing.T, account string, n int) {
	t.Helper()
	objects := make([]string, n)
	for i := range n {
		id := fmt.Sprintf("%s_%d", strings.TrimPrefix(account, "acct_"), i)
		objects[i] = fmt.Sprintf(`{"object":"subscription","id":"sub_%s","status":"active"}`, id)
		raw := fmt.Appendf(nil, `{"id":"evt_%s","object":"event","type":%q,"account":%q,"created":%d,"livemode":true,"api_version":%q,"data":{"object":%s}}`,
			id, rowType, account, b.start.Unix(), stripeapi.APIVersion, objects[i])
		e, err := event.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		e.Body, e.Endpoint, e.Source, e.ReceivedAt = raw, "default", event.Webhook, b.start
		body, err := queue.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		b.messages = append(b.messages, &burstMessage{account: account, visible: b.start,
			Message: queue.Message{ID: e.ID, Receipt: e.ID, Body: body, SentAt: b.start, FirstReceivedAt: b.start}})
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "/_fake/objects", strings.NewReader("["+strings.Join(objects, ",")+"]"))
	r.Header.Set("Authorization", "Bearer sk_test_1")
	r.Header.Set("Stripe-Account", account)
	answer := httptest.NewRecorder()
	if b.fake.ServeHTTP(answer, r); answer.Code != http.StatusOK {
		t.Fatalf("%d %s", answer.Code, answer.Body)
	}
}

// take receives up to a batch of messages, in any order.
func (b *burst) take() (batch []queue.Message, left bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var due []*burstMessage
	for _, m := range b.messages {
		if !m.visible.After(now) {
			due = append(due, m)
		}
	}
	for range min(len(due), b.limits.BatchSize) {
		i := b.rng.IntN(len(due))
		m := due[i]
		due = slices.Delete(due, i, i+1)
		m.Receives++
		m.visible = now.Add(b.limits.Visibility)
		b.receives = max(b.receives, m.Receives)
		if m.Receives > b.limits.MaxReceives {
			b.dead = append(b.dead, m.ID)
			b.remove(m.ID)
			continue
		}
		batch = append(batch, m.Message)
	}
	return batch, len(b.messages) > 0
}

func (b *burst) remove(id string) {
	b.messages = slices.DeleteFunc(b.messages, func(m *burstMessage) bool {
		if m.ID == id {
			b.done[m.account] = time.Since(b.start)
		}
		return m.ID == id
	})
}

// SetVisibility implements consumer.Queue.
func (b *burst) SetVisibility(_ context.Context, receipt string, d time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.messages {
		if m.Receipt == receipt {
			m.visible = time.Now().Add(d)
		}
	}
	return nil
}

// Delete implements consumer.Queue.
func (b *burst) Delete(_ context.Context, receipts []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range receipts {
		b.remove(id)
	}
	return nil
}

// DeadLetter implements consumer.Queue.
func (b *burst) DeadLetter(_ context.Context, m queue.Message, d queue.DeadLetter) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dead = append(b.dead, m.ID+": "+d.Reason+": "+d.Error)
	return nil
}

// process is one consumer process until the queue is empty.
func (b *burst) process(t *testing.T) {
	client, err := stripeapi.New(stripeapi.Options{
		Key:       func(context.Context) (string, error) { return "sk_test_1", nil },
		Transport: b, TryTimeout: b.limits.StripeTry, ResourceRate: float64(b.limits.StripeRate), Processes: b.limits.MaxConcurrency,
	})
	if err != nil {
		t.Error(err)
		return
	}
	mux := dispatch.NewMux(dispatch.Config{APIVersion: stripeapi.APIVersion, Objects: client, Rows: b.table})
	dispatch.OnCurrent(mux, rowType, func(_ context.Context, e dispatch.Current[stripego.Subscription]) (dispatch.Effects, error) {
		return dispatch.Effects{e.KeepRow(dispatch.Fields{"status": string(e.Object.Status)})}, nil
	}, dispatch.Coalesce)
	c, err := consumer.New(consumer.Config{Store: b.table, Queue: b, Handlers: mux, Fetcher: client, Limits: b.limits})
	if err != nil {
		t.Error(err)
		return
	}
	for {
		batch, left := b.take()
		if !left {
			return
		}
		if len(batch) == 0 {
			time.Sleep(time.Second)
			continue
		}
		ctx, cancel := context.WithTimeout(t.Context(), b.limits.ConsumerTimeout)
		failed, err := c.Handle(ctx, batch)
		cancel()
		if err != nil {
			t.Error(err)
			return
		}
		var acked []string
		for _, m := range batch {
			if !slices.Contains(failed, m.ID) {
				acked = append(acked, m.Receipt)
			}
		}
		_ = b.Delete(t.Context(), acked)
	}
}

// run runs the burst until every message is done or dead.
func (b *burst) run(t *testing.T) {
	var all sync.WaitGroup
	for range b.limits.MaxConcurrency {
		all.Go(func() { b.process(t) })
	}
	all.Wait()
}

// within returns the most requests of those asked within any time of a length, and the share of
// those asked that were refused.
func within(asked []request, length time.Duration) (most int, refused float64) {
	first := 0
	for i, r := range asked {
		for r.at-asked[first].at >= length {
			first++
		}
		most = max(most, i-first+1)
		if r.refused {
			refused++
		}
	}
	return most, refused / float64(max(len(asked), 1))
}

// since returns the requests from a time on.
func (b *burst) since(from time.Duration) (asked []request) {
	return slices.DeleteFunc(slices.Clone(b.asked), func(r request) bool { return r.at < from })
}

func newBurst(t *testing.T, rate int) *burst {
	t.Helper()
	fake, err := fakestripe.Open(fakestripe.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fake.Close() })
	fake.LimitRate(rate)
	return &burst{
		start: time.Now(), fake: fake, table: idempotencytest.NewMemory(nil), limits: limits.AWS(),
		rng: rand.New(rand.NewPCG(1, uint64(rate))), done: map[string]time.Duration{},
	}
}

// TestBurstAtStripesLimit: 10,000 events that are each fetched, at a Stripe that answers 429 above
// 25 requests a second, end without a dead letter. The processes do not know of each other: their
// rates settle so that few requests are refused.
func TestBurstAtStripesLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const settled = 30 * time.Second
		b := newBurst(t, 25)
		b.send(t, "acct_hot", 10_000)
		b.run(t)
		took := time.Since(b.start)
		first, _ := within(b.asked, time.Second)
		second, refused := within(b.since(settled), time.Second)
		tenSeconds, _ := within(b.since(settled), 10*time.Second)
		served, _ := within(slices.DeleteFunc(slices.Clone(b.asked), func(r request) bool { return r.refused }), time.Second)
		t.Logf("%v, %d receives at most; served up to %d a second; asked up to %d, after %v up to %d and %.1f in 10 s on average, %.1f %% refused",
			took, b.receives, served, first, settled, second, float64(tenSeconds)/10, 100*refused)
		switch {
		case len(b.dead) > 0:
			t.Errorf("%d dead letters, such as %s", len(b.dead), b.dead[0])
		case took > 20*time.Minute || b.receives > 8:
			t.Errorf("the burst took %v and %d receives of one message", took, b.receives)
		case first > 75 || served > 25:
			t.Errorf("up to %d requests a second at the start, %d served", first, served)
		case second > 80 || tenSeconds > 300 || refused > 0.07:
			t.Errorf("after %v up to %d requests a second, %d in ten, %.1f %% refused", settled, second, tenSeconds, 100*refused)
		}
	})
}

// TestHotAccount: a burst of one account does not hold up the others, which have limits of
// their own.
func TestHotAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBurst(t, 25)
		b.send(t, "acct_hot", 3000)
		for i := range 10 {
			b.send(t, fmt.Sprint("acct_", i), 10)
		}
		b.run(t)
		var slowest time.Duration
		for account, at := range b.done {
			if account != "acct_hot" {
				slowest = max(slowest, at)
			}
		}
		t.Logf("the last event of the hot account after %v, of the others after %v", b.done["acct_hot"], slowest)
		if len(b.done) != 11 || len(b.dead) > 0 {
			t.Errorf("done %v, dead %v", b.done, b.dead)
		}
		if slowest > b.done["acct_hot"]*2/3 {
			t.Errorf("the others end after %v, the hot account after %v", slowest, b.done["acct_hot"])
		}
	})
}
