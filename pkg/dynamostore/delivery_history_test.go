package dynamostore

import (
	"net/http"
	"testing"
	"time"

	"tollgate/pkg/delivery"
)

// TestHistoryAfterItsEnd: a receiver may ask for what comes after now, and gets nothing yet.
func TestHistoryAfterItsEnd(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	check(t, f.Note(t.Context(), delivery.Job{Message: "OUT#FACT#live#-#pi_1#succeeded#receipt", Destination: "crm"}, at))
	for after, want := range map[time.Duration]int{-24 * time.Hour: 1, -time.Minute: 1, time.Second: 0, 2 * time.Minute: 0, 24 * time.Hour: 0} {
		got, err := f.reader.History(t.Context(), delivery.Query{Destination: "crm", After: delivery.At(at.Add(after)), Until: at.Add(time.Minute), Limit: 10})
		if err != nil || len(got) != want {
			t.Errorf("after %v: %d deliveries, %v, want %d", after, len(got), err, want)
		}
	}
}
