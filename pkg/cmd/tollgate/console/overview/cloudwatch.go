package overview

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"tollgate/pkg/dispatch"
	"tollgate/pkg/ingest"
	"tollgate/pkg/limits"
	"tollgate/pkg/local/timeseries"
	"tollgate/pkg/policy"
	"tollgate/pkg/verify"
)

// dollarsPerMetric is CloudWatch's price of a metric in GetMetricData, 0.01 dollars for 1,000.
// Several statistics of one metric may count as one: what is computed with it is the most.
const dollarsPerMetric = 0.00001

// Bounds of GetMetricData, and of the event types that are asked for.
const (
	maxQueries = 500
	maxPages   = 5 // one holds 100,800 values, far over what is asked for
	maxTypes   = 150
)

// metricData reads CloudWatch. [*cloudwatch.Client] implements it.
type metricData interface {
	GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error)
}

// stage is what of a deployed system has metrics.
type stage struct {
	name         string
	events, dead string   // names of queues
	sends        bool     // it has destinations
	types        []string // event types that are counted, none without the option event-metrics
}

// asked is one query, and the series that its answer is.
type asked struct {
	timeseries.Key
	metric types.Metric
}

// cloudWatch is the source of a deployed system.
type cloudWatch struct {
	client metricData
	asks   []asked
}

func newCloudWatch(client metricData, s stage) cloudWatch { return cloudWatch{client, s.asks()} }

// dollars is the most that one answer costs.
func (c cloudWatch) dollars() float64 { return float64(len(c.asks)) * dollarsPerMetric }

// asks are the series of a stage, at most maxQueries.
func (s stage) asks() (all []asked) {
	own := func(stat, by, of string, names ...string) {
		dimensions := []types.Dimension{{Name: aws.String(limits.DimensionStage), Value: &s.name}}
		if by != "" {
			dimensions = append(dimensions, types.Dimension{Name: &by, Value: &of})
		}
		for _, name := range names {
			all = append(all, asked{
				timeseries.Key{Name: name, Stat: stat, By: by, Of: of},
				types.Metric{Namespace: aws.String(limits.MetricNamespace), MetricName: &name, Dimensions: dimensions},
			})
		}
	}
	queue := func(name, level, metric string) {
		all = append(all, asked{timeseries.Key{Name: level, Stat: timeseries.Max}, types.Metric{
			Namespace: aws.String("AWS/SQS"), MetricName: &metric, Dimensions: []types.Dimension{{Name: aws.String("QueueName"), Value: &name}},
		}})
	}
	own(timeseries.Sum, "", "", counted(s.sends)...)
	own(timeseries.P50, "", "", limits.MetricAge)
	own(timeseries.P99, "", "", limits.MetricAge)
	own(timeseries.Max, "", "", limits.MetricOutboxUnsent, limits.MetricOutboxHeld)
	queue(s.events, timeseries.LevelQueued, "ApproximateNumberOfMessagesVisible")
	queue(s.events, timeseries.LevelInFlight, "ApproximateNumberOfMessagesNotVisible")
	queue(s.events, timeseries.LevelOldest, "ApproximateAgeOfOldestMessage")
	queue(s.dead, timeseries.LevelDead, "ApproximateNumberOfMessagesVisible")
	for _, reason := range rejections() {
		own(timeseries.Sum, limits.DimensionReason, reason, limits.MetricRejected)
	}
	for _, reason := range deaths() {
		own(timeseries.Sum, limits.DimensionReason, reason, limits.MetricDeadLettered)
	}
	for _, typ := range s.types[:min(len(s.types), maxTypes)] {
		own(timeseries.Sum, limits.DimensionEventType, typ, limits.MetricDone, limits.MetricFailed)
	}
	return all
}

