package limits

// Metrics are counted by the functions and watched by the stack's alarms. All are in
// MetricNamespace with the dimension DimensionStage; where further dimensions are named,
// each metric has values with and without them.
const (
	MetricNamespace = "Tollgate"
	DimensionStage  = "stage"

	MetricReceived = "Received" // deliveries that reached ingest
	MetricRejected = "Rejected" // deliveries refused; also by DimensionReason
	MetricEnqueued = "Enqueued" // deliveries whose event is on the queue
	// MetricSecretUnusable counts fetches of the webhook secret in which an endpoint's list
	// has no usable secret; the known secrets stay in use.
	MetricSecretUnusable = "SecretUnusable"

	MetricVerifiedBy = "VerifiedBy" // by DimensionSecret only: which of the endpoint's secrets held, "0" for the first

	MetricDone         = "Done"         // events whose record became done
	MetricDuplicate    = "Duplicate"    // messages of events that were done before
	MetricBusy         = "Busy"         // messages that found another attempt running
	MetricFailed       = "Failed"       // attempts that failed and come back
	MetricDeadLettered = "DeadLettered" // messages copied to the dead-letter queue; also by DimensionReason
	MetricSuperseded   = "Superseded"   // attempts that a later claim had overtaken
	MetricStoreDown    = "StoreDown"    // messages not handled because the store could not be used
	MetricThrottled    = "Throttled"    // messages not handled because the store throttled their item
	MetricNoTime       = "NoTime"       // messages given back because too little of the function's time was left
	MetricWaiting      = "Waiting"      // attempts to be repeated, as Stripe did not show yet what their event announced
	MetricNewer        = "NewerVersion" // receives of messages that a newer release wrote; they wait for a newer consumer
	MetricAge          = "Age"          // milliseconds from an event's creation to done
	// MetricPolicyIgnored counts messages acknowledged because their endpoint excludes the
	// event, accounts that a reconcile pass left out for that reason, and listed events
	// created before their endpoint's policy's from; also by DimensionEndpoint and
	// DimensionReason.
	MetricPolicyIgnored = "PolicyIgnored"
	// MetricMissed counts events, among those watched, that reconcile's message brought and
	// no webhook's message followed: it shows that deliveries fail, not how many.
	MetricMissed = "Missed"

	DimensionReason   = "reason"
	DimensionSecret   = "verified_by"
	DimensionEndpoint = "endpoint"

	// ReasonNoMatch is the reason of a rejection that an alarm watches: a rolled secret
	// looks like this, and so does a stranger.
	ReasonNoMatch = "no_match"
)

// Metrics of reconcile, one value for each pass, and of the outbox, one for each look.
const (
	MetricListed     = "Listed"     // events in Stripe's list
	MetricRequeued   = "Requeued"   // of these, put on the queue
	MetricMismatched = "Mismatched" // of these, unlike their record, or unreadable
	MetricDeferred   = "Deferred"   // of these, left for a later pass
	MetricComplete   = "Complete"   // 1 for a pass that did all it was to do, else 0

	MetricOutboxSent   = "OutboxSent"
	MetricOutboxFailed = "OutboxFailed" // refused, or not marked as sent
	MetricOutboxUnsent = "OutboxUnsent" // left to be sent after the run; absent, as are the two below, when they could not be counted
	MetricOutboxOldest = "OutboxOldest" // seconds that the oldest of these has waited
	MetricOutboxHeld   = "OutboxHeld"   // messages about old states, until an operator releases them
)
