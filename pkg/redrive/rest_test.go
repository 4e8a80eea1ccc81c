package redrive_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/redrive"
)

// counts are what one reading after another gives: visible and hidden letters. The last
// one stays.
type counts [][2]int

func (c *counts) Count(ctx context.Context) (visible, hidden int, err error) {
	now := (*c)[0]
	if len(*c) > 1 {
		*c = (*c)[1:]
	}
	if now[0] < 0 {
		return 0, 0, errAway
	}
	return now[0], now[1], ctx.Err()
}

func TestRest(t *testing.T) {
	for _, tt := range []struct {
		name   string
		counts counts // the first before the pass
		seen   redrive.Seen
		want   redrive.Rest
		took   time.Duration
	}{
		{"an empty queue", counts{{}}, redrive.Seen{}, redrive.Rest{Certain: true}, 4 * time.Second},
		{"all hidden", counts{{0, 4}}, redrive.Seen{}, redrive.Rest{Hidden: 4}, 4 * time.Second},
		{"hidden, which the first reading does not show", counts{{}, {}, {0, 4}}, redrive.Seen{}, redrive.Rest{Hidden: 4}, 4 * time.Second},
		{"hidden, which one reading shows", counts{{}, {0, 4}, {}}, redrive.Seen{}, redrive.Rest{}, 4 * time.Second},
		{"visible, and not received", counts{{3, 0}}, redrive.Seen{}, redrive.Rest{}, 4 * time.Second},
		{"all seen", counts{{9, 0}}, redrive.Seen{Letters: 9}, redrive.Rest{Certain: true}, 0},
		{"some hidden", counts{{9, 4}}, redrive.Seen{Letters: 9}, redrive.Rest{Hidden: 4}, 4 * time.Second},
		{"some hidden, and some not released", counts{{9, 4}, {6, 7}}, redrive.Seen{Letters: 9, Unreleased: 3}, redrive.Rest{Hidden: 4}, 4 * time.Second},
		{"not released, and new ones since", counts{{9, 0}, {9, 3}}, redrive.Seen{Letters: 9, Unreleased: 3}, redrive.Rest{}, 0},
		{"our own, which late counts call hidden", counts{{9, 0}, {0, 9}}, redrive.Seen{Letters: 9}, redrive.Rest{Certain: true}, 0},
		{"our own and another's, by late counts", counts{{9, 0}, {0, 13}}, redrive.Seen{Letters: 9}, redrive.Rest{Hidden: 4}, 4 * time.Second},
		{"another's, seen by us before", counts{{9, 0}, {5, 4}}, redrive.Seen{Letters: 9}, redrive.Rest{Certain: true}, 0},
		{"new ones since", counts{{9, 0}, {12, 0}}, redrive.Seen{Letters: 9}, redrive.Rest{}, 0},
		{"hidden, and back at the second reading", counts{{9, 4}, {9, 4}, {13, 0}}, redrive.Seen{Letters: 9}, redrive.Rest{}, 2 * time.Second},
		{"at the limit", counts{{90, 0}, {81, 9}}, redrive.Seen{Letters: 9, More: true}, redrive.Rest{}, 0},
		{"at the limit, with others hidden", counts{{90, 4}, {81, 13}}, redrive.Seen{Letters: 9, More: true}, redrive.Rest{Hidden: 4}, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, began := redrive.Watch{Counter: &tt.counts}, time.Now()
				if err := w.Begin(t.Context(), 0, nil); err != nil {
					t.Fatal(err)
				}
				got, err := w.Rest(t.Context(), tt.seen)
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
			})
		})
	}
}

func TestBeginWaitsForHiddenLetters(t *testing.T) {
	for _, tt := range []struct {
		name    string
		counts  counts
		timeout time.Duration
		want    []int // numbers that are waited for
		took    time.Duration
	}{
		{"none", counts{{5, 0}}, time.Minute, nil, 0},
		{"not asked to", counts{{5, 4}}, 0, nil, 0},
		{"until they are back", counts{{5, 4}, {8, 1}, {9, 0}}, time.Minute, []int{4, 1}, 4 * time.Second},
		{"for as long as it may", counts{{5, 4}}, 5 * time.Second, []int{4, 4, 4}, 6 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []int
				w, began := redrive.Watch{Counter: &tt.counts}, time.Now()
				err := w.Begin(t.Context(), tt.timeout, func(n int) { got = append(got, n) })
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" || time.Since(began) != tt.took {
					t.Errorf("%v after %s %s", err, time.Since(began), diff)
				}
			})
		})
	}
}

func TestWatchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := redrive.Watch{Counter: &counts{{-1, 0}}}
		if err := w.Begin(t.Context(), time.Minute, nil); !errors.Is(err, errAway) {
			t.Errorf("begin: %v", err)
		}
		if _, err := w.Rest(t.Context(), redrive.Seen{}); !errors.Is(err, errAway) {
			t.Errorf("rest: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		w = redrive.Watch{Counter: &counts{{0, 1}}}
		if err := w.Begin(ctx, time.Minute, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("begin: %v", err)
		}
		if _, err := w.Rest(ctx, redrive.Seen{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("rest: %v", err)
		}
	})
}
