package limits

import (
	"errors"
	"fmt"
	"time"
)

// faults collects violations.
type faults []error

func (f *faults) must(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Errorf(format, args...))
	}
}

// Validate reports every violated relation, each with its consequence.
func (l Limits) Validate() error {
	var f faults
	l.checkValues(&f)
	l.checkIngest(&f)
	l.checkConsumer(&f)
	l.checkQueue(&f)
	l.checkReconcile(&f)
	l.checkSender(&f)
	return errors.Join(f...)
}

func (l Limits) checkValues(f *faults) {
	f.must(l.TimeScale >= 1, "time scale %d is under 1", l.TimeScale)
	for _, v := range []struct {
		name string
		time time.Duration
	}{
		{"tolerance", l.Tolerance}, {"ingest timeout", l.IngestTimeout}, {"send budget", l.SendBudget}, {"send try", l.SendTry}, {"send pause", l.SendPause},
		{"secret TTL", l.SecretTTL}, {"secret refetch", l.SecretRefetch}, {"secret deadline", l.SecretDeadline}, {"secret try", l.SecretTry},
		{"consumer timeout", l.ConsumerTimeout}, {"handler budget", l.HandlerBudget},
		{"settle", l.Settle}, {"record budget", l.RecordBudget}, {"call try", l.CallTry}, {"Stripe try", l.StripeTry}, {"handler grace", l.HandlerGrace},
		{"visibility", l.Visibility}, {"source retention", l.SourceRetention},
		{"back-off base", l.BackoffBase}, {"max visibility", l.MaxVisibility}, {"min delay", l.MinDelay},
		{"lease slack", l.LeaseSlack}, {"take-over margin", l.TakeOverMargin},
	} {
		f.must(v.time > 0, "%s %v is not over 0", v.name, v.time)
	}
	f.must(l.SendTries >= 1, "send tries %d is under 1", l.SendTries)
	f.must(l.HandlerRuns >= 1, "handler runs %d is under 1", l.HandlerRuns)
	f.must(l.ReservedIngest >= 1, "reserved ingest concurrency %d is under 1", l.ReservedIngest)
}

func (l Limits) checkIngest(f *faults) {
	f.must(l.SendBudget+2*l.SecretDeadline < l.IngestTimeout,
		"%v for sending does not fit ingest's timeout %v with a first fetch of secrets and another of %v", l.SendBudget, l.IngestTimeout, l.SecretDeadline)
	f.must(2*l.SendTry+l.SendPause <= l.SendBudget,
		"two tries of %v and a pause of %v exceed the %v for sending: one unanswered try would lose the delivery", l.SendTry, l.SendPause, l.SendBudget)
	f.must(2*l.SecretTry+CallPause <= l.FirstSecretDeadline(),
		"two tries of %v exceed the first fetch's %v: one unanswered try would lose the delivery", l.SecretTry, l.FirstSecretDeadline())
}

