package dynamostore

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/limits"
)

// TestRetention: without one nothing but the record expires. With one a fact expires so long after it
// was written, and a message after it was sent; an unsent or held one, and a row, never do.
func TestRetention(t *testing.T) {
	const fact, row, sent, unsent = "FACT#test#-#in_1#paid", "OBJ#test#-#in_1", "OUT#FACT#test#-#in_1#paid#receipt", "OUT#FACT#test#-#in_1#paid#welcome"
	full := limits.Retention{Sent: limits.LeastSent, Facts: limits.LeastFacts}
	later := now.Add(time.Hour)
	for name, c := range map[string]struct {
		kept       limits.Retention
		fact, sent any
	}{
		"default": {},
		"both":    {full, now.Add(full.Facts).Unix(), later.Add(full.Sent).Unix()},
		"sent":    {limits.Retention{Sent: full.Sent}, nil, later.Add(full.Sent).Unix()},
	} {
		t.Run(name, func(t *testing.T) {
			f := serveEmbedded(t).fixture(t, http.DefaultTransport)
			store, err := New(f.raw, f.table, Options{Retention: c.kept})
			check(t, err)
			got, err := store.Claim(t.Context(), claimRequest())
			check(t, err)
			effects := dispatch.Effects{dispatch.Insert(fact, nil), dispatch.Swap(row, 0, nil), dispatch.Insert(sent, nil), dispatch.Insert(unsent, nil)}
			done, err := store.Complete(t.Context(), got.Claim, idempotency.Applied, effects, now)
			if err != nil || done.Verdict != idempotency.Completed {
				t.Fatalf("%+v, %v", done, err)
			}
			check(t, store.MarkSent(t.Context(), sent, later))
			for key, want := range map[string]any{fact: c.fact, row: nil, sent: c.sent, unsent: nil} {
				it, found, err := f.reader.Item(t.Context(), key)
				if err != nil || !found || it["exp"] != want {
					t.Errorf("%s expires at %v, want %v (%v, %v)", key, it["exp"], want, found, err)
				}
			}
		})
	}
}

func TestShortRetentionIsRefused(t *testing.T) {
	for _, kept := range []limits.Retention{{Sent: limits.LeastSent - 1}, {Facts: limits.LeastFacts - 1}, {Sent: -1}} {
		if _, err := New(clientOf("http://127.0.0.1:1", http.DefaultTransport, false), "t", Options{Retention: kept}); err == nil || !strings.Contains(err.Error(), "would apply again") {
			t.Errorf("%+v: %v", kept, err)
		}
	}
}
