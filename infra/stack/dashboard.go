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
	title      string
	lines      []line
	expression string  // over the lines' ids, drawn instead of them
	least      float64 // an objective, as an hour's percentage; 0 for none
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
	below := slices.Concat(p.objectiveGraphs(), p.reconcileGraphs())
	for i, g := range below {
		x, y := i%len(columns)*columnWidth, alarmHeight+titleHeight+(rows+i/len(columns))*graphHeight
		widgets = append(widgets, g.widget(x, y, p.stack.Region()))
	}
	rows += (len(below) + len(columns) - 1) / len(columns)
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
		row := l.row(l.label)
		if g.expression != "" {
			options := row[len(row)-1].(object)
			options["id"], options["visible"] = l.id, false
		}
		rows = append(rows, row)
	}
	if g.expression != "" {
		rows = append(rows, []any{object{"expression": g.expression, "label": "of them"}})
	}
	properties := object{"title": g.title, "region": region, "view": "timeSeries", "period": 60, "metrics": rows}
	if g.least > 0 {
		properties["period"] = 3600
		properties["annotations"] = object{"horizontal": []object{{"value": g.least, "label": "objective"}}}
	}
	return object{"type": "metric", "x": x, "y": y, "width": columnWidth, "height": graphHeight, "properties": properties}
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
		{title: "Requests", lines: []line{{"all", p.gateway("Count", sum)}, {"4xx", p.gateway("4xx", sum)}, {"5xx", p.gateway("5xx", sum)}}},
		{title: "Latency, ms", lines: []line{{"p50", p.gateway("Latency", p50)}, {"p99", p.gateway("Latency", p99)}}},
	}
}

func (p *parts) ingestGraphs() []graph {
	return []graph{
		{title: "Deliveries", lines: p.counts(
			"received", limits.MetricReceived, "enqueued", limits.MetricEnqueued, "rejected", limits.MetricRejected,
		)},
		{title: "Duration, ms", lines: []line{{"p50", p.lambda(ingestFunction, "Duration", p50)}, {"p99", p.lambda(ingestFunction, "Duration", p99)}}},
		{title: "Problems", lines: p.problems(ingestFunction)},
	}
}

func (p *parts) queueGraphs() []graph {
	return []graph{
		{title: "Events", lines: []line{
			{"waiting", p.sqs("events", "ApproximateNumberOfMessagesVisible")},
			{"in flight", p.sqs("events", "ApproximateNumberOfMessagesNotVisible")},
			{"held by a pause", p.sqs("hold", "ApproximateNumberOfMessagesVisible")},
		}},
		{title: "Age of the oldest event, s", lines: []line{{"age", p.sqs("events", "ApproximateAgeOfOldestMessage")}}},
		{title: "Dead letters", lines: []line{
			{"visible", p.sqs("dead", "ApproximateNumberOfMessagesVisible")}, {"hidden", p.sqs("dead", "ApproximateNumberOfMessagesNotVisible")},
		}},
	}
}

func (p *parts) consumerGraphs() []graph {
	return []graph{
		{title: "Events", lines: p.counts(
			"done", limits.MetricDone, "duplicate", limits.MetricDuplicate, "busy", limits.MetricBusy,
			"failed", limits.MetricFailed, "dead-lettered", limits.MetricDeadLettered,
			"superseded", limits.MetricSuperseded,
		)},
		{title: "From created to done, ms", lines: []line{{"p50", p.own("m", limits.MetricAge, p50)}, {"p99", p.own("m", limits.MetricAge, p99)}}},
		{title: "Problems", lines: slices.Concat(p.problems(consumerFunction), p.counts(
			"store down", limits.MetricStoreDown, "throttled", limits.MetricThrottled, "no time", limits.MetricNoTime,
			"newer version", limits.MetricNewer, "waiting for Stripe", limits.MetricWaiting,
		), []line{{"table throttles", p.dynamo("WriteThrottleEvents")}})},
	}
}

// objectiveGraphs show what the alarms slo-accepted and slo-done watch.
func (p *parts) objectiveGraphs() []graph {
	failed, enqueued := p.gateway("5xx", sum).as("failed"), p.own("enqueued", limits.MetricEnqueued, sum)
	return []graph{
		{title: "Accepted, % of deliveries", least: 99.9, lines: []line{{"5xx", failed}, {"accepted", enqueued}},
			expression: "100 * enqueued / SUM([failed, enqueued])"},
		{title: "Done within 60 s, % of events", least: 99, lines: []line{{"within", p.own("within", limits.MetricAge, withinMinute)}}},
		{title: "Rejected signatures, by endpoint", lines: p.byEndpoint(limits.MetricSignatureRejected)},
		{title: "Missed events, by endpoint", lines: p.byEndpoint(limits.MetricMissed)},
	}
}

func (p *parts) byEndpoint(name string) (lines []line) {
	for _, endpoint := range p.endpointNames() {
		lines = append(lines, line{endpoint, p.own("m", name, sum, dimension{limits.DimensionEndpoint, str(endpoint)})})
	}
	return lines
}

// reconcileGraphs are rows below the columns: reconcile enqueues events from Stripe's list
// directly.
func (p *parts) reconcileGraphs() []graph {
	return []graph{
		{title: "Reconcile: passes", lines: append(p.counts("complete", limits.MetricComplete), p.problems(reconcileFunction)...)},
		{title: "Reconcile: listed", lines: []line{{"listed", p.own("m", limits.MetricListed, sum)}}},
		{title: "Reconcile: found", lines: p.counts(
			"requeued", limits.MetricRequeued, "missed", limits.MetricMissed, "mismatched", limits.MetricMismatched,
			"deferred", limits.MetricDeferred,
		)},
		{title: "Outbox", lines: []line{
			{"sent", p.own("m", limits.MetricOutboxSent, sum)},
			{"failed", p.own("m", limits.MetricOutboxFailed, sum)},
			{"unsent", p.own("m", limits.MetricOutboxUnsent, maximum)},
			{"held", p.own("m", limits.MetricOutboxHeld, maximum)},
		}},
		{title: "Ledger: rows that differ from Stripe", lines: p.counts("drifted", limits.MetricLedgerDrift)},
		{title: "Ledger: not verified for, s", lines: []line{{"age", p.own("m", limits.MetricLedgerVerifiedAge, maximum)}}},
		{title: "Outbox: longest wait, s", lines: []line{{"oldest", p.own("m", limits.MetricOutboxOldest, maximum)}}},
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
	problems := append(p.problems(senderFunction), line{"dead letters", p.sqs("send-dead", "ApproximateNumberOfMessagesVisible")})
	if p.history != nil {
		problems = append(problems, line{"history errors", p.lambda(historyFunction, "Errors", sum)})
	}
	return []graph{
		{title: "Deliveries", lines: p.counts(
			"delivered", limits.MetricDelivered, "failed", limits.MetricDeliveryFailed, "waiting for the breaker", limits.MetricDeliveryWaiting,
			"failed for good", limits.MetricDeliveryDead, "destinations disabled", limits.MetricDestinationDisabled,
		)},
		{title: "From commit to delivery, ms", lines: []line{{"p50", p.own("m", limits.MetricDeliveryAge, p50)}, {"p99", p.own("m", limits.MetricDeliveryAge, p99)}}},
		{title: "Deliveries waiting, by group", lines: waiting},
		{title: "Sender: problems", lines: problems},
	}
}
