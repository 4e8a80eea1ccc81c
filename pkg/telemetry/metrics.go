package telemetry

import (
	"log/slog"
	"slices"
	"time"

	"tollgate/pkg/limits"
)

// Messages of the lines with metrics, and the members that the metrics are read from.
const (
	DeliveryMessage = "delivery" // ingest, one for each request
	EventMessage    = "event"    // consumer, one for each message
	SecretMessage   = "secret"   // ingest, one for each endpoint without a usable secret at a fetch

	OutcomeKey = "outcome"
	ReasonKey  = limits.DimensionReason
	AgeKey     = "age_ms"
)

// DirectiveKey is the member that names the metrics for CloudWatch.
const DirectiveKey = "_aws"

// metric is one value with its dimensions in addition to the stage.
type metric struct {
	name  string
	value int64
	by    []string // further dimensions, nil for none
	unit  string
}

const (
	unitCount   = "Count"
	unitMillis  = "Milliseconds"
	unitSeconds = "Seconds"
)

// ofEvent is the metric of a message's outcome. Other outcomes count nothing.
var ofEvent = map[string]string{
	"applied":       limits.MetricDone,
	"ignored":       limits.MetricDone,
	"stale":         limits.MetricDone,
	"duplicate":     limits.MetricDuplicate,
	"busy":          limits.MetricBusy,
	"superseded":    limits.MetricSuperseded,
	"failed":        limits.MetricFailed,
	"dead_lettered": limits.MetricDeadLettered,
	"store_down":    limits.MetricStoreDown,
	"unknown":       limits.MetricStoreDown,
	"throttled":     limits.MetricThrottled,
	"no_time":       limits.MetricNoTime,
	"newer_version": limits.MetricNewer,
	"waiting":       limits.MetricWaiting,

	"policy_ignored": limits.MetricPolicyIgnored,
	"missed":         limits.MetricMissed,
}

// metricsOf returns a line's metrics.
func metricsOf(r slog.Record) []metric {
	switch r.Message {
	case PassMessage:
		return ofPass(r)
	case ExclusionMessage:
		return ofExclusion(r)
	case OutboxMessage:
		return ofOutbox(r)
	case VerifyMessage:
		return ofVerify(r)
	case DeliveryMessage:
		return ofDelivery(fieldsOf(r))
	case SecretMessage:
		return []metric{{name: limits.MetricSecretUnusable, value: 1, unit: unitCount}}
	case EventMessage:
		return ofMessage(fieldsOf(r))
	case SendMessage:
		return ofJob(r)
	case DisabledMessage:
		return []metric{count(limits.MetricDestinationDisabled, 1)}
	default:
		return nil
	}
}

// fields are the members of a delivery's or a message's line that count.
type fields struct {
	outcome string
	by      []string // the dimension of its reason, nil without one
	age     int64    // ms, -1 if unknown
}

func fieldsOf(r slog.Record) fields {
	s := fields{age: -1}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case OutcomeKey:
			s.outcome = a.Value.String()
		case ReasonKey:
			if s.by = nil; a.Value.String() != "" {
				s.by = []string{ReasonKey}
			}
		case AgeKey:
			s.age = a.Value.Int64()
		}
		return true
	})
	return s
}

// ofDelivery returns the metrics of a delivery. One that was not enqueued writes a zero: an
// alarm compares rejections with it, and cannot compare a metric without data.
func ofDelivery(s fields) []metric {
	m := []metric{{name: limits.MetricReceived, value: 1, unit: unitCount}, {name: limits.MetricEnqueued, unit: unitCount}}
	switch s.outcome {
	case "enqueued":
		m[1].value = 1
	case "rejected":
		m = append(m, metric{name: limits.MetricRejected, value: 1, by: s.by, unit: unitCount})
	}
	return m
}

// ofMessage returns the metrics of an attempt at a message.
func ofMessage(s fields) []metric {
	name := ofEvent[s.outcome]
	if name == "" {
		return nil
	}
	if name == limits.MetricPolicyIgnored {
		s.by = []string{limits.DimensionEndpoint, ReasonKey}
	}
	m := []metric{{name: name, value: 1, by: s.by, unit: unitCount}}
	if name == limits.MetricDone && s.age >= 0 {
		m = append(m, metric{name: limits.MetricAge, value: s.age, unit: unitMillis})
	}
	return m
}

// The embedded metric format, as CloudWatch documents it.
type (
	directive struct {
		Timestamp         int64 // ms
		CloudWatchMetrics []set
	}
	set struct {
		Namespace  string
		Dimensions [][]string
		Metrics    []definition
	}
	definition struct {
		Name string
		Unit string
	}
)

// embed returns the members by which CloudWatch extracts a line's metrics. Those in a row that
// have the same dimensions form one set: each byte of a line is billed.
func embed(at time.Time, metrics []metric) []slog.Attr {
	d := directive{Timestamp: at.UnixMilli(), CloudWatchMetrics: make([]set, 0, len(metrics))}
	attrs := make([]slog.Attr, 0, len(metrics)+1)
	for i, m := range metrics {
		if i == 0 || !slices.Equal(m.by, metrics[i-1].by) {
			dimensions := [][]string{{StageKey}}
			if len(m.by) > 0 {
				dimensions = append(dimensions, append([]string{StageKey}, m.by...))
			}
			d.CloudWatchMetrics = append(d.CloudWatchMetrics, set{
				Namespace: limits.MetricNamespace, Dimensions: dimensions, Metrics: make([]definition, 0, len(metrics)-i),
			})
		}
		s := &d.CloudWatchMetrics[len(d.CloudWatchMetrics)-1]
		s.Metrics = append(s.Metrics, definition{m.name, m.unit})
		attrs = append(attrs, slog.Int64(m.name, m.value))
	}
	return append(attrs, slog.Any(DirectiveKey, d))
}
