package telemetry

import (
	"log/slog"

	"tollgate/pkg/limits"
)

// Messages of reconcile's lines that carry metrics, and the members that these are read from.
const (
	PassMessage   = "pass"   // one for each pass
	OutboxMessage = "outbox" // one for each look at the outbox

	ListedKey     = "listed"
	RequeuedKey   = "requeued"
	StuckKey      = "stuck"
	SuspiciousKey = "suspicious"
	UnreadableKey = "unreadable"
	DeferredKey   = "deferred"
	CompleteKey   = "complete" // a boolean

	SentKey   = "sent"
	FailedKey = "failed"
)

// ofReconcile reads the metrics of a pass or of a look at the outbox. Every one of them is
// written, zeros too: an alarm on a metric that was never written has nothing to compare.
func ofReconcile(r slog.Record) []metric {
	names := []struct{ key, metric string }{
		{ListedKey, limits.MetricListed}, {RequeuedKey, limits.MetricRequeued}, {StuckKey, limits.MetricStuck},
		{DeferredKey, limits.MetricDeferred}, {CompleteKey, limits.MetricComplete},
	}
	if r.Message == OutboxMessage {
		names = []struct{ key, metric string }{{SentKey, limits.MetricOutboxSent}, {FailedKey, limits.MetricOutboxFailed}}
	}
	values := map[string]int64{}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Value.Kind() {
		case slog.KindInt64:
			values[a.Key] = a.Value.Int64()
		case slog.KindBool:
			if a.Value.Bool() {
				values[a.Key] = 1
			}
		}
		return true
	})
	var m []metric
	for _, n := range names {
		m = append(m, metric{name: n.metric, value: values[n.key], unit: unitCount})
	}
	if r.Message == PassMessage {
		m = append(m, metric{name: limits.MetricSuspicious, value: values[SuspiciousKey] + values[UnreadableKey], unit: unitCount})
	}
	return m
}
