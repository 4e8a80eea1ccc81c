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

// maxInFlight is how many received messages SQS keeps of one queue; beyond it a receive
// gets nothing and no error.
const maxInFlight = 120_000

// alarm pages when its value is at or over the threshold in enough of its periods.
type alarm struct {
	name       string // of the alarm within the stage and of its section in the README's runbook
	says       string // what is so when it pages
	metrics    []metric
	expression string // over the metrics' ids; "" for the one metric itself
	threshold  float64
	period     time.Duration
	breaching  int // of periods, so many
	periods    int
	heartbeat  bool // pages under the threshold, and where there is no data
	silent     bool // pages on missing data too
}

// addTopic makes the stack's own topic unless there is another one to use.
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
	if p.SilenceHours > 0 {
		all = append(all, p.silence())
	}
	for _, a := range all {
		p.addAlarm(a)
	}
}

// ingestAlarms mean that Stripe got no 2xx. A failure in ingest pages at once: on a quiet
// stage one an hour can be all there are. What AWS refuses before ingest runs pages the
// second time within an hour, in which Stripe repeats a delivery: once is AWS's own noise.
func (p *parts) ingestAlarms() []alarm {
	timeout := float64(p.Limits.IngestTimeout / time.Millisecond)
	noMatch := dimension{limits.DimensionReason, str(limits.ReasonNoMatch)}
	return []alarm{{
		name: "ingest-errors", says: "A delivery failed in ingest; Stripe will repeat it.",
		metrics:   []metric{p.lambda(ingestFunction, "Errors", sum)},
		threshold: 1, period: time.Minute, breaching: 1, periods: 1,
	}, {
		name: "ingest-throttles", says: "Deliveries find no free ingest process.",
		metrics:   []metric{p.lambda(ingestFunction, "Throttles", sum)},
		threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 12,
	}, {
		name: "api-errors", says: "The API answers Stripe with 5xx.",
		metrics:   []metric{p.gateway("5xx", sum)},
		threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 12,
	}, {
		name: "ingest-slow", says: "One delivery in a hundred takes over 80 % of the time that ingest has.",
		metrics:   []metric{p.lambda(ingestFunction, "Duration", p99)},
		threshold: 0.8 * timeout, period: time.Minute, breaching: 3, periods: 5,
	}, {
		// Rejections alone are a stranger's to make. Nothing accepted beside them is a rolled secret.
		name: "secret-mismatch", says: "Signatures match no secret, and no delivery is accepted.",
		metrics: []metric{
			p.own("rejected", limits.MetricRejected, sum, noMatch),
			p.own("enqueued", limits.MetricEnqueued, sum),
		},
		expression: "IF(rejected > 20 AND FILL(enqueued, 0) == 0, 1, 0)",
		threshold:  1, period: 15 * time.Minute, breaching: 1, periods: 1,
	}, {
		// Running processes keep the secrets that they know; a new process has none.
		name: "secret-unusable", says: "An endpoint's stored list has no usable signing secret.",
		metrics:   []metric{p.own("m", limits.MetricSecretUnusable, sum)},
		threshold: 1, period: 5 * time.Minute, breaching: 1, periods: 1,
	}}
}

func (p *parts) queueAlarms() []alarm {
	return []alarm{{
		// SQS leaves messages that were received three times and more out of this age, so
		// events that fail and wait do not raise it: only a consumer that does not keep up.
		name: "queue-age", says: "Events wait for the consumer for over 15 minutes.",
		metrics:   []metric{p.sqs("events", "ApproximateAgeOfOldestMessage")},
		threshold: 900, period: time.Minute, breaching: 5, periods: 5,
	}, {
		name: "in-flight", says: "Over 60 % of the messages that SQS lets a queue have in flight are.",
		metrics:   []metric{p.sqs("events", "ApproximateNumberOfMessagesNotVisible")},
		threshold: 0.6 * maxInFlight, period: 5 * time.Minute, breaching: 2, periods: 3,
	}, {
		// The count of visible ones: SQS does not count what it moves itself as sent.
		name: "dead-letters", says: "An event gave up and is in the dead-letter queue.",
		metrics:   []metric{p.sqs("dead", "ApproximateNumberOfMessagesVisible")},
		threshold: 1, period: time.Minute, breaching: 1, periods: 1,
	}, {
		// This age counts from the move to the dead letters, the retention from the first send.
		name: "dead-letters-expire", says: "Dead letters are about to be lost: SQS drops the oldest within days.",
		metrics:   []metric{p.sqs("dead", "ApproximateAgeOfOldestMessage")},
		threshold: 0.7 * (p.Limits.DLQRetention - p.Limits.SourceRetention).Seconds(), period: 5 * time.Minute, breaching: 1, periods: 1,
	}}
}

