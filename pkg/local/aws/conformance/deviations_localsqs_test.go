package conformance

// localSQSDeviations lists what local-aws-sqs 2.0.2 does otherwise; the documentation is right in every case.
func localSQSDeviations() map[string]deviation {
	all := map[string]deviation{}
	deviates(all, "ApproximateNumberOfMessages is of visible messages: local-aws-sqs counts those in flight too.",
		"sqs/queue-attributes/counts")
	deviates(all, "A purge deletes messages in flight too: local-aws-sqs leaves them.", "sqs/queue/purge")
	deviates(all, "A receive counts once: local-aws-sqs counts a message that was given back twice, so it becomes a dead letter too early.",
		"sqs/visibility/receive-count", "sqs/dead-letter/after-max-receives", "sqs/dead-letter/not-before")
	deviates(all, "The move keeps the enqueue time on a standard queue: local-aws-sqs sets it anew.", "sqs/dead-letter/keeps-enqueue-time")
	deviates(all, "A long poll returns when a message becomes available: local-aws-sqs waits to the end.",
		"sqs/receive/long-poll-ends-on-send", "sqs/receive/long-poll-ends-on-visibility")
	deviates(all, "MessageSystemAttributeNames replaces AttributeNames: local-aws-sqs knows the latter only.", "sqs/system-attributes/by-name")
	deviates(all, "The encoding hashes the whole data type: local-aws-sqs leaves out a custom label.", "sqs/message-attributes/md5")
	deviates(all, "Names, types and values of message attributes have rules: local-aws-sqs checks few of them.", "sqs/message-attributes/invalid-refused")
	deviates(all, "Other characters are refused: local-aws-sqs takes any, so no entry of a batch fails alone.",
		"sqs/limit/character-set", "sqs/batch/partial-failure")
	deviates(all, "The limit is in bytes: local-aws-sqs counts characters.", "sqs/limit/message-1-mib")
	deviates(all, "The value must be a trace header: local-aws-sqs takes any.", "sqs/system-attributes/trace-header-refused")
	return all
}
