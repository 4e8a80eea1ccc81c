package local

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	sdksqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"tollgate/pkg/local/aws/awsjson"
	"tollgate/pkg/local/aws/sqs"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/telemetry"
)

// TestSeriesOfTheFunctionsLines: what the functions log is counted over time, by reason, type and
// cause; a stranger's line counts nothing.
func TestSeriesOfTheFunctionsLines(t *testing.T) {
	l := newLogLines(io.Discard, "info", newLogs())
	log := telemetry.Logger(l.of("any"), telemetry.Options{Stage: "local", Level: slog.LevelInfo})
	delivery := func(attrs ...any) { log.Info(telemetry.DeliveryMessage, attrs...) }
	event := func(typ, outcome string, more ...any) {
		log.Info(telemetry.EventMessage, append([]any{telemetry.OutcomeKey, outcome, telemetry.EventTypeKey, typ}, more...)...)
	}
	delivery(telemetry.OutcomeKey, "enqueued", telemetry.EventTypeKey, "invoice.paid")
	delivery(telemetry.OutcomeKey, "rejected", telemetry.ReasonKey, "no_match")
	delivery(telemetry.OutcomeKey, "rejected", telemetry.ReasonKey, "no_match")
	event("invoice.paid", "applied", telemetry.AgeKey, int64(1000))
	event("plan.created", "ignored")
	event("invoice.paid", "failed", "error", "object in_1AbCdEfGh of 17 is gone")
	event("invoice.paid", "failed", "error", "object in_2AbCdEfGh of 18 is gone")
	event("invoice.paid", "failed", "error", "no table")
	event("invoice.paid", "dead_lettered", telemetry.ReasonKey, "api_version")
	log.Info(telemetry.OutboxMessage, telemetry.SentKey, 2, telemetry.FailedKey, 0, telemetry.UnsentKey, 3, telemetry.OldestKey, 60, telemetry.HeldKey, 5)
	log.Info("another", "Done", 77)
	for _, line := range []string{`{"_aws":{"CloudWatchMetrics":[{"Metrics":[{"Name":"Done"}]}]},"Done":"x"}`, `{"Done":5}`, `no line`} {
		if _, err := l.of("any").Write([]byte(line + "\n")); err != nil {
			t.Fatal(err)
		}
	}
	d := l.series.Data(timeseries.Last(time.Now(), time.Minute, time.Minute))
	got, causes := map[string]float64{}, map[string]float64{}
	for _, s := range d.Series {
		switch {
		case s.By == timeseries.ByCause:
			causes[s.Of] = s.Values.Total()
		case s.Values.Total() != 0:
			got[s.Name+" "+s.Stat+" "+s.Of] = float64(int(s.Values.Total()))
		}
	}
	want := map[string]float64{
		"Received Sum ": 3, "Enqueued Sum ": 1, "Rejected Sum ": 2, "Rejected Sum no_match": 2, "SignatureRejected Sum ": 2,
		"Done Sum ": 2, "Done Sum invoice.paid": 1, "Done Sum plan.created": 1, "Failed Sum ": 3,
		"DeadLettered Sum ": 1, "DeadLettered Sum api_version": 1, "Age p50 ": got["Age p50 "], "Age p99 ": got["Age p99 "],
		"OutboxSent Sum ": 2, "OutboxUnsent Maximum ": 3, "OutboxOldest Maximum ": 60, "OutboxHeld Maximum ": 5,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	if len(causes) != 2 {
		t.Errorf("causes %v, want one for errors that differ in ids and numbers, and another", causes)
	}
	if age := got["Age p50 "]; age < 900 || age > 1100 {
		t.Errorf("age %v of one second", age)
	}
}

func TestSeriesAreServedInBounds(t *testing.T) {
	r := timeseries.NewRecorder(time.Now)
	r.Add("Done", 3)
	h := withCounts(http.NotFoundHandler(), map[string]http.Handler{SeriesPath: serveSeries(r)})
	ask := func(query string, header ...string) *httptest.ResponseRecorder {
		w, q := httptest.NewRecorder(), httptest.NewRequest("GET", SeriesPath+query, nil)
		q.Host = "127.0.0.1:4242"
		for i := 0; i < len(header); i += 2 {
			q.Header.Set(header[i], header[i+1])
		}
		h.ServeHTTP(w, q)
		return w
	}
	now := time.Now().Truncate(time.Minute)
	query := "?" + SeriesQuery(timeseries.Window{From: now, Step: time.Minute, Steps: 2})
	var d timeseries.Data
	if err := json.Unmarshal(ask(query).Body.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if done, _ := d.Of("Done", timeseries.Sum); done.Total() != 3 || len(done) != 2 || !d.From.Equal(now) {
		t.Errorf("got %+v", d)
	}
	for _, wrong := range []string{"", "?from=x", "?from=1&step=60&steps=1001", "?from=1&step=0&steps=1", "?from=-1&step=1&steps=1", "?from=1&step=9223372036854775807&steps=1"} {
		if got := ask(wrong).Code; got != http.StatusBadRequest {
			t.Errorf("%q: %d, want 400", wrong, got)
		}
	}
	if got := ask(query, "Origin", "https://shop.example").Code; got != http.StatusForbidden {
		t.Errorf("a web page gets %d, want 403", got)
	}
}

// TestQueuesAreMeasured: levels are those of the queues, at once and then regularly.
func TestQueuesAreMeasured(t *testing.T) {
	service, err := sqs.Open(filepath.Join(t.TempDir(), "sqs.db"), sqs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	server := httptest.NewServer(awsjson.KeyedHandler("k", service.Service()))
	defer server.Close()
	c := Info{Endpoint: server.URL, Region: Region, AccessKey: AccessKey{ID: "k", Secret: "s"}}.AWSConfig()
	client, urls := sdksqs.NewFromConfig(c), map[string]string{}
	for _, name := range []string{"main", "dead"} {
		made, err := client.CreateQueue(t.Context(), &sdksqs.CreateQueueInput{QueueName: &name})
		if err != nil {
			t.Fatal(err)
		}
		urls[name] = *made.QueueUrl
	}
	send := func(queue string, times int) {
		for range times {
			body, url := "x", urls[queue]
			if _, err := client.SendMessage(t.Context(), &sdksqs.SendMessageInput{QueueUrl: &url, MessageBody: &body}); err != nil {
				t.Fatal(err)
			}
		}
	}
	send("main", 3)
	send("dead", 1)
	if got, err := service.Queue(urls["main"]).Receive(t.Context(), 1, 0); err != nil || len(got) != 1 {
		t.Fatalf("received %v, %v", got, err)
	}
	r := timeseries.NewRecorder(time.Now)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	_ = measure(over, r, service.Queue(urls["main"]), service.Queue(urls["dead"]))
	d := r.Data(timeseries.Last(time.Now(), 0, time.Minute))
	got := map[string]float64{}
	for _, s := range d.Series {
		got[s.Name] = s.Values.Last()
	}
	oldest := got[timeseries.LevelOldest]
	delete(got, timeseries.LevelOldest)
	if want := map[string]float64{timeseries.LevelQueued: 2, timeseries.LevelInFlight: 1, timeseries.LevelDead: 1}; !maps.Equal(got, want) || oldest <= 0 || oldest > 60 {
		t.Errorf("got %v, oldest %v, want %v", got, oldest, want)
	}
}
