package stack

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"

	"tollgate/pkg/limits"
)

// The dashboard's grid: 24 units wide, one column for each step of an event.
const (
	columnWidth = 6
	graphHeight = 6
	titleHeight = 1
	alarmHeight = 3
)

// graph is one graph of a column.
type graph struct {
	title string
	lines []line
}

type line struct {
	label string
	metric
}

// addDashboard shows the flow from left to right. The name has the Region because
// dashboards are global in an account.
func (p *parts) addDashboard() {
	widgets := []any{object{
		"type": "alarm", "x": 0, "y": 0, "width": 4 * columnWidth, "height": alarmHeight,
		"properties": object{"title": "Alarms", "alarms": p.alarmResources},
	}}
	columns := []struct {
		title  string
		graphs []graph
	}{
		{"1 API Gateway", p.apiGraphs()},
		{"2 ingest", p.ingestGraphs()},
		{"3 queues", p.queueGraphs()},
		{"4 consumer and table", p.consumerGraphs()},
	}
	rows := 0
	for i, c := range columns {
		rows = max(rows, len(c.graphs))
		x, y := i*columnWidth, alarmHeight
		widgets = append(widgets, object{
			"type": "text", "x": x, "y": y, "width": columnWidth, "height": titleHeight,
			"properties": object{"markdown": "**" + c.title + "**", "background": "transparent"},
		})
		for j, g := range c.graphs {
			widgets = append(widgets, g.widget(x, y+titleHeight+j*graphHeight, p.stack.Region()))
		}
	}
	for i, g := range p.reconcileGraphs() {
		x, y := i%len(columns)*columnWidth, alarmHeight+titleHeight+(rows+i/len(columns))*graphHeight
		widgets = append(widgets, g.widget(x, y, p.stack.Region()))
	}
	awscloudwatch.NewCfnDashboard(p.stack, str("Dashboard"), &awscloudwatch.CfnDashboardProps{
		DashboardName: awscdk.Fn_Join(str("-"), &[]*string{str(Name(p.Stage)), p.stack.Region()}),
		DashboardBody: p.stack.ToJsonString(object{"widgets": widgets}, nil),
	})
}

func (g graph) widget(x, y int, region *string) object {
	var rows []any
	for _, l := range g.lines {
		rows = append(rows, l.row(l.label))
	}
	return object{
		"type": "metric", "x": x, "y": y, "width": columnWidth, "height": graphHeight,
		"properties": object{"title": g.title, "region": region, "view": "timeSeries", "period": 60, "metrics": rows},
	}
}

func (p *parts) apiGraphs() []graph {
	return []graph{
		{"Requests", []line{{"all", p.gateway("Count", sum)}, {"4xx", p.gateway("4xx", sum)}, {"5xx", p.gateway("5xx", sum)}}},
		{"Latency, ms", []line{{"p50", p.gateway("Latency", p50)}, {"p99", p.gateway("Latency", p99)}}},
	}
}

func (p *parts) ingestGraphs() []graph {
	return []graph{
		{"Deliveries", []line{
			{"received", p.own("m", limits.MetricReceived, sum)},
			{"enqueued", p.own("m", limits.MetricEnqueued, sum)},
			{"rejected", p.own("m", limits.MetricRejected, sum)},
		}},
		{"Duration, ms", []line{{"p50", p.lambda(ingestFunction, "Duration", p50)}, {"p99", p.lambda(ingestFunction, "Duration", p99)}}},
		{"Problems", []line{
			{"errors", p.lambda(ingestFunction, "Errors", sum)},
			{"throttles", p.lambda(ingestFunction, "Throttles", sum)},
		}},
	}
}

func (p *parts) queueGraphs() []graph {
	return []graph{
		{"Events", []line{
			{"waiting", p.sqs("events", "ApproximateNumberOfMessagesVisible")},
			{"in flight", p.sqs("events", "ApproximateNumberOfMessagesNotVisible")},
		}},
		{"Age of the oldest event, s", []line{{"age", p.sqs("events", "ApproximateAgeOfOldestMessage")}}},
		{"Dead letters", []line{{"waiting", p.sqs("dead", "ApproximateNumberOfMessagesVisible")}}},
	}
}

func (p *parts) consumerGraphs() []graph {
	return []graph{
		{"Events", []line{
			{"done", p.own("m", limits.MetricDone, sum)},
			{"duplicate", p.own("m", limits.MetricDuplicate, sum)},
			{"busy", p.own("m", limits.MetricBusy, sum)},
			{"failed", p.own("m", limits.MetricFailed, sum)},
			{"dead-lettered", p.own("m", limits.MetricDeadLettered, sum)},
			{"superseded", p.own("m", limits.MetricSuperseded, sum)},
		}},
		{"From created to done, ms", []line{{"p50", p.own("m", limits.MetricAge, p50)}, {"p99", p.own("m", limits.MetricAge, p99)}}},
		{"Problems", []line{
			{"errors", p.lambda(consumerFunction, "Errors", sum)},
			{"throttles", p.lambda(consumerFunction, "Throttles", sum)},
			{"store down", p.own("m", limits.MetricStoreDown, sum)},
			{"throttled", p.own("m", limits.MetricThrottled, sum)},
			{"no time", p.own("m", limits.MetricNoTime, sum)},
			{"newer version", p.own("m", limits.MetricNewer, sum)},
			{"waiting for Stripe", p.own("m", limits.MetricWaiting, sum)},
			{"table throttles", p.dynamo("WriteThrottleEvents")},
		}},
	}
}

// reconcileGraphs are rows below the columns: reconcile enqueues events from Stripe's list
// directly.
func (p *parts) reconcileGraphs() []graph {
	return []graph{
		{"Reconcile: passes", []line{
			{"complete", p.own("m", limits.MetricComplete, sum)},
			{"errors", p.lambda(reconcileFunction, "Errors", sum)},
			{"throttles", p.lambda(reconcileFunction, "Throttles", sum)},
		}},
		{"Reconcile: listed", []line{{"listed", p.own("m", limits.MetricListed, sum)}}},
		{"Reconcile: found", []line{
			{"requeued", p.own("m", limits.MetricRequeued, sum)},
			{"missed", p.own("m", limits.MetricMissed, sum)},
			{"mismatched", p.own("m", limits.MetricMismatched, sum)},
			{"deferred", p.own("m", limits.MetricDeferred, sum)},
		}},
		{"Outbox", []line{
			{"sent", p.own("m", limits.MetricOutboxSent, sum)},
			{"failed", p.own("m", limits.MetricOutboxFailed, sum)},
			{"unsent", p.own("m", limits.MetricOutboxUnsent, maximum)},
			{"held", p.own("m", limits.MetricOutboxHeld, maximum)},
		}},
		{"Outbox: longest wait, s", []line{{"oldest", p.own("m", limits.MetricOutboxOldest, maximum)}}},
	}
}
