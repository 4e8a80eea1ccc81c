package overview

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/schemas"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"github.com/aws/smithy-go/transport/http/protocol/awsquery"

	"tollgate/pkg/awsclient"
	"tollgate/pkg/handlers"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/localtest"
	"tollgate/pkg/local/timeseries"
)

var begin = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func liveStage() stage {
	return stage{name: "live", events: "tollgate-live-events", dead: "tollgate-live-dead", sends: true, types: handlers.Types()}
}

func values(t testing.TB, d timeseries.Data, k timeseries.Key) timeseries.Values {
	t.Helper()
	for _, s := range d.Series {
		if s.Key == k {
			return s.Values
		}
	}
	t.Fatalf("no series %+v", k)
	return nil
}

// TestCloudWatchOverTheWire: what is put into an independent CloudWatch as the functions' lines put
// it comes back in its steps, and nothing of another stage.
func TestCloudWatchOverTheWire(t *testing.T) {
	client := cloudwatch.NewFromConfig(localtest.Config(localtest.Moto(t), awsclient.Options{Attempts: 1, Try: time.Minute}), func(o *cloudwatch.Options) {
		o.Protocol = awsquery.New(schemas.GraniteServiceVersion20100801) // moto does not speak CloudWatch's newer one
	})
	w := timeseries.Last(time.Now().Add(-time.Minute), 5*time.Minute, time.Minute)
	put := func(namespace, name string, step int, value float64, dimensions ...string) {
		d := types.MetricDatum{MetricName: &name, Timestamp: aws.Time(w.At(step).Add(time.Second)), Value: &value}
		for i := 0; i < len(dimensions); i += 2 {
			d.Dimensions = append(d.Dimensions, types.Dimension{Name: &dimensions[i], Value: &dimensions[i+1]})
		}
		if _, err := client.PutMetricData(t.Context(), &cloudwatch.PutMetricDataInput{Namespace: &namespace, MetricData: []types.MetricDatum{d}}); err != nil {
			t.Fatal(err)
		}
	}
	stage := []string{limits.DimensionStage, "live"}
	put(limits.MetricNamespace, limits.MetricDone, 1, 1, stage...)
	put(limits.MetricNamespace, limits.MetricDone, 1, 2, stage...)
	put(limits.MetricNamespace, limits.MetricDone, 3, 4, stage...)
	put(limits.MetricNamespace, limits.MetricDone, 3, 99, limits.DimensionStage, "test")
	put(limits.MetricNamespace, limits.MetricDone, 3, 1, append(stage, limits.DimensionEventType, "invoice.paid")...)
	put(limits.MetricNamespace, limits.MetricRejected, 0, 5, append(stage, limits.DimensionReason, "no_match")...)
	put("AWS/SQS", "ApproximateNumberOfMessagesVisible", 2, 7, "QueueName", "tollgate-live-events")
	put("AWS/SQS", "ApproximateNumberOfMessagesVisible", 2, 3, "QueueName", "tollgate-live-events")
	put("AWS/SQS", "ApproximateNumberOfMessagesVisible", 2, 8, "QueueName", "tollgate-live-dead")

	d, err := newCloudWatch(client, liveStage()).Series(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	for want, k := range map[string]timeseries.Key{
		"[0 3 0 4 0 0]":             {Name: limits.MetricDone, Stat: timeseries.Sum},
		"[0 0 0 1 0 0]":             {Name: limits.MetricDone, Stat: timeseries.Sum, By: limits.DimensionEventType, Of: "invoice.paid"},
		"[5 0 0 0 0 0]":             {Name: limits.MetricRejected, Stat: timeseries.Sum, By: limits.DimensionReason, Of: "no_match"},
		"[NaN NaN 7 NaN NaN NaN]":   {Name: timeseries.LevelQueued, Stat: timeseries.Max},
		"[NaN NaN 8 NaN NaN NaN]":   {Name: timeseries.LevelDead, Stat: timeseries.Max},
		"[NaN NaN NaN NaN NaN NaN]": {Name: timeseries.LevelOldest, Stat: timeseries.Max},
	} {
		if got := fmt.Sprint(values(t, d, k)); got != want {
			t.Errorf("%+v: %s, want %s", k, got, want)
		}
	}
}

// answers are GetMetricData's, by request.
type answers struct {
	pages    []*cloudwatch.GetMetricDataOutput
	err      error
	requests []cloudwatch.GetMetricDataInput
}

func (a *answers) GetMetricData(_ context.Context, in *cloudwatch.GetMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	a.requests = append(a.requests, *in)
	if a.err != nil {
		return nil, a.err
	}
	page := a.pages[min(len(a.requests), len(a.pages))-1]
	return page, nil
}

func result(id string, values []float64, at ...time.Time) types.MetricDataResult {
	return types.MetricDataResult{Id: &id, Values: values, Timestamps: at}
}

// TestAnswersOfAnyForm: pages, values out of order, outside the window, unasked for, with times and
// values of unequal number: each known one is in its step and nothing else.
func TestAnswersOfAnyForm(t *testing.T) {
	w := timeseries.Window{From: begin, Step: time.Minute, Steps: 3}
	a := &answers{pages: []*cloudwatch.GetMetricDataOutput{
		{NextToken: aws.String("more"), MetricDataResults: []types.MetricDataResult{
			result("m0", []float64{3, 1, 9, 9}, w.At(2), w.At(0), w.At(3), w.At(0).Add(-time.Second)),
			result("m1", []float64{1}), result("m1", nil, w.At(0)),
			result("m99999", []float64{1}, w.At(0)), result("", []float64{1}, w.At(0)), result("mx", []float64{1}, w.At(0)), result("m-1", []float64{1}, w.At(0)),
			{},
		}},
		{MetricDataResults: []types.MetricDataResult{result("m0", []float64{2}, w.At(1))}},
	}}
	d, err := newCloudWatch(a, liveStage()).Series(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(d.Series[0].Values, d.Series[1].Values); got != "[1 2 3] [0 0 0]" {
		t.Errorf("got %s", got)
	}
	if len(a.requests) != 2 || aws.ToString(a.requests[1].NextToken) != "more" {
		t.Errorf("%d requests", len(a.requests))
	}
	endless := &answers{pages: []*cloudwatch.GetMetricDataOutput{{NextToken: aws.String("more")}}}
	if _, err := newCloudWatch(endless, liveStage()).Series(t.Context(), w); err == nil || len(endless.requests) != maxPages {
		t.Errorf("error %v after %d requests of an answer without end", err, len(endless.requests))
	}
	denied := &answers{err: errors.New("AccessDenied")}
	if _, err := newCloudWatch(denied, liveStage()).Series(t.Context(), w); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("error %v", err)
	}
}

// TestRequestsAreInBounds: one request for every range, of at most 500 metrics and 100,800 values, in
// periods that CloudWatch keeps, whatever the stage has.
func TestRequestsAreInBounds(t *testing.T) {
	many := liveStage()
	for i := range 1000 {
		many.types = append(many.types, fmt.Sprint("type.", i))
	}
	for _, s := range []stage{liveStage(), many, {name: "test", events: "e", dead: "d"}} {
		for _, r := range ranges() {
			a := &answers{pages: []*cloudwatch.GetMetricDataOutput{{}}}
			c := newCloudWatch(a, s)
			if _, err := c.Series(t.Context(), timeseries.Last(begin, r.span, r.cloudStep())); err != nil {
				t.Fatal(err)
			}
			queries := a.requests[0].MetricDataQueries
			period := aws.ToInt32(queries[0].MetricStat.Period)
			steps := int(a.requests[0].EndTime.Sub(*a.requests[0].StartTime).Seconds()) / int(period)
			if len(a.requests) != 1 || len(queries) > 500 || len(queries)*steps > 100_800 || period%60 != 0 || r.span > 14*24*time.Hour && period%300 != 0 || steps > 200 {
				t.Errorf("%s: %d requests of %d metrics, %d steps of %d s", r.Name, len(a.requests), len(queries), steps, period)
			}
			if math.Abs(c.dollars()-float64(len(queries))/100_000) > 1e-9 {
				t.Errorf("%s: %g dollars for %d metrics", r.Name, c.dollars(), len(queries))
			}
		}
	}
}
