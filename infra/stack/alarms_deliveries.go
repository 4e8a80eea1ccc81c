package stack

import (
	"fmt"
	"strconv"
	"time"

	"tollgate/pkg/limits"
)

// ingestAlarms: Stripe got no 2xx. Where all fail, as the one delivery of a quiet stage may, ingest's
// errors page at once; of many, one that fails is retried by Stripe and no cause. What AWS rejects
// before ingest runs pages at the second time within an hour: a single one is a transient AWS error.
func (p *parts) ingestAlarms() []alarm {
	timeout, rate := float64(p.Limits.IngestTimeout/time.Millisecond), p.Limits.ReservedIngest*perProcess
	return []alarm{
		{name: "ingest-errors", problem: "Deliveries fail in ingest; Stripe will retry them.",
			metrics:    []metric{p.lambda(ingestFunction, "Errors", sum).as("errors"), p.lambda(ingestFunction, "Invocations", sum).as("runs")},
			expression: "IF(SUM([errors, -0.05 * runs]) > 0, 1, 0)", threshold: 1, period: 5 * time.Minute},
		{name: "ingest-throttles", problem: "Deliveries find no free ingest process.",
			metrics: []metric{p.lambda(ingestFunction, "Throttles", sum)}, threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 12},
		{name: "api-errors", problem: "The API answers Stripe with 5xx.",
			metrics:    []metric{p.gateway("5xx", sum).as("failed"), p.gateway("Count", sum).as("requests")},
			expression: "IF(SUM([failed, -0.05 * requests]) > 0, 1, 0)", threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 12},
		// AWS may leave a part of a flood's 429s out of every log and metric. What the throttle lets
		// through is certain: 90 % of its rate.
		{name: "api-throttled", problem: "The API answers 429: a stranger, or a burst of deliveries, uses up the throttle.",
			metrics:    []metric{p.own("throttled", limits.MetricAPIThrottled, sum), p.lambda(ingestFunction, "Invocations", sum).as("runs")},
			expression: fmt.Sprintf("IF(MAX([%d * throttled, runs]) >= %[1]d, 1, 0)", 54*rate), threshold: 1, period: time.Minute, breaching: 2, periods: 5},
		{name: "ingest-slow", ticket: true, problem: "The slowest 1 % of deliveries take over 80 % of ingest's timeout.",
			metrics: []metric{p.lambda(ingestFunction, "Duration", p99)}, threshold: 0.8 * timeout, period: time.Minute, breaching: 3, periods: 5},
		// Every refusal but that of a signature, the gateway's own too: an endpoint that is not there, a
		// source that is not on the list, a clock that is wrong, a proxy that changes the media type.
		{name: "deliveries-rejected", problem: "Deliveries are rejected, not for their signature, and events are missed.",
			metrics: []metric{
				p.gateway("4xx", sum).as("refused"), p.own("signature", limits.MetricSignatureRejected, sum),
				p.own("enqueued", limits.MetricEnqueued, sum), p.own("missed", limits.MetricMissed, sum),
			},
			expression: matters("refused, -1 * signature"), threshold: 1, period: rejectedPeriod},
		// Running processes keep the secrets they fetched; a new process has none.
		{name: "secret-unusable", problem: "An endpoint's stored list has no usable signing secret.",
			metrics: []metric{p.own("m", limits.MetricSecretUnusable, sum)}, threshold: 1, period: 5 * time.Minute},
	}
}

// rejectedPeriod is long enough for the second missed event of a stage with 50 events a day.
const rejectedPeriod = 2 * time.Hour

// matters is 1 for rejections over a tenth of what is accepted. Anyone can cause them: they matter
// only with missed events, which a stranger cannot cause, more than one, and over 0.1 % of what is
// accepted. A sum of an array, unlike an operator, has a value where one of its metrics has none.
func matters(rejected string) string {
	return "IF(SUM([" + rejected + ", -0.1 * enqueued]) > 0 AND missed > 1 AND SUM([missed, -0.001 * enqueued]) > 0, 1, 0)"
}

// signatures watches one endpoint's: one of several may have a rolled secret.
func (p *parts) signatures(endpoint string) alarm {
	of := dimension{limits.DimensionEndpoint, str(endpoint)}
	return alarm{
		name: "secret-mismatch", of: endpoint, problem: "Signatures of endpoint " + endpoint + " match no secret, and its events are missed.",
		metrics: []metric{
			p.own("rejected", limits.MetricSignatureRejected, sum, of), p.own("enqueued", limits.MetricEnqueued, sum, of),
			p.own("missed", limits.MetricMissed, sum, of),
		},
		expression: matters("rejected"), threshold: 1, period: rejectedPeriod,
	}
}

func (p *parts) silence() alarm {
	return alarm{
		name: "silence", ticket: true, problem: "No event was accepted for " + strconv.Itoa(p.SilenceHours) + " h.",
		metrics:   []metric{p.own("m", limits.MetricEnqueued, sum)},
		threshold: 1, period: time.Hour, breaching: p.SilenceHours, periods: p.SilenceHours, heartbeat: true,
	}
}

// objectives are the alarms on what the service promises: 99.9 % of deliveries accepted, within 5 s
// as ingest has no more time, and 99 % of events done 60 s after they were created. The first of two
// alarms pages when a month's errors are used up in two days, the second when in five; a few errors
// of a quiet stage are no rate.
func (p *parts) objectives() []alarm {
	const accepted, done = "99.9 % of deliveries accepted", "99 % of events done within 60 s"
	deliveries := []metric{p.gateway("5xx", sum).as("failed"), p.own("enqueued", limits.MetricEnqueued, sum)}
	events := []metric{p.own("within", limits.MetricAge, withinMinute), p.own("events", limits.MetricAge, samples)}
	burn := func(name, objective string, of []metric, expression string, period time.Duration, ticket bool) alarm {
		return alarm{name: name, ticket: ticket, problem: "The objective is missed: " + objective + ".", metrics: of, expression: expression, threshold: 1, period: period}
	}
	failed := func(part float64) string {
		return fmt.Sprintf("IF(SUM([%.4f * failed, -%.4f * enqueued]) > 0 AND failed >= 10, 1, 0)", 1-part, part)
	}
	const late = "IF(100 - within > %v AND (100 - within) * events >= 1000, 1, 0)" // 10 events
	return []alarm{
		burn("slo-accepted", accepted, deliveries, failed(fast*0.001), time.Hour, false),
		burn("slo-accepted-long", accepted, deliveries, failed(slow*0.001), 6*time.Hour, true),
		burn("slo-done", done, events, fmt.Sprintf(late, fast), time.Hour, false),
		burn("slo-done-long", done, events, fmt.Sprintf(late, slow), 6*time.Hour, true),
	}
}

// How many times as fast as a month's errors allow they come: 30 days ÷ 14.4 and ÷ 6.
const fast, slow = 14.4, 6.0