// counted are the metrics of the flow.
func counted(sends bool) []string {
	all := []string{
		limits.MetricReceived, limits.MetricRejected, limits.MetricEnqueued, limits.MetricAPIThrottled,
		limits.MetricDone, limits.MetricDuplicate, limits.MetricPolicyIgnored, limits.MetricHeld, limits.MetricMissed, limits.MetricRequeued,
		limits.MetricOutboxSent, limits.MetricOutboxFailed,
	}
	all = append(all, failures()...)
	if sends {
		all = append(all, limits.MetricDelivered, limits.MetricDeliveryFailed, limits.MetricDeliveryDead)
	}
	return all
}

// failures are the metrics of messages that were not handled, by why.
func failures() []string {
	return []string{
		limits.MetricFailed, limits.MetricDeadLettered, limits.MetricStoreDown, limits.MetricThrottled,
		limits.MetricWaiting, limits.MetricNoTime, limits.MetricSuperseded, limits.MetricNewer,
	}
}

// rejections are the reasons for which ingest rejects a delivery.
func rejections() []string {
	return []string{
		string(verify.Missing), string(verify.Malformed), string(verify.NoMatch), string(verify.TooOld), string(verify.Future), string(verify.NotEvent),
		string(ingest.Endpoint), string(ingest.Method), string(ingest.Source), string(ingest.TooLarge), string(ingest.MediaType),
	}
}

// deaths are the reasons for which the consumer makes a dead letter.
func deaths() []string {
	return []string{
		dispatch.ReasonHandler, dispatch.ReasonAPIVersion, dispatch.ReasonNoAPIKey, dispatch.ReasonObjectGone, dispatch.ReasonAccountRevoked,
		dispatch.ReasonTooLarge, dispatch.ReasonNoFetch, dispatch.ReasonWrongObject, dispatch.ReasonUndecodable, dispatch.ReasonCorrupt,
		dispatch.ReasonRejected, dispatch.ReasonNewerVersion, policy.ReasonLivemode, policy.ReasonAccount,
	}
}

// Series asks for all series in one request.
func (c cloudWatch) Series(ctx context.Context, w timeseries.Window) (timeseries.Data, error) {
	d := timeseries.Data{Window: w}
	request := &cloudwatch.GetMetricDataInput{StartTime: aws.Time(w.From), EndTime: aws.Time(w.End()), ScanBy: types.ScanByTimestampAscending}
	if len(c.asks) > maxQueries {
		return d, fmt.Errorf("read CloudWatch: %d metrics are over its bound of %d", len(c.asks), maxQueries)
	}
	for i, a := range c.asks {
		request.MetricDataQueries = append(request.MetricDataQueries, types.MetricDataQuery{
			Id:         aws.String("m" + strconv.Itoa(i)),
			MetricStat: &types.MetricStat{Metric: &a.metric, Stat: &a.Stat, Period: aws.Int32(int32(w.Step / time.Second))},
		})
		nothing := math.NaN()
		if a.Stat == timeseries.Sum {
			nothing = 0
		}
		d.Series = append(d.Series, timeseries.Series{Key: a.Key, Values: slices.Repeat(timeseries.Values{nothing}, w.Steps)})
	}
	for range maxPages {
		page, err := c.client.GetMetricData(ctx, request)
		if err != nil {
			return d, fmt.Errorf("read CloudWatch's metrics: %w", err)
		}
		for _, result := range page.MetricDataResults {
			fill(d, result)
		}
		if request.NextToken = page.NextToken; request.NextToken == nil {
			return d, nil
		}
	}
	return d, errors.New("read CloudWatch's metrics: the answer does not end")
}

// fill writes a result's values into its series. What the request did not ask for is ignored.
func fill(d timeseries.Data, result types.MetricDataResult) {
	id := aws.ToString(result.Id)
	i, err := strconv.Atoi(id[min(1, len(id)):])
	if err != nil || i < 0 || i >= len(d.Series) {
		return
	}
	for j, at := range result.Timestamps[:min(len(result.Timestamps), len(result.Values))] {
		if step := int(math.Floor(float64(at.Sub(d.From)) / float64(d.Step))); step >= 0 && step < d.Steps {
			d.Series[i].Values[step] = result.Values[j]
		}
	}
}
