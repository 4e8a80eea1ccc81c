package conformance

// fauxqsDeviations lists what fauxqs 1.9.2 does otherwise; the documentation is right in every case.
func fauxqsDeviations() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "A string that is not a receipt handle is refused: fauxqs takes it for the receipt of a message that is gone.",
		"sqs/delete/invalid-handle-refused", "sqs/visibility/invalid-handle-refused", "sqs/batch/delete")
	deviates(all, "Both travel with the message: fauxqs drops them.",
		"sqs/system-attributes/trace-header", "sqs/system-attributes/group-on-standard-queue")
	deviates(all, "DeadLetterQueueSourceArn is given on a receive from a dead-letter queue: fauxqs does not know it.", "sqs/dead-letter/source-attribute")
	deviates(all, "ListDeadLetterSourceQueues is part of the API: fauxqs lacks it.", "sqs/queue-attributes/redrive-policy")
	deviates(all, "A redrive policy must name a queue: fauxqs does not look.", "sqs/queue-attributes/redrive-to-missing-refused")
	deviates(all, "Message attributes are given when asked for: fauxqs gives all without.", "sqs/message-attributes/name-filter")
	deviates(all, "Names, types and values of message attributes have rules, and ten is the most: fauxqs does not check.",
		"sqs/message-attributes/invalid-refused", "sqs/limit/ten-attributes")
	deviates(all, "#x10000 to #x10FFFF are allowed: fauxqs refuses them.", "sqs/send/unusual-text", "sqs/limit/character-set")
	deviates(all, "A delay is at most 900 s: fauxqs takes any.", "sqs/send/delay-over-900-refused", "sqs/queue/error-codes")
	deviates(all, "Queue names and attributes have rules: fauxqs checks few of them.",
		"sqs/queue/invalid-name-refused", "sqs/queue-attributes/invalid-refused")
	deviates(all, "MaxResults makes pages with a token to go on: fauxqs gives the first page only.", "sqs/queue/list-pages")
	deviates(all, "AWS acts on any receipt of a message that is there: fauxqs holds to the documented MessageNotInflight.",
		"sqs/visibility/timeout-over", "sqs/visibility/older-receipt")
	deviates(all, "The value must be a trace header: fauxqs takes any.", "sqs/system-attributes/trace-header-refused")
	return all
}
