package telemetry

import (
	"log/slog"

	"tollgate/pkg/limits"
)

// Messages of reconcile's lines with metrics, and the members that the metrics are read from.
const (
	PassMessage      = "pass"      // one for each pass
	ExclusionMessage = "exclusion" // one for each account of a pass whose events a policy excludes
	OutboxMessage    = "outbox"    // one for each run of the outbox
	VerifyMessage    = "verify"    // one for each run of the comparison of rows with Stripe

	ListedKey     = "listed"
	RequeuedKey   = "requeued"
	MismatchedKey = "mismatched"
	UnreadableKey = "unreadable"
	DeferredKey   = "deferred"
	CompleteKey   = "complete" // a boolean
	OldestDeadKey = "dead_s"   // seconds; absent if unknown
	PausedForKey  = "paused_s" // the same
	IgnoredKey    = "ignored"  // of an exclusion: events, 1 for an account that is not listed

	SentKey   = "sent"
	FailedKey = "failed"
	UnsentKey = "unsent"
	OldestKey = "oldest_s" // seconds
	HeldKey   = "held"

	DriftedKey     = "drifted"
	VerifiedAgeKey = "age_s" // seconds; absent if unknown
)

// ofPass returns the metrics of a pass, including zeros: an alarm cannot compare a metric
// without data. Without an age there is no metric for it: unknown is not zero.
func ofPass(r slog.Record) []metric {
	values := numbers(r)
	m := []metric{
		count(limits.MetricListed, values[ListedKey]), count(limits.MetricRequeued, values[RequeuedKey]),
		count(limits.MetricDeferred, values[DeferredKey]), count(limits.MetricComplete, values[CompleteKey]),
		count(limits.MetricMismatched, values[MismatchedKey]+values[UnreadableKey]),
	}
	if age, known := values[OldestDeadKey]; known {
		m = append(m, metric{name: limits.MetricOldestDead, value: age, unit: unitSeconds})
	}
	if age, known := values[PausedForKey]; known {
		m = append(m, metric{name: limits.MetricPausedFor, value: age, unit: unitSeconds})
	}
	return m
}

// ofExclusion counts the events that a policy excluded.
func ofExclusion(r slog.Record) []metric {
	return []metric{{
		name: limits.MetricPolicyIgnored, value: numbers(r)[IgnoredKey], by: byEndpointReason, unit: unitCount,
	}}
}

// ofOutbox returns the metrics of a run of the outbox, including zeros. A line without a
// count of unsent messages has no metric for it: unknown is not zero.
func ofOutbox(r slog.Record) []metric {
	values := numbers(r)
	m := []metric{count(limits.MetricOutboxSent, values[SentKey]), count(limits.MetricOutboxFailed, values[FailedKey])}
	if _, counted := values[UnsentKey]; counted {
		m = append(m, count(limits.MetricOutboxUnsent, values[UnsentKey]), count(limits.MetricOutboxHeld, values[HeldKey]),
			metric{name: limits.MetricOutboxOldest, value: values[OldestKey], unit: unitSeconds})
	}
	return m
}

// ofVerify returns the metrics of a run of the comparison. A line without an age has no metric
// for it.
func ofVerify(r slog.Record) []metric {
	values := numbers(r)
	m := []metric{count(limits.MetricLedgerDrift, values[DriftedKey])}
	if age, known := values[VerifiedAgeKey]; known {
		m = append(m, metric{name: limits.MetricLedgerVerifiedAge, value: age, unit: unitSeconds})
	}
	return m
}

func count(name string, value int64) metric { return metric{name: name, value: value, unit: unitCount} }

// numbers returns a line's integers, and its booleans as 0 and 1.
func numbers(r slog.Record) map[string]int64 {
	values := map[string]int64{}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Value.Kind() {
		case slog.KindInt64:
			values[a.Key] = a.Value.Int64()
		case slog.KindBool:
			values[a.Key] = 0
			if a.Value.Bool() {
				values[a.Key] = 1
			}
		}
		return true
	})
	return values
}
