package check

import (
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// Section is where infra/README.md tells what to do about an alarm; its name follows.
const Section = "infra/README.md#alarm-"

// alarms: each one pages, and watches a metric that something in this template counts. A
// metric of any other name is silent and no error.
func (c *checker) alarms() {
	topic := short(c.Outputs["AlarmTopicArn"].Value)
	for _, name := range c.names(typeAlarm) {
		_, alarm, _ := strings.Cut(c.text(name, "AlarmName"), c.stage()+"-")
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			c.must(topic != "" && slices.Equal(texts(c.at(name, actions)), []string{topic}), name, "%s are %s, not the alarm topic", actions, c.text(name, actions))
		}
		c.must(c.at(name, "ActionsEnabled") == true, name, "has its actions off")
		c.must(strings.HasSuffix(c.text(name, "AlarmDescription"), " "+Section+alarm), name, "its description does not end with %s%s", Section, alarm)
		missing, compares := c.text(name, "TreatMissingData"), c.text(name, "ComparisonOperator")
		c.must(missing == "breaching" || missing == "notBreaching" && compares == "GreaterThanOrEqualToThreshold", name, "compares by %q with missing data %q", compares, missing)
		periods, breaching := c.number(name, "EvaluationPeriods"), c.number(name, "DatapointsToAlarm")
		c.must(breaching >= 1 && breaching <= periods, name, "pages for %v of %v periods", breaching, periods)
		c.must(compares != "LessThanThreshold" || breaching == periods, name, "pages before all its periods are silent")
		c.must(c.number(name, "Threshold") > 0, name, "has the threshold %v", c.at(name, "Threshold"))
		c.metrics(name, periods)
	}
	const expire = "AlarmDeadLettersExpire"
	left := (c.limits.DLQRetention - c.limits.SourceRetention).Seconds() - c.number(expire, "Threshold")
	c.must(left >= 86400, expire, "leaves %v s before SQS drops a dead letter", left)
}

// metrics: an alarm compares one value, of all its metrics, over periods that CloudWatch
// evaluates: a day at most, and a week if a period is an hour or more.
func (c *checker) metrics(name string, evaluated float64) {
	queries := items(c.at(name, "Metrics"))
	returned, periods, expression := 0, map[float64]bool{}, ""
	for _, query := range queries {
		if at(query, "ReturnData") == true {
			returned++
			expression = short(at(query, "Expression"))
		}
	}
	for _, query := range queries {
		period, isMetric := at(query, "MetricStat.Period").(float64)
		if !isMetric {
			continue
		}
		periods[period] = true
		id := regexp.MustCompile(`\b` + regexp.QuoteMeta(short(at(query, "Id"))) + `\b`)
		c.must(len(queries) == 1 || id.MatchString(expression) || strings.Contains(expression, "METRICS()"), name, "does not use the metric %s", short(at(query, "Id")))
		most := 86400.0
		if period >= 3600 {
			most *= 7
		}
		c.must(period >= 60 && int(period)%60 == 0 && period*evaluated <= most, name, "evaluates %v periods of %v s, CloudWatch does not", evaluated, period)
		c.counted(name, at(query, "MetricStat.Metric"))
	}
	c.must(returned == 1 && len(periods) == 1, name, "compares %d values over %d lengths of periods", returned, len(periods))
}

// counted: an AWS metric is of a resource here, one of ours is of this stage.
func (c *checker) counted(name string, metric any) {
	namespace, found := short(at(metric, "Namespace")), 0
	for _, d := range items(at(metric, "Dimensions")) {
		dimension, value := short(at(d, "Name")), short(at(d, "Value"))
		owner := func(kind string) bool {
			return slices.ContainsFunc(c.names(kind), func(n string) bool { return c.text(n, dimension) == value })
		}
		if dimension == "FunctionName" && owner(typeFunction) || dimension == "QueueName" && owner("AWS::SQS::Queue") ||
			dimension == "ApiId" && value == "Api" || dimension == limits.DimensionStage && value == c.stage() {
			found++
		}
	}
	c.must(found == 1 && (namespace == limits.MetricNamespace || strings.HasPrefix(namespace, "AWS/")), name,
		"watches %s %s of %s", namespace, short(at(metric, "MetricName")), short(at(metric, "Dimensions")))
}
