package dynamostore

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/outbox"
)

// outboxFixture is a store on a fresh table, with a way to put messages into it.
func outboxFixture(t *testing.T) (*Store, *Reader, func(key string, shard int, at time.Time)) {
	t.Helper()
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	return f.Store, f.reader, func(key string, shard int, at time.Time) {
		t.Helper()
		_, err := f.raw.PutItem(t.Context(), &dynamodb.PutItemInput{TableName: &f.table, Item: item{
			"pk": str(key), "name": str("receipt"), "to": str("cus_1"), "amount": num(4165), "currency": str("eur"),
			"lst": str(dispatch.OutboxList(shard)), "at": str(at.UTC().Format(time.RFC3339)),
		}})
		check(t, err)
	}
}

var outboxStart = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)

func TestOutboxUnsent(t *testing.T) {
	o, _, put := outboxFixture(t)
	for i := range 5 {
		put(fmt.Sprintf("OUT#FACT#live#-#in_%d#paid#receipt", i), 2, outboxStart.Add(time.Duration(5-i)*time.Minute))
	}
	put("OUT#FACT#live#-#in_9#paid#receipt", 3, outboxStart)
	var got []outbox.Message
	for cursor := ""; ; {
		page, next, err := o.Unsent(t.Context(), outbox.Query{Shard: 2, Limit: 2, Cursor: cursor})
		if err != nil || len(page) > 2 {
			t.Fatalf("a page of %d, %v", len(page), err)
		}
		got = append(got, page...)
		if cursor = next; next == "" {
			break
		}
	}
	var want []outbox.Message
	for i := 4; i >= 0; i-- {
		want = append(want, outbox.Message{
			Key: fmt.Sprintf("OUT#FACT#live#-#in_%d#paid#receipt", i), Name: "receipt", To: "cus_1",
			Since: outboxStart.Add(time.Duration(5-i) * time.Minute), Queued: outboxStart.Add(time.Duration(5-i) * time.Minute),
			Fields: map[string]any{"amount": int64(4165), "currency": "eur"},
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the oldest first (-want +got):\n%s", diff)
	}
	slices.Reverse(want)
	got, next, err := o.Unsent(t.Context(), outbox.Query{Shard: 2, Limit: 3, NewestFirst: true})
	if err != nil || next == "" {
		t.Fatalf("next page %q, %v", next, err)
	}
	rest, next, err := o.Unsent(t.Context(), outbox.Query{Shard: 2, Limit: 3, NewestFirst: true, Cursor: next})
	if diff := cmp.Diff(want, append(got, rest...)); diff != "" || next != "" || err != nil {
		t.Errorf("%v, next page %q, the newest first (-want +got):\n%s", err, next, diff)
	}
}

func TestOutboxMarkSent(t *testing.T) {
	o, reader, put := outboxFixture(t)
	const key = "OUT#FACT#live#-#in_1#paid#receipt"
	put(key, 0, outboxStart)
	first := outboxStart.Add(time.Minute)
	for i, at := range []time.Time{first, first.Add(time.Hour)} { // the second keeps the first's time
		if err := o.MarkSent(t.Context(), key, at); err != nil {
			t.Fatalf("mark %d: %v", i, err)
		}
		got, _, err := reader.Item(t.Context(), key)
		want := map[string]any{
			"pk": key, "name": "receipt", "to": "cus_1", "amount": int64(4165), "currency": "eur",
			"at": "2026-11-21T10:00:00Z", "sent_at": first.UnixMilli(),
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("after mark %d (-want +got):\n%s, %v", i, diff, err)
		}
	}
	if page, _, err := o.Unsent(t.Context(), outbox.Query{Shard: 0, Limit: 10}); err != nil || len(page) != 0 {
		t.Errorf("still listed: %v, %v", page, err)
	}
	if err := o.MarkSent(t.Context(), "OUT#none", first); err != nil {
		t.Errorf("a message that is not there: %v", err)
	}
	if _, found, err := reader.Item(t.Context(), "OUT#none"); found || err != nil {
		t.Errorf("a mark made an item (%v)", err)
	}
}

// keySender counts how often each message is sent.
type keySender struct {
	mu   sync.Mutex
	sent map[string]int
}

func (k *keySender) Send(_ context.Context, m outbox.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sent[m.Key]++
	return nil
}

// TestOutboxDrain sends the messages in a table, over several pages, once; runs alongside
// each other may send a message more than once, but never lose one.
func TestOutboxDrain(t *testing.T) {
	o, _, put := outboxFixture(t)
	for i := range 60 {
		put(fmt.Sprintf("OUT#FACT#live#-#in_%d#paid#receipt", i), i%2*5, outboxStart.Add(time.Duration(i)*time.Second))
	}
	k := &keySender{sent: map[string]int{}}
	for i, want := range []outbox.Result{{Sent: 60, Left: &outbox.Left{}}, {Left: &outbox.Left{}}} {
		got, err := outbox.Drain(t.Context(), o, k, outbox.Options{})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("run %d (-want +got):\n%s, %v", i, diff, err)
		}
	}
	for i := range 20 {
		put(fmt.Sprintf("OUT#OBJ#live#-#sub_%d#welcome", i), 7, outboxStart)
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := outbox.Drain(t.Context(), o, k, outbox.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if page, _, err := o.Unsent(t.Context(), outbox.Query{Shard: 7, Limit: 10}); err != nil || len(page) != 0 || len(k.sent) != 80 {
		t.Errorf("%d left, %d sent, %v", len(page), len(k.sent), err)
	}
	for key, n := range k.sent {
		if strings.HasPrefix(key, "OUT#FACT") && n != 1 {
			t.Errorf("%s was sent %d times", key, n)
		}
	}
}

// TestOutboxMessageReadsWhatIsMissing: a broken item is counted where messages are sent, so
// reading it must not fail, nor hide it.
func TestOutboxMessageReadsWhatIsMissing(t *testing.T) {
	got := outboxMessage(item{"pk": str("OUT#1"), "name": num(7), "lst": str("OUT#0"), "amount": num(1)})
	want := outbox.Message{Key: "OUT#1", Fields: map[string]any{"amount": int64(1)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// staleIndex is a client whose index still shows a message that was marked.
type staleIndex struct{ *dynamodb.Client }

func (s staleIndex) Query(context.Context, *dynamodb.QueryInput, ...func(*dynamodb.Options)) (*dynamodb.QueryOutput, error) {
	entry := func(key string, more item) item {
		it := item{"pk": str(key), "name": str("receipt"), "lst": str("OUT#0"), "at": str("2026-11-21T10:00:00Z")}
		for name, v := range more {
			it[name] = v
		}
		return it
	}
	return &dynamodb.QueryOutput{Items: []item{entry("OUT#1", item{"sent_at": num(1)}), entry("OUT#2", nil)}}, nil
}

func TestOutboxLeavesOutWhatIsMarked(t *testing.T) {
	o := newStore(t, staleIndex{}, "t")
	page, next, err := o.Unsent(t.Context(), outbox.Query{Shard: 0, Limit: 10})
	if err != nil || next != "" || !slices.EqualFunc(page, []string{"OUT#2"}, func(m outbox.Message, key string) bool { return m.Key == key }) {
		t.Errorf("page %v, next %q, %v", page, next, err)
	}
}
