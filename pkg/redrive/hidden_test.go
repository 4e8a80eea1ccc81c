package redrive

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

var errAway = errors.New("queue is away")

// counts are the results of successive readings: visible and hidden messages. The last one
// repeats.
type counts [][2]int

func (counts) Receive(context.Context, int, time.Duration) ([]Received, error) { return nil, nil }

func (counts) SetVisibility(context.Context, string, time.Duration) error { return nil }

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

// rest is what a plan reports of messages that it has not seen.
type rest struct {
	Hidden  int
	Certain bool
}

func TestCountHidden(t *testing.T) {
	for _, tt := range []struct {
		name   string
		counts counts // the first before the pass
		seen   seen
		want   rest
		took   time.Duration
	}{
		{"an empty queue", counts{{}}, seen{}, rest{Certain: true}, 4 * time.Second},
		{"all hidden", counts{{0, 4}}, seen{}, rest{Hidden: 4}, 4 * time.Second},
		{"hidden, which the first reading does not show", counts{{}, {}, {0, 4}}, seen{}, rest{Hidden: 4}, 4 * time.Second},
		{"hidden, which one reading shows", counts{{}, {0, 4}, {}}, seen{}, rest{}, 4 * time.Second},
		{"visible, and not received", counts{{3, 0}}, seen{}, rest{}, 4 * time.Second},
		{"all seen", counts{{9, 0}}, seen{messages: 9}, rest{Certain: true}, 0},
		{"some hidden", counts{{9, 4}}, seen{messages: 9}, rest{Hidden: 4}, 4 * time.Second},
		{"some hidden, and some not released", counts{{9, 4}, {6, 7}}, seen{messages: 9, unreleased: 3}, rest{Hidden: 4}, 4 * time.Second},
		{"not released, and new ones since", counts{{9, 0}, {9, 3}}, seen{messages: 9, unreleased: 3}, rest{}, 0},
		{"our own, which late counts call hidden", counts{{9, 0}, {0, 9}}, seen{messages: 9}, rest{Certain: true}, 0},
		{"our own and another's, by late counts", counts{{9, 0}, {0, 13}}, seen{messages: 9}, rest{Hidden: 4}, 4 * time.Second},
		{"another's, seen by us before", counts{{9, 0}, {5, 4}}, seen{messages: 9}, rest{Certain: true}, 0},
		{"new ones since", counts{{9, 0}, {12, 0}}, seen{messages: 9}, rest{}, 0},
		{"hidden, and back at the second reading", counts{{9, 4}, {9, 4}, {13, 0}}, seen{messages: 9}, rest{}, 2 * time.Second},
		{"new ones since, of an arriving selection", counts{{9, 0}, {12, 0}}, seen{messages: 9, arriving: true}, rest{Certain: true}, 0},
		{"one of before is missed", counts{{9, 0}, {12, 0}}, seen{messages: 9, arriving: true, missed: 1}, rest{}, 0},
		{"at the limit", counts{{90, 0}, {81, 9}}, seen{messages: 9, more: true}, rest{}, 0},
		{"at the limit, with others hidden", counts{{90, 4}, {81, 13}}, seen{messages: 9, more: true}, rest{Hidden: 4}, 4 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, p, began := DLQ{Queue: &tt.counts}, Plan{}, time.Now()
				var err error
				if _, tt.seen.before, err = d.countBefore(t.Context(), Selection{}); err != nil {
					t.Fatal(err)
				}
				err = d.countHidden(t.Context(), &p, tt.seen)
				if diff := cmp.Diff(tt.want, rest{p.Hidden, p.Certain}); err != nil || diff != "" {
					t.Errorf("%v %s", err, diff)
				}
				if took := time.Since(began); took != tt.took {
					t.Errorf("it took %s, want %s", took, tt.took)
				}
			})
		})
	}
}

func TestWaitsForHiddenMessages(t *testing.T) {
	for _, tt := range []struct {
		name   string
		counts counts
		wait   bool
		want   []int // the numbers of hidden messages that are reported
		took   time.Duration
	}{
		{"none", counts{{5, 0}}, true, nil, 0},
		{"not asked to", counts{{5, 4}}, false, nil, 0},
		{"until they are visible", counts{{5, 4}, {8, 1}, {9, 0}}, true, []int{4, 1}, 4 * time.Second},
		{"until the timeout", counts{{5, 4}, {5, 3}}, true, nil, 240 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got []int
				d, began := DLQ{Queue: &tt.counts}, time.Now()
				_, _, err := d.countBefore(t.Context(), Selection{WaitHidden: tt.wait, OnHidden: func(n int, _ time.Duration) { got = append(got, n) }})
				if tt.want == nil && tt.took > 0 {
					tt.want = append([]int{4}, slices.Repeat([]int{3}, 119)...)
				}
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" || time.Since(began) != tt.took {
					t.Errorf("%v after %s %s", err, time.Since(began), diff)
				}
			})
		})
	}
}

func TestCountFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		for _, tt := range []struct {
			counts counts
			want   error
		}{{counts{{-1, 0}}, errAway}, {counts{{0, 1}}, context.DeadlineExceeded}} {
			d := DLQ{Queue: &tt.counts}
			if _, _, err := d.countBefore(ctx, Selection{WaitHidden: true}); !errors.Is(err, tt.want) {
				t.Errorf("before: %v", err)
			}
			if err := d.countHidden(ctx, &Plan{}, seen{}); !errors.Is(err, tt.want) {
				t.Errorf("after: %v", err)
			}
		}
	})
}
