package telemetry_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/telemetry"
)

func TestEveryPassIsCounted(t *testing.T) {
	for _, c := range []struct {
		name, message string
		attrs         []any
		want          map[string]float64
	}{
		{"a whole pass", telemetry.PassMessage, []any{
			telemetry.ListedKey, 40, telemetry.RequeuedKey, 3, "stuck", 2, telemetry.MismatchedKey, 1,
			telemetry.UnreadableKey, 4, telemetry.DeferredKey, 0, telemetry.CompleteKey, true,
		}, map[string]float64{
			"Listed,stage=live": 40, "Requeued,stage=live": 3, "Mismatched,stage=live": 5,
			"Deferred,stage=live": 0, "Complete,stage=live": 1,
		}},
		{"a pass with an old dead event", telemetry.PassMessage, []any{telemetry.CompleteKey, true, telemetry.OldestDeadKey, int64(700000)}, map[string]float64{
			"Listed,stage=live": 0, "Requeued,stage=live": 0, "Mismatched,stage=live": 0,
			"Deferred,stage=live": 0, "Complete,stage=live": 1, "OldestDead,stage=live": 700000,
		}},
		{"a pass during a pause", telemetry.PassMessage, []any{telemetry.CompleteKey, true, telemetry.OldestDeadKey, int64(0), telemetry.PausedForKey, int64(864000)}, map[string]float64{
			"Listed,stage=live": 0, "Requeued,stage=live": 0, "Mismatched,stage=live": 0,
			"Deferred,stage=live": 0, "Complete,stage=live": 1, "OldestDead,stage=live": 0, "PausedFor,stage=live": 864000,
		}},
		{"a pass that could not begin", telemetry.PassMessage, []any{telemetry.CompleteKey, false}, map[string]float64{
			"Listed,stage=live": 0, "Requeued,stage=live": 0, "Mismatched,stage=live": 0,
			"Deferred,stage=live": 0, "Complete,stage=live": 0,
		}},
		{"an account that a policy excludes", telemetry.ExclusionMessage, []any{"endpoint", "connect", telemetry.ReasonKey, "livemode", telemetry.IgnoredKey, 1},
			map[string]float64{"PolicyIgnored,stage=live": 1, "PolicyIgnored,stage=live,endpoint=connect,reason=livemode": 1}},
		{"a run of the outbox", telemetry.OutboxMessage, []any{
			telemetry.SentKey, 7, telemetry.FailedKey, 1, telemetry.UnsentKey, 5, telemetry.OldestKey, int64(901), telemetry.HeldKey, 3,
		}, map[string]float64{
			"OutboxSent,stage=live": 7, "OutboxFailed,stage=live": 1,
			"OutboxUnsent,stage=live": 5, "OutboxOldest,stage=live": 901, "OutboxHeld,stage=live": 3,
		}},
		{"an idle run of the outbox", telemetry.OutboxMessage, []any{
			telemetry.SentKey, 0, telemetry.FailedKey, 0, telemetry.UnsentKey, 0, telemetry.OldestKey, int64(0), telemetry.HeldKey, 0,
		}, map[string]float64{
			"OutboxSent,stage=live": 0, "OutboxFailed,stage=live": 0,
			"OutboxUnsent,stage=live": 0, "OutboxOldest,stage=live": 0, "OutboxHeld,stage=live": 0,
		}},
		{"a run that could not count what is left", telemetry.OutboxMessage, []any{telemetry.SentKey, 0, telemetry.FailedKey, 1},
			map[string]float64{"OutboxSent,stage=live": 0, "OutboxFailed,stage=live": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			telemetry.Logger(&out, telemetry.Options{Stage: "live", Level: slog.LevelError}).Info(c.message, c.attrs...)
			if d := cmp.Diff(c.want, counted(t, out.Bytes())); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}
