package outbox_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/outbox"
)

// place is a message's position in its shard, 0 for the oldest.
func place(m outbox.Message) int {
	const before = len("OUT#FACT#test#-#in_0_")
	n, err := strconv.Atoi(m.Key[before : before+4])
	if err != nil {
		panic(err)
	}
	return n
}

// refusesUnder rejects the n oldest messages of each shard.
func refusesUnder(n int) *sender {
	return &sender{send: func(_ context.Context, m outbox.Message) error {
		if place(m) < n {
			return errors.New("no such mailbox")
		}
		return nil
	}}
}

// TestNewMessagesAreSent behind any number of older messages that are rejected.
func TestNewMessagesAreSent(t *testing.T) {
	for _, c := range []struct {
		name         string
		refused, all int
		want         outbox.Result // of one shard
	}{
		{"half the share", 63, 100, outbox.Result{Sent: 37, Failed: 63}},
		{"over half the share", 64, 100, outbox.Result{Sent: 36, Failed: 64}},
		{"the share", 125, 145, outbox.Result{Sent: 20, Failed: 125}},
		{"over the share", 400, 420, outbox.Result{Sent: 20, Failed: 125, Unfinished: true}},
		{"many new messages", 400, 900, outbox.Result{Sent: 500, Failed: 125, Unfinished: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, s := tableOf(c.all), refusesUnder(c.refused)
			want := c.want
			want.Sent, want.Failed = 8*want.Sent, 8*want.Failed
			if diff := cmp.Diff(want, drain(t, store, s, outbox.Options{})); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			for shard := range outbox.Shards {
				keys := s.of(shard)
				slices.Sort(keys)
				if len(slices.Compact(keys)) != c.want.Sent+c.want.Failed {
					t.Errorf("shard %d: a message was tried twice: %v", shard, keys)
				}
			}
			runs := 1
			for ; len(store.sent) < 8*(c.all-c.refused) && runs < 5; runs++ {
				drain(t, store, s, outbox.Options{})
			}
			if len(store.sent) != 8*(c.all-c.refused) {
				t.Errorf("%d were sent after %d runs, want every acceptable message: %d", len(store.sent), runs, 8*(c.all-c.refused))
			}
		})
	}
}

// TestSlowMessagesLeaveTimeForNewOnes: each slow message takes its timeout of ten seconds.
func TestSlowMessagesLeaveTimeForNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sender{send: func(ctx context.Context, m outbox.Message) error {
			if place(m) < 20 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		start := time.Now()
		got := drain(t, tableOf(40, 2), s, outbox.Options{})
		if diff := cmp.Diff(outbox.Result{Sent: 20, Failed: 5, Unfinished: true}, got); diff != "" || time.Since(start) != 50*time.Second {
			t.Errorf("after %v (-want +got):\n%s", time.Since(start), diff)
		}
	})
}
