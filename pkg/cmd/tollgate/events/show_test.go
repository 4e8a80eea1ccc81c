package events

import (
	"testing"
	"time"

	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/dynamostore"
)

// TestPurgeOf skips a purge that ended before the event was purged, and one of another operator.
func TestPurgeOf(t *testing.T) {
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	entries := []dynamostore.AuditEntry{
		{ID: "early", Verb: "dlq purge", By: "me", EndedAt: at.Add(-time.Minute)},
		{ID: "other", Verb: "dlq purge", By: "you"},
		{ID: "another event", Verb: "events purge", By: "me", Detail: "purge evt_10 (x)"},
		{ID: "this", Verb: "events purge", By: "me", Detail: "purge evt_1 (x)", EndedAt: at},
	}
	if e, found := purgeOf(entries, verb.RecordView{ID: "evt_1", PurgeBy: "me"}, at); !found || e.ID != "this" {
		t.Errorf("entry %+v", e)
	}
	if e, found := purgeOf(entries[:1], verb.RecordView{ID: "evt_1"}, at); found {
		t.Errorf("entry %+v", e)
	}
}
