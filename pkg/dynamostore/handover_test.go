package dynamostore

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/effect"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/outbox"
)

type refusing struct{ messages []outbox.Message }

func (r *refusing) Send(_ context.Context, m outbox.Message) error {
	r.messages = append(r.messages, m)
	return context.Canceled
}

// TestHandedOverIsWhatIsStored: the message made from an effect is the one that a later run reads.
func TestHandedOverIsWhatIsStored(t *testing.T) {
	f := serveEmbedded(t).fixture(t, http.DefaultTransport)
	mux := dispatch.NewMux(dispatch.Config{})
	dispatch.On(mux, "x", func(_ context.Context, e dispatch.Event[map[string]any]) (dispatch.Effects, error) {
		ms := []effect.Message{{
			Subject: "FACT#test#-#in_1#paid", Name: "receipt", To: "cus_1", Object: "invoice", ID: "in_1", Amount: 4165, Currency: "eur",
			Since: outboxStart.Unix(), Extra: dispatch.Fields{"inquiry": true, "number": "N-1"},
		}}
		return effect.WithMessages(e.Input, ms, dispatch.Insert("FACT#test#-#in_1#paid", nil)), nil
	})
	in := dispatch.Input{Envelope: claimRequest().Event, Now: outboxStart.Add(time.Minute)}
	in.ReceivedAt, in.Type, in.Body = outboxStart, "x", []byte(`{"data":{"object":{"id":"in_1","object":"x"}}}`)
	effects, err := mux.Dispatch(t.Context(), in)
	check(t, err)
	done, err := f.Complete(t.Context(), idempotency.WithoutClaim(claimRequest()), idempotency.Applied, effects, in.Now)
	check(t, err)
	if len(done.Written) != 2 {
		t.Fatalf("wrote %v", done.Written)
	}
	again := claimRequest()
	again.Event.ID = "evt_again"
	if same, err := f.Complete(t.Context(), idempotency.WithoutClaim(again), idempotency.Applied, effects, in.Now); err != nil || len(same.Written) > 0 {
		t.Errorf("another event for the same fact wrote %v, %v", same.Written, err)
	}
	var handed refusing
	if err := outbox.HandOver(f.Store, &handed)(t.Context(), effects); err == nil {
		t.Error("a refused message was handed over")
	}
	stored, _, err := f.Unsent(t.Context(), outbox.Query{Shard: dispatch.OutboxShard(effects[1].Key), Limit: 9})
	check(t, err)
	if diff := cmp.Diff(stored, handed.messages); diff != "" || len(stored) != 1 {
		t.Errorf("%d stored (-stored +handed over):\n%s", len(stored), diff)
	}
}
