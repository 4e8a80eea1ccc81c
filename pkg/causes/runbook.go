package causes

import "tollgate/pkg/dispatch"

const readme = "infra/README.md#"

// runbook returns the alarm that a cause raises, without its stage and severity, and where
// infra/README.md says what to do. A test compares both with the headings there.
func runbook(c Cause) (alarm, section string) {
	switch {
	case c.Reason == ReasonBroken:
		alarm = "events-mismatched"
	case c.Reason == dispatch.ReasonCorrupt:
		return "dead-letters", readme + "corrupt-dead-letters"
	case c.Dead+c.Leftovers > 0:
		return "dead-letters", readme + "redrive-after-a-bug-fix"
	case c.Error == "":
		alarm = "consumer-errors"
	default:
		alarm = "consumer-failures"
	}
	return alarm, readme + "alarm-" + alarm
}
