package outbox_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tollgate/pkg/outbox"
)

// holder records what it is asked to hold, and refuses one key.
type holder struct {
	refuse string

	mu   sync.Mutex
	keys []string
}

func (h *holder) Hold(_ context.Context, key string, before time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if strings.Contains(key, h.refuse) || before.IsZero() {
		return errors.New("throttled")
	}
	h.keys = append(h.keys, key)
	return nil
}

// TestHoldBefore: messages that were queued before the end of a restore are held and not sent, also if
// they cannot be held. Later ones, and those released later, are sent.
func TestHoldBefore(t *testing.T) {
	end := time.Date(2026, 11, 28, 22, 30, 0, 0, time.UTC)
	store, s, h := tableOf(4, 3), &sender{}, &holder{refuse: "in_3_0001"}
	for i, queued := range []time.Time{end.Add(-time.Millisecond), {}, end, end.Add(time.Hour)} {
		store.shards[3][i].Queued, store.shards[3][i].Since = queued, end.Add(-time.Hour)
	}
	got := drain(t, store, s, outbox.Options{HoldBefore: end, Holder: h})
	if want := (outbox.Result{Sent: 2, Failed: 1}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if len(h.keys) != 1 || !strings.Contains(h.keys[0], "in_3_0000") {
		t.Errorf("held %v", h.keys)
	}
	if sent := s.of(3); len(sent) != 2 || slices.ContainsFunc(sent, func(k string) bool { return strings.Contains(k, "_0000") || strings.Contains(k, "_0001") }) {
		t.Errorf("sent %v", sent)
	}
	if _, err := outbox.Drain(t.Context(), store, s, outbox.Options{HoldBefore: end}); err == nil || !strings.Contains(err.Error(), "needs a holder") {
		t.Errorf("without a holder: %v", err)
	}
}

// TestHoldFails: messages that cannot be held count against the run's limit of failures.
func TestHoldFails(t *testing.T) {
	store, s := tableOf(4, 3), &sender{}
	end := time.Now().Add(time.Hour)
	got := drain(t, store, s, outbox.Options{HoldBefore: end, Holder: &holder{refuse: "in_3"}, Failures: 1, Parallel: 1})
	if got.Sent > 0 || got.Failed == 0 || !got.Unfinished || len(s.of(3)) > 0 {
		t.Errorf("%+v, sent %v", got, s.of(3))
	}
}
