// Package metrics serves what the functions' log lines count in Prometheus' format. Labels are
// bounded: an endpoint that is not configured, and every event type after the first
// [MaxTypes] or of another form, is "other".
//
//	m := metrics.New([]string{"default"}, names, counts.Get)
//	m.Observe(telemetry.DeliveryMessage, members)
//	http.Handle("GET /metrics", m.Handler())
package metrics

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tollgate/pkg/telemetry"
)

// MaxTypes bounds the event types with series of their own. Stripe has some 250.
const MaxTypes = 300

const other = "other"

// Metrics are safe for concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	received   *prometheus.CounterVec
	rejected   *prometheus.CounterVec
	handled    *prometheus.CounterVec
	processing *prometheus.HistogramVec
	age        prometheus.Histogram

	endpoints []string
	mu        sync.Mutex
	types     map[string]bool
}

// New returns metrics with series of their own for these endpoints. The counters with these names,
// such as OutboxSent, have the values that sum returns.
func New(endpoints, names []string, sum func(name string) int64) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(), endpoints: endpoints, types: map[string]bool{},
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhooks_received_total", Help: "Deliveries that ingest answered, by outcome; rejected ones have no event type.",
		}, []string{"endpoint", "event_type", "status"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhooks_rejected_total", Help: "Deliveries that ingest rejected.",
		}, []string{"endpoint", "reason"}),
		handled: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "webhooks_handled_total", Help: "Receives of messages by the consumer, by outcome.",
		}, []string{"event_type", "outcome"}),
		processing: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "webhooks_processing_seconds", Help: "Time of an event's handler, with what it fetches.", Buckets: prometheus.DefBuckets,
		}, []string{"event_type"}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "webhooks_done_age_seconds", Help: "Time from an event's creation to done.",
			Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600},
		}),
	}
	m.registry.MustRegister(m.received, m.rejected, m.handled, m.processing, m.age)
	for _, name := range names {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "tollgate_" + snake(name) + "_total", Help: "The functions' metric " + name + ".",
		}, func() float64 { return float64(sum(name)) }))
	}
	return m
}

// Handler answers a scrape.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Observe counts a line by its message; member returns one of its members, "" if it is absent.
func (m *Metrics) Observe(message string, member func(key string) string) {
	outcome := member(telemetry.OutcomeKey)
	switch message {
	case telemetry.DeliveryMessage:
		endpoint := m.endpoint(member(telemetry.EndpointKey))
		m.received.WithLabelValues(endpoint, m.eventType(member(telemetry.EventTypeKey)), outcome).Inc()
		if reason := member(telemetry.ReasonKey); reason != "" {
			m.rejected.WithLabelValues(endpoint, reason).Inc()
		}
	case telemetry.EventMessage:
		typ := m.eventType(member(telemetry.EventTypeKey))
		m.handled.WithLabelValues(typ, outcome).Inc()
		if s, ok := seconds(member(telemetry.HandlerKey)); ok {
			m.processing.WithLabelValues(typ).Observe(s)
		}
		if s, ok := seconds(member(telemetry.AgeKey)); ok && slices.Contains([]string{"applied", "ignored", "stale"}, outcome) {
			m.age.Observe(s)
		}
	}
}

// seconds reads milliseconds.
func seconds(text string) (float64, bool) {
	ms, err := strconv.ParseInt(text, 10, 64)
	return float64(ms) / 1000, err == nil && ms >= 0
}

func (m *Metrics) endpoint(name string) string {
	if slices.Contains(m.endpoints, name) {
		return name
	}
	return other
}

var formOfType = regexp.MustCompile(`^[a-z0-9_.]{1,100}$`)

func (m *Metrics) eventType(name string) string {
	if name == "" {
		return ""
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.types[name] {
		return name
	}
	if len(m.types) == MaxTypes || !formOfType.MatchString(name) {
		return other
	}
	m.types[name] = true
	return name
}

// snake returns dead_lettered for DeadLettered.
func snake(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}
