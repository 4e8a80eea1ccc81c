package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/outbox"
)

// table is a store in memory: messages by shard, oldest first.
type table struct {
	listErr map[int]error
	markErr func(key string) error
	heldErr error
	list    time.Duration // for a page
	mark    time.Duration // for a mark
	held    [outbox.Shards]int

	mu     sync.Mutex
	shards [outbox.Shards][]outbox.Message
	sent   map[string]time.Time
}

// tableOf returns a store with n messages in each of the shards, by default all.
func tableOf(n int, shards ...int) *table {
	t := &table{sent: map[string]time.Time{}}
	for shard := range t.shards {
		if len(shards) > 0 && !slices.Contains(shards, shard) {
			continue
		}
		for i := range n {
			t.shards[shard] = append(t.shards[shard], outbox.Message{
				Key:  fmt.Sprintf("OUT#FACT#test#-#in_%d_%04d#paid#receipt", shard, i),
				Name: "receipt", To: "cus_secret", Fields: map[string]any{"amount": int64(4165), "note": "secret"},
			})
		}
	}
	return t
}

func (t *table) Unsent(ctx context.Context, q outbox.Query) ([]outbox.Message, string, error) {
	if t.list > 0 && !wait(ctx, t.list) {
		return nil, "", ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := t.listErr[q.Shard]; err != nil {
		return nil, "", err
	}
	var page []outbox.Message
	all := slices.Clone(t.shards[q.Shard])
	if q.NewestFirst {
		slices.Reverse(all)
	}
	for _, m := range all {
		if _, sent := t.sent[m.Key]; sent || q.Cursor != "" && (m.Key == q.Cursor || m.Key < q.Cursor != q.NewestFirst) {
			continue
		}
		if len(page) == q.Limit {
			return page, page[q.Limit-1].Key, nil
		}
		page = append(page, m)
	}
	return page, "", nil
}

func (t *table) CountHeld(_ context.Context, shard, most int) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return min(t.held[shard], most), t.heldErr
}

func (t *table) MarkSent(ctx context.Context, key string, at time.Time) error {
	if ctx.Err() != nil || t.mark > 0 && !wait(ctx, t.mark) {
		return ctx.Err()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.markErr != nil {
		if err := t.markErr(key); err != nil {
			return err
		}
	}
	if _, sent := t.sent[key]; !sent {
		t.sent[key] = at
	}
	return nil
}

// sender records the messages that it gets.
type sender struct {
	send func(context.Context, outbox.Message) error // nil accepts every message

	mu   sync.Mutex
	keys []string
}

func (s *sender) Send(ctx context.Context, m outbox.Message) error {
	s.mu.Lock()
	s.keys = append(s.keys, m.Key)
	s.mu.Unlock()
	if s.send == nil {
		return nil
	}
	return s.send(ctx, m)
}

// of returns the keys of a shard in the order in which they were sent.
func (s *sender) of(shard int) (keys []string) {
	for _, k := range s.keys {
		if strings.Contains(k, fmt.Sprintf("in_%d_", shard)) {
			keys = append(keys, k)
		}
	}
	return keys
}

// drain calls Drain with one message in flight per shard, unless the options have another
// number, and returns the result without Left.
func drain(t *testing.T, store outbox.Store, s outbox.Sender, o outbox.Options) outbox.Result {
	t.Helper()
	if o.Parallel == 0 {
		o.Parallel = outbox.Shards
	}
	result, err := outbox.Drain(t.Context(), store, s, o)
	if err != nil {
		t.Fatal(err)
	}
	result.Left = nil
	return result
}

func TestDrainSendsEveryShardOldestFirst(t *testing.T) {
	store, s := tableOf(60), &sender{} // more than two pages of each shard
	if diff := cmp.Diff(outbox.Result{Sent: 60 * outbox.Shards}, drain(t, store, s, outbox.Options{})); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	for shard := range outbox.Shards {
		if got := s.of(shard); len(got) != 60 || !slices.IsSorted(got) {
			t.Errorf("shard %d: sent %v", shard, got)
		}
	}
	if again := drain(t, store, s, outbox.Options{}); again != (outbox.Result{}) || len(s.keys) != 60*outbox.Shards {
		t.Errorf("a second run: %+v", again)
	}
}

func TestFailuresDelayNoOthers(t *testing.T) {
	store := tableOf(30, 3)
	store.shards[3][7].Name = ""
	var logs strings.Builder
	s := &sender{send: func(_ context.Context, m outbox.Message) error {
		switch place(m) {
		case 0:
			return errors.New("no such mailbox")
		case 1:
			panic("bug")
		}
		return nil
	}}
	o := outbox.Options{Logger: slog.New(slog.NewTextHandler(&logs, nil))}
	if diff := cmp.Diff(outbox.Result{Sent: 27, Failed: 3}, drain(t, store, s, o)); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	for _, want := range []string{"no such mailbox", "sender panicked: bug", "no name", "in_3_0001"} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, logs.String())
		}
	}
	if strings.Contains(logs.String(), "secret") {
		t.Errorf("the log has the recipient or the content:\n%s", logs.String())
	}
	s.send = nil
	if diff := cmp.Diff(outbox.Result{Sent: 2, Failed: 1}, drain(t, store, s, outbox.Options{})); diff != "" {
		t.Errorf("the next run (-want +got):\n%s", diff)
	}
}

