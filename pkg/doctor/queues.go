package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tollgate/pkg/limits"
)

// Queue reads a queue's attributes, by their SQS names.
type Queue func(ctx context.Context) (map[string]string, error)

// CheckQueues checks the relations that keep events safe: a visibility timeout longer than an
// attempt, enough receives to outlast an outage, and a dead-letter queue with a longer
// retention than the queue.
func CheckQueues(main, dead Queue, s Target) Check {
	return func(ctx context.Context) []Finding {
		m, err := main(ctx)
		if err != nil {
			return []Finding{{"queue", Fail, err.Error(), "is the queue there, and may these credentials call sqs:GetQueueAttributes?"}}
		}
		d, err := dead(ctx)
		if err != nil {
			return []Finding{{"dead-letter queue", Fail, err.Error(), "is the queue there, and may these credentials call sqs:GetQueueAttributes?"}}
		}
		all := append(mainQueue(m, d, s), deadQueue(m, d, s)...)
		return append(all, depth(m, d, s)...)
	}
}

func mainQueue(m, d map[string]string, s Target) []Finding {
	f := findings{name: "queue"}
	l := s.Limits
	visibility := attributeSeconds(m, "VisibilityTimeout")
	switch want := scaled(l.Visibility, l); {
	case visibility < want:
		f.fail(redeploy, "visibility timeout is %s, want %s: a message is redelivered while its attempt runs", visibility, want)
	case visibility > want:
		f.warn(redeploy, "visibility timeout is %s, want %s: a message is delayed longer after a crash", visibility, want)
	}
	if got, want := attributeSeconds(m, "MessageRetentionPeriod"), scaled(l.SourceRetention, l); got < want {
		f.fail(redeploy, "message retention is %s, want %s: a long outage loses messages", got, want)
	}
	if m["DelaySeconds"] != "" && m["DelaySeconds"] != "0" {
		f.warn(redeploy, "every message waits for %s s before its first receive", m["DelaySeconds"])
	}
	redrivePolicy(&f, m["RedrivePolicy"], d["QueueArn"], l)
	encrypted(&f, m, s)
	return f.or("visibility %s, at most %d receives, then the dead-letter queue", visibility, l.MaxReceives)
}

// redrivePolicy checks that failed messages go to the dead-letter queue, after enough receives.
func redrivePolicy(f *findings, text, dead string, l limits.Limits) {
	if text == "" {
		f.fail(redeploy, "no dead-letter queue: failed messages are lost at the end of their retention")
		return
	}
	var p struct {
		Target string      `json:"deadLetterTargetArn"`
		Max    json.Number `json:"maxReceiveCount"` // SQS takes it in quotes too
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		f.fail(redeploy, "its redrive policy cannot be read")
		return
	}
	if p.Target != dead {
		f.fail(redeploy, "its dead letters go to %s and not to %s", p.Target, dead)
	}
	switch got, _ := strconv.Atoi(p.Max.String()); {
	case got < l.MaxReceives:
		f.fail(redeploy, "max receives is %d, want %d: a short outage makes dead letters of healthy events", got, l.MaxReceives)
	case got > l.MaxReceives:
		f.warn(redeploy, "max receives is %d, and the consumer's is %d", got, l.MaxReceives)
	}
}

func deadQueue(m, d map[string]string, s Target) []Finding {
	f := findings{name: "dead-letter queue"}
	kept, want := attributeSeconds(d, "MessageRetentionPeriod"), scaled(s.Limits.DLQRetention, s.Limits)
	switch {
	case kept <= attributeSeconds(m, "MessageRetentionPeriod"):
		// A message moved by the queue keeps the time at which it was first sent.
		f.fail(redeploy, "dead letters are kept for %s, no longer than messages: some expire at once", kept)
	case kept < want:
		f.warn(redeploy, "dead letters are kept for %s, want %s", kept, want)
	}
	if d["RedrivePolicy"] != "" {
		f.fail(redeploy, "it has a redrive policy of its own: reading dead letters would move them")
	}
	encrypted(&f, d, s)
	return f.or("dead letters are kept for %s", kept)
}

func encrypted(f *findings, q map[string]string, s Target) {
	if !s.Local && q["SqsManagedSseEnabled"] != "true" && q["KmsMasterKeyId"] == "" {
		f.warn(redeploy, "messages are not encrypted at rest")
	}
}

// maxInFlight is SQS's bound on received messages of a queue.
const maxInFlight = 120_000

func depth(m, d map[string]string, s Target) []Finding {
	visible, hidden, delayed := number(m, "ApproximateNumberOfMessages"), number(m, "ApproximateNumberOfMessagesNotVisible"), number(m, "ApproximateNumberOfMessagesDelayed")
	f := findings{name: "queue depth"}
	if total := visible + hidden + delayed; total >= s.Limits.Reconcile.MaxBacklog {
		f.warn("does the consumer run? Look at tollgate events list", "%d messages: reconcile sends nothing while so many wait", total)
	}
	if hidden > maxInFlight/2 {
		f.fail("look at tollgate events list --status retrying", "%d messages are in flight; SQS's bound is %d", hidden, maxInFlight)
	}
	all := f.or("%d waiting, %d in flight", visible, hidden+delayed)
	g := findings{name: "dead letters"}
	if n := number(d, "ApproximateNumberOfMessages") + number(d, "ApproximateNumberOfMessagesNotVisible"); n > 0 {
		g.warn("tollgate dlq list, and after the fix tollgate redrive", "%d", n)
	}
	return append(all, g.or("none")...)
}

// scaled is a time in the queue's seconds.
func scaled(d time.Duration, l limits.Limits) time.Duration {
	return (d * time.Duration(max(l.TimeScale, 1))).Round(time.Second)
}

func attributeSeconds(q map[string]string, name string) time.Duration {
	return time.Duration(number(q, name)) * time.Second
}

// number is 0 where the attribute is missing.
func number(q map[string]string, name string) int {
	n := 0
	_, _ = fmt.Sscan(q[name], &n)
	return n
}
