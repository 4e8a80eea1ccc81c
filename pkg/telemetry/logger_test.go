package telemetry_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/stripe/stripe-go/v76/webhook"

	"tollgate/pkg/telemetry"
)

func TestLoggerWritesLambdasForm(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.Logger(&out, telemetry.Options{Stage: "live", Version: "v1.2.0", Level: slog.LevelWarn})
	log.Info("quiet")
	log.Warn("loud", "event_id", "evt_1")
	var line map[string]string
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("want exactly one JSON line: %v in %s", err, &out)
	}
	for key, want := range map[string]string{
		telemetry.LevelKey: "WARN", telemetry.MessageKey: "loud",
		telemetry.StageKey: "live", telemetry.VersionKey: "v1.2.0", "event_id": "evt_1",
	} {
		if line[key] != want {
			t.Errorf("%s is %q, want %q", key, line[key], want)
		}
	}
	if line[telemetry.TimeKey] == "" {
		t.Errorf("no %s in %s", telemetry.TimeKey, &out)
	}
}

func sign(body []byte, secret string) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret}).Header
}

// TestLoggerNamesTheInvocation: lines with and without metrics have the request's id, those outside
// an invocation none.
func TestLoggerNamesTheInvocation(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.Logger(&out, telemetry.Options{Stage: "live"})
	ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
	log.InfoContext(ctx, "any")
	log.InfoContext(ctx, telemetry.DeliveryMessage, telemetry.OutcomeKey, "enqueued")
	log.InfoContext(t.Context(), "outside")
	var got []any
	for line := range bytes.Lines(out.Bytes()) {
		var members map[string]any
		if err := json.Unmarshal(line, &members); err != nil {
			t.Fatal(err)
		}
		got = append(got, members[telemetry.RequestKey])
	}
	if want := []any{"request-1", "request-1", nil}; !slices.Equal(got, want) {
		t.Errorf("requests %v, want %v in\n%s", got, want, &out)
	}
}
