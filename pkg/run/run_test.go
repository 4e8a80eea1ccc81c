package run

import (
	"errors"
	"log/slog"
	"maps"
	"strings"
	"testing"

	"tollgate/pkg/config"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/handlers"
	"tollgate/pkg/outbox"
	"tollgate/pkg/run/runingest"
)

// environment looks variables up in a complete configuration with these changes. Nothing
// listens at its addresses.
func environment(change map[string]string) config.Lookup {
	all := map[string]string{
		"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
		"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "TOLLGATE_TABLE": "tollgate", "TOLLGATE_WEBHOOK_SECRET_ID": "tollgate/webhook",
		"TOLLGATE_QUEUE_URL": "http://127.0.0.1:1/q", "TOLLGATE_DLQ_URL": "http://127.0.0.1:1/dead", "TOLLGATE_LOG_LEVEL": "error",
	}
	maps.Copy(all, change)
	return func(name string) (string, bool) { v, ok := all[name]; return v, ok }
}

// TestWire: wiring makes no call, and reports every fault of the configuration.
func TestWire(t *testing.T) {
	wires := map[string]func(config.Lookup) error{
		"ingest":   func(l config.Lookup) error { _, err := runingest.Wire(l); return err },
		"consumer": func(l config.Lookup) error { _, err := WireConsumer(l, handlers.Register); return err },
		"reconcile": func(l config.Lookup) error {
			_, err := wireReconcile(l, handlers.Register, outbox.NewLogSender)
			return err
		},
	}
	all := map[string]string{
		"TOLLGATE_API_KEY_SECRET_ID": "key", "TOLLGATE_STRIPE_URL": "http://127.0.0.1:1", "TOLLGATE_TIME_SCALE": "20",
		"TOLLGATE_MAX_RECEIVES": "4", "TOLLGATE_STRIPE_RATE": "60", "TOLLGATE_CONCURRENCY": "4", "TOLLGATE_LIST_RATE": "20", "TOLLGATE_ENDPOINTS": `{"default":{"livemode":[true]}}`,
		"TOLLGATE_RECONCILE": `{"-":"default","acct_1":"connect"}`, "TOLLGATE_ALLOW_IPS": "10.0.0.0/8",
	}
	for _, c := range []struct {
		function, name string
		change         map[string]string
		faults         []string
	}{
		{"ingest", "required variables", nil, nil},
		{"ingest", "all variables", all, nil},
		{"ingest", "several faults", map[string]string{"TOLLGATE_QUEUE_URL": "", "TOLLGATE_WEBHOOK_SECRET_ID": "", "AWS_REGION": ""},
			[]string{"TOLLGATE_QUEUE_URL", "TOLLGATE_WEBHOOK_SECRET_ID", "AWS_REGION"}},
		{"consumer", "required variables", nil, nil},
		{"consumer", "all variables", all, nil},
		{"consumer", "several faults", map[string]string{"TOLLGATE_TABLE": "", "TOLLGATE_QUEUE_URL": "q", "AWS_REGION": ""},
			[]string{"TOLLGATE_TABLE", "TOLLGATE_QUEUE_URL", "AWS_REGION"}},
		{"consumer", "API key over plain HTTP", map[string]string{"TOLLGATE_STRIPE_URL": "http://api.stripe.com"}, []string{"https"}},
		{"reconcile", "required variables", nil, nil},
		{"reconcile", "all variables", all, nil},
		{"reconcile", "several faults", map[string]string{"TOLLGATE_TABLE": "", "TOLLGATE_QUEUE_URL": "q", "TOLLGATE_RECONCILE": "acct_1"},
			[]string{"TOLLGATE_TABLE", "TOLLGATE_QUEUE_URL", "TOLLGATE_RECONCILE"}},
		{"reconcile", "API key over plain HTTP", map[string]string{"TOLLGATE_STRIPE_URL": "http://api.stripe.com"}, []string{"https"}},
	} {
		t.Run(c.function+"/"+c.name, func(t *testing.T) {
			err := wires[c.function](environment(c.change))
			if (err == nil) != (c.faults == nil) {
				t.Fatal(err)
			}
			for _, fault := range c.faults {
				if !strings.Contains(err.Error(), fault) {
					t.Errorf("error %v does not name %s", err, fault)
				}
			}
		})
	}
}

// TestNoAPIKeyDeadLetters: without a key, an event that must be fetched is dead-lettered.
func TestNoAPIKeyDeadLetters(t *testing.T) {
	f, err := consumerStripe(config.Consumer{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.FetchEvent(t.Context(), "", "evt_1", false)
	if p, ok := errors.AsType[*dispatch.PermanentError](err); !ok || p.Reason != dispatch.ReasonNoAPIKey {
		t.Errorf("fetch without a key: %v, want a permanent error with reason %s", err, dispatch.ReasonNoAPIKey)
	}
}
