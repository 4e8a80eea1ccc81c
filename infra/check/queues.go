package check

import (
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// smallestHalf is half of the concurrency that the smallest account has.
const smallestHalf = 5

func batchFailsInPart(t Template, _ limits.Limits) []string {
	var f faults
	f.must(len(t.names(typeMapping)) == 1, mapping, "is not the only mapping: %v", t.names(typeMapping))
	for _, name := range t.names(typeMapping) {
		f.must(slices.Equal(texts(t.at(name, "FunctionResponseTypes")), []string{"ReportBatchItemFailures"}), name,
			"does not report failures by item: a failed event would be deleted with its batch")
		f.must(t.at(name, "FilterCriteria") == nil, name, "filters, which deletes what does not match")
		f.must(short(t.at(name, "EventSourceArn")) == queue+".Arn" && short(t.at(name, "FunctionName")) == consumer, name,
			"goes from %s to %s", short(t.at(name, "EventSourceArn")), short(t.at(name, "FunctionName")))
		f.must(t.at(name, "Enabled") == true, name, "is not enabled")
	}
	return f
}

func mappingStaysUnder(t Template, _ limits.Limits) []string {
	var f faults
	most := t.number(consumer, "ReservedConcurrentExecutions")
	if t.at(consumer, "ReservedConcurrentExecutions") == nil {
		most = smallestHalf
	}
	got := t.number(mapping, "ScalingConfig", "MaximumConcurrency")
	f.must(got >= 2 && got <= most, mapping, "MaximumConcurrency %v is not 2 to %v: throttles would cost messages their receives", got, most)
	return f
}

func visibilityOutlasts(t Template, _ limits.Limits) []string {
	var f faults
	least := 6*t.seconds(consumer, "Timeout") + t.seconds(mapping, "MaximumBatchingWindowInSeconds")
	got := t.seconds(queue, "VisibilityTimeout")
	f.must(got >= least, queue, "visibility timeout %v is under 6 × the consumer's timeout + the batch window, %v", got, least)
	return f
}

func deadLettersOutlive(t Template, _ limits.Limits) []string {
	var f faults
	source, letters := t.seconds(queue, "MessageRetentionPeriod"), t.seconds(dead, "MessageRetentionPeriod")
	f.must(source > 0 && letters > source, dead, "keeps messages for %v, %s for %v: SQS counts both from the first enqueue", letters, queue, source)
	return f
}

func deadLettersGoOneWay(t Template, _ limits.Limits) []string {
	var f faults
	to := short(t.at(queue, "RedrivePolicy", "deadLetterTargetArn"))
	f.must(to == dead+".Arn", queue, "gives up to %s", to)
	f.must(t.at(dead, "RedrivePolicy") == nil, dead, "gives up too")
	f.must(t.text(dead, "RedriveAllowPolicy", "redrivePermission") == "byQueue", dead, "takes dead letters of other queues")
	from := texts(t.at(dead, "RedriveAllowPolicy", "sourceQueueArns"))
	name := t.text(queue, "QueueName")
	f.must(len(from) == 1 && name != "" && strings.Contains(from[0], ":"+name+`"`), dead, "takes dead letters of %v, want of %s", from, name)
	for _, name := range []string{queue, dead} {
		f.must(strings.HasPrefix(t.text(name, "QueueName"), "tollgate-"), name, "has no fixed name")
	}
	return f
}

func queuesAreSealed(t Template, _ limits.Limits) []string {
	var f faults
	tls := map[string]bool{}
	for _, name := range t.names(typeQueuePolicy) {
		for _, s := range items(t.at(name, "PolicyDocument", "Statement")) {
			secure := at(s, "Condition", "Bool", "aws:SecureTransport")
			if at(s, "Effect") == "Deny" && short(at(s, "Principal")) == "*" && short(at(s, "Action")) == "sqs:*" && secure == "false" {
				for _, on := range items(t.at(name, "Queues")) {
					tls[short(on)] = short(at(s, "Resource")) == short(on)+".Arn"
				}
			}
		}
	}
	queues := t.names(typeQueue)
	f.must(slices.Equal(queues, []string{dead, queue}), queue, "the queues are %v", queues)
	for _, name := range queues {
		f.must(t.at(name, "SqsManagedSseEnabled") == true, name, "is not encrypted")
		f.must(tls[name], name, "has no policy that denies what does not come over TLS")
	}
	return f
}
