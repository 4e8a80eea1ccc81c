package overview

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go/encoding/cbor"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/cmd/tollgate/verb"
	"tollgate/pkg/limits"
	"tollgate/pkg/local"
	"tollgate/pkg/local/localtest"
)

// cloudWatchServer speaks the protocol of AWS's own client: it answers each metric that is asked for
// with 5 for each of its periods if its stage or queue is one of ours, and counts the requests.
func cloudWatchServer(t *testing.T, asked *atomic.Int64) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/operation/GetMetricData") || r.Header.Get("Smithy-Protocol") != "rpc-v2-cbor" {
			http.Error(w, "another operation or protocol", http.StatusNotFound)
			return
		}
		asked.Add(1)
		raw, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		v, err := cbor.Decode(raw)
		if err != nil {
			t.Errorf("request: %v", err)
			return
		}
		in := v.(cbor.Map)
		from, err1 := cbor.AsTime(in["StartTime"])
		to, err2 := cbor.AsTime(in["EndTime"])
		if err1 != nil || err2 != nil || !to.After(from) {
			t.Errorf("from %v to %v: %v, %v", from, to, err1, err2)
		}
		results := cbor.List{}
		for _, q := range in["MetricDataQueries"].(cbor.List) {
			query := q.(cbor.Map)
			stat := query["MetricStat"].(cbor.Map)
			period, err := cbor.AsInt64(stat["Period"])
			if err != nil {
				t.Error(err)
			}
			ours := false
			for _, d := range stat["Metric"].(cbor.Map)["Dimensions"].(cbor.List) {
				value := string(d.(cbor.Map)["Value"].(cbor.String))
				ours = ours || value == "test" || value == "tollgate-test-events" || value == "tollgate-test-dead"
			}
			times, values := cbor.List{}, cbor.List{}
			for at := from; ours && at.Before(to); at = at.Add(time.Duration(period) * time.Second) {
				times, values = append(times, &cbor.Tag{ID: 1, Value: cbor.Float64(at.Unix())}), append(values, cbor.Float64(5))
			}
			results = append(results, cbor.Map{"Id": query["Id"], "Label": cbor.String("x"), "StatusCode": cbor.String("Complete"), "Timestamps": times, "Values": values})
		}
		w.Header().Set("Smithy-Protocol", "rpc-v2-cbor")
		w.Header().Set("Content-Type", "application/cbor")
		w.Write(cbor.Encode(cbor.Map{"MetricDataResults": results}))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestOverviewOfAStack: the page of a stack that moto deployed has CloudWatch's counts, asks for them
// once however often it is shown, states what that costs, and says what is wrong with the stack.
func TestOverviewOfAStack(t *testing.T) {
	url := localtest.Moto(t)
	raw, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "..", "infra", "testdata", "tollgate-test.json"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := localtest.Config(url, awsclient.Options{Attempts: 1, Try: 2 * time.Minute})
	outputs := localtest.Deploy(t, cfg, "tollgate-test", raw)
	dead := outputs[limits.OutputDLQURL]
	if _, err := sqs.NewFromConfig(cfg).SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &dead, MessageBody: aws.String("x")}); err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": url, "AWS_ENDPOINT_URL_CLOUDWATCH": cloudWatchServer(t, &asked),
		"AWS_REGION": local.Region, "AWS_ACCESS_KEY_ID": "Operator", "AWS_SECRET_ACCESS_KEY": "test",
	} {
		t.Setenv(name, value)
	}
	o := newOverview((&verb.App{Stack: "tollgate-test"}).Caching())
	var v view
	for range 300 { // of patience: moto is slow
		if v, err = o.load(t.Context(), rangeOf("1h")); err != nil {
			t.Fatal(err)
		}
		if !v.Checked.IsZero() && v.Cloud && named(v.Flow, "Received").Number != "0" && named(v.Flow, "Dead").Number != "–" {
			break
		}
	}
	if got := named(v.Flow, "Received").Number; got != "305" || named(v.Flow, "Held mail").Number != "5" || named(v.Flow, "Dead").Number != "1" {
		t.Errorf("received %s, want 5 in each of 61 minutes; flow %+v", got, v.Flow)
	}
	for range 20 {
		if _, err := o.load(t.Context(), rangeOf("1h")); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("CloudWatch was asked %d times, want once", asked.Load())
	}
	if v.Cost.Metrics < 50 || v.Cost.Metrics > 60 || v.Cost.Hourly < 60*v.Cost.View {
		t.Errorf("cost %+v", v.Cost)
	}
	html := render(t, "live-wrong", v)
	for _, want := range []string{"dead letters", "1: their events are not handled", `href="/dead"`} {
		if !strings.Contains(html, want) {
			t.Errorf("%q is not in %s", want, html)
		}
	}
	if html := render(t, "live-plots", v); !strings.Contains(html, "event-metrics") || strings.Count(html, `class="plot"`) != 4 {
		t.Errorf("plots of a stage that does not count by type: %s", html)
	}
}