func (l Limits) checkConsumer(f *faults) {
	f.must(l.HandlerBudget+l.HandlerGrace+l.RecordBudget <= l.ConsumerTimeout,
		"handler budget %v + grace %v + record budget %v exceed the consumer's timeout %v: nothing could be claimed", l.HandlerBudget, l.HandlerGrace, l.RecordBudget, l.ConsumerTimeout)
	f.must(CallTries*l.CallTry+scaled(l, (CallTries-1)*CallPause) <= l.RecordBudget,
		"%d tries of %v and their pauses exceed the record budget %v: one unanswered request would cost an attempt", CallTries, l.CallTry, l.RecordBudget)
	f.must(l.StripeTry+scaled(l, time.Second) <= l.HandlerBudget,
		"a request to Stripe of %v leaves a handler too little of its budget %v", l.StripeTry, l.HandlerBudget)
	f.must(l.StripeRate >= 0, "the rate of requests to Stripe %d is under 0", l.StripeRate)
	f.must(l.BatchSize >= 1 && l.BatchSize <= SQSMaxBatch, "batch size %d is not 1 to %d", l.BatchSize, SQSMaxBatch)
	f.must(l.BatchConcurrency >= 1 && l.BatchConcurrency <= l.BatchSize,
		"batch concurrency %d is not 1 to the batch size %d", l.BatchConcurrency, l.BatchSize)
	f.must(l.MissedAfter > 0 && l.MissedAfter <= l.MaxVisibility && l.MissedWatched >= 1,
		"missed after %v is 0 or over the longest visibility %v, or %d messages are watched: no missed delivery would be detected", l.MissedAfter, l.MaxVisibility, l.MissedWatched)
	f.must(l.SuspectReceives >= 2, "suspect from receive %d, under 2: every message would run alone", l.SuspectReceives)
	f.must(l.MaxConcurrency >= 2 && l.MaxConcurrency <= l.ReservedConsumer,
		"mapping concurrency %d is under 2 or over the reserved %d: throttles would cost receives", l.MaxConcurrency, l.ReservedConsumer)
	f.must(l.PauseAge > 0 && l.PauseAge <= l.PauseStale, "pauses are read again after %v, and used for %v while they cannot be read", l.PauseAge, l.PauseStale)
	f.must(l.RecordTTL > l.SourceRetention+l.HoldRetention+l.DLQRetention+30*24*time.Hour,
		"record TTL %v is under the life of a copy: a late copy would be applied again", l.RecordTTL)
}

// scaled divides a time like the queue's.
func scaled(l Limits, d time.Duration) time.Duration { return d / time.Duration(max(l.TimeScale, 1)) }

func (l Limits) checkQueue(f *faults) {
	f.must(l.BatchWindow >= 0 && l.Visibility >= 6*l.ConsumerTimeout+l.BatchWindow,
		"visibility %v is under 6 × the consumer's timeout %v + the batch window %v: throttled batches would run twice", l.Visibility, l.ConsumerTimeout, l.BatchWindow)
	f.must(l.Visibility > l.ConsumerTimeout+l.LeaseSlack+l.TakeOverMargin,
		"visibility %v ends before a lease: a message would return while its attempt is running", l.Visibility)
	f.must(l.MaxVisibility > l.ConsumerTimeout+l.LeaseSlack+l.TakeOverMargin && l.MaxVisibility <= scaled(l, SQSMaxVisibility),
		"max visibility %v does not outlast a lease or is over SQS's 12 h", l.MaxVisibility)
	f.must(l.BackoffBase <= l.BackoffCap && l.BackoffCap <= scaled(l, SQSMaxVisibility),
		"back-off cap %v is under its base %v or over SQS's 12 h", l.BackoffCap, l.BackoffBase)
	f.must(l.MaxReceives >= 2 && l.MaxReceives <= SQSMaxReceives,
		"max receives %d allows no second try or is over SQS's %d", l.MaxReceives, SQSMaxReceives)
	f.must(l.lastReceive() < l.SourceRetention,
		"%d receives take %v, the source keeps a message for %v: it would be lost before it reaches the DLQ", l.MaxReceives, l.lastReceive(), l.SourceRetention)
	f.must(l.DLQRetention > l.SourceRetention && l.DLQRetention <= scaled(l, SQSMaxRetention),
		"DLQ retention %v is not over the source's %v, from whose first enqueue SQS counts it, or over SQS's 14 d", l.DLQRetention, l.SourceRetention)
	f.must(l.HoldRetention > l.SourceRetention && l.HoldRetention <= scaled(l, SQSMaxRetention),
		"the hold queue keeps a message for %v, not over the source's %v or over SQS's 14 d", l.HoldRetention, l.SourceRetention)
}

// lastReceive returns the longest time from the first receive to the last, with attempts of
// the longest duration.
func (l Limits) lastReceive() time.Duration {
	var d time.Duration
	for n := 1; n < min(l.MaxReceives, SQSMaxReceives+1); n++ {
		d += l.Backoff(n) + l.ConsumerTimeout
	}
	return d
}
