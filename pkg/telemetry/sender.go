package telemetry

import (
	"log/slog"

	"tollgate/pkg/limits"
)

// Messages of the sender's lines with metrics.
const (
	SendMessage     = "send"                 // one for each job
	DisabledMessage = "destination disabled" // by the process that disabled it

	FailingKey = "failing_ms" // of a job that was not delivered: since its destination accepted nothing
)

// ofSend are the metrics of a job's outcome. Other outcomes count nothing.
var ofSend = map[string]string{
	"delivered":     limits.MetricDelivered,
	"retry":         limits.MetricDeliveryFailed,
	"breaker_open":  limits.MetricDeliveryWaiting,
	"paused":        limits.MetricDeliveryWaiting,
	"dead_lettered": limits.MetricDeliveryDead,
	"store_down":    limits.MetricStoreDown,
	"unknown":       limits.MetricStoreDown,
}

// ofJob returns the metrics of a job. Its reason is no dimension: the alarm on the dead-letter
// queue needs none.
func ofJob(r slog.Record) (m []metric) {
	s, values := fieldsOf(r), numbers(r)
	if name := ofSend[s.outcome]; name != "" {
		m = append(m, count(name, 1))
	}
	if s.outcome == "delivered" && s.age >= 0 {
		m = append(m, metric{name: limits.MetricDeliveryAge, value: s.age, unit: unitMillis})
	}
	if values[FailingKey] >= limits.DestinationDownAfter.Milliseconds() {
		m = append(m, count(limits.MetricDestinationDown, 1))
	}
	return m
}
