package telemetry_test

import (
	"bytes"
	stdcmp "cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/consumer"
	"tollgate/pkg/dispatch"
	"tollgate/pkg/event"
	"tollgate/pkg/idempotency"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/policy"
	"tollgate/pkg/queue"
	"tollgate/pkg/telemetry"
)

// counted reads a line's metrics as CloudWatch does: value by name and dimensions.
func counted(t *testing.T, line []byte) map[string]float64 {
	t.Helper()
	var root map[string]any
	if err := json.Unmarshal(line, &root); err != nil {
		t.Fatalf("line %s: %v", line, err)
	}
	var d struct {
		AWS struct {
			Timestamp         int64
			CloudWatchMetrics []struct {
				Namespace  string
				Dimensions [][]string
				Metrics    []struct{ Name, Unit string }
			}
		} `json:"_aws"`
	}
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, set := range d.AWS.CloudWatchMetrics {
		if set.Namespace != limits.MetricNamespace || d.AWS.Timestamp == 0 {
			t.Errorf("namespace %q at %d", set.Namespace, d.AWS.Timestamp)
		}
		for _, dimensions := range set.Dimensions {
			key := ""
			for _, name := range dimensions {
				value, ok := root[name].(string)
				if !ok || value == "" {
					t.Errorf("dimension %q has no string in the line %s", name, line)
				}
				key += "," + name + "=" + value
			}
			for _, m := range set.Metrics {
				value, ok := root[m.Name].(float64)
				if !ok {
					t.Errorf("metric %q has no number in the line", m.Name)
				}
				got[m.Name+key] = value
			}
		}
	}
	return got
}

// scripted is a store, a queue, a handler and a fetcher with scripted answers.
type scripted struct {
	claim    idempotency.ClaimVerdict
	claimErr error
	complete idempotency.CompleteVerdict
	handler  error
	deadErr  error
	handled  bool
	paused   bool
	body     string        // of the message, "" for an event's
	ahead    time.Duration // of the consumer's clock over Lambda's
	policy   policy.Policy
	source   event.Source // of the message; "" for webhook
	receives int          // 0 for 1

	takes      time.Duration // of the handler
	dispatched bool
}

func (s *scripted) Claim(_ context.Context, r idempotency.ClaimRequest) (idempotency.ClaimResult, error) {
	return idempotency.ClaimResult{
		Verdict: s.claim, Source: s.source, Claim: &idempotency.Claim{EventID: r.Event.ID, Attempt: 1},
	}, s.claimErr
}

func (s *scripted) Complete(_ context.Context, _ *idempotency.Claim, o idempotency.Outcome, _ dispatch.Effects, _ time.Time) (idempotency.CompleteResult, error) {
	return idempotency.CompleteResult{Verdict: s.complete, Outcome: o}, nil
}

func (s *scripted) Fail(context.Context, *idempotency.Claim, idempotency.Failure) (idempotency.FailResult, error) {
	return idempotency.FailResult{Verdict: idempotency.FailWritten}, nil
}

func (s *scripted) SetVisibility(context.Context, string, time.Duration) error { return nil }
func (s *scripted) Delete(context.Context, []string) error                     { return nil }
func (s *scripted) DeadLetter(context.Context, queue.Message, queue.DeadLetter) error {
	return s.deadErr
}
func (s *scripted) Paused(context.Context, string) (bool, error) { return s.paused, nil }
func (s *scripted) Hold(context.Context, queue.Message) error    { return s.deadErr }
func (s *scripted) Handles(event.Envelope) bool                  { return s.handled }
func (s *scripted) Pure(event.Envelope) bool                     { return false }
func (s *scripted) Dispatch(context.Context, dispatch.Input) (dispatch.Effects, error) {
	s.dispatched = true
	return nil, s.handler
}
func (s *scripted) FetchEvent(context.Context, string, string, bool) ([]byte, error) { return nil, nil }

