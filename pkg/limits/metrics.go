package limits

// Metrics that the functions count and the stack's alarms watch. All are in MetricNamespace
// with the dimension DimensionStage. A metric with further dimensions has values with and
// without them.
const (
	MetricNamespace = "Tollgate"
	DimensionStage  = "stage"

	MetricReceived = "Received" // deliveries that reached ingest; also by DimensionEndpoint for configured ones
	MetricRejected = "Rejected" // deliveries rejected; also by DimensionReason
	MetricEnqueued = "Enqueued" // deliveries whose event was enqueued; also by DimensionEndpoint for configured ones
	// MetricSignatureRejected counts rejections for one of SignatureReasons; also by
	// DimensionEndpoint for configured ones.
	MetricSignatureRejected = "SignatureRejected"
	// MetricSecretUnusable counts fetches of the webhook secret in which an endpoint's list
	// has no usable secret; the cached secrets stay in use.
	MetricSecretUnusable = "SecretUnusable"

	// MetricAPIThrottled counts what API Gateway answered 429, by a filter on its access log. AWS
	// may leave some of a flood out.
	MetricAPIThrottled = "ApiThrottled"

	MetricDone         = "Done"         // events whose record became done
	MetricDuplicate    = "Duplicate"    // messages of events that are already done
	MetricBusy         = "Busy"         // messages whose event another attempt is running
	MetricFailed       = "Failed"       // failed attempts that will be retried
	MetricDeadLettered = "DeadLettered" // messages copied to the dead-letter queue; also by DimensionReason
	MetricSuperseded   = "Superseded"   // attempts superseded by a later claim
	MetricStoreDown    = "StoreDown"    // messages not handled because the store is unavailable
	MetricThrottled    = "Throttled"    // messages not handled because the store throttles their item
	MetricNoTime       = "NoTime"       // messages returned because too little of the function's time was left
	MetricWaiting      = "Waiting"      // attempts to be retried, as Stripe does not show the event's state yet
	MetricNewer        = "NewerVersion" // receives of messages of a newer release; they wait for a newer consumer
	MetricAge          = "Age"          // milliseconds from an event's creation to done
	// MetricPolicyIgnored counts what an endpoint's policy excludes: acknowledged messages,
	// accounts that a reconcile pass skipped, and listed events created before the policy's
	// from; also by DimensionEndpoint and DimensionReason.
	MetricPolicyIgnored = "PolicyIgnored"
	MetricHeld          = "Held" // messages of paused event types, moved to the hold queue
	// MetricMissed counts watched events that reconcile enqueued and for which no delivery
	// followed: it shows that deliveries fail, not how many; also by DimensionEndpoint.
	MetricMissed = "Missed"
	// MetricHandlerMillis is the time of a message's handler, with what it fetches, in
	// milliseconds. With event metrics on, it, Done, Failed and DeadLettered are also by
	// DimensionEventType, for types that have a handler.
	MetricHandlerMillis = "HandlerMillis"

	DimensionReason    = "reason"
	DimensionEndpoint  = "endpoint"
	DimensionEventType = "event_type"

	// ReasonNoMatch is the reason of rejections that an alarm watches: both a rolled secret
	// and a forged delivery cause it.
	ReasonNoMatch = "no_match"
)

// SignatureReasons are the reasons of rejections that a wrong secret, or a proxy which changes
// the request, causes. A stranger can cause them too.
func SignatureReasons() []string { return []string{"missing", "malformed", ReasonNoMatch} }

// Metrics of the sender, one line for each job.
const (
	MetricDelivered       = "Delivered"       // deliveries that a destination accepted
	MetricDeliveryAge     = "DeliveryAge"     // milliseconds from a message's commit to its acceptance
	MetricDeliveryFailed  = "DeliveryFailed"  // failed attempts that will be retried
	MetricDeliveryWaiting = "DeliveryWaiting" // jobs that wait for an open circuit breaker
	MetricDeliveryDead    = "DeliveryDead"    // deliveries that failed for good, with a copy in the dead-letter queue
	// MetricDestinationDown counts jobs that failed or waited while their destination had accepted
	// nothing for DestinationDownAfter.
	MetricDestinationDown     = "DestinationDown"
	MetricDestinationDisabled = "DestinationDisabled" // destinations that were disabled
)

// Metrics of reconcile, one value for each pass, and of the outbox, one for each run.
const (
	MetricListed     = "Listed"     // events in Stripe's list
	MetricRequeued   = "Requeued"   // of these, enqueued
	MetricMismatched = "Mismatched" // of these, contradicting their record, or unreadable
	MetricDeferred   = "Deferred"   // of these, left for a later pass
	MetricComplete   = "Complete"   // 1 for a complete pass, else 0
	// MetricOldestDead is for how many seconds a dead event has not changed, of the one that has not
	// for longest; 0 if none is over StuckAge, absent if it could not be read.
	MetricOldestDead = "OldestDead"
	// MetricPausedFor is for how many seconds the oldest pause of an event type lasts; 0 if none is
	// paused or being resumed, absent if it could not be read.
	MetricPausedFor = "PausedFor"

	MetricOutboxSent   = "OutboxSent"
	MetricOutboxFailed = "OutboxFailed" // not sent, or not marked as sent
	MetricOutboxUnsent = "OutboxUnsent" // unsent after the run; absent, like the two below, if they could not be counted
	MetricOutboxOldest = "OutboxOldest" // seconds that the oldest unsent message has waited
	MetricOutboxHeld   = "OutboxHeld"   // messages about old states, until an operator releases them

	MetricLedgerDrift = "LedgerDrift" // rows that differ from Stripe, one value for each run of the comparison
	// MetricLedgerVerifiedAge is the time in seconds since the last whole comparison of the recently
	// written rows began; absent if it is unknown.
	MetricLedgerVerifiedAge = "LedgerVerifiedAge"
)
