package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// paidAgo is an event of an invoice that was paid some time ago.
func paidAgo(id string, ago time.Duration) []byte {
	body := backdated(event(id, "invoice.paid"), ago)
	return bytes.Replace(body, []byte(`"object":"invoice"`), []byte(`"object":"invoice","customer":"cus_1"`), 1)
}

// TestHistorySendsNoMail backfills invoices that were paid up to three days before the system
// began. Their facts are written, their receipts are held until one is released.
func TestHistorySendsNoMail(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--time-scale", "3", "--begin", time.Now().UTC().Format(time.RFC3339))
	const day = 24 * time.Hour
	for i, ago := range []time.Duration{day / 20, day * 9 / 10, day * 28 / 10} {
		if status, answer := s.atStripe(http.MethodPost, "/_fake/events", paidAgo(fmt.Sprint("old", i), ago)); status != http.StatusOK {
			t.Fatalf("give event: %d %s", status, answer)
		}
	}
	type outcome struct {
		Enqueued, Open int
		Held           *int
	}
	done := jsonLines[outcome](s, "backfill", "--since", "3d", "--rate", "1000", "--wait", "2m")[0]
	if done.Enqueued != 3 || done.Open != 0 || done.Held == nil || *done.Held != 3 {
		t.Fatalf("backfill: %+v, held %v", done, done.Held)
	}
	s.enqueue(paidAgo("new", -time.Second)) // of a moment after the begin
	s.becomesDone("new")
	sent := func() (keys []string) {
		for key, m := range s.items("OUT#") {
			if m["sent_at"] != "" {
				keys = append(keys, key)
			}
		}
		return keys
	}
	eventually(t, func() (bool, string) { return len(sent()) > 0, "the new receipt is not sent" })
	type message struct{ Key, Status, Held, Name string }
	held := jsonLines[message](s, "outbox", "list", "--held")
	if keys := sent(); len(keys) != 1 || keys[0] != "OUT#FACT#test#-#in_new#paid#none#receipt" || len(held) != 3 {
		t.Errorf("sent %v, held %+v; want the new one sent, three held", keys, held)
	}
	if facts := s.items("FACT#"); len(facts) != 4 {
		t.Errorf("%d facts, want 4: money is noted however old", len(facts))
	}
	jsonLines[outcome](s, "outbox", "release", held[2].Key, "--note", "asked for")
	eventually(t, func() (bool, string) {
		keys := sent()
		return len(keys) == 2, fmt.Sprintf("sent %v, want the new and the released one", keys)
	})
	if left := jsonLines[message](s, "outbox", "list", "--held"); len(left) != 2 {
		t.Errorf("%d are held, want 2", len(left))
	}
	s.interrupt()
}
