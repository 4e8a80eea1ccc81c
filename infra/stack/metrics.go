package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"

	"tollgate/pkg/limits"
)

// Statistics of alarms and of the dashboard.
const (
	sum     = "Sum"
	maximum = "Maximum"
	average = "Average"
	samples = "SampleCount"
	p50     = "p50"
	p99     = "p99"
	// withinMinute is the percentage of times of at most a minute.
	withinMinute = "PR(:60000)"
)

// metric is a CloudWatch metric with one statistic.
type metric struct {
	id         string // in an expression
	namespace  string
	name       string
	stat       string
	dimensions []dimension
}

// as returns the metric under another id.
func (m metric) as(id string) metric {
	m.id = id
	return m
}

// by returns the metric with another statistic.
func (m metric) by(stat string) metric {
	m.stat = stat
	return m
}

type dimension struct {
	name  string
	value *string
}

func (p *parts) lambda(function, name, stat string) metric {
	return metric{"m", "AWS/Lambda", name, stat, []dimension{{"FunctionName", str(p.name(function))}}}
}

func (p *parts) sqs(queue, name string) metric {
	return metric{"m", "AWS/SQS", name, maximum, []dimension{{"QueueName", str(p.name(queue))}}}
}

func (p *parts) gateway(name, stat string) metric {
	return metric{"m", "AWS/ApiGateway", name, stat, []dimension{{"ApiId", p.api.Ref()}}}
}

func (p *parts) rule(of awsevents.CfnRule) metric {
	return metric{"m", "AWS/Events", "Invocations", sum, []dimension{{"RuleName", of.Ref()}}}
}

func (p *parts) dynamo(name string) metric {
	return metric{"m", "AWS/DynamoDB", name, sum, []dimension{{"TableName", p.tableName}}}
}

// own returns a metric that the functions count.
func (p *parts) own(id, name, stat string, more ...dimension) metric {
	stage := dimension{limits.DimensionStage, str(p.Stage)}
	return metric{id, limits.MetricNamespace, name, stat, append([]dimension{stage}, more...)}
}

// query returns the metric in the form of an alarm.
func (m metric) query(period int, returned bool) any {
	var dimensions []any
	for _, d := range m.dimensions {
		dimensions = append(dimensions, &awscloudwatch.CfnAlarm_DimensionProperty{Name: str(d.name), Value: d.value})
	}
	return &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
		Id: str(m.id), ReturnData: returned,
		MetricStat: &awscloudwatch.CfnAlarm_MetricStatProperty{
			Stat: str(m.stat), Period: num(period),
			Metric: &awscloudwatch.CfnAlarm_MetricProperty{Namespace: str(m.namespace), MetricName: str(m.name), Dimensions: dimensions},
		},
	}
}

// row returns the metric in the form of a dashboard.
func (m metric) row(label string) []any {
	row := []any{m.namespace, m.name}
	for _, d := range m.dimensions {
		row = append(row, d.name, d.value)
	}
	return append(row, object{"stat": m.stat, "label": label})
}
