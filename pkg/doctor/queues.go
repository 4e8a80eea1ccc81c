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
type Queue struct {
	URL  string
	Read func(ctx context.Context) (map[string]string, error)
}

// set is the command that sets one of its attributes.
func (q Queue) set(name, value string) string {
	raw, _ := json.Marshal(map[string]string{name: value}) // strings cannot fail
	return fmt.Sprintf("aws sqs set-queue-attributes --queue-url %s --attributes '%s'", q.URL, raw)
}

func (q Queue) setTime(name string, d time.Duration) string {
	return q.set(name, strconv.Itoa(int(d/time.Second)))
}

const readQueue = "sqs:GetQueueAttributes"

// CheckQueues checks the relations that keep events safe: a visibility timeout longer than an
// attempt, enough receives to outlast an outage, and a dead-letter queue with a longer
// retention than the queue.
func CheckQueues(main, dead Queue, s Target) Check {
	return func(ctx context.Context) (all []Finding) {
		m, mainErr := main.Read(ctx)
		d, deadErr := dead.Read(ctx)
		if mainErr != nil {
			all = unknown("queue", mainErr, readQueue)
		} else {
			all = append(mainQueue(main, m, d, s), depth(m, s)...)
		}
		if deadErr != nil {
			return append(all, unknown("dead-letter queue", deadErr, readQueue)...)
		}
		return append(append(all, deadQueue(dead, m, d, s)...), deadLetters(d)...)
	}
}

func mainQueue(q Queue, m, d map[string]string, s Target) []Finding {
	f := findings{name: "queue"}
	l := s.Limits
	visibility := attributeSeconds(m, "VisibilityTimeout")
	switch want := scaled(l.Visibility, l); {
	case visibility < want:
		f.fail(q.setTime("VisibilityTimeout", want), "visibility timeout is %s, want %s: a message is redelivered while its attempt runs", visibility, want)
	case visibility > want:
		f.warn(q.setTime("VisibilityTimeout", want), "visibility timeout is %s, want %s: a message is delayed longer after a crash", visibility, want)
	}
	if got, want := attributeSeconds(m, "MessageRetentionPeriod"), scaled(l.SourceRetention, l); got < want {
		f.fail(q.setTime("MessageRetentionPeriod", want), "message retention is %s, want %s: a long outage loses messages", got, want)
	}
	if m["DelaySeconds"] != "" && m["DelaySeconds"] != "0" {
		f.warn(q.setTime("DelaySeconds", 0), "every message waits for %s s before its first receive", m["DelaySeconds"])
	}
	redrivePolicy(&f, q, m["RedrivePolicy"], d["QueueArn"], l)
	encrypted(&f, q, m, s)
	return f.or("visibility %s, at most %d receives, then the dead-letter queue", visibility, l.MaxReceives)
}

// redrivePolicy checks that failed messages go to the dead-letter queue, after enough receives.
// dead is "" if its ARN is not known.
func redrivePolicy(f *findings, q Queue, text, dead string, l limits.Limits) {
	arn := dead
	if arn == "" {
		arn = "ARN of the dead-letter queue"
	}
	want, _ := json.Marshal(map[string]string{"deadLetterTargetArn": arn, "maxReceiveCount": strconv.Itoa(l.MaxReceives)}) // strings cannot fail
	do := q.set("RedrivePolicy", string(want))
	if text == "" {
		f.fail(do, "no dead-letter queue: failed messages are lost at the end of their retention")
		return
	}
	var p struct {
		Target string      `json:"deadLetterTargetArn"`
		Max    json.Number `json:"maxReceiveCount"` // SQS takes it in quotes too
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		f.fail(do, "its redrive policy cannot be read")
		return
	}
	if dead != "" && p.Target != dead {
		f.fail(do, "its dead letters go to %s and not to %s", p.Target, dead)
	}
	switch got, _ := strconv.Atoi(p.Max.String()); {
	case got < l.MaxReceives:
		f.fail(do, "max receives is %d, want %d: a short outage makes dead letters of healthy events", got, l.MaxReceives)
	case got > l.MaxReceives:
		f.warn(do, "max receives is %d, and the consumer's is %d", got, l.MaxReceives)
	}
}

func deadQueue(q Queue, m, d map[string]string, s Target) []Finding {
	f := findings{name: "dead-letter queue"}
	kept, want := attributeSeconds(d, "MessageRetentionPeriod"), scaled(s.Limits.DLQRetention, s.Limits)
	do := q.setTime("MessageRetentionPeriod", want)
	switch {
	case kept <= attributeSeconds(m, "MessageRetentionPeriod"):
		// A message moved by the queue keeps the time at which it was first sent.
		f.fail(do, "dead letters are kept for %s, no longer than messages: some expire at once", kept)
	case kept < want:
		f.warn(do, "dead letters are kept for %s, want %s", kept, want)
	}
	if d["RedrivePolicy"] != "" {
		f.fail(q.set("RedrivePolicy", ""), "it has a redrive policy of its own: reading dead letters would move them")
	}
	encrypted(&f, q, d, s)
	return f.or("dead letters are kept for %s", kept)
}

func encrypted(f *findings, q Queue, attributes map[string]string, s Target) {
	if !s.Local && attributes["SqsManagedSseEnabled"] != "true" && attributes["KmsMasterKeyId"] == "" {
		f.warn(q.set("SqsManagedSseEnabled", "true"), "messages are not encrypted at rest")
	}
}

// maxInFlight is SQS's bound on received messages of a queue.
const maxInFlight = 120_000

func depth(m map[string]string, s Target) []Finding {
	visible, hidden, delayed := number(m, "ApproximateNumberOfMessages"), number(m, "ApproximateNumberOfMessagesNotVisible"), number(m, "ApproximateNumberOfMessagesDelayed")
	f := findings{name: "queue depth"}
	if total := visible + hidden + delayed; total >= s.Limits.Reconcile.MaxBacklog {
		f.warn("does the consumer run? Look at tollgate causes", "%d messages: reconcile sends nothing while so many wait", total)
	}
	if hidden > maxInFlight/2 {
		f.fail("look at tollgate causes --records", "%d messages are in flight; SQS's bound is %d", hidden, maxInFlight)
	}
	return f.or("%d waiting, %d in flight", visible, hidden+delayed)
}

func deadLetters(d map[string]string) []Finding {
	f := findings{name: "dead letters"}
	if n := letters(d); n > 0 {
		f.fail("tollgate causes, and after the fix tollgate redrive", "%d: their events are not handled", n)
	}
	return f.or("none")
}

func letters(dead map[string]string) int {
	return number(dead, "ApproximateNumberOfMessages") + number(dead, "ApproximateNumberOfMessagesNotVisible")
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
