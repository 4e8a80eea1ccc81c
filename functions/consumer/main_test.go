package main

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"tollgate/pkg/config"
	"tollgate/pkg/dispatch"
)

// environment is a whole one; nothing listens at its addresses.
func environment() map[string]string {
	return map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "TOLLGATE_TABLE": "tollgate",
		"TOLLGATE_QUEUE_URL": "http://127.0.0.1:1/q", "TOLLGATE_DLQ_URL": "http://127.0.0.1:1/dead",
	}
}

func TestWire(t *testing.T) {
	cases := []struct {
		name   string
		change map[string]string
		faults []string // nil: it starts, though nothing answers
	}{
		{"least", nil, nil},
		{"all", map[string]string{
			"TOLLGATE_API_KEY_SECRET_ID": "key", "TOLLGATE_STRIPE_URL": "http://127.0.0.1:1", "TOLLGATE_TIME_SCALE": "20",
			"TOLLGATE_MAX_RECEIVES": "4", "TOLLGATE_ENDPOINTS": `{"default":{"livemode":[true]}}`,
		}, nil},
		{"every fault at once", map[string]string{"TOLLGATE_TABLE": "", "TOLLGATE_QUEUE_URL": "q", "AWS_REGION": ""},
			[]string{"TOLLGATE_TABLE", "TOLLGATE_QUEUE_URL", "AWS_REGION"}},
		{"Stripe's key over the open network", map[string]string{"TOLLGATE_STRIPE_URL": "http://api.stripe.com"}, []string{"https"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			env := environment()
			maps.Copy(env, c.change)
			h, err := wire(func(name string) (string, bool) { v, ok := env[name]; return v, ok })
			if (err == nil) != (c.faults == nil) || (h == nil) != (err != nil) {
				t.Fatalf("handler %v, error %v", h, err)
			}
			for _, fault := range c.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("error %v does not name %s", err, fault)
				}
			}
		})
	}
}

// TestNoKeyParks: without a key an id-only event waits in the dead-letter queue.
func TestNoKeyParks(t *testing.T) {
	f, err := stripeClient(config.Consumer{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.FetchEvent(t.Context(), "", "evt_1", false)
	if p, ok := errors.AsType[*dispatch.PermanentError](err); !ok || p.Reason != dispatch.ReasonNoAPIKey {
		t.Errorf("fetch without a key: %v, want it parked as %s", err, dispatch.ReasonNoAPIKey)
	}
}
