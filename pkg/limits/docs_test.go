package limits_test

import (
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/limits"
)

// TestDocumentsHaveTheseNumbers: the documents that spell a limit out have its present value.
func TestDocumentsHaveTheseNumbers(t *testing.T) {
	l := limits.AWS()
	var all time.Duration
	for n := 1; n < l.MaxReceives; n++ {
		all += l.Backoff(n)
	}
	backoff := fmt.Sprintf("after %.0f s, %.0f min, %.0f min, … up to an hour", l.Backoff(1).Seconds(), l.Backoff(2).Minutes(), l.Backoff(3).Minutes())
	receives := fmt.Sprintf("fter %d receives", l.MaxReceives)
	settle := fmt.Sprintf("until the event is %.0f min old", l.Settle.Minutes())
	for doc, wants := range map[string][]string{
		"../handlers/README.md":     {backoff, receives, settle, fmt.Sprintf("A handler has %.0f s", l.HandlerBudget.Seconds())},
		"../cmd/tollgate/README.md": {backoff, receives},
		"../../infra/README.md": {
			fmt.Sprintf("limit is under %d (two stages: %d)", l.Reserved()+limits.Unreserved, 2*l.Reserved()+limits.Unreserved),
			fmt.Sprintf("**The throttle** is %d requests a second", 10*l.ReservedIngest),
			fmt.Sprintf("ingest %d MiB", limits.MaxBody>>20), fmt.Sprintf("within %.0f s", l.IngestTimeout.Seconds()),
		},
		"../idempotency/README.md": {
			fmt.Sprintf("%.0f s × 2^(receives − 1), at most %.0f h", l.BackoffBase.Seconds(), l.BackoffCap.Hours()),
			fmt.Sprintf("expires %.0f days later", l.RecordTTL.Hours()/24),
			fmt.Sprintf("With %d receives the last comes about %.1f h after the first", l.MaxReceives, math.Round(2*0.95*all.Hours())/2), // waits are a random 0.9 to 1
		},
	} {
		data, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(strings.Fields(string(data)), " ")
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%s: %q is not there: the limit has changed, or the sentence", doc, want)
			}
		}
	}
	if l.BackoffCap != time.Hour {
		t.Errorf("the documents say that waits grow up to an hour, and they grow up to %s", l.BackoffCap)
	}
}