// TestFailedMarkSendsAgain: delivery is at least once, and the result counts the repeats.
func TestFailedMarkSendsAgain(t *testing.T) {
	store, s := tableOf(1, 0, 1), &sender{}
	store.markErr = func(key string) error {
		if strings.Contains(key, "in_0_") {
			return errors.New("throttled")
		}
		return nil
	}
	if diff := cmp.Diff(outbox.Result{Sent: 1, Unmarked: 1}, drain(t, store, s, outbox.Options{})); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	store.markErr = nil
	if diff := cmp.Diff(outbox.Result{Sent: 1}, drain(t, store, s, outbox.Options{})); diff != "" || len(s.of(0)) != 2 {
		t.Errorf("sent %v, the next run (-want +got):\n%s", s.keys, diff)
	}
}

func TestMarkFollowsSend(t *testing.T) {
	store := tableOf(3, 5)
	s := &sender{send: func(_ context.Context, m outbox.Message) error {
		store.mu.Lock()
		defer store.mu.Unlock()
		if _, marked := store.sent[m.Key]; marked {
			t.Errorf("%s was marked before it was sent", m.Key)
		}
		return nil
	}}
	if got := drain(t, store, s, outbox.Options{}); got.Sent != 3 {
		t.Errorf("result %+v", got)
	}
}

