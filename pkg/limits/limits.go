// Package limits has the numbers and names shared by the functions, the stack and the local
// system, and validates the relations between the numbers.
//
// The stack uses [AWS]. Tests use [Scaled], which divides every time of the queue and the
// consumer by a factor: hours of back-off pass in seconds under the same relations.
package limits

import "time"

// Sizes, in bytes.
const (
	// MaxBody is the largest decoded request body that ingest accepts: in base64 it still
	// fits the 6 MB of a Lambda invocation. Reconcile enqueues larger events.
	MaxBody = 4 << 20
	// MaxMessage limits a message with its attributes; SQS's limit is 1 MiB.
	MaxMessage = 1_000_000
	// MaxQueueRequest is SQS's limit for a message and for a batch of messages.
	MaxQueueRequest = 1 << 20
	// CompressOver is the size from which a body is compressed: SQS bills 64 KiB chunks.
	CompressOver = 64 << 10
	// MaxErrorText limits an error text in a record or an attribute.
	MaxErrorText = 1 << 10
	// MaxFrame limits the place of a failure in a record's history, so that an attempt there has
	// at most 60 bytes.
	MaxFrame = 28
)

// SQS's limits. Times are in the queue's seconds.
const (
	SQSMaxReceives   = 1000
	SQSMaxVisibility = 12 * time.Hour
	SQSMaxRetention  = 14 * 24 * time.Hour
	SQSMaxBatch      = 10
)

// Tries of a call to AWS with retries, and the longest pause between two.
const (
	CallTries = 3
	CallPause = 100 * time.Millisecond
	// PatientTry is one try of a call by the reconcile function and the command, for which no
	// delivery waits. Not divided by TimeScale.
	PatientTry = 10 * time.Second
	// PatientCall is all tries of such a call.
	PatientCall = CallTries * (PatientTry + CallPause)
	// leastTry is the shortest try of any client: a disk does not scale with time.
	leastTry = 200 * time.Millisecond
)

// Unreserved is the concurrency of an account that Lambda lets no function reserve.
const Unreserved = 100

// HoldAfter is how old a state may have been when its event was received, for a message about
// it to be sent. Stripe retries a webhook for three days; a message about a change of the last
// day is still worth sending. Not divided by TimeScale.
const HoldAfter = 24 * time.Hour

// PausedTooLong is how long a type may be paused before the alarm: SQS deletes what is held after
// HoldRetention. Not divided by TimeScale.
const PausedTooLong = 10 * 24 * time.Hour

// MaxTimeScale is the largest TimeScale that the relations of [Scaled] are tested for.
const MaxTimeScale = 200

// Limits are the times and counts of a system. Durations are real time; TimeScale seconds of
// SQS pass in one real second.
type Limits struct {
	TimeScale int // 1 on AWS

	// Ingest. Not divided by TimeScale, which Stripe's clock and the network do not follow.
	Tolerance      time.Duration // how old or how far ahead a signature's timestamp may be
	IngestTimeout  time.Duration // the ingest function's timeout
	SendBudget     time.Duration // all tries of SendMessage, and the pauses between them
	SendTry        time.Duration // one try of SendMessage
	SendTries      int
	SendPause      time.Duration // the longest pause before the second try; doubles with each try
	SecretTTL      time.Duration // how long fetched signing secrets are cached
	SecretRefetch  time.Duration // at most one unplanned fetch of secrets in this time
	SecretDeadline time.Duration // one fetch of secrets during a request, if older ones are cached
	SecretTry      time.Duration // one try of a fetch of secrets

	// Consumer.
	ConsumerTimeout  time.Duration // the consumer function's timeout
	HandlerBudget    time.Duration // all handler runs and fetches of one message
	RecordBudget     time.Duration // one claim, completion or failure
	CallTry          time.Duration // one try of a call to DynamoDB or SQS; see [Limits.Try]
	StripeTry        time.Duration // one request to Stripe
	StripeRate       int           // requests to Stripe a second to one resource of one account, of all processes; 0: no limit
	HandlerGrace     time.Duration // how long a handler may outlive its context
	BatchSize        int
	BatchConcurrency int           // messages of a batch that run at once
	BatchWindow      time.Duration // of the event source mapping
	SuspectReceives  int           // from this receive on, a message runs last and alone
	HandlerRuns      int           // runs under one claim while a Swap conflicts
	Settle           time.Duration // age from which an event is handled even if Stripe does not show its state yet
	MissedAfter      time.Duration // a delivery counts as missed this long after reconcile's message was done
	MissedWatched    int           // messages that one process watches for that in parallel
	PauseAge         time.Duration // how long a process uses what it read of the pauses
	PauseStale       time.Duration // the same while they cannot be read

	// Queue.
	Visibility      time.Duration // the queue's visibility timeout
	MaxReceives     int           // before SQS moves a message to the DLQ
	SourceRetention time.Duration
	DLQRetention    time.Duration
	HoldRetention   time.Duration // of messages of paused types
	BackoffBase     time.Duration // after the first receive; doubles with each
	BackoffCap      time.Duration
	MinDelay        time.Duration // the shortest wait after a failure
	MaxVisibility   time.Duration // the longest wait for another attempt's lease
	NoTimeDelay     time.Duration // at most, after a batch had no time left for a message

	// Record.
	LeaseSlack     time.Duration // lease beyond the function's deadline, as Lambda kills late
	TakeOverMargin time.Duration // a lease counts as expired this long after its end
	RecordTTL      time.Duration

	// Capacity.
	MaxConcurrency   int // of the event source mapping
	ReservedConsumer int
	ReservedIngest   int

	Reconcile Reconcile
	Sender    Sender
}