// consumerAlarms look at periods as long as the back-off between two receives, or a quiet
// stage would never have two bad ones.
func (p *parts) consumerAlarms() []alarm {
	return []alarm{{
		name: "consumer-errors", says: "Whole batches fail: the consumer crashes, runs out of time or of memory.",
		metrics:   []metric{p.lambda(consumerFunction, "Errors", sum)},
		threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3,
	}, {
		name: "consumer-throttles", says: "Batches find no free consumer process, and each costs its messages a receive.",
		metrics:   []metric{p.lambda(consumerFunction, "Throttles", sum)},
		threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3,
	}, {
		// One event that fails for a reason of its own does not reach this twice.
		name: "consumer-failures", says: "Events fail one after another, or the table cannot be used.",
		metrics:    []metric{p.own("failed", limits.MetricFailed, sum), p.own("down", limits.MetricStoreDown, sum), p.own("hot", limits.MetricThrottled, sum)},
		expression: "SUM(METRICS())",
		threshold:  3, period: 5 * time.Minute, breaching: 2, periods: 3,
	}, {
		// A slow batch finishes some of its messages and gives back the others. More given
		// back than finished means that the function's time is used up, or its clock is
		// ahead.
		name: "no-time", says: "Most messages are given back because too little time is left: batches are too slow, or the consumer's clock is ahead.",
		metrics:    []metric{p.own("notime", limits.MetricNoTime, sum), p.own("done", limits.MetricDone, sum)},
		expression: "IF(notime > FILL(done, 0), 1, 0)",
		threshold:  1, period: 5 * time.Minute, breaching: 2, periods: 3,
	}, {
		name: "superseded", says: "Attempts are overtaken by later ones: handlers outlive their leases.",
		metrics:   []metric{p.own("m", limits.MetricSuperseded, sum)},
		threshold: 5, period: 15 * time.Minute, breaching: 1, periods: 1,
	}}
}

// reconcileAlarms look at what a pass says of itself, once every quarter of an hour.
func (p *parts) reconcileAlarms() []alarm {
	every := p.Limits.Reconcile.Frequent.Every
	return []alarm{{
		name: "reconcile-incomplete", says: "No pass over Stripe's list was completed for an hour.",
		metrics:   []metric{p.own("m", limits.MetricComplete, sum)},
		threshold: 1, period: every, breaching: 4, periods: 4, heartbeat: true,
	}, {
		// Reconcile exists for the single missed webhook. Several periods in a row with some
		// mean that deliveries fail. The consumer counts them: messages that only wait on the
		// queue while it is stopped were delivered.
		name: "events-missed", says: "Only reconcile keeps bringing events: their webhook deliveries are missing.",
		metrics:   []metric{p.own("m", limits.MetricMissed, sum)},
		threshold: 1, period: every, breaching: 3, periods: 4,
	}, {
		name: "events-mismatched", says: "An event and its record contradict each other, or an event cannot be read.",
		metrics:   []metric{p.own("m", limits.MetricMismatched, sum)},
		threshold: 1, period: every, breaching: 1, periods: 1,
	}, {
		name: "outbox-unsent", says: "Messages of the outbox cannot be sent.",
		metrics:   []metric{p.own("m", limits.MetricOutboxFailed, sum)},
		threshold: 1, period: 5 * time.Minute, breaching: 3, periods: 3,
	}, {
		// Every run reports it, an idle one too: missing data means that no run looks at the
		// outbox.
		name: "outbox-late", says: "A message waits to be sent for over 15 minutes, or no run looks at the outbox.",
		metrics:   []metric{p.own("m", limits.MetricOutboxOldest, maximum)},
		threshold: 900, period: 5 * time.Minute, breaching: 3, periods: 3, silent: true,
	}}
}

func (p *parts) silence() alarm {
	return alarm{
		name: "silence", says: "No event was accepted for " + strconv.Itoa(p.SilenceHours) + " h.",
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
		AlarmName:          str(p.name(a.name)),
		AlarmDescription:   str(a.says + " What to do: " + check.Section + a.name),
		ActionsEnabled:     jsii.Bool(true),
		AlarmActions:       &[]*string{p.alarmTopic},
		OkActions:          &[]*string{p.alarmTopic},
		Metrics:            queries,
		ComparisonOperator: str(comparison),
		Threshold:          jsii.Number(a.threshold),
		EvaluationPeriods:  num(a.periods),
		DatapointsToAlarm:  num(a.breaching),
		TreatMissingData:   str(missing),
	})
	p.alarmResources = append(p.alarmResources, made.AttrArn())
}

// alarmID is ingest-errors as AlarmIngestErrors.
func alarmID(name string) string {
	id := "Alarm"
	for word := range strings.SplitSeq(name, "-") {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}
