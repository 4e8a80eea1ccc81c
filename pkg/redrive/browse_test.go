package redrive_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/redrive"
)

// browse collects the ids of the visited messages.
func browse(ctx context.Context, q redrive.Queue, o redrive.Options) (ids []string, sum redrive.Summary, err error) {
	sum, err = redrive.Browse(ctx, q, o, func(l redrive.Letter, _ []byte) bool {
		ids = append(ids, l.MessageID)
		return true
	})
	return ids, sum, err
}

func TestBrowse(t *testing.T) {
	tests := []struct {
		name    string
		letters int
		slow    time.Duration
		options redrive.Options
		want    redrive.Summary
	}{
		{"an empty queue", 0, 0, redrive.Options{}, redrive.Summary{}},
		{"a few", 3, 0, redrive.Options{}, redrive.Summary{Letters: 3}},
		{"many receives", 57, 0, redrive.Options{}, redrive.Summary{Letters: 57}},
		{"up to the limit", 57, 0, redrive.Options{Limit: 25}, redrive.Summary{Letters: 25, More: true}},
		{"less than the limit", 7, 0, redrive.Options{Limit: 8}, redrive.Summary{Letters: 7}},
		{"longer than they are hidden", 100, 50 * time.Second, redrive.Options{}, redrive.Summary{Letters: 100}},
		{"a shorter time", 20, 4 * time.Second, redrive.Options{Visibility: 10 * time.Second}, redrive.Summary{Letters: 20}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := queueOf(t, tt.letters)
				q.slow = tt.slow
				ids, sum, err := browse(t.Context(), q, tt.options)
				if diff := cmp.Diff(tt.want, sum); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
				if n := len(slices.Compact(slices.Sorted(slices.Values(ids)))); n != tt.want.Letters || n != len(ids) {
					t.Errorf("visited %d letters, %d different ones", len(ids), n)
				}
				if hidden := q.hidden(); len(hidden) != 0 {
					t.Errorf("%d letters stay hidden", len(hidden))
				}
				for _, e := range q.entries[:tt.want.Letters] {
					if e.m.Receives != 1 {
						t.Errorf("%s was received %d times: it came back while the browse went on", e.m.ID, e.m.Receives)
					}
				}
				if q.most > 10 {
					t.Errorf("asked for %d messages at once", q.most)
				}
			})
		})
	}
}

// TestBrowseCountsOnce what comes back since nothing could hide it any longer.
func TestBrowseCountsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(t, 30)
		q.slow = 70 * time.Second
		q.stuck = func(receipt string) bool { return strings.HasPrefix(receipt, "m3/") && receipt < "m3/3" }
		ids, sum, err := browse(t.Context(), q, redrive.Options{})
		if err != nil || len(ids) != 30 || sum.Letters != 30 {
			t.Errorf("visited %d letters of 30, counted %d: %v", len(ids), sum.Letters, err)
		}
		if q.entries[3].m.Receives < 2 {
			t.Error("the letter never came back: this test shows nothing")
		}
		if hidden := q.hidden(); len(hidden) != sum.Unreleased {
			t.Errorf("%v stay hidden, %d are said to", hidden, sum.Unreleased)
		}
	})
}

// TestBrowseGoesOn when letters come back in the midst of it, as for a while nothing can
// hide them.
func TestBrowseGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(t, 100)
		q.slow = 30 * time.Second
		q.stuck = func(string) bool { return time.Since(start) < 4*time.Minute }
		ids, sum, err := browse(t.Context(), q, redrive.Options{})
		if err != nil || len(ids) != 100 || sum.Letters != 100 {
			t.Errorf("visited %d letters of 100, counted %d: %v", len(ids), sum.Letters, err)
		}
		if q.entries[30].m.Receives < 2 {
			t.Error("no letter came back: this test shows nothing")
		}
	})
}

// TestBrowseLooksTwice: a queue of many servers may give nothing though it has something.
func TestBrowseLooksTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(t, 25)
		ids, _, err := browse(t.Context(), &misses{fakeQueue: q}, redrive.Options{})
		if err != nil || len(ids) != 25 {
			t.Errorf("visited %d letters of 25: %v", len(ids), err)
		}
	})
}

