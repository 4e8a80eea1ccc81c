package sqsqueue

import (
	"strconv"
	"time"

	"tollgate/pkg/queue"
)

// clock is how many of a queue's seconds pass in one real second.
type clock int

func clockOf(timeScale int) clock { return clock(max(timeScale, 1)) }

// seconds is a real time in the queue's whole seconds, rounded up, from 0 to most.
func (c clock) seconds(t, most time.Duration) int32 {
	t = min(max(t, 0)*time.Duration(c), most)
	return int32((t + time.Second - 1) / time.Second)
}

// message reads one receive. Attributes that are missing or cannot be read leave what
// is safe: a first receive, of no group, at no time.
func message(id, receipt, body string, attributes map[string]string) queue.Message {
	m := queue.Message{
		ID: id, Receipt: receipt, Body: body, Group: attributes["MessageGroupId"],
		Receives: 1, SentAt: millisOf(attributes["SentTimestamp"]),
		FirstReceivedAt: millisOf(attributes["ApproximateFirstReceiveTimestamp"]),
	}
	if n, err := strconv.Atoi(attributes["ApproximateReceiveCount"]); err == nil && n > 0 {
		m.Receives = n
	}
	return m
}

// millisOf reads a time as SQS writes it; zero when it is none.
func millisOf(s string) time.Time {
	ms, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
