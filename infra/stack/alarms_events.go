package stack

import (
	"slices"
	"strconv"
	"time"

	"tollgate/pkg/limits"
)

// maxInFlight is the number of received messages that SQS keeps for one queue. Beyond it a
// receive returns nothing and no error.
const maxInFlight = 120_000

func (p *parts) queueAlarms() []alarm {
	q := p.Limits
	return slices.Concat([]alarm{
		// SQS excludes messages with three receives and more from this age, so failing events
		// do not raise it: only a consumer that does not keep up.
		{name: "queue-age", problem: "Events wait for the consumer for over 15 minutes.",
			metrics: []metric{p.sqs("events", "ApproximateAgeOfOldestMessage")}, threshold: 900, period: time.Minute, breaching: 5, periods: 5},
		{name: "in-flight", problem: "Over 60 % of the messages that SQS allows in flight are in flight.",
			metrics: []metric{p.sqs("events", "ApproximateNumberOfMessagesNotVisible")}, threshold: 0.6 * maxInFlight, period: 5 * time.Minute, breaching: 2, periods: 3},
	}, p.deadLetters("dead", "dead-letters", "An event failed for good and is in the dead-letter queue.", false), []alarm{
		// SQS's age counts from the move to the dead-letter queue, the retention from the first send,
		// and it excludes letters that were received three times, as listing them does. The age of the
		// records has these, but letters without a record, such as undecodable ones, have only SQS's.
		{name: "dead-letters-expire", problem: "SQS will delete the oldest dead letters within days.",
			metrics:    []metric{p.own("records", limits.MetricOldestDead, maximum), p.sqs("dead", "ApproximateAgeOfOldestMessage").as("letters")},
			expression: "MAX(METRICS())", threshold: 0.7 * (q.DLQRetention - q.SourceRetention).Seconds(), period: time.Hour},
		// As above: looking at held events excludes them from SQS's age. A pause is no younger than what it
		// holds.
		{name: "hold-expires", problem: "SQS will delete the oldest events of a paused type within days.",
			metrics:    []metric{p.own("pause", limits.MetricPausedFor, maximum), p.sqs("hold", "ApproximateAgeOfOldestMessage").as("held")},
			expression: "MAX(METRICS())", threshold: limits.PausedTooLong.Seconds(), period: time.Hour},
	})
}

// deadLetters are the alarms on new dead letters and on those that stay. The averages of visible and
// hidden ones, unlike their maxima, add up to the number of letters while some are looked at. A new
// letter raises the sum by one from one period to the next, or by two parts of one.
func (p *parts) deadLetters(queue, name, problem string, ticket bool) []alarm {
	both := []metric{
		p.sqs(queue, "ApproximateNumberOfMessagesVisible").by(average).as("visible"),
		p.sqs(queue, "ApproximateNumberOfMessagesNotVisible").by(average).as("hidden"),
	}
	return []alarm{
		// SQS reports nothing of a queue that was empty and unused for six hours.
		{name: name, ticket: ticket, problem: problem, metrics: both,
			expression: "DIFF(FILL(FILL(SUM([visible, hidden]), REPEAT), 0))", threshold: 0.5, period: 5 * time.Minute, breaching: 1, periods: 3},
		{name: name + "-stay", ticket: true, problem: "The same queue has had dead letters for a day.", metrics: both,
			expression: "SUM([visible, hidden])", threshold: 1, period: time.Hour, breaching: 24, periods: 24},
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
		// A single failing event does not reach this twice, nor one of a hundred.
		{name: "consumer-failures", problem: "Many events fail, or the table cannot be used.",
			metrics: []metric{
				p.own("failed", limits.MetricFailed, sum), p.own("down", limits.MetricStoreDown, sum),
				p.own("hot", limits.MetricThrottled, sum), p.own("done", limits.MetricDone, sum),
			},
			expression: "IF(SUM([failed, down, hot]) > 2 AND SUM([failed, down, hot, -0.05 * done]) > 0, 1, 0)", threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3},
		// A slow batch finishes some of its messages and returns the others. If more are
		// returned than finished, the function runs out of time or its clock is ahead.
		{name: "no-time", problem: "Most messages are returned because too little time is left: batches are too slow, or the consumer's clock is ahead.",
			metrics:    []metric{p.own("notime", limits.MetricNoTime, sum), p.own("done", limits.MetricDone, sum)},
			expression: "IF(SUM([notime, -1 * done]) > 0, 1, 0)", threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3},
		{name: "done-late", ticket: true, problem: "The slowest 1 % of events are done over five minutes after they were created.",
			metrics: []metric{p.own("m", limits.MetricAge, p99)}, threshold: 300_000, period: 15 * time.Minute, breaching: 3, periods: 3},
		// A connected account's events of the other mode are excluded as a matter of course.
		{name: "policy-ignored", ticket: true, problem: "For a day, policies excluded more events than were handled.",
			metrics:    []metric{p.own("ignored", limits.MetricPolicyIgnored, sum), p.own("done", limits.MetricDone, sum)},
			expression: "IF(SUM([ignored, -1 * done]) > 0, 1, 0)", threshold: 1, period: 6 * time.Hour, breaching: 4, periods: 4},
		{name: "superseded", ticket: true, problem: "Later attempts supersede running ones: handlers outlive their leases.",
			metrics: []metric{p.own("attempts", limits.MetricSuperseded, sum)}, expression: "FILL(attempts, 0)", threshold: 5, period: 15 * time.Minute},
	}
}

