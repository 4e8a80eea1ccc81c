package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"tollgate/pkg/limits"
	"tollgate/pkg/registration"
)

// errNotCounted is the answer of a local system.
var errNotCounted = errors.New("a local system keeps no metric: each delivery in the log of tollgate dev says verified_by")

// settleTime is how long after a change of the secrets a process may know the old ones.
func settleTime() time.Duration {
	l := limits.AWS()
	return l.SecretTTL + l.SecretRefetch
}

// Bounds of the question to CloudWatch.
const (
	metricPeriod   = time.Minute
	metricTimeout  = 20 * time.Second
	maxMetricPages = 50
)

// verifiedBy asks CloudWatch how often each of n secrets verified a delivery in a time.
func verifiedBy(ctx context.Context, t target, n int, from, to time.Time) ([]registration.Use, error) {
	if t.local {
		return nil, errNotCounted
	}
	stage, err := stageOf(t.queueURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, metricTimeout)
	defer cancel()
	uses := make([]registration.Use, n)
	for i := range uses {
		uses[i].Index = i
	}
	form, answered := metricQuery(stage, n, from, to), map[string]bool{}
	for range maxMetricPages {
		var page metricAnswer
		if err := awsQuery(ctx, t.aws, "monitoring", form, &page); err != nil {
			return nil, hint(fmt.Errorf("read metric %s: %w", limits.MetricVerifiedBy, err), "may these credentials call cloudwatch:GetMetricData?")
		}
		if err := page.addTo(uses, answered); err != nil {
			return nil, fmt.Errorf("read metric %s: %w", limits.MetricVerifiedBy, err)
		}
		if page.Next == "" {
			return uses, nil
		}
		form.Set("NextToken", page.Next)
	}
	return nil, fmt.Errorf("read metric %s: the answer does not end", limits.MetricVerifiedBy)
}

// stageOf reads the stage from a queue's name, tollgate-<stage>-events.
func stageOf(queueURL string) (string, error) {
	stage, head := strings.CutPrefix(path.Base(queueURL), "tollgate-")
	stage, tail := strings.CutSuffix(stage, "-events")
	if !head || !tail || stage == "" {
		return "", fmt.Errorf("the queue %s is not called tollgate-<stage>-events: whose metrics to read is not known", path.Base(queueURL))
	}
	return stage, nil
}

// metricQuery asks for a sum a minute of each place in the list of secrets.
func metricQuery(stage string, n int, from, to time.Time) url.Values {
	form := url.Values{
		"Action": {"GetMetricData"}, "Version": {"2010-08-01"},
		"StartTime": {from.UTC().Format(time.RFC3339)}, "EndTime": {to.UTC().Format(time.RFC3339)},
	}
	for i := range n {
		query := fmt.Sprintf("MetricDataQueries.member.%d.", i+1)
		stat := query + "MetricStat."
		form.Set(query+"Id", metricID(i))
		form.Set(stat+"Stat", "Sum")
		form.Set(stat+"Period", strconv.Itoa(int(metricPeriod/time.Second)))
		form.Set(stat+"Metric.Namespace", limits.MetricNamespace)
		form.Set(stat+"Metric.MetricName", limits.MetricVerifiedBy)
		for j, d := range [][2]string{{limits.DimensionStage, stage}, {limits.DimensionSecret, strconv.Itoa(i)}} {
			dimension := fmt.Sprintf("%sMetric.Dimensions.member.%d.", stat, j+1)
			form.Set(dimension+"Name", d[0])
			form.Set(dimension+"Value", d[1])
		}
	}
	return form
}

func metricID(index int) string { return fmt.Sprintf("s%d", index) }

// metricAnswer is what GetMetricData answers, as far as it is read here.
type metricAnswer struct {
	Results []struct {
		ID     string      `xml:"Id"`
		Status string      `xml:"StatusCode"`
		Times  []time.Time `xml:"Timestamps>member"`
		Values []float64   `xml:"Values>member"`
	} `xml:"GetMetricDataResult>MetricDataResults>member"`
	Next string `xml:"GetMetricDataResult>NextToken"`
}

// addTo adds a page's sums and notes which questions were answered.
func (m metricAnswer) addTo(uses []registration.Use, answered map[string]bool) error {
	for _, r := range m.Results {
		answered[r.ID] = true
		whole := r.Status == "Complete" || r.Status == "PartialData" && m.Next != ""
		if !whole || len(r.Times) != len(r.Values) {
			return fmt.Errorf("CloudWatch answers %q with %d times and %d values", r.Status, len(r.Times), len(r.Values))
		}
		for i := range uses {
			if metricID(i) != r.ID {
				continue
			}
			for j, v := range r.Values {
				uses[i].Count += int64(v)
				if v > 0 && r.Times[j].After(uses[i].Last) {
					uses[i].Last = r.Times[j]
				}
			}
		}
	}
	if m.Next == "" && len(answered) < len(uses) {
		return fmt.Errorf("CloudWatch answers %d of %d questions", len(answered), len(uses))
	}
	return nil
}
