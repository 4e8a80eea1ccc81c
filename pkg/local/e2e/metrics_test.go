//go:build unix

package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scrape reads /metrics as Prometheus does.
func (s *system) scrape() map[string]*dto.MetricFamily {
	s.t.Helper()
	status, text := request(http.MethodGet, "http://"+host(s.info.URL)+"/metrics", nil, nil)
	if status != http.StatusOK {
		s.t.Fatalf("GET /metrics: %d %s", status, text)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text + "\n")) // request cuts it off
	must(s.t, err)
	return families
}

// found returns a family's series with these labels, nil without one.
func found(f *dto.MetricFamily, labels ...string) *dto.Metric {
	for _, m := range f.GetMetric() {
		got := make([]string, 0, len(labels))
		for _, l := range m.Label {
			got = append(got, l.GetName()+"="+l.GetValue())
		}
		if strings.Join(got, " ") == strings.Join(labels, " ") {
			return m
		}
	}
	return nil
}

// TestMetricsOfTraffic scrapes a system that gets good, failing, repeated, forged and strange
// deliveries.
func TestMetricsOfTraffic(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), append(trials(), "--time-scale", "20", "--endpoints", `{"connect":{}}`)...)
	s.enqueue(trial("metrics_works", "works"))
	s.enqueue(trial("metrics_works", "works")) // again
	s.enqueue(trial("metrics_fails_twice", "fails_twice"))
	s.enqueue(trial("metrics_refuses", "refuses"))
	s.enqueue(event("metrics_ignored", "customer.created"))
	bad := event("metrics_forged", "invoice.paid")
	for range 3 {
		request(http.MethodPost, s.info.URL, bad, map[string]string{"Content-Type": "application/json", "Stripe-Signature": sign(bad, "whsec_forged", time.Now())})
	}
	const strange = 40
	for i := range strange {
		request(http.MethodPost, fmt.Sprintf("%s/stranger-%d", s.info.URL, i), bad, map[string]string{"Content-Type": "application/json"})
	}
	for _, id := range []string{"metrics_works", "metrics_fails_twice", "metrics_ignored"} {
		s.becomesDone(id)
	}
	received := func(n float64, endpoint, typ, status string) func(map[string]*dto.MetricFamily) (bool, string) {
		return func(f map[string]*dto.MetricFamily) (bool, string) {
			m := found(f["webhooks_received_total"], "endpoint="+endpoint, "event_type="+typ, "status="+status)
			return m.GetCounter().GetValue() == n, fmt.Sprintf("%s %s %s: %v, want %v", endpoint, typ, status, m, n)
		}
	}
	processed := func(n uint64, typ string) func(map[string]*dto.MetricFamily) (bool, string) {
		return func(f map[string]*dto.MetricFamily) (bool, string) {
			m := found(f["webhooks_processing_seconds"], "event_type="+typ)
			return m.GetHistogram().GetSampleCount() >= n && len(m.GetHistogram().Bucket) > 5, fmt.Sprintf("handler of %s: %v, want %d runs", typ, m, n)
		}
	}
	handled := func(outcome, typ string) func(map[string]*dto.MetricFamily) (bool, string) {
		return func(f map[string]*dto.MetricFamily) (bool, string) {
			m := found(f["webhooks_handled_total"], "event_type="+typ, "outcome="+outcome)
			return m.GetCounter().GetValue() >= 1, fmt.Sprintf("%s %s: %v", typ, outcome, m)
		}
	}
	for _, is := range []func(map[string]*dto.MetricFamily) (bool, string){
		received(2, "default", "trial.works", "enqueued"), received(1, "default", "trial.fails_twice", "enqueued"),
		received(1, "default", "customer.created", "enqueued"), received(3, "default", "", "rejected"), received(strange, "other", "", "rejected"),
		processed(1, "trial.works"), processed(3, "trial.fails_twice"),
		handled("applied", "trial.works"), handled("failed", "trial.fails_twice"), handled("dead_lettered", "trial.refuses"), handled("ignored", "customer.created"),
		func(f map[string]*dto.MetricFamily) (bool, string) {
			m := found(f["webhooks_rejected_total"], "endpoint=default", "reason=no_match")
			return m.GetCounter().GetValue() == 3, fmt.Sprintf("forged: %v, want 3", m)
		},
		func(f map[string]*dto.MetricFamily) (bool, string) {
			m := found(f["tollgate_dead_lettered_total"])
			return m.GetCounter().GetValue() == 1, fmt.Sprintf("dead letters: %v, want 1", m)
		},
	} {
		eventually(t, func() (bool, string) { return is(s.scrape()) })
	}
	if f := s.scrape(); found(f["webhooks_processing_seconds"], "event_type=customer.created") != nil {
		t.Error("a type without a handler has a handler's time")
	}
	for _, c := range []struct {
		method  string
		headers map[string]string
		want    int
	}{
		{http.MethodPost, nil, http.StatusNotFound},
		{http.MethodGet, map[string]string{"Origin": "https://example.com"}, http.StatusForbidden},
	} {
		if status, _ := request(c.method, "http://"+host(s.info.URL)+"/metrics", nil, c.headers); status != c.want {
			t.Errorf("%s /metrics with %v: %d, want %d", c.method, c.headers, status, c.want)
		}
	}
}
