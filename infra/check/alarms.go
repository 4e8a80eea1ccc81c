package check

import (
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

const (
	typeAlarm     = "AWS::CloudWatch::Alarm"
	typeComposite = "AWS::CloudWatch::CompositeAlarm"
)

// Section is where infra/README.md tells what to do about an alarm; its name follows.
const Section = "infra/README.md#alarm-"

// Severity begins an alarm's name within its stage: a page wakes someone, a ticket can wait for a
// working day.
func Severity(ticket bool) string {
	if ticket {
		return "ticket-"
	}
	return "page-"
}

// alarms: each one notifies, names its severity, and watches a metric that something in this
// template counts. A metric of any other name is silent and no error.
func (c *checker) alarms() {
	topic := short(c.Outputs["AlarmTopicArn"].Value)
	for _, name := range slices.Concat(c.names(typeAlarm), c.names(typeComposite)) {
		for _, actions := range []string{"AlarmActions", "OKActions"} {
			c.must(topic != "" && slices.Equal(texts(c.at(name, actions)), []string{topic}), name, "%s are %s, not the alarm topic", actions, c.text(name, actions))
		}
		prefix := "tollgate-" + c.stage() + "-"
		severe, named := strings.CutPrefix(c.text(name, "AlarmName"), prefix)
		c.must(named && (strings.HasPrefix(severe, Severity(false)) || strings.HasPrefix(severe, Severity(true))), name, "%s does not say how severe it is", c.text(name, "AlarmName"))
		c.must(c.at(name, "ActionsEnabled") == true, name, "has its actions off")
	}
	for _, name := range c.names(typeAlarm) {
		missing, compares := c.text(name, "TreatMissingData"), c.text(name, "ComparisonOperator")
		c.must(missing == "breaching" || missing == "notBreaching" && compares == "GreaterThanOrEqualToThreshold", name, "compares by %q with missing data %q", compares, missing)
		c.must(compares != "LessThanThreshold" || c.at(name, "DatapointsToAlarm") == c.at(name, "EvaluationPeriods"), name, "pages before all its periods are silent")
		c.must(c.number(name, "Threshold") > 0, name, "has the threshold %v", c.at(name, "Threshold"))
		metrics := 0
		for _, query := range items(c.at(name, "Metrics")) {
			if metric := at(query, "MetricStat.Metric"); metric != nil {
				metrics++
				c.must(c.counted(metric), name, "watches %s", short(metric))
			}
			c.must(!strings.Contains(short(at(query, "Expression")), "SEARCH"), name, "searches, which AWS refuses")
		}
		c.must(metrics <= 10, name, "watches %d metrics, AWS takes 10", metrics)
	}
	for _, name := range c.names(typeComposite) {
		rule := regexp.MustCompile(`"Ref":"(\w+)"`).FindAllStringSubmatch(c.text(name, "AlarmRule"), -1)
		c.must(len(rule) > 1 && !slices.ContainsFunc(rule, func(r []string) bool { return c.Resources[r[1]].Type != typeAlarm }), name, "combines %v", rule)
	}
	for _, name := range c.names("AWS::SNS::Subscription") {
		c.must(c.text(name, "FilterPolicyScope") == "MessageBody" && c.text(name, "FilterPolicy") == onlyNews, name, "tells of each new alarm that it is OK")
	}
}

// onlyNews lets a subscription have alarms and their ends.
const onlyNews = `{"$or":[{"NewStateValue":["ALARM"]},{"OldStateValue":["ALARM"]}]}`

// counted: an AWS metric is of a resource here, one of ours is of this stage.
func (c *checker) counted(metric any) bool {
	namespace := short(at(metric, "Namespace"))
	named := strings.Split(c.text(ingest, variable+"ENDPOINT_NAMES"), ",")
	if slices.ContainsFunc(items(at(metric, "Dimensions")), func(d any) bool {
		return short(at(d, "Name")) == limits.DimensionEndpoint && !slices.Contains(named, short(at(d, "Value")))
	}) {
		return false // ingest counts it with the others alone
	}
	return slices.ContainsFunc(items(at(metric, "Dimensions")), func(d any) bool {
		name, value := short(at(d, "Name")), short(at(d, "Value"))
		if namespace == limits.MetricNamespace {
			return name == limits.DimensionStage && value == c.stage()
		}
		owners := c.names(map[string]string{"FunctionName": typeFunction, "QueueName": "AWS::SQS::Queue"}[name])
		named := func(resource string) bool { return c.text(resource, name) == value }
		return strings.HasPrefix(namespace, "AWS/") && (slices.ContainsFunc(owners, named) || name == "ApiId" && value == "Api" || name == "RuleName" && c.Resources[value].Type == typeRule)
	})
}
