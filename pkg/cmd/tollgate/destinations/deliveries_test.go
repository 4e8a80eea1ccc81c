package destinations

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/history"
)

// listed is a destination's list.
type listed []delivery.Listed

func (all listed) History(_ context.Context, q delivery.Query) (page []delivery.Listed, err error) {
	for _, l := range all {
		if l.Place > q.After && len(page) < q.Limit {
			page = append(page, l)
		}
	}
	return page, nil
}

// TestListsGoOn: a list that goes on where the one before ended has each delivery once, whatever the
// length and the status.
func TestListsGoOn(t *testing.T) {
	const n = 333
	var all listed
	for i := range n {
		key, at := fmt.Sprintf("OUT#FACT#live#-#pi_%d#succeeded#receipt", i), time.UnixMilli(int64(i))
		row := delivery.Row{Status: delivery.Delivered}
		if i%3 == 0 {
			row.Status = delivery.Failed
		}
		all = append(all, delivery.Listed{Job: delivery.Job{Message: key, Destination: "crm"}, Row: row, Place: delivery.Place(key, at), At: at})
	}
	for status, want := range map[string]int{"": n, "failed": n / 3, "running": 0} {
		for _, limit := range []int{1, 50, 100, 150, n, 10_000} {
			for _, most := range []int{100, 10_000} {
				c, seen, after := ListDeliveries{Status: status, Limit: limit, MaxRead: most}, map[string]bool{}, ""
				for {
					l, err := c.take(t.Context(), all, delivery.Query{After: after, Limit: history.MaxLimit})
					if err != nil || len(l.Deliveries) > limit {
						t.Fatalf("%d deliveries, %v", len(l.Deliveries), err)
					}
					for _, d := range l.Deliveries {
						if seen[d.Message] {
							t.Fatalf("%q by %d: %s comes twice", status, limit, d.Message)
						}
						seen[d.Message] = true
					}
					if after = l.After; after == "" {
						break
					}
				}
				if len(seen) != want {
					t.Errorf("%q by %d, reading %d: %d deliveries, want %d", status, limit, most, len(seen), want)
				}
			}
		}
	}
}