// misses finds nothing at every other receive.
type misses struct {
	*fakeQueue
	n int
}

func (q *misses) Receive(ctx context.Context, limit int, hide time.Duration) ([]redrive.Received, error) {
	if q.n++; q.n%2 == 1 {
		return nil, nil
	}
	return q.fakeQueue.Receive(ctx, limit, hide)
}

// TestBrowseEnds although a broken queue gives out the same message for ever.
func TestBrowseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(t, 1)
		q.slow = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ids, _, err := browse(ctx, again{q}, redrive.Options{})
		if err != nil || len(ids) != 1 {
			t.Errorf("visited %v: %v", ids, err)
		}
	})
}

// again hides nothing.
type again struct{ *fakeQueue }

func (q again) Receive(ctx context.Context, limit int, _ time.Duration) ([]redrive.Received, error) {
	return q.fakeQueue.Receive(ctx, limit, 0)
}

func TestBrowseGivesBack(t *testing.T) {
	boom := errors.New("queue is away")
	tests := []struct {
		name   string
		change func(q *fakeQueue, cancel context.CancelFunc)
		visit  func(n int, cancel context.CancelFunc) bool
		want   error
		sum    redrive.Summary
	}{
		{
			name:   "when a receive fails",
			change: func(q *fakeQueue, _ context.CancelFunc) { q.fail = failAt(3, boom) },
			want:   boom, sum: redrive.Summary{Letters: 20},
		},
		{
			name: "when it is cancelled between receives",
			visit: func(n int, cancel context.CancelFunc) bool {
				if n == 15 {
					cancel()
				}
				return true
			},
			want: context.Canceled, sum: redrive.Summary{Letters: 20},
		},
		{
			name: "when it is cancelled within a receive, whose messages count",
			change: func(q *fakeQueue, cancel context.CancelFunc) {
				q.fail = func(call int) error {
					if call == 2 {
						cancel()
					}
					return nil
				}
			},
			want: context.Canceled, sum: redrive.Summary{Letters: 20},
		},
		{
			name:  "when the visitor has seen enough",
			visit: func(n int, _ context.CancelFunc) bool { return n < 4 },
			sum:   redrive.Summary{Letters: 4, More: true},
		},
		{
			name:   "all but what cannot be given back",
			change: func(q *fakeQueue, _ context.CancelFunc) { q.stuck = func(r string) bool { return r == "m7/1" } },
			sum:    redrive.Summary{Letters: 30, Unreleased: 1},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				q := queueOf(t, 30)
				if tt.change != nil {
					tt.change(q, cancel)
				}
				n := 0
				sum, err := redrive.Browse(ctx, q, redrive.Options{}, func(redrive.Letter, []byte) bool {
					n++
					return tt.visit == nil || tt.visit(n, cancel)
				})
				if !errors.Is(err, tt.want) {
					t.Errorf("error is %v, want %v", err, tt.want)
				}
				if diff := cmp.Diff(tt.sum, sum); diff != "" {
					t.Error(diff)
				}
				if hidden := q.hidden(); len(hidden) != tt.sum.Unreleased {
					t.Errorf("%v stay hidden", hidden)
				}
			})
		})
	}
}

func failAt(call int, err error) func(int) error {
	return func(n int) error {
		if n == call {
			return err
		}
		return nil
	}
}

func TestBrowseGivesBackAfterPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := queueOf(t, 12)
		defer func() {
			if r := recover(); r != "visitor fell" {
				t.Errorf("recovered %v", r)
			}
			if hidden := q.hidden(); len(hidden) != 0 {
				t.Errorf("%v stay hidden", hidden)
			}
		}()
		redrive.Browse(t.Context(), q, redrive.Options{}, func(redrive.Letter, []byte) bool { panic("visitor fell") })
	})
}

func ExampleBrowse() {
	q := &fakeQueue{}
	sum, err := redrive.Browse(context.Background(), q, redrive.Options{Limit: 100}, func(l redrive.Letter, _ []byte) bool {
		fmt.Println(l.EventID(), l.Cause.Reason)
		return true
	})
	fmt.Println(sum.Letters, err)
	// Output: 0 <nil>
}
