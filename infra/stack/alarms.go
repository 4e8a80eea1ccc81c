package stack

import (
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/jsii-runtime-go"

	"tollgate/infra/check"
	"tollgate/pkg/limits"
)

// maxInFlight is the number of received messages that SQS keeps for one queue. Beyond it a
// receive returns nothing and no error.
const maxInFlight = 120_000

// alarm pages when its value reaches the threshold in enough of its periods.
type alarm struct {
	name       string // within the stage, and of its section in infra/README.md
	problem    string
	metrics    []metric
	expression string // over the metrics' ids; "" for a single metric
	threshold  float64
	period     time.Duration
	breaching  int // of periods; default 1 of 1
	periods    int
	heartbeat  bool // pages below the threshold, and on missing data
	silent     bool // pages on missing data too
	ticket     bool // can wait for a working day; the others page
}

// addTopic creates the stack's own topic unless an existing one is configured.
func (p *parts) addTopic() {
	if p.AlarmTopic != "" {
		p.alarmTopic = str(p.AlarmTopic)
		return
	}
	topic := awssns.NewCfnTopic(p.stack, str("AlarmTopic"), &awssns.CfnTopicProps{DisplayName: str("Tollgate " + p.Stage)})
	p.alarmTopic = topic.Ref()
	if p.AlarmEmail != "" {
		awssns.NewCfnSubscription(p.stack, str("AlarmEmail"), &awssns.CfnSubscriptionProps{
			TopicArn: topic.Ref(), Protocol: str("email"), Endpoint: str(p.AlarmEmail),
		})
	}
}

func (p *parts) addAlarms() {
	all := append(p.ingestAlarms(), p.queueAlarms()...)
	all = append(all, p.consumerAlarms()...)
	all = append(all, p.reconcileAlarms()...)
	if len(p.receivers) > 0 {
		all = append(all, p.senderAlarms()...)
	}
	if p.SilenceHours > 0 {
		all = append(all, p.silence())
	}
	for _, a := range all {
		p.addAlarm(a)
	}
}

// ingestAlarms: Stripe got no 2xx. A failure in ingest pages at once, as a quiet stage may
// have one delivery an hour. What AWS rejects before ingest runs pages at the second time
// within an hour, in which Stripe retries a delivery: a single one is a transient AWS
// error.
func (p *parts) ingestAlarms() []alarm {
	timeout := float64(p.Limits.IngestTimeout / time.Millisecond)
	noMatch := dimension{limits.DimensionReason, str(limits.ReasonNoMatch)}
	return []alarm{
		{name: "ingest-errors", problem: "A delivery failed in ingest; Stripe will retry it.",
			metrics: []metric{p.lambda(ingestFunction, "Errors", sum)}, threshold: 1, period: time.Minute},
		{name: "ingest-throttles", problem: "Deliveries find no free ingest process.",
			metrics: []metric{p.lambda(ingestFunction, "Throttles", sum)}, threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 12},
		{name: "api-errors", problem: "The API answers Stripe with 5xx.",
			metrics: []metric{p.gateway("5xx", sum)}, threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 12},
		{name: "ingest-slow", ticket: true, problem: "The slowest 1 % of deliveries take over 80 % of ingest's timeout.",
			metrics: []metric{p.lambda(ingestFunction, "Duration", p99)}, threshold: 0.8 * timeout, period: time.Minute, breaching: 3, periods: 5},
		// Anyone can cause rejections. Rejections without an accepted delivery are a rolled secret.
		{name: "secret-mismatch", problem: "Signatures match no secret, and no delivery is accepted.",
			metrics:    []metric{p.own("rejected", limits.MetricRejected, sum, noMatch), p.own("enqueued", limits.MetricEnqueued, sum)},
			expression: "IF(rejected > 20 AND FILL(enqueued, 0) == 0, 1, 0)", threshold: 1, period: 15 * time.Minute},
		// Running processes keep the secrets they fetched; a new process has none.
		{name: "secret-unusable", problem: "An endpoint's stored list has no usable signing secret.",
			metrics: []metric{p.own("m", limits.MetricSecretUnusable, sum)}, threshold: 1, period: 5 * time.Minute},
	}
}

