//go:build unix

package e2e_test

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"testing"
	"time"
)

// TestReconcileFindsWhatNeverCame: Stripe withholds one delivery in five, lists every event
// late and one broken, and limits the rate. All events are done, and delivered ones are not
// handled twice. At this scale a quarter of an hour is fifteen seconds.
func TestReconcileFindsWhatNeverCame(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--time-scale", "60", "--begin", time.Now().Format(time.RFC3339))
	endpoint := fmt.Appendf(nil, `{"url":%q,"enabled_events":["*"],"secret":%q,"api_version":"2023-10-16"}`, s.info.URL, s.info.Secret)
	const events, broken = 150, "never7"
	for _, call := range []struct {
		path string
		body []byte
	}{
		{"/_fake/webhook_endpoints", endpoint},
		{"/_fake/faults", []byte(`{"withhold_percent":20,"late_percent":0,"late_ms":0,"seed":3}`)},
		{"/_fake/faults", []byte(`{"delay_visibility_ms":4000}`)},
		{"/_fake/faults", []byte(`{"break_item":"evt_` + broken + `"}`)},
	} {
		if status, answer := s.atStripe(http.MethodPost, call.path, call.body); status != http.StatusOK {
			t.Fatalf("%s: %d %s", call.path, status, answer)
		}
	}
	for n := range events {
		body := bytes.Replace(event(fmt.Sprintf("never%d", n), "invoice.paid"), []byte(`"object":"invoice"`), []byte(`"object":"invoice","customer":"cus_1"`), 1)
		if status, answer := s.atStripe(http.MethodPost, "/_fake/events?deliver=true", body); status != http.StatusOK { // many in one second
			t.Fatalf("event %d: %d %s", n, status, answer)
		}
	}
	if status, answer := s.atStripe(http.MethodPost, "/_fake/faults", []byte(`{"status":429,"times":3,"retry_after_s":1}`)); status != http.StatusOK {
		t.Fatalf("faults: %d %s", status, answer)
	}
	records := map[string]item{}
	eventually(t, func() (bool, string) {
		records = s.items("EVT#")
		done := 0
		for _, r := range records {
			if r["st"] == "DONE" {
				done++
			}
		}
		return done == events, fmt.Sprintf("%d records, %d of them done, of %d events", len(records), done, events)
	})
	found := map[string]int{}
	for _, r := range records {
		found[r["src"]]++
	}
	if found["reconcile"] < events/10 || found["webhook"] < events/2 || found["reconcile"]+found["webhook"] != events {
		t.Errorf("events came by %v, want about a fifth by reconcile", found)
	}
	if facts := s.items("FACT#"); len(facts) != events {
		t.Errorf("%d facts, want %d", len(facts), events)
	}
	if receipts := s.items("OUT#"); len(receipts) != events {
		t.Errorf("%d receipts, want %d", len(receipts), events)
	}
	if n := s.depth(s.info.DLQURL); n != 0 {
		t.Errorf("%d dead letters, want none", n)
	}
	s.provesAndSends()
	s.interrupt()
}

// TestNewSystemReplaysNoHistory: events from before the first pass are not enqueued; later
// withheld ones are.
func TestNewSystemReplaysNoHistory(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--time-scale", "60")
	give := func(id string, ago time.Duration) {
		if status, answer := s.atStripe(http.MethodPost, "/_fake/events", backdated(event(id, "invoice.paid"), ago)); status != http.StatusOK {
			t.Fatalf("give event: %d %s", status, answer)
		}
	}
	for n := range 6 {
		give(fmt.Sprint("history", n), time.Duration(n+1)*20*time.Second) // within the three minutes that a pass looks back here
	}
	eventually(t, func() (bool, string) { return len(s.items("BEGIN#test#-")) == 1, "no pass has begun the history" })
	give("later", 0)
	if r := s.becomesDone("later"); r["src"] != "reconcile" {
		t.Errorf("record %v", r)
	}
	if records := s.items("EVT#"); len(records) != 1 {
		t.Errorf("%d records, want that of the event after the begin alone: %v", len(records), records)
	}
	s.interrupt()
}

// provesAndSends waits for the note of a pass, and for the outbox to be sent.
func (s *system) provesAndSends() {
	s.t.Helper()
	eventually(s.t, func() (bool, string) {
		for _, c := range s.items("COVER#test#-#quarter#") {
			if c["errors"] == "0" && c["known"] != "0" && c["enqueued"] == "0" {
				return true, ""
			}
		}
		return false, "no pass has noted that all it listed was known"
	})
	eventually(s.t, func() (bool, string) {
		unsent := 0
		for _, m := range s.items("OUT#") {
			if m["sent_at"] == "" {
				unsent++
			}
		}
		return unsent == 0, fmt.Sprintf("%d messages in the outbox are unsent", unsent)
	})
}

// TestNoReconcile: without the function missed events are not found, and its binary is not
// needed.
func TestNoReconcile(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--time-scale", "200", "--no-reconcile")
	if status, _ := s.atStripe(http.MethodPost, "/_fake/events", event("withheld", "invoice.paid")); status != http.StatusOK {
		t.Fatalf("give event: %d", status)
	}
	s.enqueue(event("delivered", "invoice.paid"))
	s.becomesDone("delivered")
	if lines := s.log.lines("reconcile"); len(lines) != 0 {
		t.Errorf("reconcile runs: %q", lines)
	}
	if r := s.record("withheld"); len(r) != 0 {
		t.Errorf("the record %v of an event that never came", r)
	}
}

// TestBackfillByHand enqueues what the nightly pass would, after a day without reconcile; a
// second run finds nothing.
func TestBackfillByHand(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--no-reconcile")
	for n := range 7 {
		body := backdated(event(fmt.Sprint("old", n), "invoice.paid"), time.Hour)
		if status, answer := s.atStripe(http.MethodPost, "/_fake/events", body); status != http.StatusOK {
			t.Fatalf("give event: %d %s", status, answer)
		}
	}
	type outcome struct {
		Listed, Known, Enqueued, Errors int
		Complete                        bool
	}
	first := jsonLines[outcome](s, "backfill", "--since", "3h")[0]
	if first.Listed != 7 || first.Enqueued != 7 || !first.Complete {
		t.Errorf("first %+v", first)
	}
	for n := range 7 {
		if r := s.becomesDone(fmt.Sprint("old", n)); r["src"] != "backfill" {
			t.Errorf("record %v", r)
		}
	}
	again := jsonLines[outcome](s, "backfill", "--since", "3h")[0]
	if again.Listed != 7 || again.Known != 7 || again.Enqueued != 0 {
		t.Errorf("again %+v", again)
	}
}

// backdated is an event that was created some time ago.
func backdated(body []byte, ago time.Duration) []byte {
	created := regexp.MustCompile(`"created":\d+`)
	return created.ReplaceAll(body, fmt.Appendf(nil, `"created":%d`, time.Now().Add(-ago).Unix()))
}
