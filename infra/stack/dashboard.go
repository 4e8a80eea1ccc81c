package stack

import (
	"slices"

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
	rows += (len(p.reconcileGraphs()) + len(columns) - 1) / len(columns)
	for i, g := range p.senderGraphs() {
		widgets = append(widgets, g.widget(i*columnWidth, alarmHeight+titleHeight+rows*graphHeight, p.stack.Region()))
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

// counts returns the lines of metrics that the functions count, from pairs of label and name.
func (p *parts) counts(labels ...string) (lines []line) {
	for pair := range slices.Chunk(labels, 2) {
		lines = append(lines, line{pair[0], p.own("m", pair[1], sum)})
	}
	return lines
}

func (p *parts) problems(function string) []line {
	return []line{{"errors", p.lambda(function, "Errors", sum)}, {"throttles", p.lambda(function, "Throttles", sum)}}
}

func (p *parts) apiGraphs() []graph {
	return []graph{
		{"Requests", []line{{"all", p.gateway("Count", sum)}, {"4xx", p.gateway("4xx", sum)}, {"5xx", p.gateway("5xx", sum)}}},
		{"Latency, ms", []line{{"p50", p.gateway("Latency", p50)}, {"p99", p.gateway("Latency", p99)}}},
	}
}

func (p *parts) ingestGraphs() []graph {
	return []graph{
		{"Deliveries", p.counts(
			"received", limits.MetricReceived, "enqueued", limits.MetricEnqueued, "rejected", limits.MetricRejected,
		)},
		{"Duration, ms", []line{{"p50", p.lambda(ingestFunction, "Duration", p50)}, {"p99", p.lambda(ingestFunction, "Duration", p99)}}},
		{"Problems", p.problems(ingestFunction)},
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
		{"Events", p.counts(
			"done", limits.MetricDone, "duplicate", limits.MetricDuplicate, "busy", limits.MetricBusy,
			"failed", limits.MetricFailed, "dead-lettered", limits.MetricDeadLettered,
			"superseded", limits.MetricSuperseded,
		)},
		{"From created to done, ms", []line{{"p50", p.own("m", limits.MetricAge, p50)}, {"p99", p.own("m", limits.MetricAge, p99)}}},
		{"Problems", slices.Concat(p.problems(consumerFunction), p.counts(
			"store down", limits.MetricStoreDown, "throttled", limits.MetricThrottled, "no time", limits.MetricNoTime,
			"newer version", limits.MetricNewer, "waiting for Stripe", limits.MetricWaiting,
		), []line{{"table throttles", p.dynamo("WriteThrottleEvents")}})},
	}
}

// reconcileGraphs are rows below the columns: reconcile enqueues events from Stripe's list
// directly.
func (p *parts) reconcileGraphs() []graph {
	return []graph{
		{"Reconcile: passes", append(p.counts("complete", limits.MetricComplete), p.problems(reconcileFunction)...)},
		{"Reconcile: listed", []line{{"listed", p.own("m", limits.MetricListed, sum)}}},
		{"Reconcile: found", p.counts(
			"requeued", limits.MetricRequeued, "missed", limits.MetricMissed, "mismatched", limits.MetricMismatched,
			"deferred", limits.MetricDeferred,
		)},
		{"Outbox", []line{
			{"sent", p.own("m", limits.MetricOutboxSent, sum)},
			{"failed", p.own("m", limits.MetricOutboxFailed, sum)},
			{"unsent", p.own("m", limits.MetricOutboxUnsent, maximum)},
			{"held", p.own("m", limits.MetricOutboxHeld, maximum)},
		}},
		{"Ledger: rows that differ from Stripe", p.counts("drifted", limits.MetricLedgerDrift)},
		{"Ledger: not verified for, s", []line{{"age", p.own("m", limits.MetricLedgerVerifiedAge, maximum)}}},
		{"Outbox: longest wait, s", []line{{"oldest", p.own("m", limits.MetricOutboxOldest, maximum)}}},
	}
}

// senderGraphs are the last row, one graph for each column.
func (p *parts) senderGraphs() []graph {
	if len(p.receivers) == 0 {
		return nil
	}
	var waiting []line
	for _, group := range p.groups() {
		waiting = append(waiting, line{group, p.sqs("send-"+group, "ApproximateNumberOfMessagesVisible")})
	}
	return []graph{
		{"Deliveries", p.counts(
			"delivered", limits.MetricDelivered, "failed", limits.MetricDeliveryFailed, "waiting for the breaker", limits.MetricDeliveryWaiting,
			"failed for good", limits.MetricDeliveryDead, "destinations disabled", limits.MetricDestinationDisabled,
		)},
		{"From commit to delivery, ms", []line{{"p50", p.own("m", limits.MetricDeliveryAge, p50)}, {"p99", p.own("m", limits.MetricDeliveryAge, p99)}}},
		{"Deliveries waiting, by group", waiting},
		{"Sender: problems", append(p.problems(senderFunction), line{"dead letters", p.sqs("send-dead", "ApproximateNumberOfMessagesVisible")})},
	}
}
