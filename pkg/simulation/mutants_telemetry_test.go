package simulation

// telemetryMutants are seeded bugs in what the functions count, and in the ids that follow an event.
func telemetryMutants() []mutant {
	const (
		metrics = "telemetry/metrics.go"
		logger  = "telemetry/logger.go"
		sender  = "sqsqueue/sender.go"
		lines   = "run/start/lines.go"
		labels  = "local/metrics/metrics.go"
	)
	return []mutant{
		one("a stranger's endpoint is counted separately", metrics, "unless(!slices.Contains(h.Endpoints, s.endpoint), byEndpoint)", "unless(s.endpoint == \"\", byEndpoint)").by("TestEveryDeliveryIsCounted").in("telemetry"),
		one("every rejection is one of the signature", metrics, "if slices.Contains(limits.SignatureReasons(), s.reason) {", "if s.reason != \"\" {").by("TestEveryDeliveryIsCounted").in("telemetry"),
		one("a type without a handler is counted separately", metrics, "h.EventMetrics && s.took >= 0 && s.eventType", "h.EventMetrics && s.eventType").by("TestEventMetrics").in("telemetry"),
		one("types are counted without the option", metrics, "h.EventMetrics && s.took >= 0", "s.took >= 0").by("TestEveryOutcomeOfTheConsumerIsCounted").in("telemetry"),
		one("a line does not name its request", logger, "if invoked {", "if invoked && r.Level > slog.LevelError {").by("TestLoggerNamesTheInvocation").in("telemetry"),
		one("a refused trace header costs the event", sender, "			in.MessageSystemAttributes = nil // a", "			_ = in // a").by("TestEnqueueWithARefusedTrace").in("sqsqueue"),
		one("a failed invocation is logged as text", lines, "failed.Type != \"\":", "failed.Type == \"never\":").by("TestLines").in("run/start"),
		one("a stranger's endpoint is a label", labels, "if slices.Contains(m.endpoints, name) {", "if name != \"\" {").by("TestLabelsAreBounded").in("local/metrics"),
		one("event types are labels without end", labels, "len(m.types) == MaxTypes ||", "").by("TestLabelsAreBounded").in("local/metrics"),
	}
}