func (p *parts) queueAlarms() []alarm {
	return []alarm{
		// SQS excludes messages with three receives and more from this age, so failing events
		// do not raise it: only a consumer that does not keep up.
		{name: "queue-age", problem: "Events wait for the consumer for over 15 minutes.",
			metrics: []metric{p.sqs("events", "ApproximateAgeOfOldestMessage")}, threshold: 900, period: time.Minute, breaching: 5, periods: 5},
		{name: "in-flight", problem: "Over 60 % of the messages that SQS allows in flight are in flight.",
			metrics: []metric{p.sqs("events", "ApproximateNumberOfMessagesNotVisible")}, threshold: 0.6 * maxInFlight, period: 5 * time.Minute, breaching: 2, periods: 3},
		// The count of visible messages: SQS does not count what it moves itself as sent.
		{name: "dead-letters", problem: "An event failed for good and is in the dead-letter queue.",
			metrics: []metric{p.sqs("dead", "ApproximateNumberOfMessagesVisible")}, threshold: 1, period: time.Minute},
		// This age counts from the move to the dead-letter queue, the retention from the first send.
		{name: "dead-letters-expire", problem: "SQS will delete the oldest dead letters within days.",
			metrics: []metric{p.sqs("dead", "ApproximateAgeOfOldestMessage")}, threshold: 0.7 * (p.Limits.DLQRetention - p.Limits.SourceRetention).Seconds(), period: 5 * time.Minute},
	}
}

// consumerAlarms use periods as long as the back-off between two receives. With shorter
// ones a quiet stage would never have two bad periods.
func (p *parts) consumerAlarms() []alarm {
	return []alarm{
		{name: "consumer-errors", problem: "Whole batches fail: the consumer crashes, times out or runs out of memory.",
			metrics: []metric{p.lambda(consumerFunction, "Errors", sum)}, threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3},
		{name: "consumer-throttles", problem: "Batches find no free consumer process, and each costs its messages a receive.",
			metrics: []metric{p.lambda(consumerFunction, "Throttles", sum)}, threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3},
		// A single failing event does not reach this twice.
		{name: "consumer-failures", problem: "Many events fail, or the table cannot be used.",
			metrics:    []metric{p.own("failed", limits.MetricFailed, sum), p.own("down", limits.MetricStoreDown, sum), p.own("hot", limits.MetricThrottled, sum)},
			expression: "SUM(METRICS())", threshold: 3, period: 5 * time.Minute, breaching: 2, periods: 3},
		// A slow batch finishes some of its messages and returns the others. If more are
		// returned than finished, the function runs out of time or its clock is ahead.
		{name: "no-time", problem: "Most messages are returned because too little time is left: batches are too slow, or the consumer's clock is ahead.",
			metrics:    []metric{p.own("notime", limits.MetricNoTime, sum), p.own("done", limits.MetricDone, sum)},
			expression: "IF(notime > FILL(done, 0), 1, 0)", threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3},
		{name: "superseded", ticket: true, problem: "Later attempts supersede running ones: handlers outlive their leases.",
			metrics: []metric{p.own("m", limits.MetricSuperseded, sum)}, threshold: 5, period: 15 * time.Minute},
	}
}

// reconcileAlarms watch what the passes report, once every 15 minutes.
func (p *parts) reconcileAlarms() []alarm {
	every, verify := p.Limits.Reconcile.Frequent.Every, p.Limits.Reconcile.Verify
	return []alarm{
		{name: "reconcile-incomplete", ticket: true, problem: "No pass over Stripe's list was completed for an hour.",
			metrics: []metric{p.own("m", limits.MetricComplete, sum)}, threshold: 1, period: every, breaching: 4, periods: 4, heartbeat: true},
		// Reconcile recovers single missed webhooks. Several consecutive periods with
		// missed ones mean that deliveries fail. The consumer counts them: messages that
		// only wait on the queue while it is stopped were delivered.
		{name: "events-missed", problem: "Events keep arriving by reconcile alone: their webhook deliveries are missing.",
			metrics: []metric{p.own("m", limits.MetricMissed, sum)}, threshold: 1, period: every, breaching: 3, periods: 4},
		{name: "events-mismatched", ticket: true, problem: "An event contradicts its record, or cannot be read.",
			metrics: []metric{p.own("m", limits.MetricMismatched, sum)}, threshold: 1, period: every},
		{name: "outbox-unsent", problem: "Outbox messages cannot be sent.",
			metrics: []metric{p.own("m", limits.MetricOutboxFailed, sum)}, threshold: 1, period: 5 * time.Minute, breaching: 3, periods: 3},
		// Every run reports it, also an idle one: missing data means that no run happens.
		{name: "outbox-late", problem: "An outbox message has waited for over 15 minutes, or no run checks the outbox.",
			metrics: []metric{p.own("m", limits.MetricOutboxOldest, maximum)}, threshold: 900, period: 5 * time.Minute, breaching: 3, periods: 3, silent: true},
		// A pass over the table starts once a week, and reports a row once.
		{name: "ledger-drift", ticket: true, problem: "Rows of the ledger differ from Stripe.",
			metrics: []metric{p.own("m", limits.MetricLedgerDrift, sum)}, threshold: 1, period: time.Hour},
		{name: "ledger-unverified", ticket: true, problem: "The recent rows of the ledger were not compared with Stripe for " + days(verify.MaxAge) + " days, or no run compares them.",
			metrics: []metric{p.own("m", limits.MetricLedgerVerifiedAge, maximum)}, threshold: verify.MaxAge.Seconds(), period: verify.Every, breaching: 3, periods: 3, silent: true},
	}
}

