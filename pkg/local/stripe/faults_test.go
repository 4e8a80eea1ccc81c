package stripe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestBrokenItem(t *testing.T) {
	s, url := open(t, Options{})
	for i := range 3 {
		remember(t, s, body(fmt.Sprint("evt_", i), "invoice.paid", "", int64(100+i)))
	}
	if status, _, raw := do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"break_item":"evt_1"}`)); status != 200 {
		t.Fatalf("%d %s", status, raw)
	}
	_, _, raw := do(t, "GET", url+"/v1/events", nil)
	var l struct{ Data []struct{ Created any } }
	check(t, json.Unmarshal(raw, &l))
	if len(l.Data) != 3 || l.Data[0].Created != 102.0 || l.Data[1].Created != "101" || l.Data[2].Created != 100.0 {
		t.Errorf("list has %+v", l.Data)
	}
	if _, _, raw := do(t, "GET", url+"/v1/events/evt_1", nil); !bytes.Equal(raw, body("evt_1", "invoice.paid", "", 101)) {
		t.Errorf("alone it is %s", raw)
	}
	do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"break_item":""}`))
	if _, _, raw := do(t, "GET", url+"/v1/events", nil); bytes.Contains(raw, []byte(`"101"`)) {
		t.Error("it stays broken")
	}
}

// TestBurstOverPageBorders pages through events of few seconds, among which one becomes
// visible late, and finds each event that was visible in time exactly once.
func TestBurstOverPageBorders(t *testing.T) {
	now := time.Unix(1000, 0)
	s, url := open(t, Options{Now: func() time.Time { return now }})
	for i := range 250 {
		if i == 120 {
			do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"delay_visibility_ms":60000}`))
		}
		remember(t, s, body(fmt.Sprintf("evt_%03d", i), "invoice.paid", "", int64(500+i/125)))
		if i == 120 {
			do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"delay_visibility_ms":0}`))
		}
	}
	var got []string
	for query, more := "?limit=100", true; more; {
		_, _, raw := do(t, "GET", url+"/v1/events"+query, nil)
		var page []string
		page, more = ids(t, raw)
		got = append(got, page...)
		query = "?limit=100&starting_after=" + page[len(page)-1]
		now = now.Add(time.Minute) // the late one appears after the first page
	}
	var want []string
	for i := range 250 {
		want = append(want, fmt.Sprintf("evt_%03d", i))
	}
	slices.Reverse(want)
	// It is behind the first page, so this walk finds it; one that had passed it would not.
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOverHTTP(t *testing.T) {
	s, url := open(t, Options{})
	remember(t, s, body("evt_a", "invoice.paid", "", 1))
	for _, order := range []string{`{"status":429,"times":2,"retry_after_s":3}`, `{"status":503}`} {
		if status, _, raw := do(t, "POST", url+"/_fake/faults", strings.NewReader(order)); status != 200 || string(raw) != "{}" {
			t.Fatalf("%d %s", status, raw)
		}
	}
	var got []string
	for range 4 {
		status, header, _ := do(t, "GET", url+"/v1/events/evt_a", nil)
		got = append(got, fmt.Sprintf("%d wait %s %s", status, header.Get("Retry-After"), header.Get("Stripe-Rate-Limited-Reason")))
	}
	if diff := cmp.Diff([]string{"429 wait 3 global-rate", "429 wait 3 global-rate", "503 wait  ", "200 wait  "}, got); diff != "" {
		t.Error(diff)
	}
}

// TestRate: requests over the rate of one resource of one account are refused for a second.
func TestRate(t *testing.T) {
	now := time.Unix(1000, 0)
	s, url := open(t, Options{Now: func() time.Time { return now }})
	remember(t, s, body("evt_a", "invoice.paid", "", 1))
	do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"rate_per_s":2}`))
	ask := func(path string) string {
		status, header, _ := do(t, "GET", url+path, nil)
		return fmt.Sprintf("%d %s%s", status, header.Get("Retry-After"), header.Get("Stripe-Rate-Limited-Reason"))
	}
	got := []string{ask("/v1/events/evt_a"), ask("/v1/events/evt_b"), ask("/v1/events/evt_a"), ask("/v1/events")}
	now = now.Add(time.Second)
	got = append(got, ask("/v1/events/evt_a"), ask("/v1/events/evt_a"), ask("/v1/events/evt_a"))
	do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"rate_per_s":0}`))
	got = append(got, ask("/v1/events/evt_a"))
	const refused = "429 1endpoint-rate"
	if diff := cmp.Diff([]string{"200 ", "404 ", refused, "200 ", "200 ", "200 ", refused, "200 "}, got); diff != "" {
		t.Error(diff)
	}
	if status, _, _ := do(t, "POST", url+"/_fake/faults", strings.NewReader(`{"rate_per_s":-1}`)); status != 400 {
		t.Errorf("a rate under 0: %d", status)
	}
}
