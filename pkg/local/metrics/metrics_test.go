package metrics_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"tollgate/pkg/local/metrics"
)

// scrape reads the metrics as Prometheus does.
func scrape(t testing.TB, m *metrics.Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// series is a metric with its labels as text, and its count.
func series(families map[string]*dto.MetricFamily) map[string]float64 {
	all := map[string]float64{}
	for name, f := range families {
		for _, m := range f.Metric {
			var labels []string
			for _, l := range m.Label {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			value := m.GetCounter().GetValue()
			if h := m.GetHistogram(); h != nil {
				value = float64(h.GetSampleCount())
			}
			all[name+"{"+strings.Join(labels, ",")+"}"] = value
		}
	}
	return all
}

func line(members ...string) func(string) string {
	return func(key string) string {
		for i := 0; i < len(members); i += 2 {
			if members[i] == key {
				return members[i+1]
			}
		}
		return ""
	}
}

func TestSeries(t *testing.T) {
	m := metrics.New([]string{"default"}, []string{"OutboxSent"}, func(string) int64 { return 7 })
	m.Observe("delivery", line("outcome", "enqueued", "endpoint", "default", "event_type", "invoice.paid"))
	m.Observe("delivery", line("outcome", "enqueued", "endpoint", "default", "event_type", "invoice.paid"))
	m.Observe("delivery", line("outcome", "rejected", "endpoint", "default", "reason", "no_match"))
	m.Observe("delivery", line("outcome", "rejected", "endpoint", "stranger", "reason", "missing"))
	m.Observe("event", line("outcome", "applied", "event_type", "invoice.paid", "handler_ms", "20", "age_ms", "1500"))
	m.Observe("event", line("outcome", "failed", "event_type", "invoice.paid", "handler_ms", "5"))
	m.Observe("event", line("outcome", "ignored", "event_type", "plan.created", "age_ms", "10"))
	m.Observe("event", line("outcome", "duplicate", "event_type", "invoice.paid", "age_ms", "10", "handler_ms", "x"))
	m.Observe("another", line("outcome", "applied"))
	got := series(scrape(t, m))
	for name, want := range map[string]float64{
		`webhooks_received_total{endpoint="default",event_type="invoice.paid",status="enqueued"}`: 2,
		`webhooks_received_total{endpoint="default",event_type="",status="rejected"}`:             1,
		`webhooks_received_total{endpoint="other",event_type="",status="rejected"}`:               1,
		`webhooks_rejected_total{endpoint="default",reason="no_match"}`:                           1,
		`webhooks_rejected_total{endpoint="other",reason="missing"}`:                              1,
		`webhooks_handled_total{event_type="invoice.paid",outcome="applied"}`:                     1,
		`webhooks_handled_total{event_type="invoice.paid",outcome="failed"}`:                      1,
		`webhooks_handled_total{event_type="invoice.paid",outcome="duplicate"}`:                   1,
		`webhooks_handled_total{event_type="plan.created",outcome="ignored"}`:                     1,
		`webhooks_processing_seconds{event_type="invoice.paid"}`:                                  2,
		`webhooks_done_age_seconds{}`:                                                             2,
		`tollgate_outbox_sent_total{}`:                                                            7,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("besides: %v", got)
	}
}

// TestLabelsAreBounded: neither names of endpoints nor types of events make series without end.
func TestLabelsAreBounded(t *testing.T) {
	m := metrics.New([]string{"default"}, nil, nil)
	for i := range 10 * metrics.MaxTypes {
		m.Observe("delivery", line("outcome", "enqueued", "endpoint", fmt.Sprint("e", i), "event_type", fmt.Sprint("type.", i)))
		m.Observe("event", line("outcome", "applied", "event_type", fmt.Sprint("type.", i), "handler_ms", "1"))
	}
	for _, typ := range []string{strings.Repeat("a", 101), "a\nb", `a"`, "\xff", "Ä"} {
		m.Observe("delivery", line("outcome", "enqueued", "endpoint", "default", "event_type", typ))
	}
	if n := len(series(scrape(t, m))); n > 3*(metrics.MaxTypes+1)+2 {
		t.Errorf("%d series of three metrics, want at most one for each of %d types, one for the others and the histogram of ages", n, metrics.MaxTypes)
	}
}
