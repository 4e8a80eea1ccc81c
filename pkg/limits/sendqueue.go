package limits

import "time"

// SendTimeout is the longest that a destination may take to answer an attempt.
const SendTimeout = 20 * time.Second

// DestinationDownAfter is how long a destination fails before an alarm.
const DestinationDownAfter = time.Hour

// SendQueue are the times and counts of the queues of deliveries, which are one for each group of
// destinations, and of their dead-letter queue.
type SendQueue struct {
	// Visibility is six times the sender's timeout, where a scaled queue allows it: less delays
	// nothing, as an attempt's lease decides who sends.
	Visibility  time.Duration
	MaxReceives int // before SQS moves a message itself; the sender ends retries earlier
	// Retention is longer than a delivery is retried: a sender that was stopped for days loses none.
	Retention    time.Duration
	DLQRetention time.Duration
}

// SendQueue returns the numbers of the queues of deliveries.
func (l Limits) SendQueue() SendQueue {
	const day = 24 * time.Hour
	return SendQueue{
		Visibility:   min(6*l.Sender.Timeout, scaled(l, SQSMaxVisibility)),
		MaxReceives:  SQSMaxReceives,
		Retention:    scaled(l, 10*day),
		DLQRetention: scaled(l, SQSMaxRetention),
	}
}

// minMapping is the smallest maximum concurrency of an event source mapping on a queue.
const minMapping = 2

// Mapping returns how many sender processes read a group's queue at most, and the messages of a
// batch, so that about concurrency attempts run at once and a batch never waits for itself.
func (Sender) Mapping(concurrency int) (processes, batch int) {
	processes = max(minMapping, (concurrency+SQSMaxBatch-1)/SQSMaxBatch)
	return processes, max(1, concurrency/processes)
}

func (l Limits) checkSender(f *faults) {
	s, q := l.Sender, l.SendQueue()
	for _, v := range []struct {
		name string
		time time.Duration
	}{
		{"sender timeout", s.Timeout}, {"lease slack of a delivery", s.Slack}, {"back-off base of a delivery", s.BackoffBase},
		{"breaker's time to open", s.BreakerAfter}, {"breaker's open time", s.BreakerOpen}, {"time to live of a destination's state", s.StateTTL},
	} {
		f.must(v.time > 0, "%s %v is not over 0", v.name, v.time)
	}
	f.must(SendTimeout+s.Slack+3*l.RecordBudget < s.Timeout,
		"an attempt of %v with three records of %v does not fit the sender's timeout %v: none would begin", SendTimeout, l.RecordBudget, s.Timeout)
	f.must(q.Visibility >= min(6*s.Timeout, scaled(l, SQSMaxVisibility)) && q.Visibility > SendTimeout+s.Slack+l.TakeOverMargin,
		"visibility %v of deliveries ends before a lease, or throttled batches run twice", q.Visibility)
	f.must(s.BackoffBase <= s.BackoffCap && s.BackoffCap+s.Timeout <= scaled(l, SQSMaxVisibility),
		"the back-off of deliveries %v to %v exceeds SQS's 12 h, which count from the receive", s.BackoffBase, s.BackoffCap)
	f.must(s.WaitCap > 0 && s.DisableAfter+s.MaxAge < time.Duration(q.MaxReceives)*s.WaitCap && q.MaxReceives <= SQSMaxReceives,
		"%d receives every %v do not last for the %v until a destination is disabled", q.MaxReceives, s.WaitCap, s.DisableAfter)
	f.must(s.BreakerFailures >= 1 && s.DisableAfter > s.FailureGap && s.FailureGap > s.BackoffCap,
		"a destination is disabled after %v, failures count together within %v: a wait of %v would end a series", s.DisableAfter, s.FailureGap, s.BackoffCap)
	f.must(q.Retention > s.MaxAge+s.DisableAfter && q.DLQRetention > q.Retention && q.DLQRetention <= scaled(l, SQSMaxRetention),
		"deliveries are kept for %v and dead ones for %v: they would be lost before their retries end, or at once after", q.Retention, q.DLQRetention)
	f.must(s.RowTTL > q.Retention+q.DLQRetention, "a delivery's row lives for %v, under the life of its job: a redriven one would be sent again", s.RowTTL)
}