func (p *parts) senderAlarms() []alarm {
	var ages []metric
	for i, group := range p.groups() {
		age := p.sqs("send-"+group, "ApproximateAgeOfOldestMessage")
		age.id += strconv.Itoa(i)
		ages = append(ages, age)
	}
	errors, throttles, q := p.lambda(senderFunction, "Errors", sum), p.lambda(senderFunction, "Throttles", sum), p.Limits.SendQueue()
	errors.id, throttles.id = "errors", "throttles"
	return []alarm{
		{name: "sender-errors", problem: "Whole batches of deliveries fail, or find no free sender process.",
			metrics: []metric{errors, throttles}, expression: "SUM(METRICS())", threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3},
		// SQS excludes jobs with three receives and more: a receiver that fails does not raise it.
		{name: "deliveries-late", problem: "Deliveries wait for their first attempt for over 15 minutes.",
			metrics: ages, expression: "MAX(METRICS())", threshold: 900, period: time.Minute, breaching: 5, periods: 5},
		{name: "destination-down", ticket: true, problem: "A destination has accepted nothing for over an hour.",
			metrics: []metric{p.own("m", limits.MetricDestinationDown, sum)}, threshold: 1, period: 15 * time.Minute},
		{name: "destination-disabled", problem: "A destination answered 410, or accepted nothing for " + days(p.Limits.Sender.DisableAfter) + " days: nothing is sent to it.",
			metrics: []metric{p.own("m", limits.MetricDestinationDisabled, sum)}, threshold: 1, period: 5 * time.Minute},
		{name: "deliveries-dead", ticket: true, problem: "A delivery failed for good and is in the sender's dead-letter queue.",
			metrics: []metric{p.sqs("send-dead", "ApproximateNumberOfMessagesVisible")}, threshold: 1, period: time.Minute},
		{name: "deliveries-dead-expire", ticket: true, problem: "SQS will delete the oldest dead deliveries within days.",
			metrics: []metric{p.sqs("send-dead", "ApproximateAgeOfOldestMessage")}, threshold: 0.7 * (q.DLQRetention - q.Retention).Seconds(), period: 5 * time.Minute},
	}
}

func days(d time.Duration) string { return strconv.Itoa(int(d / (24 * time.Hour))) }

func (p *parts) silence() alarm {
	return alarm{
		name: "silence", problem: "No event was accepted for " + strconv.Itoa(p.SilenceHours) + " h.",
		metrics:   []metric{p.own("m", limits.MetricEnqueued, sum)},
		threshold: 1, period: time.Hour, breaching: p.SilenceHours, periods: p.SilenceHours, heartbeat: true,
	}
}

func (p *parts) addAlarm(a alarm) {
	period := int(a.period / time.Second)
	var queries []any
	for _, m := range a.metrics {
		queries = append(queries, m.query(period, a.expression == ""))
	}
	if a.expression != "" {
		queries = append(queries, &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
			Id: str("value"), Expression: str(a.expression), Label: str(a.name), ReturnData: true,
		})
	}
	comparison, missing := "GreaterThanOrEqualToThreshold", "notBreaching"
	if a.heartbeat {
		comparison = "LessThanThreshold"
	}
	if a.heartbeat || a.silent {
		missing = "breaching"
	}
	made := awscloudwatch.NewCfnAlarm(p.stack, str(alarmID(a.name)), &awscloudwatch.CfnAlarmProps{
		AlarmName:          str(p.name(check.Severity(a.ticket) + a.name)),
		AlarmDescription:   str(a.problem + " What to do: " + check.Section + a.name),
		ActionsEnabled:     jsii.Bool(true),
		AlarmActions:       &[]any{p.alarmTopic},
		OkActions:          &[]any{p.alarmTopic},
		Metrics:            queries,
		ComparisonOperator: str(comparison),
		Threshold:          jsii.Number(a.threshold),
		EvaluationPeriods:  num(max(a.periods, 1)),
		DatapointsToAlarm:  num(max(a.breaching, 1)),
		TreatMissingData:   str(missing),
	})
	p.alarmResources = append(p.alarmResources, made.AttrArn())
}

// alarmID returns AlarmIngestErrors for ingest-errors.
func alarmID(name string) string {
	id := "Alarm"
	for word := range strings.SplitSeq(name, "-") {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}
