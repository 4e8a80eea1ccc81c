package check

import (
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// Signals are what each alarm watches, as "alarm namespace metric statistic of what".
func signals() []string {
	return []string{
		"ingest-errors AWS/Lambda Errors Sum Ingest",
		"ingest-throttles AWS/Lambda Throttles Sum Ingest",
		"api-errors AWS/ApiGateway 5xx Sum Api",
		"ingest-slow AWS/Lambda Duration p99 Ingest",
		"secret-mismatch Tollgate Rejected Sum stage reason=no_match",
		"secret-mismatch Tollgate Enqueued Sum stage",
		"secret-unusable Tollgate SecretUnusable Sum stage",
		"silence Tollgate Enqueued Sum stage",
		"queue-age AWS/SQS ApproximateAgeOfOldestMessage Maximum Queue",
		"in-flight AWS/SQS ApproximateNumberOfMessagesNotVisible Maximum Queue",
		"dead-letters AWS/SQS ApproximateNumberOfMessagesVisible Maximum DeadLetterQueue",
		"dead-letters-expire AWS/SQS ApproximateAgeOfOldestMessage Maximum DeadLetterQueue",
		"consumer-errors AWS/Lambda Errors Sum Consumer",
		"consumer-throttles AWS/Lambda Throttles Sum Consumer",
		"consumer-failures Tollgate Failed Sum stage",
		"consumer-failures Tollgate StoreDown Sum stage",
		"consumer-failures Tollgate Throttled Sum stage",
		"no-time Tollgate NoTime Sum stage",
		"no-time Tollgate Done Sum stage",
		"superseded Tollgate Superseded Sum stage",
		"reconcile-incomplete Tollgate Complete Sum stage",
		"events-missed Tollgate Missed Sum stage",
		"events-suspicious Tollgate Suspicious Sum stage",
		"outbox-unsent Tollgate OutboxFailed Sum stage",
		"outbox-late Tollgate OutboxOldest Maximum stage",
	}
}

// alarmsWatch compares what alarms watch with what is here: a metric of a name that no
// function, queue or stage of this template has is silent for ever, and no error.
func alarmsWatch(t Template, _ limits.Limits) []string {
	var f faults
	var found []string
	for _, name := range t.names(typeAlarm) {
		_, alarm, _ := strings.Cut(t.text(name, "AlarmDescription"), "Runbook, ")
		for _, query := range items(t.at(name, "Metrics")) {
			if at(query, "MetricStat") == nil {
				continue // an expression
			}
			m := at(query, "MetricStat", "Metric")
			signal := strings.Join([]string{
				strings.TrimSuffix(alarm, "."), short(at(m, "Namespace")), short(at(m, "MetricName")), short(at(query, "MetricStat", "Stat")),
			}, " ")
			for _, d := range items(at(m, "Dimensions")) {
				signal += " " + t.owner(short(at(d, "Name")), short(at(d, "Value")))
			}
			f.must(slices.Contains(signals(), signal), name, "watches what is not known: %s", signal)
			found = append(found, signal)
		}
	}
	for _, signal := range signals() {
		alarm, _, _ := strings.Cut(signal, " ")
		f.must(slices.Contains(found, signal) || alarm == "silence", alarm, "does not watch %s", signal)
	}
	return f
}

// owner returns the resource of this template that a dimension means, or the dimension.
func (t Template) owner(dimension, value string) string {
	kind := map[string]string{"FunctionName": typeFunction, "QueueName": typeQueue}[dimension]
	for _, name := range t.names(kind) {
		if t.text(name, dimension) == value {
			return name
		}
	}
	switch {
	case dimension == "ApiId":
		return value
	case dimension == limits.DimensionStage && value == t.text(ingest, "Environment", "Variables", "TOLLGATE_STAGE") &&
		value == t.text(consumer, "Environment", "Variables", "TOLLGATE_STAGE") &&
		value == t.text(reconcile, "Environment", "Variables", "TOLLGATE_STAGE"):
		return dimension
	}
	return dimension + "=" + value
}

// CloudWatch looks back a day at most, and a week where a period is an hour or more.
const (
	lookBack     = 86400
	longLookBack = 7 * 86400
	hour         = 3600
)

// alarmsPage refuses what keeps an alarm from its page though its metrics are right.
func alarmsPage(t Template, l limits.Limits) []string {
	var f faults
	for _, name := range t.names(typeAlarm) {
		compares := t.text(name, "ComparisonOperator") + " " + t.text(name, "TreatMissingData")
		want := "GreaterThanOrEqualToThreshold notBreaching"
		if strings.HasSuffix(t.text(name, "AlarmName"), "-outbox-late") {
			want = "GreaterThanOrEqualToThreshold breaching" // missing data counts as late
		}
		if heartbeat(t.text(name, "AlarmName")) {
			want = "LessThanThreshold breaching"
			f.must(t.number(name, "DatapointsToAlarm") == t.number(name, "EvaluationPeriods"), name, "pages before all its periods are silent")
		}
		f.must(compares == want, name, "compares by %s, not by %s", compares, want)
		f.must(t.number(name, "Threshold") > 0, name, "has the threshold %v", t.at(name, "Threshold"))
		f.must(short(t.at(name, "OKActions")) == short(t.at(name, "AlarmActions")), name, "does not say where it pages that it is over")
		f.queries(t, name)
		if strings.HasSuffix(t.text(name, "AlarmName"), "-dead-letters-expire") {
			left := (l.DLQRetention - l.SourceRetention).Seconds() - t.number(name, "Threshold")
			f.must(left >= 86400, name, "leaves %v s before a dead letter is lost that was on the queue as long as it may be", left)
		}
	}
	return f
}

// heartbeat reports whether an alarm pages for what does not happen.
func heartbeat(alarm string) bool {
	return strings.HasSuffix(alarm, "-silence") || strings.HasSuffix(alarm, "-reconcile-incomplete")
}

// queries looks at one alarm's metrics: one value is compared, and comes of all of them.
func (f *faults) queries(t Template, name string) {
	metrics := items(t.at(name, "Metrics"))
	returned, periods := 0, map[float64]bool{}
	for _, query := range metrics {
		if at(query, "ReturnData") == true {
			returned++
		}
		if period, ok := at(query, "MetricStat", "Period").(float64); ok {
			periods[period] = true
			f.must(len(metrics) == 1 || expressionUses(metrics, short(at(query, "Id"))), name, "does not use the metric %s", short(at(query, "Id")))
		}
	}
	f.must(returned == 1, name, "has %d values to compare", returned)
	f.must(len(periods) == 1, name, "mixes the periods of its metrics")
	for period := range periods {
		most := float64(lookBack)
		if period >= hour {
			most = longLookBack
		}
		f.must(period >= 60 && int(period)%60 == 0 && period*t.number(name, "EvaluationPeriods") <= most, name,
			"looks at %v periods of %v s, which CloudWatch does not", t.at(name, "EvaluationPeriods"), period)
	}
}

// expressionUses says whether the expression that is compared names a metric.
func expressionUses(metrics []any, id string) bool {
	word := regexp.MustCompile(`\b` + regexp.QuoteMeta(id) + `\b`)
	return slices.ContainsFunc(metrics, func(query any) bool {
		expression := short(at(query, "Expression"))
		return at(query, "ReturnData") == true && (word.MatchString(expression) || strings.Contains(expression, "METRICS()"))
	})
}