// TestEveryOutcomeOfTheConsumerIsCounted runs the consumer, so that it fails if an outcome
// is renamed there.
func TestEveryOutcomeOfTheConsumerIsCounted(t *testing.T) {
	boom := errors.New("boom")
	happy := scripted{claim: idempotency.Claimed, complete: idempotency.Completed, handled: true}
	with := func(change func(*scripted)) *scripted { s := happy; change(&s); return &s }
	for _, c := range []struct {
		name string
		s    *scripted
		want map[string]float64
	}{
		{"applied", with(func(*scripted) {}), map[string]float64{"Done,stage=live": 1, "Age,stage=live": 2000}},
		{"ignored", with(func(s *scripted) { s.handled = false }), map[string]float64{"Done,stage=live": 1, "Age,stage=live": 2000}},
		{"duplicate", with(func(s *scripted) { s.claim = idempotency.Duplicate }), map[string]float64{"Duplicate,stage=live": 1}},
		{"busy", with(func(s *scripted) { s.claim = idempotency.Busy }), map[string]float64{"Busy,stage=live": 1}},
		{"superseded", with(func(s *scripted) { s.complete = idempotency.Superseded }), map[string]float64{"Superseded,stage=live": 1}},
		{"failed", with(func(s *scripted) { s.handler = boom }), map[string]float64{"Failed,stage=live": 1}},
		{"waiting", with(func(s *scripted) {
			s.handler = dispatch.RetryAfter(time.Second, fmt.Errorf("%w: open", dispatch.ErrNotShown))
		}),
			map[string]float64{"Waiting,stage=live": 1}},
		{"dead-lettered", with(func(s *scripted) { s.handler = dispatch.Park(dispatch.ReasonAPIVersion, boom) }),
			map[string]float64{"DeadLettered,stage=live": 1, "DeadLettered,stage=live,reason=api_version": 1}},
		{"corrupt", with(func(s *scripted) { s.claim = idempotency.Corrupt }),
			map[string]float64{"DeadLettered,stage=live": 1, "DeadLettered,stage=live,reason=corrupt": 1}},
		{"a copy that could not be sent is not a dead letter", with(func(s *scripted) { s.handler, s.deadErr = dispatch.Permanent(boom), boom }),
			map[string]float64{"Failed,stage=live": 1, "Failed,stage=live,reason=handler": 1}},
		{"store down", with(func(s *scripted) { s.claimErr = idempotency.ErrStoreDown }), map[string]float64{"StoreDown,stage=live": 1}},
		{"throttled", with(func(s *scripted) { s.claimErr = idempotency.ErrThrottled }), map[string]float64{"Throttled,stage=live": 1}},
		{"no time", with(func(s *scripted) { s.ahead = 25 * time.Second }), map[string]float64{"NoTime,stage=live": 1}},
		{"newer version", with(func(s *scripted) { s.body = `{"v":2}` }), map[string]float64{"NewerVersion,stage=live": 1}},
		{"held", with(func(s *scripted) { s.paused = true }), map[string]float64{"Held,stage=live": 1}},
		{"a message that could not be held", with(func(s *scripted) { s.paused, s.deadErr = true, boom }), map[string]float64{"Failed,stage=live": 1}},
		{"policy ignores", with(func(s *scripted) {
			s.policy = policy.Policy{Livemode: []bool{true}, OnMismatch: policy.Ignore}
		}), map[string]float64{"PolicyIgnored,stage=live": 1, "PolicyIgnored,stage=live,endpoint=default,reason=livemode": 1}},
		{"missed", with(func(s *scripted) {
			s.claim, s.source, s.receives = idempotency.Duplicate, event.Reconcile, 2
		}), map[string]float64{"Missed,stage=live": 1, "Missed,stage=live,endpoint=default": 1}},
		{"applied, through EventBridge", with(func(s *scripted) { s.source = event.EventBridge }),
			map[string]float64{"Enqueued,stage=live": 1, "Done,stage=live": 1, "Age,stage=live": 2000}},
		{"busy, through EventBridge", with(func(s *scripted) { s.source, s.claim = event.EventBridge, idempotency.Busy }),
			map[string]float64{"Enqueued,stage=live": 1, "Busy,stage=live": 1}},
		{"applied at a later receive, through EventBridge", with(func(s *scripted) { s.source, s.receives = event.EventBridge, 2 }),
			map[string]float64{"Done,stage=live": 1, "Age,stage=live": 2000}},
	} {
		t.Run(c.name, func(t *testing.T) {
			// Metrics are written at every log level.
			line := c.s.consume(t, telemetry.Options{Stage: "live", Level: slog.LevelError})
			if diff := cmp.Diff(c.want, counted(t, line)); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}

// consume runs the consumer for one message, whose line it returns.
func (s *scripted) consume(t *testing.T, o telemetry.Options) []byte {
	t.Helper()
	var out bytes.Buffer
	now := time.Unix(1_700_000_002, 0)
	clock := now.Add(-s.takes)
	h, err := consumer.New(consumer.Config{
		Limits: limits.AWS(), Store: s, Queue: s, Handlers: s, Fetcher: s, Pause: s, Logger: telemetry.Logger(&out, o),
		Now: func() time.Time {
			if s.dispatched {
				return clock.Add(s.takes)
			}
			return clock
		}, Policies: map[string]policy.Policy{"default": s.policy},
	})
	if err != nil {
		t.Fatal(err)
	}
	body, err := queue.Encode(event.Envelope{
		ID: "evt_1", Object: event.ObjectSnapshot, Type: "invoice.paid", Created: 1_700_000_000, Endpoint: "default",
		ReceivedAt: now, Source: stdcmp.Or(s.source, event.Webhook), Body: []byte(`{"id":"evt_1","object":"event","type":"invoice.paid","created":1700000000,"data":{"object":{}}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithDeadline(t.Context(), clock.Add(limits.AWS().ConsumerTimeout-s.ahead))
	defer cancel()
	h.Handle(ctx, []queue.Message{{ID: "m1", Receipt: "r1", Body: stdcmp.Or(s.body, body), Receives: max(s.receives, 1)}})
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 {
		t.Fatalf("%d lines, want one for the message:\n%s", n, &out)
	}
	return out.Bytes()
}

// TestEventMetrics: with the option, done and failed events and their handlers' time are also
// counted by type, of types with a handler alone: the types of a Stripe account are many.
func TestEventMetrics(t *testing.T) {
	good := scripted{claim: idempotency.Claimed, complete: idempotency.Completed, handled: true, takes: 150 * time.Millisecond}
	with := func(change func(*scripted)) *scripted { s := good; change(&s); return &s }
	const typed = ",stage=live,event_type=invoice.paid"
	for _, c := range []struct {
		name string
		s    *scripted
		want map[string]float64
	}{
		{"applied", with(func(*scripted) {}), map[string]float64{"Done,stage=live": 1, "Done" + typed: 1, "Age,stage=live": 2000,
			"HandlerMillis,stage=live": 150, "HandlerMillis" + typed: 150}},
		{"failed", with(func(s *scripted) { s.handler = errors.New("boom") }), map[string]float64{"Failed,stage=live": 1, "Failed" + typed: 1,
			"HandlerMillis,stage=live": 150, "HandlerMillis" + typed: 150}},
		{"failed with a reason", with(func(s *scripted) { s.handler, s.deadErr = dispatch.Permanent(errors.New("boom")), errors.New("full") }),
			map[string]float64{"Failed,stage=live": 1, "Failed,stage=live,reason=handler": 1, "Failed" + typed: 1,
				"HandlerMillis,stage=live": 150, "HandlerMillis" + typed: 150}},
		{"dead-lettered", with(func(s *scripted) { s.handler = dispatch.Permanent(errors.New("boom")) }),
			map[string]float64{"DeadLettered,stage=live": 1, "DeadLettered,stage=live,reason=handler": 1, "DeadLettered" + typed: 1,
				"HandlerMillis,stage=live": 150, "HandlerMillis" + typed: 150}},
		{"no handler", with(func(s *scripted) { s.handled = false }), map[string]float64{"Done,stage=live": 1, "Age,stage=live": 1850}},
		{"its handler did not run", with(func(s *scripted) { s.claim = idempotency.Duplicate }), map[string]float64{"Duplicate,stage=live": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			line := c.s.consume(t, telemetry.Options{Stage: "live", Level: slog.LevelError, EventMetrics: true})
			if diff := cmp.Diff(c.want, counted(t, line)); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}

// scriptedIngest are secrets and a queue with scripted answers.
type scriptedIngest struct{ sendErr error }

func (d scriptedIngest) Active(context.Context, string) ([]string, error) {
	return []string{"whsec_a"}, nil
}
func (d scriptedIngest) Refetched(context.Context, string) ([]string, error) {
	return []string{"whsec_a"}, nil
}
func (d scriptedIngest) Enqueue(context.Context, event.Envelope, string) (string, error) {
	return "message-1", d.sendErr
}

func TestEveryDeliveryIsCounted(t *testing.T) {
	body := []byte(`{"id":"evt_1","object":"event","type":"a.b","created":1,"livemode":false,"data":{"object":{}}}`)
	good := ingest.Request{Method: "POST", Endpoint: "default", ContentType: "application/json", Body: body, Signature: sign(body, "whsec_a")}
	with := func(change func(*ingest.Request)) ingest.Request { r := good; change(&r); return r }
	forged := with(func(r *ingest.Request) { r.Signature = sign(body, "whsec_other") })
	received := func(enqueued, rejected float64, reason, endpoint string) map[string]float64 {
		got := map[string]float64{"Received,stage=live": 1, "Enqueued,stage=live": enqueued}
		if reason != "" {
			got["Rejected,stage=live"], got["Rejected,stage=live,reason="+reason] = 1, 1
		}
		if rejected > 0 {
			got["SignatureRejected,stage=live"] = 1
		}
		if endpoint != "" {
			for name, n := range maps.Collect(maps.All(got)) {
				if !strings.HasPrefix(name, "Rejected") {
					got[name+",endpoint="+endpoint] = n
				}
			}
		}
		return got
	}
	for _, c := range []struct {
		name string
		r    ingest.Request
		d    scriptedIngest
		want map[string]float64
	}{
		{"enqueued", good, scriptedIngest{}, received(1, 0, "", "default")},
		{"forged", forged, scriptedIngest{}, received(0, 1, "no_match", "default")},
		{"unsigned", with(func(r *ingest.Request) { r.Signature = "" }), scriptedIngest{}, received(0, 1, "missing", "default")},
		{"signed in another form", with(func(r *ingest.Request) { r.Signature = "x" }), scriptedIngest{}, received(0, 1, "malformed", "default")},
		{"old", with(func(r *ingest.Request) { r.Signature = "t=1,v1=" + strings.Repeat("0", 64) }), scriptedIngest{}, received(0, 0, "too_old", "default")},
		{"a form", with(func(r *ingest.Request) { r.ContentType = "text/html" }), scriptedIngest{}, received(0, 0, "media_type", "default")},
		{"queue down", good, scriptedIngest{errors.New("down")}, received(0, 0, "", "default")},
		// What a stranger names costs no metric of its own.
		{"a name that is not configured", with(func(r *ingest.Request) { r.Endpoint = "stranger" }), scriptedIngest{}, received(1, 0, "", "")},
		{"a forged one of it", with(func(r *ingest.Request) { r.Endpoint, r.Signature = "stranger", "" }), scriptedIngest{}, received(0, 1, "missing", "")},
		{"no name", with(func(r *ingest.Request) { r.Endpoint = "" }), scriptedIngest{}, received(0, 0, "endpoint", "")},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			h, err := ingest.New(ingest.Config{Secrets: c.d, Sender: c.d, Logger: telemetry.Logger(&out, telemetry.Options{
				Stage: "live", Level: slog.LevelError, Endpoints: []string{"connect", "default"},
			})})
			if err != nil {
				t.Fatal(err)
			}
			h.Handle(t.Context(), c.r)
			if diff := cmp.Diff(c.want, counted(t, out.Bytes())); diff != "" {
				t.Errorf("metrics (-want +got):\n%s", diff)
			}
		})
	}
}

func TestOtherLinesCountNothing(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.Logger(&out, telemetry.Options{Stage: "live", Level: slog.LevelDebug})
	log.Debug("anything", telemetry.OutcomeKey, "enqueued")
	log.Info(telemetry.EventMessage, telemetry.OutcomeKey, "another")
	log.WithGroup("group").Info(telemetry.DeliveryMessage, telemetry.OutcomeKey, "enqueued")
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if len(lines) != 3 || len(counted(t, lines[0])) != 0 || len(counted(t, lines[1])) != 0 {
		t.Errorf("lines:\n%s", &out)
	}
	if got := counted(t, lines[2]); got["Enqueued,stage=live"] != 1 {
		t.Errorf("metrics of a grouped line %v, want them at the root", got)
	}
}
