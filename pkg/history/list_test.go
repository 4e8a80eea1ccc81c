package history

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/delivery"
	"tollgate/pkg/destination"
	"tollgate/pkg/outbox"
)

// table has a destination's deliveries, a second apart, each of a message of some bytes.
type table struct {
	listed []delivery.Listed
	bytes  int
}

func (t table) History(_ context.Context, q delivery.Query) (page []delivery.Listed, err error) {
	for _, l := range t.listed {
		if l.Place > q.After && len(page) < q.Limit {
			page = append(page, l)
		}
	}
	return page, nil
}

func (table) Digests(context.Context, string) ([]string, error) {
	return []string{Digest(Token("crm", "x"))}, nil
}

func (table) Reopen(context.Context, delivery.Job, time.Time) (delivery.Status, error) {
	return "", nil
}

func (t table) Message(_ context.Context, key string) (outbox.Message, bool, error) {
	return outbox.Message{Key: key, Name: "receipt", Fields: map[string]any{"text": strings.Repeat(`"`, t.bytes)}}, true, nil
}

func (table) State(context.Context, string) (delivery.State, error) { return delivery.State{}, nil }

func (table) SendJobs(context.Context, string, []string) error { return nil }

// TestPagesFitAnAnswer: a page of large messages ends where Lambda's answer would be too large, and the
// next one goes on there.
func TestPagesFitAnAnswer(t *testing.T) {
	const n = 20
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for _, bytes := range []int{100, 150_000, 400_000} {
		rows := table{bytes: bytes}
		for i := range n {
			key, at := fmt.Sprintf("OUT#FACT#live#-#pi_%d#succeeded#receipt", i), now.Add(time.Duration(i-1000)*time.Second)
			rows.listed = append(rows.listed, delivery.Listed{Job: delivery.Job{Message: key, Destination: "crm"}, Place: delivery.Place(key, at), At: at})
		}
		h, err := New(Config{
			Rows: rows, Messages: rows, Jobs: rows, Destinations: destination.Set{"crm": {Name: "crm", History: true}}, Now: func() time.Time { return now },
		})
		if err != nil {
			t.Fatal(err)
		}
		seen, after := map[string]bool{}, ""
		for range n + 1 {
			a, err := h.Handle(t.Context(), Request{
				Method: http.MethodGet, Path: Path, Query: map[string]string{"limit": "100", "after": after}, Authorization: "Bearer " + Token("crm", "x"),
			})
			if err != nil || a.Status != http.StatusOK {
				t.Fatalf("%d bytes: %v, %d %.200s", bytes, err, a.Status, a.Body)
			}
			if quoted, _ := json.Marshal(string(a.Body)); len(quoted) > 6_000_000 {
				t.Fatalf("%d bytes: an answer has %d", bytes, len(quoted))
			}
			var p Page
			if err := json.Unmarshal(a.Body, &p); err != nil {
				t.Fatal(err)
			}
			for _, d := range p.Data {
				if seen[d.ID] {
					t.Fatalf("%d bytes: %s comes twice", bytes, d.ID)
				}
				seen[d.ID] = true
			}
			if after = p.Next; !p.More {
				break
			}
		}
		if len(seen) != n {
			t.Errorf("%d bytes: %d deliveries of %d", bytes, len(seen), n)
		}
	}
}
