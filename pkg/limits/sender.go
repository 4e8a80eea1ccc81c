package limits

import "time"

// Sender are the times and counts of sending to destinations. A destination's own timeout is not
// divided by TimeScale, as receivers do not follow it; neither is Slack.
type Sender struct {
	Timeout time.Duration // the sender function's timeout
	Slack   time.Duration // an attempt's lease beyond its destination's timeout

	BackoffBase time.Duration // after the first attempt; triples with each
	BackoffCap  time.Duration // under SQS's longest visibility, which counts from the receive
	WaitCap     time.Duration // the longest wait without an attempt: SQS counts receives, and SQSMaxReceives must last for DisableAfter
	MaxAge      time.Duration // since the first attempt; an attempt that fails later is the last

	BreakerFailures int           // in a row in one process
	BreakerAfter    time.Duration // without a success
	BreakerOpen     time.Duration // then one attempt probes
	DisableAfter    time.Duration // of nothing but failures
	FailureGap      time.Duration // without an attempt, failures before it do not count
	StateTTL        time.Duration // how long a process caches a destination's state

	RowTTL time.Duration // of a delivery's row
	// Settle is how long after its handing over a delivery is shown to its receiver: the index lags,
	// and so may the clock of the process that handed it over.
	Settle time.Duration
}

func scaledSender(t func(time.Duration) time.Duration) Sender {
	const day = 24 * time.Hour
	return Sender{
		Timeout: time.Minute,
		Slack:   5 * time.Second,

		BackoffBase: t(5 * time.Second),
		BackoffCap:  t(SQSMaxVisibility) - 2*time.Minute,
		WaitCap:     t(15 * time.Minute),
		MaxAge:      t(3 * day),

		BreakerFailures: 5,
		BreakerAfter:    t(30 * time.Second),
		BreakerOpen:     t(30 * time.Second),
		DisableAfter:    t(5 * day),
		FailureGap:      t(day),
		StateTTL:        t(10 * time.Second),

		RowTTL: 30 * day,
		Settle: t(time.Minute),
	}
}

// Backoff returns the longest wait after an attempt, n from 1, at most most.
func (s Sender) Backoff(n int, most time.Duration) time.Duration {
	d := s.BackoffBase
	for ; n > 1 && d < most; n-- {
		d *= 3
	}
	return min(d, most)
}

// HistoryTimeout is that of the history function, whose caller waits.
const HistoryTimeout = 10 * time.Second