func TestBounds(t *testing.T) {
	t.Run("half the failures of a shard in either direction, and no limit on accepted messages", func(t *testing.T) {
		store := tableOf(400)
		s := &sender{send: func(_ context.Context, m outbox.Message) error {
			if strings.Contains(m.Key, "in_2_") {
				return errors.New("no")
			}
			return nil
		}}
		got := drain(t, store, s, outbox.Options{Failures: 100})
		if diff := cmp.Diff(outbox.Result{Sent: 7 * 400, Failed: 13, Unfinished: true}, got); diff != "" {
			t.Errorf("%d tried (-want +got):\n%s", len(s.keys), diff)
		}
	})
	t.Run("no message is started after the time", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			s := &sender{send: func(context.Context, outbox.Message) error { <-time.After(time.Second); return nil }}
			got := drain(t, tableOf(100, 4), s, outbox.Options{Time: 10 * time.Second})
			if diff := cmp.Diff(outbox.Result{Sent: 10, Unfinished: true}, got); diff != "" || time.Since(start) != 10*time.Second {
				t.Errorf("after %v (-want +got):\n%s", time.Since(start), diff)
			}
		})
	})
	t.Run("messages in flight are limited", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start, flying, most := time.Now(), atomic.Int32{}, atomic.Int32{}
			s := &sender{send: func(context.Context, outbox.Message) error {
				if n := flying.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-time.After(time.Second)
				flying.Add(-1)
				return nil
			}}
			got := drain(t, tableOf(30), s, outbox.Options{Parallel: 24})
			if diff := cmp.Diff(outbox.Result{Sent: 240}, got); diff != "" || most.Load() != 24 || time.Since(start) != 10*time.Second {
				t.Errorf("after %v, %d at once (-want +got):\n%s", time.Since(start), most.Load(), diff)
			}
		})
	})
	t.Run("a message has its own timeout, and slow messages delay only their shard", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &sender{send: func(ctx context.Context, m outbox.Message) error {
				if strings.Contains(m.Key, "in_0_") {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}}
			got := drain(t, tableOf(9), s, outbox.Options{})
			if diff := cmp.Diff(outbox.Result{Sent: 63, Failed: 5, Unfinished: true}, got); diff != "" {
				t.Errorf("want five timeouts of ten seconds, and all others (-want +got):\n%s", diff)
			}
		})
	})
	t.Run("a message sent when the run is stopped is marked", func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		store := tableOf(5, 6)
		s := &sender{send: func(context.Context, outbox.Message) error { stop(); return nil }}
		got, err := outbox.Drain(ctx, store, s, outbox.Options{Parallel: outbox.Shards})
		if diff := cmp.Diff(outbox.Result{Sent: 1, Unfinished: true}, got); diff != "" || err != nil || len(store.sent) != 1 {
			t.Errorf("error %v, %d marked (-want +got):\n%s", err, len(store.sent), diff)
		}
	})
}

func TestUnreadableListDelaysNoOther(t *testing.T) {
	down := errors.New("throttled")
	store := tableOf(2)
	store.listErr = map[int]error{1: down, 6: down}
	got, err := outbox.Drain(t.Context(), store, &sender{}, outbox.Options{})
	if diff := cmp.Diff(outbox.Result{Sent: 12, Unfinished: true}, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if !errors.Is(err, down) || !strings.Contains(err.Error(), "OUT#1") || !strings.Contains(err.Error(), "OUT#6") {
		t.Errorf("error %v, want both lists named", err)
	}
}

func TestDrainRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		store  outbox.Store
		sender outbox.Sender
		o      outbox.Options
	}{
		"no store":       {nil, &sender{}, outbox.Options{}},
		"no sender":      {tableOf(0), nil, outbox.Options{}},
		"negative share": {tableOf(0), &sender{}, outbox.Options{Parallel: -1}},
		"negative fails": {tableOf(0), &sender{}, outbox.Options{Failures: -1}},
		"negative time":  {tableOf(0), &sender{}, outbox.Options{Time: -1}},
		"negative age":   {tableOf(0), &sender{}, outbox.Options{MinAge: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := outbox.Drain(t.Context(), c.store, c.sender, c.o); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func TestLogSenderLogsOnlyKeyAndName(t *testing.T) {
	var logs strings.Builder
	log := slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	store := tableOf(1, 2)
	if got := drain(t, store, outbox.NewLogSender(log), outbox.Options{}); got.Sent != 1 {
		t.Errorf("result %+v", got)
	}
	want := "level=INFO msg=\"outbox message\" key=OUT#FACT#test#-#in_2_0000#paid#receipt name=receipt\n"
	if diff := cmp.Diff(want, logs.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func TestLive(t *testing.T) {
	for key, want := range map[string]bool{
		"OUT#FACT#live#-#in_1#paid#receipt":       true,
		"OUT#OBJ#live#acct_1#sub_1#welcome":       true,
		"OUT#FACT#test#-#in_1#paid#receipt":       false,
		"OUT#FACT#test#live#in_1#paid#receipt":    false,
		"OUT#FACT#lively#acct_1#in_1#paid#notice": false,
		"OUT#live":  false,
		"OUT##live": false,
		"":          false,
	} {
		if got := (outbox.Message{Key: key}).Live(); got != want {
			t.Errorf("%q live is %v", key, got)
		}
	}
}
