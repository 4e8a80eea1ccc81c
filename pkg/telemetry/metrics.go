package telemetry

import (
	"log/slog"
	"slices"
	"time"

	"tollgate/pkg/event"
	"tollgate/pkg/limits"
)

// Messages of the lines with metrics, and the members that the metrics are read from.
const (
	DeliveryMessage = "delivery" // ingest, one for each request
	EventMessage    = "event"    // consumer, one for each message
	SecretMessage   = "secret"   // ingest, one for each endpoint without a usable secret at a fetch

	OutcomeKey   = "outcome"
	ReasonKey    = limits.DimensionReason
	EndpointKey  = limits.DimensionEndpoint
	EventTypeKey = limits.DimensionEventType
	AgeKey       = "age_ms"
	HandlerKey   = "handler_ms" // of a message whose handler ran
	SourceKey    = "source"     // of a message that EventBridge sent
	ReceivesKey  = "receives"
)

// DirectiveKey is the member that names the metrics for CloudWatch.
const DirectiveKey = "_aws"

// metric is one value with its dimensions in addition to the stage.
type metric struct {
	name  string
	value int64
	by    [][]string // the sets of dimensions that it is counted by; nil for byStage
	unit  string
}

// What metrics are counted by.
var (
	byStage          = [][]string{{StageKey}}
	byEndpoint       = [][]string{{StageKey}, {StageKey, EndpointKey}}
	byReason         = [][]string{{StageKey}, {StageKey, ReasonKey}}
	byEndpointReason = [][]string{{StageKey}, {StageKey, EndpointKey, ReasonKey}}
	byType           = [][]string{{StageKey}, {StageKey, EventTypeKey}}
	byReasonAndType  = [][]string{{StageKey}, {StageKey, ReasonKey}, {StageKey, EventTypeKey}}
)

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
	"held":           limits.MetricHeld,
	"missed":         limits.MetricMissed,
}

// metricsOf returns a line's metrics.
func (h *handler) metricsOf(r slog.Record) []metric {
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
		return h.ofDelivery(fieldsOf(r))
	case SecretMessage:
		return []metric{{name: limits.MetricSecretUnusable, value: 1, unit: unitCount}}
	case EventMessage:
		return h.ofMessage(fieldsOf(r))
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
	outcome, reason, endpoint, eventType string
	age, took                            int64 // ms, -1 if unknown
	bus                                  bool  // EventBridge sent it
	receives                             int64
}

func fieldsOf(r slog.Record) fields {
	s := fields{age: -1, took: -1}
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case OutcomeKey:
			s.outcome = a.Value.String()
		case ReasonKey:
			s.reason = a.Value.String()
		case EndpointKey:
			s.endpoint = a.Value.String()
		case EventTypeKey:
			s.eventType = a.Value.String()
		case AgeKey:
			s.age = a.Value.Int64()
		case HandlerKey:
			s.took = a.Value.Int64()
		case SourceKey:
			s.bus = a.Value.String() == string(event.EventBridge)
		case ReceivesKey:
			s.receives = a.Value.Int64()
		}
		return true
	})
	return s
}

// unless returns byStage for a dimension without a value.
func unless(empty bool, by [][]string) [][]string {
	if empty {
		return byStage
	}
	return by
}

// ofDelivery returns the metrics of a delivery. One that was not enqueued writes a zero: an
// alarm compares rejections with it, and cannot compare a metric without data.
func (h *handler) ofDelivery(s fields) []metric {
	endpoint := unless(!slices.Contains(h.Endpoints, s.endpoint), byEndpoint)
	m := append(make([]metric, 0, 4),
		metric{name: limits.MetricReceived, value: 1, by: endpoint, unit: unitCount}, metric{name: limits.MetricEnqueued, by: endpoint, unit: unitCount})
	switch s.outcome {
	case "enqueued":
		m[1].value = 1
	case "rejected":
		if slices.Contains(limits.SignatureReasons(), s.reason) {
			m = append(m, metric{name: limits.MetricSignatureRejected, value: 1, by: endpoint, unit: unitCount})
		}
		m = append(m, metric{name: limits.MetricRejected, value: 1, by: unless(s.reason == "", byReason), unit: unitCount})
	}
	return m
}

// ofMessage returns the metrics of an attempt at a message. No function of ours sees an event of
// EventBridge before: it counts as enqueued at its first receive.
func (h *handler) ofMessage(s fields) []metric {
	all := make([]metric, 0, 4)
	if s.bus && s.receives == 1 {
		all = append(all, count(limits.MetricEnqueued, 1))
	}
	m := metric{name: ofEvent[s.outcome], value: 1, by: unless(s.reason == "", byReason), unit: unitCount}
	typed := h.EventMetrics && s.took >= 0 && s.eventType != ""
	switch m.name {
	case "":
		return all
	case limits.MetricPolicyIgnored:
		m.by = byEndpointReason
	case limits.MetricMissed:
		m.by = unless(s.endpoint == "", byEndpoint)
	case limits.MetricDone, limits.MetricFailed, limits.MetricDeadLettered:
		if typed && s.reason == "" {
			m.by = byType
		} else if typed {
			m.by = byReasonAndType
		}
	}
	all = append(all, m)
	if typed {
		all = append(all, metric{name: limits.MetricHandlerMillis, value: s.took, by: byType, unit: unitMillis})
	}
	if m.name == limits.MetricDone && s.age >= 0 {
		all = append(all, metric{name: limits.MetricAge, value: s.age, unit: unitMillis})
	}
	return all
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
		by := unless(m.by == nil, m.by)
		if i == 0 || !slices.EqualFunc(by, d.CloudWatchMetrics[len(d.CloudWatchMetrics)-1].Dimensions, slices.Equal) {
			d.CloudWatchMetrics = append(d.CloudWatchMetrics, set{
				Namespace: limits.MetricNamespace, Dimensions: by, Metrics: make([]definition, 0, len(metrics)-i),
			})
		}
		s := &d.CloudWatchMetrics[len(d.CloudWatchMetrics)-1]
		s.Metrics = append(s.Metrics, definition{m.name, m.unit})
		attrs = append(attrs, slog.Int64(m.name, m.value))
	}
	return append(attrs, slog.Any(DirectiveKey, d))
}
