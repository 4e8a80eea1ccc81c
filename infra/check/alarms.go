package check

import (
	"regexp"
	"slices"
	"strings"

	"tollgate/pkg/limits"
)

// Alarms returns the names of all alarms of a stage, which are those of their sections in the
// README's runbook; silence may be off.
func Alarms() []string {
	return []string{
		"ingest-errors", "ingest-throttles", "api-errors", "ingest-slow", "secret-mismatch", "secret-unusable", "silence",
		"queue-age", "in-flight", "dead-letters", "dead-letters-expire",
		"consumer-errors", "consumer-throttles", "consumer-failures", "no-time", "superseded",
		"reconcile-incomplete", "events-missed", "events-suspicious", "outbox-unsent", "outbox-late",
	}
}

func alarmsAct(t Template, _ limits.Limits) []string {
	var f faults
	section := regexp.MustCompile(`What to do: README\.md, Runbook, ([a-z-]+)\.$`)
	topic := short(t.Outputs["AlarmTopicArn"]["Value"])
	for _, name := range t.names(typeAlarm) {
		f.must(slices.Equal(texts(t.at(name, "AlarmActions")), []string{topic}) && topic != "", name, "acts on %v, not on the alarm topic", texts(t.at(name, "AlarmActions")))
		f.must(t.at(name, "ActionsEnabled") != false, name, "has its actions off")
		found := section.FindStringSubmatch(t.text(name, "AlarmDescription"))
		f.must(found != nil && slices.Contains(Alarms(), found[1]) && strings.HasSuffix(t.text(name, "AlarmName"), "-"+found[1]), name,
			"its description names no section of the runbook: %q", t.text(name, "AlarmDescription"))
		f.must(t.at(name, "TreatMissingData") == "notBreaching" || t.at(name, "TreatMissingData") == "breaching", name, "does not say what missing data means")
	}
	return f
}

func alarmsAreThere(t Template, _ limits.Limits) []string {
	var f faults
	for _, want := range Alarms() {
		found := slices.ContainsFunc(t.names(typeAlarm), func(name string) bool { return strings.HasSuffix(t.text(name, "AlarmName"), "-"+want) })
		f.must(found || want == "silence", want, "is no alarm here")
	}
	for _, name := range t.names(typeAlarm) {
		periods, breaching := t.number(name, "EvaluationPeriods"), t.number(name, "DatapointsToAlarm")
		f.must(periods >= 1 && breaching >= 1 && breaching <= periods, name, "pages for %v of %v periods", breaching, periods)
		f.must(len(items(t.at(name, "Metrics"))) > 0, name, "watches nothing")
	}
	return f
}

// metricsAreCounted refuses a custom metric that no function counts: its alarm would
// sleep for ever.
func metricsAreCounted(t Template, _ limits.Limits) []string {
	counted := []string{
		limits.MetricReceived, limits.MetricRejected, limits.MetricEnqueued, limits.MetricDone, limits.MetricDuplicate,
		limits.MetricBusy, limits.MetricFailed, limits.MetricDeadLettered, limits.MetricSuperseded, limits.MetricStoreDown, limits.MetricThrottled, limits.MetricSecretUnusable, limits.MetricAge, limits.MetricNoTime,
		limits.MetricPolicyIgnored,
		limits.MetricListed, limits.MetricMissed, limits.MetricRequeued, limits.MetricSuspicious, limits.MetricDeferred, limits.MetricComplete,
		limits.MetricOutboxSent, limits.MetricOutboxFailed, limits.MetricOutboxUnsent, limits.MetricOutboxOldest, limits.MetricOutboxHeld,
	}
	var f faults
	for _, name := range t.names(typeAlarm) {
		for _, query := range items(t.at(name, "Metrics")) {
			m := at(query, "MetricStat", "Metric")
			if m == nil {
				continue // an expression
			}
			namespace, metric := short(at(m, "Namespace")), short(at(m, "MetricName"))
			if namespace != limits.MetricNamespace {
				f.must(strings.HasPrefix(namespace, "AWS/"), name, "watches %s/%s, which nobody counts", namespace, metric)
				continue
			}
			f.must(slices.Contains(counted, metric), name, "watches %s, which nobody counts", metric)
			dimensions := map[string]bool{}
			for _, d := range items(at(m, "Dimensions")) {
				dimensions[short(at(d, "Name"))] = true
			}
			f.must(dimensions[limits.DimensionStage], name, "watches %s of no stage", metric)
		}
	}
	return f
}
