package history

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/event"
)

// list answers GET /deliveries.
func (h *Handler) list(ctx context.Context, d destination.Destination, query map[string]string) (Page, error) {
	q, wanted, err := h.query(d, query)
	if err != nil {
		return Page{}, err
	}
	p := Page{Data: []Delivery{}, Next: q.After}
	limit := q.Limit
	var of []delivery.Listed
	for read := 0; len(p.Data) < limit && read < maxRead; {
		q.After, q.Limit = p.Next, MaxLimit
		rows, err := h.cfg.Rows.History(ctx, q)
		if err != nil {
			return Page{}, fmt.Errorf("list deliveries: %w", err)
		}
		for i, l := range rows {
			p.Next, p.More = l.Place, i+1 < len(rows) || len(rows) == MaxLimit
			if v := view(l); Fits(wanted, v.Status) && takes(d, l.Job.Message) {
				p.Data, of = append(p.Data, v), append(of, l)
			}
			if len(p.Data) == limit {
				break
			}
		}
		if read += len(rows); len(rows) < MaxLimit {
			break
		}
	}
	if err := h.fetchBodies(ctx, p.Data, of); err != nil {
		return Page{}, err
	}
	return p.within(maxBytes, of), nil
}

// maxBytes bounds the bodies of a page: an answer of Lambda has 6 MB at most, in which they are quoted
// again.
const maxBytes = 2_500_000

// within cuts a page off at so many bytes of bodies, after its first delivery.
func (p Page) within(most int, of []delivery.Listed) Page {
	for i, d := range p.Data {
		if most -= len(d.Body); most < 0 && i > 0 {
			p.Data, p.Next, p.More = p.Data[:i], of[i-1].Place, true
			break
		}
	}
	return p
}

// query checks the parameters. What is unknown is refused: a misspelt one would list everything.
func (h *Handler) query(d destination.Destination, query map[string]string) (q delivery.Query, status string, err error) {
	now := h.cfg.Now()
	q = delivery.Query{Destination: d.Name, Until: now.Add(-h.cfg.Limits.Sender.Settle)}
	oldest := now.Add(-h.cfg.Limits.Sender.RowTTL)
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.Contains([]string{"after", "status", "limit"}, name) {
			return q, "", refuse(http.StatusBadRequest, fmt.Sprintf("parameter %.40q is unknown", name), "parameters are after, status and limit")
		}
	}
	if q.Limit, err = integer(query["limit"], 1, MaxLimit, DefaultLimit); err != nil {
		return q, "", err
	}
	if status = query["status"]; !slices.Contains(Statuses(), status) {
		return q, "", refuse(http.StatusBadRequest, fmt.Sprintf("status %.40q is unknown", status), "it is one of"+strings.Join(Statuses(), " "))
	}
	after := cmp.Or(query["after"], delivery.At(oldest))
	if q.After, err = delivery.After(after); err != nil {
		return q, "", refuse(http.StatusBadRequest, "after is "+err.Error(), "use next of the answer before")
	}
	q.After = max(q.After, delivery.At(oldest))
	return q, status, nil
}

// takes reports whether the destination still takes messages of this one's mode and account.
func takes(d destination.Destination, key string) bool {
	part := strings.SplitN(key, "#", 5)
	if len(part) < 4 {
		return false
	}
	account := part[3]
	if account == "-" {
		account = ""
	}
	return d.TakesFrom(part[2] == event.Mode(true), account)
}

func view(l delivery.Listed) Delivery {
	v := Delivery{
		ID: idOf(l.Job.Message), WebhookID: delivery.ID(l.Job.Message), Status: StatusOf(l.Row), At: l.At,
		Attempts: l.Row.Attempt, History: []Attempt{},
	}
	if l.Row.Status == delivery.Waiting && !l.Row.Next.IsZero() {
		next := l.Row.Next.UTC()
		v.Next = &next
	}
	for _, a := range l.Row.History {
		v.History = append(v.History, Attempt{a.At.UTC(), a.Took.Milliseconds(), a.Status, a.Err})
	}
	return v
}