// reconcileAlarms watch what the passes report, once every 15 minutes.
func (p *parts) reconcileAlarms() []alarm {
	every, verify := p.Limits.Reconcile.Frequent.Every, p.Limits.Reconcile.Verify
	return []alarm{
		{name: "reconcile-incomplete", ticket: true, problem: "No pass over Stripe's list was completed for an hour.",
			metrics: []metric{p.own("m", limits.MetricComplete, sum)}, threshold: 1, period: every, breaching: 4, periods: 4, heartbeat: true},
		// Reconcile recovers single missed webhooks, so this pages only with silence where that is
		// watched. Several consecutive periods with missed ones mean that deliveries fail. The
		// consumer counts them: messages that only wait on the queue while it is stopped were
		// delivered.
		{name: "events-missed", ticket: p.SilenceHours > 0, problem: "Events keep arriving by reconcile alone: their webhook deliveries are missing.",
			metrics: []metric{p.own("m", limits.MetricMissed, sum)}, threshold: 1, period: every, breaching: 3, periods: 4},
		{name: "reconcile-errors", ticket: true, problem: "Runs of reconcile fail, or it cannot start.",
			metrics: []metric{p.lambda(reconcileFunction, "Errors", sum)}, threshold: 1, period: every, breaching: 3, periods: 4},
		// The other rules are watched by what their runs report. These run once a night or week, before
		// six o'clock: the period is six hours from midnight on, and the outbox's run of each minute
		// shows that it is over.
		{name: "schedule-missed", ticket: true, problem: "A nightly or weekly pass was not started.",
			metrics: []metric{
				p.rule(p.rules["outbox"]).as("minutes"), p.rule(p.rules["quarterAtNight"]).as("night"),
				p.rule(p.rules["nightly"]).as("nightly"), p.rule(p.rules["weekly"]).as("weekly"),
			},
			expression: "IF(HOUR(minutes) == 0 AND minutes > 300 AND (SUM([night, 0 * minutes]) < 1 OR SUM([nightly, 0 * minutes]) < 1 OR (DAY(minutes) == 7 AND SUM([weekly, 0 * minutes]) < 1)), 1, 0)",
			threshold:  1, period: 6 * time.Hour},
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
	return append(p.deadLetters("send-dead", "deliveries-dead", "A delivery failed for good and is in the sender's dead-letter queue.", true), []alarm{
		{name: "sender-errors", problem: "Whole batches of deliveries fail, or find no free sender process.",
			metrics: []metric{errors, throttles}, expression: "SUM(METRICS())", threshold: 1, period: 5 * time.Minute, breaching: 2, periods: 3},
		// SQS excludes jobs with three receives and more: a receiver that fails does not raise it.
		{name: "deliveries-late", problem: "Deliveries wait for their first attempt for over 15 minutes.",
			metrics: ages, expression: "MAX(METRICS())", threshold: 900, period: time.Minute, breaching: 5, periods: 5},
		{name: "destination-down", ticket: true, problem: "A destination has accepted nothing for over an hour.",
			metrics: []metric{p.own("m", limits.MetricDestinationDown, sum)}, threshold: 1, period: 15 * time.Minute},
		{name: "destination-disabled", problem: "A destination answered 410, or accepted nothing for " + days(p.Limits.Sender.DisableAfter) + " days: nothing is sent to it.",
			metrics: []metric{p.own("m", limits.MetricDestinationDisabled, sum)}, threshold: 1, period: 5 * time.Minute},
		{name: "deliveries-dead-expire", ticket: true, problem: "SQS will delete the oldest dead deliveries within days.",
			metrics: []metric{p.sqs("send-dead", "ApproximateAgeOfOldestMessage")}, threshold: 0.7 * (q.DLQRetention - q.Retention).Seconds(), period: 5 * time.Minute},
	}...)
}

func days(d time.Duration) string { return strconv.Itoa(int(d / (24 * time.Hour))) }