// AWS returns the limits of the deployed system.
func AWS() Limits { return Scaled(1) }

// Scaled returns the limits with every time of the queue, the consumer and a lease divided
// by n; n < 1 counts as 1. RecordTTL is not divided.
func Scaled(n int) Limits {
	n = max(n, 1)
	t := func(d time.Duration) time.Duration { return d / time.Duration(n) }
	const day = 24 * time.Hour
	return Limits{
		TimeScale:      n,
		Tolerance:      300 * time.Second,
		IngestTimeout:  5 * time.Second,
		SendBudget:     2400 * time.Millisecond,
		SendTry:        time.Second,
		SendTries:      3,
		SendPause:      300 * time.Millisecond,
		SecretTTL:      5 * time.Minute,
		SecretRefetch:  time.Minute,
		SecretDeadline: 500 * time.Millisecond,
		SecretTry:      500 * time.Millisecond,

		ConsumerTimeout:  t(30 * time.Second),
		HandlerBudget:    t(8 * time.Second),
		RecordBudget:     t(3 * time.Second),
		CallTry:          t(900 * time.Millisecond),
		StripeTry:        t(6 * time.Second),
		StripeRate:       25,
		HandlerGrace:     t(time.Second),
		BatchSize:        10,
		BatchConcurrency: 5,
		BatchWindow:      0,
		SuspectReceives:  3,
		HandlerRuns:      5,
		Settle:           t(10 * time.Minute),
		MissedAfter:      t(15 * time.Minute),
		MissedWatched:    5,
		PauseAge:         t(5 * time.Second),
		PauseStale:       t(time.Minute),

		Visibility:      t(180 * time.Second),
		MaxReceives:     16,
		SourceRetention: t(4 * day),
		DLQRetention:    t(14 * day),
		HoldRetention:   t(14 * day),
		BackoffBase:     t(30 * time.Second),
		BackoffCap:      t(time.Hour),
		MinDelay:        t(time.Second),
		MaxVisibility:   t(900 * time.Second),
		NoTimeDelay:     t(2 * time.Second),

		LeaseSlack:     t(2 * time.Second),
		TakeOverMargin: t(5 * time.Second),
		RecordTTL:      180 * day,

		MaxConcurrency:   50,
		ReservedConsumer: 50,
		ReservedIngest:   50,

		Reconcile: scaledReconcile(t),
		Sender:    scaledSender(t),
	}
}

// Try returns how long one try of a call to DynamoDB or SQS may take: CallTry, and at
// least 200 ms.
func (l Limits) Try() time.Duration { return max(l.CallTry, leastTry) }

// FirstSecretDeadline limits a fetch of secrets while none are cached: what remains of
// ingest's timeout after a refetch, the sends and a margin.
func (l Limits) FirstSecretDeadline() time.Duration {
	return l.IngestTimeout - l.SendBudget - 2*l.SecretDeadline
}

// Backoff returns the longest wait after a message's receives: BackoffBase, doubled with
// each receive, at most BackoffCap. receives < 1 counts as 1. The actual wait is a random
// 0.9 to 1 of it.
func (l Limits) Backoff(receives int) time.Duration {
	d := l.BackoffBase
	for n := 1; n < receives && d > 0 && d < l.BackoffCap; n++ {
		d *= 2
	}
	return min(d, l.BackoffCap)
}

// PauseSettle is how long after a change no process acts on the pauses as they were: what the
// cache serves at most, and the rest of an invocation that asked it.
func (l Limits) PauseSettle() time.Duration { return l.PauseStale + l.ConsumerTimeout }

// Reserved is the concurrency that a stage without destinations reserves.
func (l Limits) Reserved() int { return l.ReservedIngest + l.ReservedConsumer + l.Reconcile.Reserved }
