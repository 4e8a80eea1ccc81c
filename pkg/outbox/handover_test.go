package outbox_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/outbox"
)

// committed is the effect of a message as Dispatch returns it.
func committed(id string, list func(int) string) dispatch.Effect {
	key := "OUT#FACT#live#acct_1#" + id + "#paid#receipt"
	return dispatch.Insert(key, dispatch.Fields{
		"kind": "outbox", "name": "receipt", "to": "cus_1", "amount": int64(7), "lst": list(dispatch.OutboxShard(key)),
		"at": "2026-11-28T12:00:00Z", "queued_at": int64(1_795_867_201_500),
	})
}

// TestHandOver sends what is not held, marks it afterwards, and goes on after an error.
func TestHandOver(t *testing.T) {
	store := tableOf(0)
	store.markErr = func(key string) error {
		if strings.Contains(key, "in_4") {
			return errors.New("throttled")
		}
		return nil
	}
	var got []outbox.Message
	s := &sender{send: func(_ context.Context, m outbox.Message) error {
		if _, marked := store.sent[m.Key]; marked {
			t.Errorf("%s was marked before it was sent", m.Key)
		}
		got = append(got, m)
		switch {
		case strings.Contains(m.Key, "in_2"):
			return errors.New("queue is down")
		case strings.Contains(m.Key, "in_3"):
			panic("bug")
		}
		return nil
	}}
	err := outbox.HandOver(store, s)(t.Context(), dispatch.Effects{
		dispatch.Insert("FACT#live#-#in_1#paid", nil), committed("in_1", dispatch.OutboxList), committed("in_2", dispatch.OutboxList),
		committed("in_3", dispatch.OutboxList), committed("in_4", dispatch.OutboxList), committed("in_5", dispatch.HeldList), committed("in_6", dispatch.OutboxList),
	})
	if len(got) != 5 || len(store.sent) != 2 {
		t.Fatalf("sent %v, marked %v", got, store.sent)
	}
	want := outbox.Message{
		Key: "OUT#FACT#live#acct_1#in_1#paid#receipt", Name: "receipt", To: "cus_1", Since: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC),
		Queued: time.UnixMilli(1_795_867_201_500), Fields: map[string]any{"kind": "outbox", "amount": int64(7)},
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	for _, part := range []string{"queue is down", "panicked: bug", "throttled"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %q", err, part)
		}
	}
}

// TestMinAge: a run leaves younger messages to the hand-over, and counts them.
func TestMinAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, s := tableOf(4, 3), &sender{}
		for i, age := range []time.Duration{3 * time.Minute, time.Minute, 2 * time.Minute, 0} {
			store.shards[3][i].Queued = time.Now().Add(-age)
		}
		store.shards[3][3].Queued = time.Time{} // of an older release
		got, err := outbox.Drain(t.Context(), store, s, outbox.Options{MinAge: 2 * time.Minute, Parallel: outbox.Shards})
		want := outbox.Result{Sent: 3, Left: &outbox.Left{Unsent: 1, Oldest: time.Minute}}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v, result (-want +got):\n%s", err, diff)
		}
		if places := []int{place(outbox.Message{Key: s.of(3)[0]}), place(outbox.Message{Key: s.of(3)[1]})}; !slices.Equal(places, []int{0, 2}) {
			t.Errorf("sent %v", s.of(3))
		}
		store.shards[3][1].Queued = time.Now().Add(time.Second) // by a clock that is ahead
		if got := drain(t, store, s, outbox.Options{}); got.Sent != 1 {
			t.Errorf("without a minimum: %+v", got)
		}
	})
}
